# SPDX-License-Identifier: BSD-3-Clause
"""One test for each attack that the design defends against, named after it. More about
each is in test_consent, test_domains, test_possession and test_hostile; `tools/test
defences` takes each defence out and sees its test here fail."""

import os
import random
import re
import signal
import struct
import subprocess
import time

import pytest

import domains
import peer as wire
import tokens
from labtools import BUILD, TARGET_PORT, expect_drop, udp_packet, wait_until
from peer import Error, Offer, Peer, Status

HITS = [("private", "private"), ("central", "private"), ("central", "central")]


def verbs(got):
    return {frame.verb for _, frame in got}


# ---- amplification ----

@pytest.mark.parametrize("holder,via", HITS)
@pytest.mark.parametrize("size", [800, 1_000_000])
def test_amplification_to_a_third_party(lab, peer, stored, digest, holder, via, size):
    """A source with a cookie of its own names a victim, again and again: the victim gets
    small OFFERs, and the relays together never send it more than they were sent."""
    content = stored(size, holder)
    attacker, victim = peer(), peer("target")
    session = attacker.hello(lab.relay(via))
    with lab.crossing() as crossed:
        for leg in range(60):
            session.tell(session.send_frame(digest(content), size, victim.address, leg=leg))
        got = victim.collect(1)
    assert verbs(got) == {wire.OFFER} and len(got) <= 60
    assert not any(Offer.of(frame).inline for _, frame in got)
    sent = crossed["source", "private"] + crossed["source", "central"]
    assert 0 < crossed["private", "target"] + crossed["central", "target"] <= sent


# ---- spoofing and exhaustion ----

def test_spoofed_sources_and_state_exhaustion(lab, peer, stored, digest, make_blob, out):
    """Who cannot receive what the relay answers makes it keep nothing, and send its victim
    no more than was sent. Who can is bounded."""
    content = stored(5000, "central")
    victim = peer("target")
    conn, cookie = 77, os.urandom(16)
    forger = wire.Session(None, None, conn, cookie, bytes(8))
    forged = [forger.listen_frame(5), forger.stop_frame(6),
              forger.send_frame(digest(content), 5000, victim.address),
              forger.send_frame(os.urandom(32), 5000, victim.address),
              forger.pull_frame(an_offer(digest(content), 5000), 1)]
    payloads = [frame.encode() for frame in [Peer(None).hello_frame(), *forged]]
    macs, relay = (lab.mac("source"), lab.mac("central")), lab.relay("central")
    before = lab.status("central")
    with lab.crossing() as crossed, lab.packet_socket("source") as sock:
        for number in range(40):
            for payload in payloads:
                sock.send(udp_packet(macs, victim.address, relay, payload))
                sock.send(udp_packet(macs, (f"203.0.113.{number}", 7777), relay, payload))
        got = victim.collect(0.5)
    after = lab.status("central")
    assert verbs(got) <= {wire.WELCOME}
    assert crossed["central", "target"] <= crossed["source", "central"] / 2
    for name in ("leases", "requests", "uploads_active", "blobs", "hits", "misses", "pulls"):
        assert after[name] == before[name], name
    assert after["drops"]["cookie-bad"] >= before["drops"]["cookie-bad"] + 300
    greedy = peer().hello(lab.relay("central"))
    for _ in range(UPLOADS_PER_SOURCE + 40):
        greedy.tell(greedy.send_frame(os.urandom(32), 5000, victim.address))
    wait_until(lambda: lab.status("central")["uploads_active"] > 0)
    assert lab.status("central")["uploads_active"] - before["uploads_active"] <= \
        UPLOADS_PER_SOURCE
    errors = [frame for _, frame in greedy.peer.collect(0.5) if frame.verb == wire.ERROR]
    assert {Error.of(frame).code for frame in errors} == {wire.ERROR_BUSY}
    assert all(frame.extension(wire.RETRY_AFTER) for frame in errors)
    assert lab.deliver(make_blob(100_000), "private", out)[0].outcome == "uploaded-private"


def an_offer(ident, length):
    return Offer(bytes(8), bytes(16), ident, length, 1, 0, 1, bytes(96), b"", None, None)


# ---- consent ----

