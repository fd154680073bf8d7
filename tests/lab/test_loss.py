# SPDX-License-Identifier: BSD-3-Clause
"""What is lost or gone: frames, targets, relays."""

import filecmp
import time

import pytest

FIVE_PERCENT = 50  # permille, of every UDP frame, in each direction


@pytest.fixture(scope="module")
def lossy(lab):
    """Every frame of every pair of hosts crosses the bridge, and may be lost there."""
    with lab.loss(FIVE_PERCENT):
        yield lab


@pytest.mark.parametrize("size", [1, 1152, 1153, 65536, 1_000_000, 10_000_000])
def test_five_flows_with_loss(lossy, make_blob, out, size):
    first, second = make_blob(size), make_blob(size)
    if size == 1:
        first.write_bytes(b"y")
        second.write_bytes(b"z")
    flows = [(first, "central", {"uploaded-central"}), (first, "central", {"direct-hit"}),
             # both frames that say "central" may be lost, or come after the last one
             (first, "private", {"central-hit", "private-hit"}),
             (second, "private", {"uploaded-private"}), (second, "private", {"private-hit"})]
    with lossy.receive(out, count=5, timeout=700) as receiver:
        for path, via, outcomes in flows:
            sent = lossy.send(path, via, timeout=130)
            assert sent.code == 0, (sent, sent.err, lossy.status(via))
            # A lost QUERY or ANSWER is repeated before the wait for central ends.
            assert sent.outcome in outcomes, sent
        received = receiver.files()
    for (path, _, _), got in zip(flows, received):
        assert got["verified"] is True
        assert filecmp.cmp(path, got["path"], shallow=False)


def test_small_sends_survive_any_lost_frame(lossy, make_blob, out):
    """Twenty deliveries: each of a delivery's few frames is lost in some of them."""
    path = make_blob(100)
    with lossy.receive(out, count=20, timeout=120, lease=("private",)) as receiver:
        for _ in range(20):
            sent = lossy.send(path, "private", timeout=30)
            assert sent.code == 0, sent
        assert len(receiver.files()) == 20


def test_target_gone_ends_with_4(lab, make_blob):
    started = time.monotonic()
    sent = lab.send(make_blob(100_000), "private", timeout=4)
    assert sent.code == 4, sent
    assert time.monotonic() - started < 20


def test_target_that_does_not_exist(lab, make_blob):
    """Nobody answers ARP at that address: no route fails, but no target confirms."""
    sent = lab.send(make_blob(1000), "central", to=lab.address["target"] + "9", timeout=5)
    assert sent.code in (4, 5), sent
    assert lab.drops("central")["no-neighbour"] > 0


def test_target_that_comes_late(lab, make_blob, out):
    """The source repeats, so a target that starts within the deadline is served."""
    path = make_blob(200_000)
    process = lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"],
                        "--via", "private", "--timeout", 30, "--json")
    try:
        time.sleep(1.5)
        with lab.receive(out) as receiver:
            [got] = receiver.files()
        assert process.wait(30) == 0
        assert filecmp.cmp(path, got["path"], shallow=False)
    finally:
        process.kill()
        process.communicate()


def test_relay_unreachable_ends_with_3(lab, make_blob):
    started = time.monotonic()
    nobody = lab.address["target"] + ":4999"
    sent = lab.send(make_blob(10), "private", timeout=30, extra=["--private", nobody])
    assert sent.code == 3, sent
    assert time.monotonic() - started < 15


def test_central_gone_is_a_miss(fresh_lab, make_blob, out):
    """Flow 3 after a bounded wait, and back to normal when central is back."""
    path = make_blob(300_000)
    fresh_lab.stop_relay("central")
    sent, _ = fresh_lab.deliver(path, "private", out)
    assert sent.outcome == "uploaded-private"
    assert sent.json["seconds"] < 10
    assert fresh_lab.deliver(path, "private", out)[0].outcome == "private-hit"

    fresh_lab.start_relay("central")
    other = make_blob(300_000)
    assert fresh_lab.deliver(other, "central", out)[0].outcome == "uploaded-central"
    assert fresh_lab.deliver(other, "private", out)[0].outcome == "central-hit"
