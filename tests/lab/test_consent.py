# SPDX-License-Identifier: BSD-3-Clause
"""What a relay sends to whom: nothing large to anybody who did not ask for it, and
nothing into a store that is not what it is called."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import peer as wire
import tokens
from labtools import expect_drop, visible, wait_until
from peer import Offer, Peer, Pull, Status

IP_UDP = 28  # bytes of IPv4 and UDP header


def send_once(source, relay, content, digest, target, meta=b"name"):
    """One SEND and no repeat; returns its IP bytes."""
    frame = source.hello(relay).send_frame(digest(content), len(content), target, meta=meta)
    raw = frame.encode()
    source.put(raw, relay)
    return IP_UDP + len(raw)


# ---- targets ----

@pytest.mark.parametrize("holder,via", [("central", "central"), ("private", "private"),
                                        ("central", "private")])
@pytest.mark.parametrize("size", [100, 300_000])
def test_unleased_target_gets_no_more_than_the_send(lab, peer, stored, digest, holder, via, size):
    content = stored(size, holder)
    source, target = peer("source"), peer("target")
    sent = send_once(source, lab.relay(via), content, digest, target.address)
    got = target.collect(1.5)
    assert len(got) == 1, "one SEND, one OFFER"
    [(length, frame)] = got
    assert frame.verb == wire.OFFER and Offer.of(frame).inline is None
    assert IP_UDP + length <= sent


def test_offer_after_an_upload_is_no_larger_either(lab, peer, digest):
    source, target = peer("source"), peer("target")
    content = os.urandom(50_000)
    session = source.hello(lab.relay("private"))
    frame = session.send_frame(digest(content), len(content), target.address)
    session.tell(frame)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        reply, _ = source.get(0.2, (wire.PULL,))
        if reply:
            session.serve(Pull.of(reply), content)
    got = target.collect(0.5)
    assert len(got) == 1
    assert got[0][0] <= len(frame.encode())


def test_leased_target_gets_a_small_blob_inline(lab, peer, stored, digest):
    content = stored(100, "central")
    source, target = peer("source"), peer("target")
    assert target.hello(lab.relay("central")).listen() > 0
    send_once(source, lab.relay("central"), content, digest, target.address)
    frame, sender = target.get(3, (wire.OFFER,))
    offer = Offer.of(frame)
    assert sender == lab.relay("central")
    assert offer.inline == content
    assert offer.meta == b"name"


def test_leased_target_pulls_a_large_blob_at_once(lab, peer, stored, digest):
    """The OFFER's echo serves for the first PULL: no HELLO in between."""
    content = stored(100_000, "central")
    source, target = peer("source"), peer("target")
    session = target.hello(lab.relay("central"))
    session.listen()
    send_once(source, lab.relay("central"), content, digest, target.address)
    frame, _ = target.get(3, (wire.OFFER,))
    offer = Offer.of(frame)
    assert offer.inline is None
    session.echo = offer.echo
    assert session.fetch(offer) == content


def test_stop_ends_consent(lab, peer, stored, digest):
    content = stored(100, "central")
    source, target = peer("source"), peer("target")
    session = target.hello(lab.relay("central"))
    session.listen()
    assert session.stop() == 0
    send_once(source, lab.relay("central"), content, digest, target.address)
    frame, _ = target.get(3, (wire.OFFER,))
    assert Offer.of(frame).inline is None


def test_replayed_listen_does_not_undo_stop(lab, peer, stored, digest):
    content = stored(100, "central")
    source, target = peer("source"), peer("target")
    session = target.hello(lab.relay("central"))
    number = time.time_ns() // 1000
    session.listen(number)
    session.stop(number + 1)
    session.tell(session.listen_frame(number))
    time.sleep(0.3)
    send_once(source, lab.relay("central"), content, digest, target.address)
    frame, _ = target.get(3, (wire.OFFER,))
    assert Offer.of(frame).inline is None


def test_lease_expires(lab, peer, stored, digest):
    content = stored(100, "central")
    source, target = peer("source"), peer("target")
    assert target.hello(lab.relay("central")).listen(seconds=2) <= 2
    time.sleep(3.5)
    send_once(source, lab.relay("central"), content, digest, target.address)
    frame, _ = target.get(3, (wire.OFFER,))
    assert Offer.of(frame).inline is None


