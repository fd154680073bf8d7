# SPDX-License-Identifier: BSD-3-Clause
"""Knowing an identifier is not having the blob (possession = always), and not even a way
to learn that somebody has it (hide_hits)."""

import os
import time

import pytest

import peer as wire
import tokens
from domains import HIDDEN
from labtools import wait_until
from peer import Offer, Pull, Status
from tokens import make_proof


@pytest.fixture
def lab(proof_lab):
    return proof_lab


def statuses(session, seconds):
    """What the source is told for some time."""
    return [Status.of(frame) for _, frame in session.peer.collect(seconds)
            if frame.verb == wire.STATUS]


def challenged(session, frame):
    """Says this SEND; the challenge that comes back."""
    session.tell(frame)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        reply, _ = session.peer.get(0.5, (wire.STATUS,))
        if reply and Status.of(reply).code == wire.CHALLENGED:
            return Status.of(reply).challenge
    raise AssertionError("no challenge")


HITS = [("private", "private"), ("central", "private"), ("central", "central")]


@pytest.mark.parametrize("holder,via", HITS)
def test_identifier_alone_delivers_nothing(lab, peer, stored, digest, holder, via):
    """Not without a proof, nor with one of somebody who has all but one chunk."""
    content = stored(30_000, holder)
    source, target = peer(), peer("target")
    session = source.hello(lab.relay(via))
    transfer = os.urandom(16)
    arguments = (digest(content), len(content), target.address, transfer)
    challenge = challenged(session, session.send_frame(*arguments))
    assert len(tokens.proof_chunks(challenge, len(content))) == 20
    missing = tokens.proof_chunks(challenge, len(content))[7] * tokens.CHUNK
    known = content[:missing] + bytes(tokens.CHUNK) + content[missing + tokens.CHUNK:]
    for proof in (challenge + os.urandom(16), make_proof(challenge, arguments[0], known)):
        session.tell(session.send_frame(*arguments, proof=proof))
        told = statuses(session, 0.6)
        served = {wire.SERVING_PRIVATE, wire.SERVING_CENTRAL, wire.DELIVERING}
        assert not served & {s.code for s in told}
        if holder == via:
            assert (told[-1].code, told[-1].reason) == (wire.REFUSED, wire.WRONG_PROOF)
        else:  # private does not have it: it takes what the source says it holds
            assert wire.UPLOAD_WANTED in {s.code for s in told}
    assert target.collect(0.3) == []


@pytest.mark.parametrize("holder,via", HITS)
def test_who_has_it_passes(lab, peer, stored, digest, holder, via):
    content = stored(30_000, holder)
    source, target = peer(), peer("target")
    session = source.hello(lab.relay(via))
    arguments = (digest(content), len(content), target.address, os.urandom(16))
    challenge = challenged(session, session.send_frame(*arguments))
    proofs = lab.status(holder)["proofs"]
    session.tell(session.send_frame(*arguments, proof=make_proof(challenge, arguments[0],
                                                                 content)))
    offer = Offer.of(target.get(3, (wire.OFFER,))[0])
    assert target.hello(lab.relay(holder)).fetch(offer) == content
    assert lab.status(holder)["proofs"] == proofs + 1


def test_proof_is_of_one_transfer_and_one_source(lab, peer, stored, digest):
    """A right proof, seen on the wire and said again for another transfer, by another
    source, or about another blob, is answered by a new challenge."""
    content, other = stored(30_000, "central"), stored(30_000, "central")
    source, thief, target = peer(), peer(), peer("target")
    session, stealing = source.hello(lab.relay("central")), thief.hello(lab.relay("central"))
    transfer = os.urandom(16)
    what = digest(content), len(content), target.address
    challenge = challenged(session, session.send_frame(*what, transfer))
    proof = make_proof(challenge, what[0], content)
    elsewhere = digest(other), len(other), target.address
    for said, frame in ((session, session.send_frame(*what, os.urandom(16), proof=proof)),
                        (session, session.send_frame(*what, transfer, leg=1, proof=proof)),
                        (session, session.send_frame(*elsewhere, transfer, proof=proof)),
                        (stealing, stealing.send_frame(*what, transfer, proof=proof))):
        assert challenged(said, frame) != challenge
    assert target.collect(0.3) == []
    session.tell(session.send_frame(*what, transfer, proof=proof))
    assert target.get(3, (wire.OFFER,))[0]


