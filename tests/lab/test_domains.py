# SPDX-License-Identifier: BSD-3-Clause
"""Domains: members find their own blobs and nobody else's, what they say is signed, and
what one domain uses up is its own."""

import hashlib
import json
import os
import time

import pytest

import peer as wire
import tokens
from labtools import TARGET_PORT, expect_drop, wait_until
from peer import Error, Frame, Offer, Pull, Status
from tokens import Key


@pytest.fixture
def lab(closed_lab):
    return closed_lab


@pytest.fixture
def target(lab):
    return lab.address["target"], TARGET_PORT


@pytest.fixture
def member(lab, peer):
    """A function: a member's session with a relay."""

    def make(name="alpha", role="central", host="source"):
        return peer(host).hello(lab.relay(role), lab.domains[name].key)

    return make


def outcome_of(lab, name, path, via):
    sent = lab.send(path, via, extra=lab.domains[name].option, timeout=20)
    assert sent.code == 0, sent
    return sent.outcome


def wait_status(session, codes, seconds=5):
    """The first STATUS with one of these codes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame, _ = session.get(0.3, (wire.STATUS,))
        if frame and Status.of(frame).code in codes:
            return Status.of(frame)
    raise AssertionError(f"no STATUS {codes}")


# ---- who finds what ----

@pytest.mark.parametrize("size", [500, 200_000])
def test_five_flows_inside_a_domain_and_no_hit_across(lab, make_blob, out, size):
    """Both domains go through all five flows with the same two files: each uploads each
    file once, however often the other one did."""
    first, second = make_blob(size), make_blob(size)
    flows = [(first, "central", "uploaded-central"), (first, "central", "direct-hit"),
             (first, "private", "central-hit"), (second, "private", "uploaded-private"),
             (second, "private", "private-hit")]
    before = {role: lab.status(role) for role in ("private", "central")}
    with lab.receive(out, count=2 * len(flows), timeout=60) as receiver:
        for path, via, outcome in flows:
            for name in ("alpha", "beta"):
                assert outcome_of(lab, name, path, via) == outcome
        received = receiver.files()
    assert [got["verified"] for got in received] == [True] * 10
    for role in before:
        after = lab.status(role)
        assert after["blobs"] - before[role]["blobs"] == 2
        assert after["uploads"] - before[role]["uploads"] == 2


def test_send_of_another_domains_blob_is_a_miss(lab, member, stored, target, digest):
    content = stored(5000, "central", member=lab.domains["alpha"].key)
    prober = member("beta")
    hits = lab.status("central")["hits"]
    prober.tell(prober.send_frame(digest(content), len(content), target))
    assert wait_status(prober, range(1, 11)).code == wire.UPLOAD_WANTED
    assert lab.status("central")["hits"] == hits


def test_forged_pull_of_another_domains_blob(lab, member, peer, digest):
    """A ticket of one domain, its domain changed, or under another identifier: no byte."""
    blobs, offers = {}, {}
    for name in ("alpha", "beta"):
        blobs[name] = os.urandom(5000)
        receiver = peer("target")
        peer().send_blob(lab.relay("central"), blobs[name], receiver.address,
                         member=lab.domains[name].key, deadline=5, until=wire.STORED)
        offers[name] = Offer.of(receiver.get(3, (wire.OFFER,))[0])
    thief = member("beta", host="target")
    own, other = offers["beta"], offers["alpha"]
    ticket = own.ticket
    forged = ticket[:8] + lab.domains["alpha"].key.field.to_bytes(4, "big") + ticket[12:]
    for offer, ticket in ((other, own.ticket), (other, forged), (own, forged)):
        expect_drop(lab, "central", "ticket-bad",
                    lambda: thief.tell(thief.pull_frame(offer, 1, ticket=ticket)))
        [(_, answer)] = thief.peer.collect(0.3)
        assert answer.verb == wire.ERROR and Error.of(answer).code == wire.BAD_TICKET
    assert thief.fetch(own) == blobs["beta"]


def test_lease_of_another_domain_is_no_consent(lab, member, peer, digest):
    """A member's lease takes inline OFFERs from its own domain's sources only."""
    content = os.urandom(100)
    receiver = member("alpha", host="target")
    assert receiver.listen() > 0
    for name, is_inline in (("alpha", True), ("beta", False)):
        peer().send_blob(lab.relay("central"), content, receiver.peer.address,
                         member=lab.domains[name].key, deadline=5, until=wire.STORED)
        offer = Offer.of(receiver.peer.get(3, (wire.OFFER,))[0])
        assert (offer.inline == content) == is_inline
        receiver.peer.collect(0.2)


def test_what_is_stored_is_a_domains(lab, make_blob, out, tmp_path):
    """The operator's commands: one file in two domains is two blobs, and each command means one
    of them if it is told which, or all."""
    blob = make_blob(40_000)
    name = hashlib.sha256(blob.read_bytes()).hexdigest()

    def store(*words, code=0):
        done = lab.run("private", "oncewire", "store", *words, "--json")
        assert done.returncode == code, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def domains(*words):
        return [o["domain"] for o in store(*words) if o["id"] == name]

    assert store("import", blob, "--domain", "alpha") == [
        {"id": name, "bytes": 40_000, "stored": True}]
    with lab.receive(out, count=2) as receiver:
        assert outcome_of(lab, "alpha", blob, "private") == "private-hit"
        assert outcome_of(lab, "beta", blob, "private") == "uploaded-private"
        receiver.files()
    assert sorted(domains("ls")) == ["alpha", "beta"]
    assert domains("ls", "--domain", "beta") == ["beta"]
    assert domains("ls", "--domain", "-") == []
    assert sorted(domains("stat", name)) == ["alpha", "beta"]
    for index, domain in enumerate(("alpha", "beta")):
        copy = tmp_path / domain
        store("export", name, copy, "--domain", domain)
        assert copy.read_bytes() == blob.read_bytes()
        store("rm", name, "--domain", domain)
        assert domains("ls") == ["beta"][index:]
    assert store("export", name, tmp_path / "none", code=1) == []
    store("import", blob, "--domain", "nowhere", code=1)


# ---- who is a member ----

def test_the_older_generation_works_too(lab, peer):
    older = lab.domains["alpha"].keys[1]
    assert peer().hello(lab.relay("central"), older).listen() > 0


WRONG_HELLOS = {
    "wrong-key": ("auth", lambda key: key.make(key.id, key.generation).hello_proof, 0),
    "no-proof": ("auth", lambda key: None, 0),
    "unknown-generation": ("key-unknown", lambda key: key.hello_proof, 7),
    "unknown-domain": ("key-unknown", lambda key: key.hello_proof, 0x10000),
    "proof-of-the-other-generation": ("auth", lambda key: key.hello_proof, -1),
}


@pytest.mark.parametrize("name", sorted(WRONG_HELLOS))
def test_wrong_hello_is_not_answered(lab, peer, name):
    reason, prover, shift = WRONG_HELLOS[name]
    key, speaker = lab.domains["alpha"].key, peer()
    prove = prover(key)
    frame = speaker.hello_frame(member=key)
    ext = frame.ext
    if prove is None:
        ext = tuple(e for e in ext if e[0] != wire.DOMAIN_PROOF) + wire.pad_ext(20)
    else:
        proof = (wire.DOMAIN_PROOF, prove(frame.conn, frame.body))
        ext = tuple(proof if e[0] == wire.DOMAIN_PROOF else e for e in ext)
    raw = Frame(wire.HELLO, frame.conn, frame.body, key=key.field + shift, ext=ext).encode()
    expect_drop(lab, "central", reason, lambda: speaker.put(raw, lab.relay("central")))
    assert speaker.collect(0.2) == []


def test_retired_generation_is_told(lab, peer):
    """A cookie from before the retirement: ERROR(key), unsigned as no key is shared."""
    master = bytes.fromhex((lab.state / "central.key").read_text())
    session = peer().hello(lab.relay("central"))
    retired = Key.make(lab.domains["alpha"].id, 77)
    cookie = tokens.mint_cookie(master, int(time.time()) // tokens.EPOCH_SECONDS,
                                session.peer.address, session.conn, retired.field)
    session.cookie, session.member = cookie, retired
    session.session_key = retired.session(session.conn, session.peer.address)
    raw = session.encode(session.listen_frame(1))
    expect_drop(lab, "central", "key-unknown", lambda: session.peer.put(raw, session.relay))
    frame, _ = session.peer.get(1, (wire.ERROR,))
    assert Error.of(frame).code == wire.ERROR_KEY and len(frame.raw) <= len(raw)


def test_strangers_may_only_receive(lab, peer, make_blob, out, digest):
    stranger = peer().hello(lab.relay("central"))
    stranger.tell(stranger.send_frame(digest(b"x"), 1, (lab.address["target"], TARGET_PORT)))
    status = Status.of(stranger.get(2, (wire.STATUS,))[0])
    assert (status.code, status.reason) == (wire.REFUSED, wire.MEMBERS_ONLY)
    expect_drop(lab, "central", "key-unknown", lambda: stranger.tell(stranger.listen_frame(1)))
    assert Error.of(stranger.get(1, (wire.ERROR,))[0]).code == wire.ERROR_KEY
    path = make_blob(100_000)
    sent = lab.send(path, "private", timeout=5)
    assert sent.code == 5 and "--domain-key" in sent.err, sent
    with lab.receive(out, timeout=20) as receiver:  # no key of its own
        assert outcome_of(lab, "alpha", path, "private") == "uploaded-private"
        [got] = receiver.files()
    assert open(got["path"], "rb").read() == path.read_bytes()


# ---- what members say ----

EFFECTS = ("hits", "offers", "pulls", "receipts", "upload_chunks", "leases", "requests", "blobs")


@pytest.fixture
def conversation(lab, member, peer, digest):
    """A source and a target that are members, mid-transfer: every signed verb of theirs,
    ready to be said, and the counter that rises when the relay takes it."""
    source, receiver = member(), member(host="target")
    content, upload = os.urandom(5000), os.urandom(100)
    peer().send_blob(lab.relay("central"), content, receiver.peer.address,
                     member=lab.domains["alpha"].key, deadline=5, until=wire.STORED)
    offer = Offer.of(receiver.peer.get(3, (wire.OFFER,))[0])
    number = time.time_ns() // 1000
    source.tell(source.send_frame(digest(upload), len(upload), receiver.peer.address))
    pull = Pull.of(source.get(3, (wire.PULL,))[0])
    return {
        "DATA": (source, source.data_frame(pull, 0, upload), "upload_chunks"),
        "SEND": (source, source.send_frame(digest(content), 5000, receiver.peer.address), "hits"),
        "PULL": (receiver, receiver.pull_frame(offer, 1), "pulls"),
        "RECEIPT": (receiver, receiver.receipt_frame(offer, wire.COMPLETE, 5000), "receipts"),
        "LISTEN": (receiver, receiver.listen_frame(number), "leases"),
        "STOP": (receiver, receiver.stop_frame(number + 1), None),
    }


def answers(session):
    """What came back, but for PULLs that the relay repeats."""
    return [frame.verb for _, frame in session.peer.collect(0.1) if frame.verb != wire.PULL]


def test_signed_verbs_and_nothing_else(lab, conversation):
    """Each verb without a trailer, with a flipped one, with that of another key, and with a
    field of the frame changed: dropped, nothing happens. Then as it should be: it works."""
    for verb, (session, frame, counter) in conversation.items():
        good = session.encode(frame)
        other = lab.domains["beta"].key.session(session.conn, session.peer.address)
        at = 45 if verb == "DATA" else 33  # in its payload; behind the cookie of the others
        bad = (frame.encode(), good[:-1] + bytes([good[-1] ^ 1]),
               frame.encode(session_key=other), good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        session.peer.collect(0.1)
        before = lab.status("central")
        expect_drop(lab, "central", "auth",
                    lambda: [session.peer.put(raw, session.relay) for raw in bad], len(bad))
        assert answers(session) == [], verb
        after = lab.status("central")
        assert [after[name] for name in EFFECTS] == [before[name] for name in EFFECTS], verb
        session.peer.put(good, session.relay)
        if counter:
            wait_until(lambda: lab.status("central")[counter] > before[counter], 3,
                       what=f"the effect of {verb}")
        else:
            assert session.get(2, (wire.LISTENING,))[0]


def test_captured_frames_are_of_no_use_elsewhere(lab, conversation, peer):
    """From another address, or under another conn: the cookie does not fit."""
    thieves = peer("source"), peer("target")
    for verb, (session, frame, _) in conversation.items():
        raw = session.encode(frame)
        other = raw[:8] + (session.conn ^ 1).to_bytes(8, "big") + raw[16:]
        reason = "unknown-stream" if verb == "DATA" else "cookie-bad"
        session.peer.collect(0.1)

        def replay():
            for thief in thieves:
                thief.put(raw, session.relay)
            session.peer.put(other, session.relay)

        expect_drop(lab, "central", reason, replay, 3)
        assert answers(session) == [], verb
        assert [thief.collect(0.05) for thief in thieves] == [[], []], verb


def test_what_members_are_told_is_signed(lab, member, digest, target):
    session, seen = member(), set()
    session.tell(session.listen_frame(5))
    session.tell(session.send_frame(digest(b"q"), 5000, target))
    session.tell(session.send_frame(digest(b"q"), 5000, target, rule=2))
    session.tell(session.frame(wire.LISTEN, session.listen_frame(6).body,
                               ext=((0xFF, b"\0\0"),)))
    for _, frame in session.peer.collect(1):
        assert frame.signed(session.session_key), frame.verb
        assert frame.key == session.member.field
        seen.add(frame.verb)
    assert seen == {wire.LISTENING, wire.STATUS, wire.PULL, wire.ERROR}


# ---- what a domain may use ----

def refused_count(lab, name, role="central"):
    return lab.status(role)["domains"][name]["refused"]


def upload(peer, lab, name, content, target):
    final, _ = peer().send_blob(lab.relay("central"), content, target,
                                member=lab.domains[name].key, deadline=5, until=wire.STORED)
    return final


@pytest.mark.parametrize("name,first,second", [("blobs", 100, 100), ("bytes", 60_000, 60_000)])
def test_quota_of_what_is_stored(lab, peer, target, name, first, second):
    """The second blob does not fit: refused, and counted. Other domains do not notice, and
    what is there is still served."""
    content = os.urandom(first)
    assert upload(peer, lab, name, content, target).code == wire.STORED
    before = refused_count(lab, name)
    final = upload(peer, lab, name, os.urandom(second), target)
    assert (final.code, final.reason) == (wire.REFUSED, wire.QUOTA)
    assert refused_count(lab, name) == before + 1
    assert upload(peer, lab, "alpha", os.urandom(second), target).code == wire.STORED
    final, codes = peer().send_blob(lab.relay("central"), content, target, deadline=5,
                                    member=lab.domains[name].key, until=wire.SERVING_CENTRAL)
    assert final.code == wire.SERVING_CENTRAL and wire.UPLOAD_WANTED not in codes


def test_quota_of_uploads_at_once(lab, member, target, digest):
    first, second, other = member("uploads"), member("uploads"), member("alpha")
    before = refused_count(lab, "uploads")
    for session in (first, second, other):
        session.tell(session.send_frame(digest(os.urandom(8)), 5000, target))
    assert first.get(2, (wire.PULL,))[0] and other.get(2, (wire.PULL,))[0]
    error = second.get(2, (wire.ERROR,))[0]
    assert Error.of(error).code == wire.ERROR_BUSY
    assert error.extension(wire.RETRY_AFTER)
    assert refused_count(lab, "uploads") == before + 1


def test_quota_of_requests_at_once(lab, member, target, digest):
    session, other = member("requests"), member("alpha")
    before = refused_count(lab, "requests")
    for _ in range(4):
        session.tell(session.send_frame(digest(os.urandom(8)), 5000, target))
    busy = [f for _, f in session.peer.collect(0.5) if f.verb == wire.ERROR]
    assert [Error.of(f).code for f in busy] == [wire.ERROR_BUSY] * 2
    assert refused_count(lab, "requests") == before + 2
    other.tell(other.send_frame(digest(os.urandom(8)), 5000, target))
    assert other.get(2, (wire.PULL,))[0]


def test_quota_of_requests_per_second(lab, member, target, digest):
    session, other = member("rate"), member("alpha")
    before, drops = refused_count(lab, "rate"), lab.drops("central")["rate"]
    transfer = os.urandom(16)
    for _ in range(10):
        session.tell(session.send_frame(digest(b"rate"), 5000, target, transfer))
    busy = [f for _, f in session.peer.collect(0.3) if f.verb == wire.ERROR]
    assert [Error.of(f).code for f in busy] == [wire.ERROR_BUSY] * 8
    assert refused_count(lab, "rate") == before + 8
    assert lab.drops("central")["rate"] == drops + 8
    other.tell(other.send_frame(digest(os.urandom(8)), 5000, target))
    assert other.get(2, (wire.PULL,))[0]


@pytest.mark.parametrize("address,allowed", [
    ("10.87.0.2", True), ("192.0.2.9", True), ("10.87.0.1", False), ("127.0.0.1", False),
    ("8.8.8.8", False), ("10.87.0.3", False)])
def test_target_ranges_of_a_domain(lab, member, digest, address, allowed):
    """They name all it may send to: the relays' `allow = special` does not count, nor does
    a public address."""
    session = member("ranges")
    session.tell(session.send_frame(digest(os.urandom(8)), 5000, (address, 4999)))
    status = Status.of(session.get(2, (wire.STATUS,))[0])
    policy = (status.code, status.reason) == (wire.REFUSED, wire.TARGET_POLICY)
    assert policy != allowed