def test_lease_at_private_serves_a_central_hit(lab, peer, stored, digest):
    """Only private holds the lease (a NAT binding): it sends the OFFER, naming central."""
    content = stored(5000, "central")
    source, target = peer("source"), peer("target")
    target.hello(lab.relay("private")).listen()
    send_once(source, lab.relay("private"), content, digest, target.address)
    frame, sender = target.get(3, (wire.OFFER,))
    offer = Offer.of(frame)
    assert sender == lab.relay("private")
    assert offer.holder == lab.relay("central")
    session = target.hello(offer.holder)
    assert session.fetch(offer) == content
    session.tell(session.receipt_frame(offer, wire.COMPLETE, len(content)))
    codes, end = set(), time.monotonic() + 5
    while wire.DELIVERED not in codes and time.monotonic() < end:
        reply, _ = source.get(0.5, (wire.STATUS,))
        if reply:
            codes.add(Status.of(reply).code)
    assert wire.DELIVERED in codes, "central's NOTICE came back through private"


def test_target_can_decline(lab, peer, stored, digest):
    content = stored(5000, "private")
    source, target = peer("source"), peer("target")
    send_once(source, lab.relay("private"), content, digest, target.address)
    frame, _ = target.get(3, (wire.OFFER,))
    offer = Offer.of(frame)
    session = target.hello(lab.relay("private"))
    session.tell(session.receipt_frame(offer, wire.DECLINE, 0, wire.TARGET_DECLINED))
    end = time.monotonic() + 3
    while time.monotonic() < end:
        reply, _ = source.get(0.5, (wire.STATUS,))
        if reply and Status.of(reply).code == wire.REFUSED:
            assert Status.of(reply).reason == wire.TARGET_DECLINED
            return
    raise AssertionError("the source never learned of it")


def test_offers_to_a_stranger_are_limited(lab, peer, stored, digest):
    content = stored(100, "central")
    source, target = peer("source"), peer("target")
    session = source.hello(lab.relay("central"))
    frame = session.send_frame(digest(content), len(content), target.address).encode()
    before = lab.drops("central")["offer-budget"]
    for _ in range(500):
        source.put(frame, lab.relay("central"))
    assert 1 <= len(target.collect(1)) <= 150
    assert lab.drops("central")["offer-budget"] - before >= 350


# ---- tokens ----

@pytest.fixture
def offered(lab, peer, stored, digest):
    """A target that holds an OFFER of a large blob, and its session."""
    content = stored(200_000, "central")
    source, target = peer("source"), peer("target")
    session = target.hello(lab.relay("central"))
    send_once(source, lab.relay("central"), content, digest, target.address)
    frame, _ = target.get(3, (wire.OFFER,))
    return session, Offer.of(frame), content


def expect_error(session, frame, code):
    """The only answer is one ERROR, no larger than the frame."""
    raw = frame.encode()
    session.peer.put(raw, session.relay)
    got = session.peer.collect(0.5)
    assert [f.verb for _, f in got] == [wire.ERROR]
    assert got[0][0] <= len(raw)
    error = wire.Error.of(got[0][1])
    assert error.code == code
    return error


def test_echo_stands_for_a_cookie_that_was_right(lab, peer, stored, digest):
    """Of a flow whose cookie the relay has seen in this epoch, a PULL's echo is enough; of any
    other it is not, and a wrong echo draws nothing at all without a right cookie."""
    content = stored(1000, "central")
    relay = lab.relay("central")
    master = bytes.fromhex((lab.state / "central.key").read_text())
    wait_until(lambda: time.time() % tokens.EPOCH_SECONDS < tokens.EPOCH_SECONDS - 15, 20)
    source, target = peer().hello(relay), peer("target").hello(relay)
    source.tell(source.send_frame(digest(content), len(content), target.peer.address))
    offer = Offer.of(target.peer.get(2, (wire.OFFER,))[0])
    wrong = tokens.mint_cookie(master, int(time.time()) // tokens.EPOCH_SECONDS,
                               target.peer.address, target.conn + 1)

    def echo(conn=target.conn):
        return tokens.mint_echo(master, int(time.time()), target.peer.address, conn)

    def pull(number, **more):
        target.tell(target.pull_frame(offer, number, **{"echo": echo(), **more}))

    def served(number, **more):
        pull(number, **more)
        assert target.peer.get(5, (wire.DATA,))[0].payload == content

    expect_drop(lab, "central", "cookie-bad", lambda: pull(1, cookie=wrong))
    assert target.peer.collect(0.3) == []
    served(2)
    for number, bad in enumerate((echo(target.conn + 1), bytes(8)), 3):
        served(2 * number, cookie=wrong)
        expect_drop(lab, "central", "cookie-bad",
                    lambda: pull(2 * number + 1, cookie=wrong, echo=bad))
        assert target.peer.collect(0.3) == []
        served(20 * number)  # known once more