def test_consent_gone_stale(lab, peer, stored, digest):
    """A lease that ran out or was withdrawn, an echo from ten seconds ago, a ticket whose
    transfer is over, a cookie of an epoch that has passed: nothing moves on any of them."""
    content = stored(100, "central")
    relay = lab.relay("central")
    master = bytes.fromhex((lab.state / "central.key").read_text())
    source = peer().hello(relay)
    leased, stopped = peer("target").hello(relay), peer("target").hello(relay)
    leased.listen(seconds=2)
    stopped.listen()
    stopped.stop()
    for session in (leased, stopped):
        source.tell(source.send_frame(digest(content), 100, session.peer.address, deadline=2))
    offers = [Offer.of(session.peer.get(2, (wire.OFFER,))[0]) for session in (leased, stopped)]
    assert [offer.inline for offer in offers] == [content, None]
    now = int(time.time())
    old = tokens.mint_echo(master, now - 10, stopped.peer.address, stopped.conn)
    stopped.tell(stopped.pull_frame(offers[1], 1, echo=old))
    assert Error.of(stopped.peer.get(1)[0]).code == wire.FRESH
    old = tokens.mint_cookie(master, now // tokens.EPOCH_SECONDS - 2, stopped.peer.address,
                             stopped.conn)
    stopped.tell(stopped.pull_frame(offers[1], 2, cookie=old, echo=bytes(8)))
    assert Error.of(stopped.peer.get(1)[0]).code == wire.STALE
    wait_until(lambda: time.time() > now + 3.1)
    stopped.tell(stopped.pull_frame(offers[1], 3, echo=tokens.mint_echo(
        master, int(time.time()), stopped.peer.address, stopped.conn)))
    assert Error.of(stopped.peer.get(1)[0]).code == wire.BAD_TICKET
    source.tell(source.send_frame(digest(content), 100, leased.peer.address))
    assert Offer.of(leased.peer.get(2, (wire.OFFER,))[0]).inline is None


# ---- private networks ----

UPLOADS_PER_SOURCE = 64  # unless it is configured
SPECIAL = ["0.0.0.0", "10.87.0.2", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1",
           "192.0.0.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
           "::", "::1", "::10.87.0.2", "fe80::1", "fec0::1", "fd87:6c61:62::2", "ff02::1",
           "64:ff9b::10.87.0.2", "64:ff9b::127.0.0.1", "64:ff9b:1::a57:2", "2002:a57:2::1",
           "2002:7f00:1::1", "2001:0:a57:2::1", "2001:db8::1"]


def told_of_target(session, target):
    session.tell(session.send_frame(os.urandom(32), 10, (target, 4999)))
    status = Status.of(session.get(2, (wire.STATUS,))[0])
    return status.code, status.reason


def test_relay_as_a_probe_into_private_networks(lab, fresh_lab, peer, make_blob):
    """Where the configuration does not allow them: no target in a special-use range, in
    whatever notation. Even where it does: never the relay itself nor its peers."""
    refused = (wire.REFUSED, wire.TARGET_POLICY)
    for role in ("private", "central"):
        path = fresh_lab.state / f"{role}.conf"
        path.write_text(path.read_text().replace("allow = special\n", "allow = 10.99.0.0/16\n"))
        os.kill(fresh_lab.daemon_pid(role), signal.SIGHUP)
    for role in ("private", "central"):
        session = peer(where=fresh_lab).hello(fresh_lab.relay(role))
        wait_until(lambda: told_of_target(session, "127.0.0.1") == refused, 5)
        for target in SPECIAL:
            assert told_of_target(session, target) == refused, target
        mapped = session.send_frame(os.urandom(32), 10, ("::ffff:10.87.0.2", 4999))
        expect_drop(fresh_lab, role, "field", lambda: session.tell(mapped))
        assert session.peer.collect(0.1) == []
        for target in ("10.99.1.1", "8.8.8.8"):
            session = peer(where=fresh_lab).hello(fresh_lab.relay(role))
            assert told_of_target(session, target) != refused, target
        sent = fresh_lab.send(make_blob(10), role, timeout=5)
        assert sent.code == 5 and "not allowed" in sent.err, sent
        session = peer().hello(lab.relay(role))
        for target in (lab.address["private"], lab.address["central"]):
            assert told_of_target(session, target) == refused, target


# ---- knowledge of identifiers ----

@pytest.mark.parametrize("holder,via", HITS)
def test_knowing_the_hash_is_not_having_the_file(proof_lab, peer, stored, digest, holder, via):
    content = stored(30_000, holder, where=proof_lab)
    thief, target = peer(where=proof_lab), peer("target", where=proof_lab)
    session = thief.hello(proof_lab.relay(via))
    what = digest(content), len(content), target.address, os.urandom(16)
    session.tell(session.send_frame(*what))
    challenge = None
    while challenge is None:
        challenge = Status.of(session.get(2, (wire.STATUS,))[0]).challenge
    session.tell(session.send_frame(*what, proof=challenge + os.urandom(16)))
    assert target.collect(1) == []
    assert wire.DELIVERED not in {Status.of(frame).code for _, frame in thief.collect(0.1)
                                  if frame.verb == wire.STATUS}


def told(session, ident, length, seconds=0.5):
    """All that a source can see of what a relay makes of its SEND."""
    session.tell(session.send_frame(ident, length, ("10.87.0.2", 4999)))
    seen = [(size, frame.verb, frame.verb == wire.STATUS and Status.of(frame).code)
            for size, frame in session.peer.collect(seconds)]
    return sorted(set(seen))


