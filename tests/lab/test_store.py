# SPDX-License-Identifier: BSD-3-Clause
"""What was stored is there: after a restart, a crash, and when it is more than RAM holds."""

import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from crash import Crash  # noqa: E402
from labtools import reload, wait_until  # noqa: E402

SIZES = (0, 1, 250, 5_000, 32_256, 32_257, 774_144, 774_145, 5_000_000)


@pytest.fixture(scope="module")
def small_lab(make_lab):
    """Relays with 16 MiB of memory."""
    return make_lab(LAB_SLAB="16M", LAB_HUGEPAGES=0)


@pytest.mark.parametrize("how, role, stored, hit", [
    (signal.SIGKILL, "private", "uploaded-private", "private-hit"),
    (signal.SIGTERM, "central", "uploaded-central", "direct-hit")])
def test_blobs_outlive_the_relay(small_lab, make_blob, out, how, role, stored, hit):
    blobs = [make_blob(size) for size in SIZES]
    for sent in small_lab.deliver_all(blobs, role, out):
        assert sent.outcome == stored
    before = small_lab.status(role)["blobs"]
    small_lab.stop_relay(role, how)
    small_lab.start_relay(role)
    assert small_lab.status(role)["blobs"] == before
    if how == signal.SIGTERM:  # what was in memory comes back by itself
        wait_until(lambda: small_lab.status(role)["loads_after_start"] >= len(SIZES) - 1)
    for sent in small_lab.deliver_all(blobs, role, out):
        assert (sent.outcome, sent.json["uploaded_bytes"]) == (hit, 0)


def test_central_serves_a_private_relay_from_its_disk(small_lab, make_blob, out):
    blob = make_blob(3_000_000)
    assert small_lab.deliver(blob, "central", out)[0].outcome == "uploaded-central"
    small_lab.stop_relay("central")
    small_lab.start_relay("central")
    sent, _ = small_lab.deliver(blob, "private", out)
    assert (sent.outcome, sent.json["uploaded_bytes"]) == ("central-hit", 0)


def test_more_than_memory(small_lab, make_blob, out):
    """Four files of three quarters of the slab, and one of three times as much."""
    blobs = [make_blob(12_000_000) for _ in range(4)] + [make_blob(50_000_000)]
    for outcome in ("uploaded-private", "private-hit"):
        assert {one.outcome for one in small_lab.deliver_all(blobs, "private", out)} == {outcome}
    status = small_lab.status("private")
    assert status["blob_bytes"] <= 16 << 20 and status["loads"] > 0
    assert status["evictions"] > 0


@pytest.fixture
def store_limits(small_lab):
    """Sets lines of the private relay's [store] by a reload; at the end they are gone again."""
    config = small_lab.state / "private.conf"
    text = config.read_text()

    def set_limits(lines):
        config.write_text(text.replace("[store]\n", f"[store]\n{lines}\n"))
        assert reload(small_lab, "private")["ok"]

    yield set_limits
    set_limits("")


def test_limits(small_lab, store_limits, make_blob, out):
    """The oldest go, or new ones are refused, and what is too old goes by itself."""
    blobs = [make_blob(1_000_000) for _ in range(6)]
    small_lab.deliver_all(blobs, "private", out)
    store_limits("max_bytes = 4M")
    wait_until(lambda: small_lab.status("private")["stored_bytes"] <= 4 << 20)
    sent = small_lab.deliver_all(reversed(blobs), "private", out)
    assert [one.outcome for one in sent] == ["private-hit"] * 4 + ["uploaded-private"] * 2
    assert small_lab.status("private")["stored_bytes"] <= 4 << 20
    store_limits("max_bytes = 4M\nat_limit = refuse")
    refused = small_lab.send(make_blob(1_000_000), "private")
    assert refused.code != 0 and "the relay's store is full" in refused.err
    store_limits("keep_seconds = 1")
    wait_until(lambda: small_lab.status("private")["blobs"] == 0)
    assert small_lab.status("private")["blobs_expired"] >= 4


def test_target_behind_the_disk_and_a_bad_link(small_lab, make_blob, out):
    """Loads and losses at once: the bytes are right."""
    blob = make_blob(20_000_000)
    assert small_lab.deliver(blob, "private", out)[0].outcome == "uploaded-private"
    small_lab.deliver(make_blob(15_000_000), "private", out)  # drives it out of memory
    with small_lab.impaired("target", to="loss=2%,delay=5ms"):
        assert small_lab.deliver(blob, "private", out, timeout=60)[0].outcome == "private-hit"


def test_crash(make_lab):
    """Fifty crashes in the middle of uploads; tests/crash.py does as many as it is told."""
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0)
    try:
        crash = Crash(lab, "private", seed=int.from_bytes(os.urandom(2), "big"))
        crash.run(50, last=100)
        print(crash.summary())
        assert not crash.failed(), crash.summary()
        assert crash.checked["blobs"] > 100
    finally:
        lab.down()