def test_data_brings_an_echo_of_now(lab, peer, stored, digest):
    """An old echo is good for eight seconds, and not handed out again."""
    content = stored(1000, "central")
    relay = lab.relay("central")
    master = bytes.fromhex((lab.state / "central.key").read_text())
    source, target = peer().hello(relay), peer("target").hello(relay)
    source.tell(source.send_frame(digest(content), len(content), target.peer.address))
    offer = Offer.of(target.peer.get(2, (wire.OFFER,))[0])
    for age in (3, 1, 0):
        now = int(time.time())
        old = tokens.mint_echo(master, now - age, target.peer.address, target.conn)
        target.tell(target.pull_frame(offer, 1 + age, echo=old))
        frame = target.peer.get(5, (wire.DATA,))[0]
        assert frame.body[:8] in [tokens.mint_echo(master, second, target.peer.address, target.conn)
                                  for second in range(now, now + 9)]


def test_pull_needs_a_fresh_echo(offered):
    session, offer, content = offered
    stale = session.pull_frame(offer, 7, echo=bytes(8), stream=99)
    error = expect_error(session, stale, wire.FRESH)
    assert (error.number, error.stream, error.verb) == (7, 99, wire.PULL)
    session.echo = error.echo
    assert session.fetch(offer) == content


def test_pull_needs_its_own_ticket(lab, peer, stored, digest, offered):
    session, offer, _ = offered
    other = stored(50_000, "central")
    send_once(peer("source"), lab.relay("central"), other, digest, session.peer.address)
    frame, _ = session.peer.get(3, (wire.OFFER,))
    foreign = Offer.of(frame).ticket
    expect_error(session, session.pull_frame(offer, 1, ticket=foreign), wire.BAD_TICKET)
    flipped = bytes([offer.ticket[0]]) + bytes([offer.ticket[1] ^ 1]) + offer.ticket[2:]
    expect_error(session, session.pull_frame(offer, 2, ticket=flipped), wire.BAD_TICKET)


def test_pull_with_a_strangers_cookie_moves_nothing(lab, peer, offered):
    """A third address that heard of cookie, echo and ticket gets no byte with them."""
    session, offer, _ = offered
    thief = peer("source")
    before = lab.drops("central")["cookie-bad"]
    thief.put(session.pull_frame(offer, 1).encode(), session.relay)
    assert thief.collect(0.5) == [] and session.peer.collect(0.2) == []
    assert lab.drops("central")["cookie-bad"] == before + 1


def test_ticket_dies_with_the_deadline(lab, peer, stored, digest):
    content = stored(5000, "central")
    source, target = peer("source"), peer("target")
    asking = source.hello(lab.relay("central"))
    asking.tell(asking.send_frame(digest(content), len(content), target.address, deadline=1))
    frame, _ = target.get(3, (wire.OFFER,))
    session = target.hello(lab.relay("central"))
    time.sleep(2.5)
    before = lab.drops("central")["ticket-expired"]
    expect_error(session, session.pull_frame(Offer.of(frame), 1), wire.BAD_TICKET)
    assert lab.drops("central")["ticket-expired"] == before + 1


def test_ticket_follows_a_target_that_moves(lab, peer, offered):
    """NATs rebind: the same ticket from another port is good, with a cookie of its own."""
    session, offer, content = offered
    moved = peer("target").hello(session.relay)
    assert moved.fetch(offer) == content


# ---- sources ----

@pytest.mark.parametrize("via", ["private", "central"])
@pytest.mark.parametrize("size", [1, 1152, 200_000])
def test_wrong_identifier_is_refused(lab, peer, via, size):
    content, claim = os.urandom(size), os.urandom(size)
    before = lab.status(via)
    final, codes = peer("source").send_blob(lab.relay(via), content, (lab.address["target"], 4871),
                                            claim=claim)
    assert (final.code, final.reason) == (wire.REFUSED, wire.WRONG_IDENTIFIER)
    assert wire.STORED not in codes
    assert lab.status(via)["blobs"] == before["blobs"]


def test_honest_source_is_served_after_a_liar(lab, peer, make_blob, out):
    """The honest one waits for the liar's upload; it is promoted, not refused."""
    path = make_blob(300_000)
    liar = peer("source")
    started = threading.Event()
    relay = lab.relay("private")

    class Slow(Peer):
        """Long enough for the honest one to come, then fast: PULLs must not pile up."""
        pulls = 0

        def get(self, timeout, verbs=None):
            frame, sender = super().get(timeout, verbs)
            if frame is not None and frame.verb == wire.PULL:
                started.set()
                self.pulls += 1
                time.sleep(0.3 if self.pulls <= 5 else 0)
            return frame, sender

    with ThreadPoolExecutor(1) as pool:
        lying = pool.submit(Slow(liar.sock).send_blob, relay, os.urandom(300_000),
                            (lab.address["target"], 4999), claim=path.read_bytes())
        assert started.wait(5)
        sent, _ = lab.deliver(path, "private", out)
        assert sent.outcome == "uploaded-private"
        final, _ = lying.result()
    assert (final.code, final.reason) == (wire.REFUSED, wire.WRONG_IDENTIFIER)


