# SPDX-License-Identifier: BSD-3-Clause
"""Misses that are delivered while they are uploaded: what the target gets, and when, and what
becomes of a source that ends, or lies."""

import filecmp
import os
import time

import pytest

import peer as wire
from labtools import TARGET_PORT, visible, wait_until
from peer import Error, Offer, Status

LINK = "delay=10ms,rate=20mbit,queue=60k"
SIZE = 8_000_000  # 3.4 s of that link
CHUNK = 1152


def begin(lab, path, via="private", timeout=60):
    return lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"], "--via",
                     via, "--timeout", timeout, "--json")


def shown(out):
    """The lengths of what the target shows."""
    return {os.path.getsize(out / name) for name in visible(out)}


def partial(lab, role):
    return lab.status(role)["data_partial"]


@pytest.mark.parametrize("via", ["private", "central"])
@pytest.mark.parametrize("slower", ["source", "target"])
def test_both_ways_at_once(fresh_lab, make_blob, out, via, slower):
    """The target has most of it when the upload ends, and nothing to show before."""
    lab, path = fresh_lab, make_blob(SIZE)
    back = LINK if slower == "source" else LINK.replace("20mbit", "10mbit")
    with lab.impaired("source", LINK, LINK), lab.impaired("target", back, LINK), \
            lab.receive(out, timeout=90) as receiver:
        process = begin(lab, path, via)
        wait_until(lambda: partial(lab, via) > 100, 30)
        assert shown(out) <= {SIZE}
        text, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert '"stored":true' in text and '"delivered":true' in text
    status = lab.status(via)
    assert (status["uploads"], status["blobs"]) == (1, 1)
    assert lab.status("central")["blobs"] == (via == "central")


FIREWALL = """
table inet firewall {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
  }
}
"""


@pytest.mark.parametrize("lease, via", [("central", "private"), ("private", "private"),
                                        ("central", "central")])
def test_target_behind_a_firewall(fresh_lab, make_blob, out, lease, via):
    """It hears only whom it has spoken to: the relay that has its lease makes the OFFER, and
    names the one that has the blob."""
    lab, path = fresh_lab, make_blob(SIZE)
    lab.run("target", "nft", "-f", "-", input=FIREWALL, check=True)
    with lab.impaired("source", LINK, LINK), lab.receive(out, lease=[lease]) as receiver:
        wait_until(lambda: lab.status(lease)["leases"] == 1)
        sent = lab.send(path, via)
        assert (sent.code, sent.outcome) == (0, f"uploaded-{via}"), sent
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert got["relay"].startswith(lab.address[via])


def test_source_that_ends_shows_nothing(fresh_lab, make_blob, out):
    """It is killed in the middle; another one sends the same."""
    lab, path = fresh_lab, make_blob(5 * SIZE)
    with lab.receive(out, timeout=120) as receiver:
        with lab.impaired("source", LINK, LINK):
            first = begin(lab, path)
            try:
                wait_until(lambda: partial(lab, "private") > 500, 30)
            finally:
                first.kill()
                first.communicate()
        assert visible(out) == []
        sent = lab.send(path, "private", timeout=60)
        assert (sent.code, sent.outcome) == (0, "uploaded-private"), sent
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert os.listdir(out) == [os.path.basename(got["path"])]


def test_deliver_stored(make_lab, make_blob, out, tmp_path):
    extra = tmp_path / "stored.conf"
    extra.write_text("[relay]\ndeliver = stored\n")
    lab = make_lab(LAB_HUGEPAGES=0, LAB_SLAB="64M", LAB_EXTRA_PRIVATE=extra)
    try:
        lab.deliver(make_blob(3_000_000), "private", out)
        status = lab.status("private")
        assert (status["data_partial"], status["later"], status["uploads"]) == (0, 0, 1)
    finally:
        lab.down()


# ---- with a source that is ours ----

def upload_some(session, content, blob_id, target, chunks, transfer, had=0):
    """Says SEND and answers PULLs until the relay has been sent so many chunks in order; it
    had some of them before."""
    given, end = dict.fromkeys(range(had), True), time.monotonic() + 20
    session.tell(session.send_frame(blob_id, len(content), target, transfer=transfer))
    while len(given) < chunks:
        assert time.monotonic() < end, "the relay asks for no more"
        frame, _ = session.get(1, (wire.PULL,))
        if frame is None:
            session.tell(session.send_frame(blob_id, len(content), target, transfer=transfer))
            continue
        pull = wire.Pull.of(frame)
        for chunk in pull.chunks():
            if chunk < chunks:
                session.tell(session.data_frame(
                    pull, chunk, content[chunk * CHUNK:(chunk + 1) * CHUNK]))
                given[chunk] = True
    return session


