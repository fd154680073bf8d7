# SPDX-License-Identifier: BSD-3-Clause
"""SIGHUP: keys change, domains come and go, while frames flow."""

import os
import shutil
import signal
import time

import pytest

from labtools import reload, wait_until


@pytest.fixture(scope="module")
def members(make_lab):
    """A lab whose relays serve the members of one domain, and nobody else."""
    lab = make_lab(LAB_DOMAINS=1, LAB_SLAB="256M", LAB_HUGEPAGES=0)
    yield lab
    lab.down()


def keygen(lab, *words):
    lab.run("source", "oncewire", "keygen", *words, check=True)


def owned(lab, path):
    """The relay reads it as its own user."""
    shutil.chown(path, lab.state.joinpath("domain.key").owner())
    return path


def send_as(lab, key, path, out, timeout=5):
    """How a send by a member with this key file ends."""
    with lab.receive(out, timeout=timeout + 5) as receiver:
        sent = lab.send(path, "private", timeout=timeout, extra=("--domain-key", key))
        if sent.code == 0:
            [got] = receiver.files()
            os.unlink(got["path"])
    return sent


def test_rotation(members, make_blob, out, tmp_path):
    """With both generations at the relay the old key and the new one do; then only the
    new one."""
    lab, new, old = members, members.state / "domain.key", tmp_path / "old.key"
    blob = make_blob(50_000)
    shutil.copy(new, old)
    assert send_as(lab, old, blob, out).outcome == "uploaded-private"
    keygen(lab, "domain", new, "--rotate")
    for role in ("private", "central"):
        assert reload(lab, role)["ok"] is True
    assert lab.status("private")["domains"]["lab"]["generations"] == [2, 1]
    assert send_as(lab, old, blob, out).outcome == "private-hit"
    assert send_as(lab, new, blob, out).outcome == "private-hit"
    keygen(lab, "domain", new, "--retire")
    for role in ("private", "central"):
        assert reload(lab, role)["ok"] is True
    assert send_as(lab, new, blob, out).outcome == "private-hit"
    before = lab.drops("private").get("key-unknown", 0)
    refused = send_as(lab, old, blob, out, timeout=3)
    assert refused.code != 0 and "domain 1" in refused.err and "generation 1" in refused.err
    assert lab.drops("private")["key-unknown"] > before


def test_pair_rotation(members, make_blob, out, tmp_path):
    """Central first: in between, and after it, it answers with what it was asked with."""
    lab, config = members, members.state / "private.conf"
    at_central, at_private = lab.state / "pair.key", lab.state / "pair-private.key"
    blob = make_blob(20_000)
    lab.deliver(blob, "central", out)
    owned(lab, shutil.copy(at_central, at_private))
    config.write_text(config.read_text().replace(str(at_central), str(at_private)))

    def step(role, *words):
        if words:
            keygen(lab, *words)
        assert reload(lab, role)["ok"] is True
        before = lab.drops("central"), lab.drops("private")
        sent, _ = lab.deliver(blob, "private", out)
        assert sent.outcome == "central-hit"
        assert (lab.drops("central"), lab.drops("private")) == before

    step("private")
    step("central", "pair", at_central, "--rotate")
    owned(lab, shutil.copy(at_central, at_private))
    step("private")
    step("central", "pair", at_central, "--retire")
    step("private", "pair", at_private, "--retire")


def test_broken_file(members, make_blob, out):
    """Everything goes on as before; the status tells why."""
    lab, config = members, members.state / "private.conf"
    text = config.read_text()
    config.write_text(text + "[domain other]\nkey_file = /nonexistent\nmax_blobs = lots\n")
    try:
        result = reload(lab, "private")
        assert result["ok"] is False
        line = text.count("\n") + 3
        assert f"{config}:{line}: [domain other] max_blobs: " in result["messages"]
        assert result["messages"] in (lab.state / "private.log").read_text()
        assert list(lab.status("private")["domains"]) == ["lab"]
        lab.deliver(make_blob(20_000), "private", out)
    finally:
        config.write_text(text)
    assert reload(lab, "private")["ok"] is True


