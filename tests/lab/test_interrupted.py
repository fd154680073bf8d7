# SPDX-License-Identifier: BSD-3-Clause
"""Transfers that something stops in the middle: they go on, and the bytes are the same."""

import filecmp
import re
import time

import pytest

from labtools import wait_until

LINK = "delay=10ms,rate=20mbit,queue=60k"
CHUNK = 1152
SIZE = 8_000_000  # 3.4 s of that link


def begin(lab, path, timeout=90):
    return lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"], "--via",
                     "private", "--timeout", timeout, "--json")


def finish(process, receiver, path):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)


def interrupt(lab, link, path, out, kind, host, seconds):
    """Sends the file over a slow link, and something stops in the middle."""
    with lab.impaired(link, LINK, LINK), lab.receive(out, timeout=120) as receiver:
        process = begin(lab, path)
        time.sleep(1.5)
        with lab.fault(kind, host, seconds) as fault:
            assert fault.wait(90) == 0
        finish(process, receiver, path)
    assert lab.status("private")["uploads"] == 1


@pytest.mark.parametrize("kind, host, seconds", [
    ("pause", "source", 7), ("pause", "private", 5), ("carrier", "source", 12),
])
def test_upload(fresh_lab, make_blob, out, kind, host, seconds):
    """An upload is no wrong one because nothing came for a while."""
    interrupt(fresh_lab, "source", make_blob(SIZE), out, kind, host, seconds)


@pytest.mark.parametrize("kind, host, seconds", [
    ("pause", "target", 7), ("pause", "private", 5), ("pause", "source", 7),
    ("carrier", "target", 3), ("carrier", "private", 3),
])
def test_hit(fresh_lab, make_blob, out, tmp_path, kind, host, seconds):
    path, first = make_blob(SIZE), tmp_path / "first"
    first.mkdir()
    fresh_lab.deliver(path, "private", first)
    interrupt(fresh_lab, "target", path, out, kind, host, seconds)


def test_source_that_dies_makes_room(fresh_lab, make_blob, out):
    """An upload whose source is killed is taken over by the source that waits."""
    path = make_blob(2 * SIZE)

    def holds(**state):
        status = fresh_lab.status("private")
        return all(status[name] == value for name, value in state.items())

    with fresh_lab.impaired("source", LINK, LINK), fresh_lab.receive(out, timeout=120) as receiver:
        first = begin(fresh_lab, path)
        try:
            wait_until(lambda: holds(uploads_active=1))
            second = begin(fresh_lab, path)
            wait_until(lambda: holds(uploads_active=1, requests=2))
        finally:
            first.kill()
            first.communicate()
        finish(second, receiver, path)
    assert holds(uploads=1)


def test_relay_restarts_under_a_transfer(fresh_lab, make_blob, out):
    """Cookies and tickets outlive the relay's process; the blob is uploaded again."""
    path = make_blob(SIZE)
    with fresh_lab.impaired("source", LINK, LINK), fresh_lab.receive(out, timeout=120) as receiver:
        process = begin(fresh_lab, path)
        wait_until(lambda: fresh_lab.status("private")["upload_chunks"] > 0)
        fresh_lab.stop_relay("private")
        fresh_lab.start_relay("private")
        finish(process, receiver, path)


@pytest.fixture(params=[(4, 0), (6, 1)], ids=["ipv4-open", "ipv6-members"])
def moving_lab(make_lab, request):
    family, domains = request.param
    lab = make_lab(LAB_SLAB="256M", LAB_HUGEPAGES=0, LAB_FAMILY=family, LAB_DOMAINS=domains)
    yield lab
    lab.down()


def move(lab, host):
    """Gives the host another address."""
    old = lab.address[host]
    if ":" in old:
        new, rest = old.rsplit(":", 1)[0] + ":77/64", ["nodad"]
    else:
        new, rest = old.rsplit(".", 1)[0] + ".77/24", []
    prefix = new.rsplit("/", 1)[1]
    lab.run(host, "ip", "addr", "del", f"{old}/{prefix}", "dev", "eth0", check=True)
    lab.run(host, "ip", "addr", "add", new, "dev", "eth0", *rest, check=True)


def test_source_moves(moving_lab, make_blob, out):
    """Its address changes in the middle of the upload, which goes on where it was."""
    lab, path = moving_lab, make_blob(2 * SIZE)
    with lab.impaired("source", LINK, LINK), lab.receive(out, timeout=120) as receiver:
        process = begin(lab, path)
        wait_until(lambda: lab.status("private")["upload_chunks"] > 1000)
        move(lab, "source")
        finish(process, receiver, path)
    status = lab.status("private")
    assert status["sources_moved"] == 1 and status["uploads"] == 1
    assert status["upload_chunks"] == -(-2 * SIZE // CHUNK)  # none was taken twice


def test_target_moves(moving_lab, make_blob, out, tmp_path):
    """What it pulls follows it, and the source hears of it."""
    lab, path, first = moving_lab, make_blob(SIZE), tmp_path / "first"
    first.mkdir()
    lab.deliver(path, "private", first)
    before = lab.status("private")["data_chunks"]
    with lab.impaired("target", LINK, LINK), lab.receive(out, timeout=120) as receiver:
        process = begin(lab, path)
        wait_until(lambda: lab.status("private")["data_chunks"] > before + 5000)
        move(lab, "target")
        finish(process, receiver, path)
    # it did not begin anew: that would be 1.7 times as many
    assert lab.status("private")["data_chunks"] < before + 1.5 * SIZE / CHUNK


def test_slow_is_not_late(fresh_lab, make_blob, out):
    """--timeout is of no progress, --limit of all."""
    path = make_blob(1_000_000)
    slow = "delay=5ms,rate=1mbit,queue=30k"  # 8.6 s
    with fresh_lab.impaired("source", slow, slow):
        sent, _ = fresh_lab.deliver(path, "private", out, timeout=4)
        assert sent.outcome == "uploaded-private" and sent.json["seconds"] > 8
        sent = fresh_lab.send(make_blob(1_000_000), "private", extra=["--limit", "3"])
    assert sent.code == 4 and re.search(r"was not finished after 3(\.\d+)? s", sent.err)
    assert 3 <= sent.json["seconds"] < 8


def test_relay_that_stays_away(fresh_lab, make_blob, out):
    """A transfer that had begun ends when its patience does, and says that the relay is gone."""
    with fresh_lab.impaired("source", LINK, LINK):
        with fresh_lab.receive(out, count=0, timeout=60) as receiver:
            process = begin(fresh_lab, make_blob(SIZE), timeout=8)
            time.sleep(1.5)
            began = time.monotonic()
            fresh_lab.stop_relay("private")
            text, err = process.communicate(timeout=60)
            assert process.returncode == 3 and "does not answer" in err, (text, err)
            assert time.monotonic() - began > 6
            receiver.process.terminate()