def offered(target, transfer):
    frame, _ = target.get(20, (wire.OFFER,))
    assert frame is not None and Offer.of(frame).transfer == transfer
    return Offer.of(frame)


def pulled(puller, offer, available):
    """The DATA of the first chunk, once the relay says that so many are there."""
    for number in range(1, 1000):
        [data] = answers(puller, puller.pull_frame(offer, number, 0, 1))
        assert data.verb == wire.DATA
        puller.echo = data.body[:8]
        if wire.number_ext(data, wire.AVAILABLE) == available:
            return data
    raise AssertionError("the chunks that were sent are not there")


def answers(session, frame, count=1):
    session.tell(frame)
    got = [session.get(20, (wire.DATA, wire.ERROR))[0] for _ in range(count)]
    assert None not in got
    return got


def test_by_the_document(lab, peer, digest):
    """What a target that knows docs/protocol.md alone gets of an upload that has stopped."""
    content, transfer = os.urandom(40 * CHUNK), os.urandom(16)
    source, target = peer(), peer("target")
    session = upload_some(source.hello(lab.relay("private")), content, digest(content),
                          target.address, 5, transfer)
    offer = offered(target, transfer)
    assert offer.attempt and 1 <= offer.available <= 5 and not offer.inline
    puller = target.hello(lab.relay("private"))
    assert pulled(puller, offer, 5).payload == content[:CHUNK]
    *data, error = answers(puller, puller.pull_frame(offer, 2000, 3, 0b111), 3)
    assert [frame.payload for frame in data] == [content[3 * CHUNK:4 * CHUNK],
                                                 content[4 * CHUNK:5 * CHUNK]]
    assert Error.of(error).code == wire.LATER and Error.of(error).number == 2000
    assert wire.number_ext(error, wire.AVAILABLE) == 5
    assert len(error.raw) < len(puller.pull_frame(offer, 2000).encode())
    # of no other attempt, and not without one
    for attempt in (offer.attempt ^ 1 << 63, offer.attempt ^ 1, 0):
        other = Offer(**{**vars(offer), "attempt": attempt})
        [error] = answers(puller, puller.pull_frame(other, 2001, 0, 1))
        assert Error.of(error).code == wire.GONE
    # all of it, and the same PULL is still right
    upload_some(session, content, digest(content), target.address, 40, transfer, had=5)
    assert puller.fetch(offer) == content
    assert lab.status("private")["uploads"] >= 1


def test_liar(lab, peer, digest, out):
    """Its stream costs the target what it sent; no file, no blob, and the truth still passes."""
    content, transfer = os.urandom(100 * CHUNK), os.urandom(16)
    lie = content[:-1] + bytes([content[-1] ^ 1])
    source = peer()
    before = lab.status("private")
    with lab.receive(out, count=0, timeout=60) as receiver:
        target = lab.address["target"], TARGET_PORT
        session = upload_some(source.hello(lab.relay("private")), lie, digest(content), target,
                              100, transfer)
        final = next(status for status in statuses(session) if status.code == wire.REFUSED)
        assert final.reason == wire.WRONG_IDENTIFIER
        assert visible(out) == []
        honest, _ = peer().send_blob(lab.relay("private"), content, target, deadline=30,
                                     until=wire.DELIVERED)
        assert honest.code == wire.DELIVERED
        [name] = visible(out)
        assert (out / name).read_bytes() == content
        assert receiver.process.poll() is None
    after = lab.status("private")
    assert after["upload_failures"] == before["upload_failures"] + 1
    assert after["uploads"] == before["uploads"] + 1


def statuses(session, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame, _ = session.get(0.5, (wire.STATUS,))
        if frame is not None:
            yield Status.of(frame)


def test_source_outruns_target(make_lab, make_blob, out):
    """What left the relay's memory meanwhile is read back, before the blob is stored."""
    lab, path = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0), make_blob(40_000_000)
    with lab.impaired("source", "rate=20mbit", "rate=20mbit"), \
            lab.impaired("target", "rate=10mbit", "rate=10mbit"), \
            lab.receive(out, timeout=120) as receiver:
        process = lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"],
                            "--via", "private", "--timeout", 60, "--json")

        def reads_back():
            status = lab.status("private")
            return status["uploads"] == 0 and status["loads"] > 2

        wait_until(reads_back, 60)
        text, err = process.communicate(timeout=90)
        assert process.returncode == 0, (text, err)
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    lab.down()