def test_restart_needed(members):
    config = members.state / "private.conf"
    text = config.read_text()
    config.write_text(text.replace("[store]\n", "[store]\nslab_blobs = 99\n"))
    try:
        result = reload(members, "private")
        assert result["ok"] is True
        assert "[store] slab_blobs needs a restart" in result["messages"]
    finally:
        config.write_text(text)
    assert "messages" not in reload(members, "private")


def test_domain_comes_and_goes(members, make_blob, out):
    """Its members are served from the reload on, and do not hit what others have. With it,
    its blobs go, and theirs alone."""
    lab, config = members, members.state / "private.conf"
    text, key, blob = config.read_text(), members.state / "other.key", make_blob(20_000)
    keygen(lab, "domain", key, "--id", 77)
    owned(lab, key)
    lab.deliver(blob, "private", out)
    assert send_as(lab, key, blob, out, timeout=2).code != 0
    before = lab.status("private")
    config.write_text(text + f"[domain other]\nkey_file = {key}\n")
    try:
        assert reload(lab, "private")["ok"] is True
        assert send_as(lab, key, blob, out).outcome == "uploaded-private"
        assert send_as(lab, key, blob, out).outcome == "private-hit"
        domains = lab.status("private")["domains"]
        assert domains["other"]["id"] == 77 and domains["other"]["blobs"] == 1
    finally:
        config.write_text(text)
    assert reload(lab, "private")["ok"] is True
    assert list(lab.status("private")["domains"]) == ["lab"]
    assert send_as(lab, key, blob, out, timeout=2).code != 0
    wait_until(lambda: lab.status("private")["blobs"] == before["blobs"], 10)
    after = lab.status("private")
    assert after["slab_bytes_free"] >= before["slab_bytes_free"]
    assert after["blobs_removed"] == before["blobs_removed"] + 1
    assert "removed 1 blob (20000 bytes) of domains" in (lab.state / "private.log").read_text()
    assert lab.deliver(blob, "private", out)[0].outcome == "private-hit"  # the other domain's
    config.write_text(text + f"[domain other]\nkey_file = {key}\n")
    try:  # it begins anew
        assert reload(lab, "private")["ok"] is True
        assert lab.status("private")["domains"]["other"]["blobs"] == 0
        assert send_as(lab, key, blob, out).outcome == "uploaded-private"
    finally:
        config.write_text(text)
        reload(lab, "private")


def test_transfer_survives(members, make_blob, out):
    """Fifty reloads while a large file is uploaded and delivered: no frame is lost to
    them, and the bytes are right."""
    lab, blob = members, make_blob(60_000_000)
    before, dropped = lab.status("private")["reload"]["count"], lab.drops("private")
    pid = lab.daemon_pid("private")
    with lab.receive(out, timeout=60) as receiver:
        sender = lab.popen("source", "oncewire", "send", blob, "--to", lab.address["target"],
                           "--via", "private", "--timeout", 60, "--json")
        wait_until(lambda: lab.status("private")["domains"]["lab"]["uploads"] > 0, 10, 0.01,
                   "the upload")
        for _ in range(50):
            os.kill(pid, signal.SIGHUP)
            time.sleep(0.02)
        out_text, err_text = sender.communicate(timeout=60)
        assert sender.returncode == 0, err_text
        [got] = receiver.files()
    assert got["verified"] is True and '"uploaded-private"' in out_text
    assert open(got["path"], "rb").read() == blob.read_bytes()
    status = lab.status("private")
    assert status["reload"]["ok"] is True and status["reload"]["count"] >= before + 40
    for reason in ("key-unknown", "auth", "cookie-bad", "cookie-stale", "control-busy"):
        assert status["drops"].get(reason, 0) == dropped.get(reason, 0), reason