@pytest.mark.parametrize("role", ["private", "central"])
def test_existence_oracle(closed_lab, proof_lab, peer, stored, digest, role):
    """A source sees the same of a blob that another domain has, or whose hits are hidden,
    as of one that nobody has."""
    alpha, beta = (closed_lab.domains[name].key for name in ("alpha", "beta"))
    content = stored(1500, role, where=closed_lab, member=alpha)
    session = peer(where=closed_lab).hello(closed_lab.relay(role), beta)
    assert told(session, digest(content), 1500) == told(session, os.urandom(32), 1500)
    content = stored(1500, role, where=proof_lab)
    session = peer(where=proof_lab).hello(proof_lab.relay(role))
    assert told(session, digest(content), 1500) == told(session, os.urandom(32), 1500)


# ---- poisoning ----

def test_poisoning_by_collision(lab, peer, stored, digest, out):
    """Bytes that are not what they are called enter no store and no target's folder; what
    is stored stays as it was first; an identifier that can be forged is not taken."""
    content, other = os.urandom(3000), os.urandom(3000)
    relay, nobody = lab.relay("central"), (lab.address["target"], 4999)
    blobs = lab.status("central")["blobs"]
    final, _ = peer().send_blob(relay, other, nobody, claim=content)
    assert (final.code, final.reason) == (wire.REFUSED, wire.WRONG_IDENTIFIER)
    assert lab.status("central")["blobs"] == blobs
    assert peer().send_blob(relay, content, nobody, until=wire.STORED)[0].code == wire.STORED
    final, codes = peer().send_blob(relay, other, nobody, claim=content,
                                    until=wire.SERVING_CENTRAL)
    assert codes == [wire.SERVING_CENTRAL], "nobody is asked for it again"
    target = peer("target")
    source = peer().hello(relay)
    source.tell(source.send_frame(digest(content), 3000, target.address))
    offer = Offer.of(target.get(2, (wire.OFFER,))[0])
    assert target.hello(relay).fetch(offer) == content
    source.tell(source.send_frame(os.urandom(32), 3000, nobody, rule=2))
    while (status := Status.of(source.get(2, (wire.STATUS,))[0])).code != wire.REFUSED:
        pass
    assert status.reason == wire.RULE
    with lab.receive(out, timeout=20):
        here = lab.address["target"], TARGET_PORT
        codes = peer().hold_blob(digest(content), other, here)
        assert wire.COMPLETE not in codes and os.listdir(out) == []
        assert peer().hold_blob(digest(content), content, here, 5) == [wire.COMPLETE]


# ---- the index ----

def process_seeds(lab, role):
    """The seeds of a running relay's hash tables, read out of its memory."""
    names = subprocess.run(["nm", BUILD / "control" / "oncewired"], text=True, check=True,
                           capture_output=True).stdout
    offsets = {name: int(at, 16) for at, name in
               re.findall(r"^(\w+) [bBdD] (hash_seed|lease_seed|table_seed)$", names, re.M)}
    assert len(offsets) == 3
    pid = lab.daemon_pid(role)
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        base = min(int(line.split("-")[0], 16) for line in maps if "oncewired" in line)
        seeds = []
        for at in offsets.values():
            memory.seek(base + at)
            seeds.append(int.from_bytes(memory.read(8), "little"))
    return seeds


def test_index_flooding(lab, closed_lab, peer, stored, digest):
    """Nobody can foretell where a key lies: seeds are the process's own. Identifiers that
    differ in their last bytes only do no harm, and what one host may enter is bounded."""
    seeds = [process_seeds(where, role) for where in (lab, closed_lab)
             for role in ("private", "central")]
    for kind in zip(*seeds):
        assert 0 not in kind and len(set(kind)) == len(seeds)
    content = stored(3000, "central")
    session = peer().hello(lab.relay("central"))
    for number in range(300):
        near = digest(content)[:28] + struct.pack(">I", number)
        session.tell(session.send_frame(near, 3000, ("10.87.0.2", 4999)))
    final, codes = peer("target").send_blob(lab.relay("central"), content, ("10.87.0.2", 4999),
                                            until=wire.SERVING_CENTRAL)
    assert codes == [wire.SERVING_CENTRAL]
    flooder = "10.87.0.77"
    closed_lab.run("source", "ip", "addr", "add", f"{flooder}/24", "dev", "eth0")
    before, granted = closed_lab.status("central")["leases"], 0
    for number in range(domains.LEASES_PER_HOST + 6):
        # not by chance the port of one before, whose lease this would renew
        with Peer(closed_lab.udp_socket("source", 20000 + number, flooder)) as flooding:
            listener = flooding.hello(closed_lab.relay("central"), closed_lab.domains["beta"].key)
            listener.tell(listener.listen_frame(1))
            granted += listener.get(2, (wire.LISTENING, wire.ERROR))[0].verb == wire.LISTENING
    assert granted <= domains.LEASES_PER_HOST
    assert closed_lab.status("central")["leases"] - before == granted