@pytest.mark.parametrize("dead", [1, 5])
def test_stalled_source_gives_way(lab, peer, make_blob, digest, out, dead):
    """A source that is asked and does not answer holds an upload for seconds only, and
    those that wait but fell silent are passed over: one stall, however many they are."""
    path = make_blob(100_000)
    content = path.read_bytes()
    for number in range(dead):
        session = peer("source").hello(lab.relay("central"))
        session.tell(session.send_frame(digest(content), len(content),
                                        (lab.address["target"], 4999)))
        if number == 0:
            assert session.peer.get(3, (wire.PULL,))[0] is not None
    sent, _ = lab.deliver(path, "central", out, timeout=14)
    assert sent.outcome == "uploaded-central"


def test_upload_data_from_elsewhere_is_not_taken(lab, peer, digest):
    """DATA counts only from the address, and with the conn, that said SEND."""
    content = os.urandom(1000)
    source, stranger = peer("source"), peer("source")
    session = source.hello(lab.relay("private"))
    session.tell(session.send_frame(digest(content), len(content), (lab.address["target"], 4999)))
    pull = Pull.of(source.get(3, (wire.PULL,))[0])
    before = lab.drops("private")["unknown-stream"]
    forged = session.data_frame(pull, 0, os.urandom(1000))
    stranger.put(forged.encode(), session.relay)
    source.put(wire.Frame(wire.DATA, session.conn ^ 1, forged.body, flags=wire.UPLOAD,
                          payload=forged.payload).encode(), session.relay)
    time.sleep(0.2)
    assert lab.drops("private")["unknown-stream"] == before + 2
    session.serve(pull, content)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        reply, _ = source.get(0.3, (wire.STATUS,))
        if reply and Status.of(reply).code == wire.STORED:
            return
    raise AssertionError("the true bytes were not stored")


def test_conn_is_part_of_the_cookie(lab, peer, digest):
    """A cookie under another conn is no cookie."""
    session = peer("source").hello(lab.relay("central"))
    frame = session.listen_frame(1)
    before = lab.drops("central")["cookie-bad"]
    session.peer.put(wire.Frame(frame.verb, session.conn ^ 1, frame.body).encode(), session.relay)
    assert session.peer.collect(0.3) == []
    assert lab.drops("central")["cookie-bad"] == before + 1


# ---- names ----

@pytest.mark.parametrize("name", [b"../../x", b"/etc/x", b"", b".", b"..", b"../", b".hidden",
                                  b"a/../../b", b"a\x00text/plain", b"x" * 255, b"\xff\xfe",
                                  b"new\nline", b"..\\x"])
def test_names_never_leave_the_folder(lab, peer, out, tmp_path, name):
    content = os.urandom(64)
    with lab.receive(out) as receiver:
        final, _ = peer("source").send_blob(lab.relay("private"), content,
                                            (lab.address["target"], 4871), meta=name)
        assert final.code == wire.DELIVERED
        [got] = receiver.files()
    path = os.path.realpath(got["path"])
    assert os.path.dirname(path) == str(out.resolve())
    assert open(path, "rb").read() == content
    base = os.path.basename(path)
    assert not base.startswith(".") and base.isprintable()
    assert os.listdir(out) == [base]
    assert sorted(os.listdir(tmp_path)) == ["out"]


def test_existing_files_are_not_overwritten(lab, make_blob, out):
    path = make_blob(5000, "kept.bin")
    (out / "kept.bin").write_text("mine")
    with lab.receive(out, count=2) as receiver:
        assert lab.send(path, "private").code == 0
        assert lab.send(path, "private").code == 0
        received = receiver.files()
    assert (out / "kept.bin").read_text() == "mine"
    assert len({got["path"] for got in received}) == 2
    for got in received:
        assert open(got["path"], "rb").read() == path.read_bytes()


def test_partial_files_are_never_seen(lab, peer, make_blob, out, digest):
    """A recv that is stopped halfway leaves nothing under the final name."""
    path = make_blob(100_000_000, "half.bin")
    before = lab.status("private")["blobs"]
    with lab.receive(out, count=1) as receiver:
        process = lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"],
                            "--via", "private", "--timeout", 20)
        try:
            end = time.monotonic() + 20
            while lab.status("private")["blobs"] == before and time.monotonic() < end:
                time.sleep(0.01)
            receiver.process.terminate()
            receiver.process.wait(5)
        finally:
            process.kill()
            process.communicate()
    found = visible(out)
    assert found in ([], ["half.bin"])
    if found:  # it was quicker than we: then it is whole
        assert (out / "half.bin").read_bytes() == path.read_bytes()