def test_waiter_during_an_upload_proves_too(lab, peer, digest):
    """Who waits for another's upload gets nothing from its end but a challenge."""
    content = os.urandom(30_000)
    first, second, target = peer(), peer(), peer("target")
    uploading, waiting = first.hello(lab.relay("private")), second.hello(lab.relay("private"))
    uploading.tell(uploading.send_frame(digest(content), len(content), peer("target").address))
    pull = Pull.of(first.get(3, (wire.PULL,))[0])
    send = waiting.send_frame(digest(content), len(content), target.address, os.urandom(16))
    waiting.tell(send)
    wait_until(lambda: wire.WAITING in {s.code for s in statuses(waiting, 0.2)}, 4)
    uploading.serve(pull, content)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        frame, _ = first.get(0.3, (wire.PULL, wire.STATUS))
        if frame and frame.verb == wire.PULL:
            uploading.serve(Pull.of(frame), content)
        elif frame and Status.of(frame).code == wire.STORED:
            break
    told = statuses(waiting, 0.5)
    assert [s.code for s in told][-1:] == [wire.CHALLENGED]
    assert target.collect(0.2) == []


def test_the_real_client_passes_in_all_flows(lab, make_blob, out):
    first, second = make_blob(30_000), make_blob(30_000)
    flows = [(first, "central", "uploaded-central"), (first, "central", "direct-hit"),
             (first, "private", "central-hit"), (second, "private", "uploaded-private"),
             (second, "private", "private-hit")]
    with lab.receive(out, count=len(flows)) as receiver:
        for path, via, outcome in flows:
            sent = lab.send(path, via)
            assert (sent.code, sent.outcome) == (0, outcome), sent
        received = receiver.files()
    assert [got["verified"] for got in received] == [True] * len(flows)


# ---- hide_hits ----

@pytest.mark.parametrize("holder,via", HITS)
def test_hidden_hit_looks_like_a_miss(lab, peer, stored, digest, holder, via):
    """The blob is there, its upload is taken all the same, from each source that comes."""
    content = stored(HIDDEN, holder)
    queries = lab.status("private")["queries"]
    for _ in range(2):
        final, codes = peer().send_blob(lab.relay(via), content, peer("target").address,
                                        deadline=5, until=wire.STORED)
        assert final.code == wire.STORED
        assert codes[0] == wire.UPLOAD_WANTED
        assert wire.CHALLENGED not in codes and wire.WAITING not in codes
    assert lab.status("private")["queries"] == queries, "central is not asked either"


def test_hidden_upload_has_no_waiters(lab, peer, digest):
    """Two sources of the same blob at the same time: each uploads, none learns of the other."""
    content = os.urandom(HIDDEN)
    sessions = [peer().hello(lab.relay("private")) for _ in range(2)]
    for session in sessions:
        session.tell(session.send_frame(digest(content), len(content), peer("target").address))
    pulls = [Pull.of(session.peer.get(3, (wire.PULL,))[0]) for session in sessions]
    for session, pull in zip(sessions, pulls):
        session.serve(pull, content)
    for session in sessions:
        assert wire.STORED in {s.code for s in statuses(session, 0.5)}


def test_hidden_blob_is_delivered_once_uploaded(lab, make_blob, out):
    path = make_blob(HIDDEN)
    for _ in range(2):
        assert lab.deliver(path, "private", out)[0].outcome == "uploaded-private"


def test_above_the_limit_hits_are_hits(lab, peer, stored):
    content = stored(HIDDEN + 1, "private")
    _, codes = peer().send_blob(lab.relay("private"), content, peer("target").address,
                                deadline=5, until=wire.SERVING_PRIVATE)
    assert codes == [wire.CHALLENGED, wire.SERVING_PRIVATE]