# ---- parsers ----

def test_malformed_frames(lab, peer, make_blob, out):
    """Frames of every verb, cut, stretched and scrambled: the relays count them, answer
    nothing larger than they were sent, and go on as if nothing had been."""
    chance = random.Random(7)
    pids = {role: lab.daemon_pid(role) for role in ("private", "central")}
    for role in pids:
        session = peer().hello(lab.relay(role))
        before = lab.status(role)
        for verb in range(18):
            for size in (0, 8, 16, 40, 130, 200, 448, 1232, 1400):
                raw = bytearray(chance.randbytes(size))
                raw[:16] = struct.pack(">BBBBIQ", 1, verb, chance.choice((0, 1, 0x80)),
                                       chance.choice((0, 2, 80)), 0, session.conn)[:size]
                raw[16:32] = session.cookie[:max(0, size - 16)]
                session.peer.put(bytes(raw), session.relay)
        answers = session.peer.collect(0.5)
        after = lab.status(role)
        assert verbs(answers) <= {wire.ERROR, wire.WELCOME, wire.LISTENING}
        assert len(answers) < 50
        assert sum(after["drops"].values()) >= sum(before["drops"].values()) + 100
        assert lab.daemon_pid(role) == pids[role]
    path = make_blob(100_000)
    assert lab.deliver(path, "private", out)[0].outcome == "uploaded-private"


# ---- replay ----

def payload_verb(raw):
    return raw[42 + 1] if len(raw) > 42 + 15 else 0


def replay(lab, host, frames):
    with lab.packet_socket(host) as sock:
        for frame in frames:
            sock.send(frame)


def test_replay_of_a_captured_exchange(lab, peer, make_blob, out):
    """Everything that was said in an upload and in a hit through both relays, said again:
    between relays it is known as a replay, to all others it changes nothing."""
    path = make_blob(20_000)
    with lab.captured() as said:
        assert lab.deliver(path, "central", out)[0].outcome == "uploaded-central"
        assert lab.deliver(path, "private", out)[0].outcome == "central-hit"
    to_central = [f for f in said["private"] if payload_verb(f) in (wire.QUERY, wire.NOTICE)]
    to_private = [f for f in said["central"] if payload_verb(f) in (wire.ANSWER, wire.NOTICE)]
    assert {payload_verb(f) for f in to_central} == {wire.QUERY, wire.NOTICE}
    assert {payload_verb(f) for f in to_private} == {wire.ANSWER, wire.NOTICE}
    expect_drop(lab, "central", "replay", lambda: replay(lab, "private", to_central),
                len(to_central))
    expect_drop(lab, "private", "replay", lambda: replay(lab, "central", to_private),
                len(to_private))
    before = {role: lab.status(role) for role in ("private", "central")}
    with lab.crossing() as crossed:
        for host in ("source", "target"):
            replay(lab, host, said[host])
        time.sleep(0.5)
    for role in before:
        after = lab.status(role)
        for name in ("blobs", "uploads", "leases", "upload_chunks"):
            assert after[name] == before[role][name], name
    assert os.listdir(out) == []
    sent = crossed["source", "private"] + crossed["source", "central"] + \
        crossed["target", "central"] + crossed["target", "private"]
    # no more than the same PULLs bring again, as long as their echo is fresh
    assert crossed["central", "target"] + crossed["private", "target"] <= sent + 2 * 21_000


def test_stop_is_not_undone(lab, peer, stored, digest):
    """Neither by a LISTEN from before it, nor by a SEND that comes in the same burst."""
    content = stored(100, "central")
    relay = lab.relay("central")
    source, target = peer().hello(relay), peer("target").hello(relay)
    number = time.time_ns() // 1000
    for _ in range(5):
        number += 2
        target.listen(number)
        listen = target.encode(target.listen_frame(number))
        send = [source.encode(source.send_frame(digest(content), 100, target.peer.address))
                for _ in range(3)]
        source.peer.put(send[0], relay)
        assert Offer.of(target.peer.get(2, (wire.OFFER,))[0]).inline == content
        stop = target.encode(target.stop_frame(number + 1))
        target.peer.put(stop, relay)
        source.peer.put(send[1], relay)
        assert Offer.of(target.peer.get(2, (wire.OFFER,))[0]).inline is None
        expect_drop(lab, "central", "replay", lambda: target.peer.put(listen, relay))
        source.peer.put(send[2], relay)
        assert Offer.of(target.peer.get(2, (wire.OFFER,))[0]).inline is None
