# SPDX-License-Identifier: BSD-3-Clause
"""Frames from nowhere: each is dropped under the one counter that names its fault, and
changes nothing for anybody else."""

import filecmp
import json
import logging
import os
import pathlib
import re
import signal
import struct
import time

import pytest

import hostile
import peer as wire
import tokens
from peer import Frame, Offer, Pull, decode
from labtools import RELAY_PORT, expect_drop, wait_until

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

NOISE_SECONDS = int(os.environ.get("NOISE_SECONDS", "20"))


@pytest.fixture
def session(lab, peer):
    return peer("source").hello(lab.relay("central"))


def silent(session):
    """Nothing came back."""
    frame, _ = session.peer.get(0.2)
    assert frame is None


# ---- malformed frames: (counter, frame's bytes from a live session) ----

def hello_bytes(session, **changes):
    frame = session.peer.hello_frame()
    return Frame(**{**frame.__dict__, **changes}).encode()


def with_byte(raw, at, value):
    return raw[:at] + bytes([value]) + raw[at + 1:]


def listen_bytes(session, ext=b"", tail=b""):
    raw = session.listen_frame(1).encode()
    return with_byte(raw, 3, len(ext) // 4) + ext + tail


def send_bytes(session, **changes):
    arguments = dict(blob_id=bytes(32), length=10, target=("10.87.0.2", 4871))
    arguments.update(changes)
    return session.send_frame(**arguments).encode()


MALFORMED = {
    "empty": ("short", lambda s: b""),
    "one-byte": ("short", lambda s: b"\x01"),
    "half-a-header": ("short", lambda s: hello_bytes(s)[:15]),
    "header-only": ("short", lambda s: session_header(s, wire.LISTEN)),
    "body-cut": ("short", lambda s: s.listen_frame(1).encode()[:-1]),
    "send-not-padded": ("short", lambda s: with_byte(send_bytes(s), 3, 0)[:16 + 116]),
    "version-0": ("version", lambda s: with_byte(s.listen_frame(1).encode(), 0, 0)),
    "version-9": ("version", lambda s: with_byte(s.listen_frame(1).encode(), 0, 9)),
    "one-byte-more": ("overlong", lambda s: listen_bytes(s, tail=b"\0")),
    "beyond-the-frame-size": ("overlong", lambda s: listen_bytes(s, tail=bytes(1300))),
    "flag-unknown": ("flags", lambda s: with_byte(s.listen_frame(1).encode(), 2, 0x40)),
    "flag-of-another-verb": ("flags", lambda s: with_byte(s.listen_frame(1).encode(), 2, 1)),
    "ext-overrun": ("ext", lambda s: listen_bytes(s, ext=b"\x0e\x09\0\0")),
    "ext-descending": ("ext", lambda s: listen_bytes(s, ext=b"\x0d\x04\0\0\0\1\0\0"
                                                            b"\x04\x01\x01\0")),
    "ext-twice": ("ext", lambda s: listen_bytes(s, ext=b"\x04\x01\x01\0" * 2)),
    "retry-after-misshapen": ("ext", lambda s: listen_bytes(s, ext=b"\x0d\x01\x01\0")),
    "rule-0": ("field", lambda s: send_bytes(s, rule=0)),
    "rule-99": ("field", lambda s: send_bytes(s, rule=99)),
    "deadline-0": ("field", lambda s: send_bytes(s, deadline=0)),
    "deadline-too-far": ("field", lambda s: send_bytes(s, deadline=3601)),
    "length-too-large": ("field", lambda s: send_bytes(s, length=(1 << 36) + 1)),
    "target-port-0": ("field", lambda s: send_bytes(s, target=("10.87.0.2", 0))),
    "target-ip4-mapped": ("field", lambda s: send_bytes(s, target=("::ffff:10.87.0.2", 9))),
    "pull-nothing": ("field", lambda s: pull_bytes(s, mask=0)),
    "pull-first-bit-unset": ("field", lambda s: pull_bytes(s, mask=2)),
    "pull-beyond-the-end": ("field", lambda s: pull_bytes(s, mask=3)),
    "pull-far-beyond": ("field", lambda s: pull_bytes(s, first=0xFFFFFFFF)),
    "receipt-code-0": ("field", lambda s: s.receipt_frame(an_offer(), 0, 0).encode()),
    "data-without-payload": ("field", lambda s: s.data_frame(a_pull(), 0, b"").encode()),
    "cookie-of-another-key": ("cookie-bad",
                              lambda s: Frame(wire.LISTEN, s.conn, s.listen_frame(1).body,
                                              key=0x123456).encode()),
    "hello-with-a-key": ("key-unknown", lambda s: hello_bytes(s, key=7 << 8)),
    "cookie-flipped": ("cookie-bad", lambda s: with_byte(
        s.listen_frame(1).encode(), 16 + 9, s.cookie[9] ^ 4)),
    "data-for-no-upload": ("unknown-stream",
                           lambda s: s.data_frame(a_pull(), 0, bytes(100)).encode()),
    "data-for-a-target": ("role", lambda s: Frame(wire.DATA, s.conn, bytes(24),
                                                  payload=b"x").encode()),
    "pull-of-an-upload": ("field", lambda s: Frame(wire.PULL, s.conn, pull_body(s),
                                                  flags=wire.UPLOAD).encode()),
    "welcome": ("role", lambda s: Frame(wire.WELCOME, s.conn, welcome_body()).encode()),
    "status": ("role", lambda s: Frame(wire.STATUS, s.conn, status_body()).encode()),
    "query-without-trailer": ("auth", lambda s: a_query(1).encode()),
    "query-of-no-pair": ("key-unknown", lambda s: a_query(1, key=77 << 8).encode(bytes(32))),
    "query-with-a-wrong-trailer": ("auth", lambda s: a_query(1).encode(bytes(32))),
}


def session_header(session, verb):
    return struct.pack(">BBBBIQ", 1, verb, 0, 0, 0, session.conn)


def an_offer(length=10):
    return Offer(bytes(8), bytes(16), bytes(32), length, 1, 0, 1, bytes(96), b"", None, None)


def a_pull():
    return Pull(12345, 1, 0, 1, bytes(32), 10)


def pull_bytes(session, first=0, mask=1):
    return session.pull_frame(an_offer(), 1, first, mask).encode()


def pull_body(session):
    return session.pull_frame(an_offer(), 1).body


def welcome_body():
    return bytes(32) + tokens.pack_addr(("10.87.0.1", 1)) * 2 + struct.pack(">I", 1)


def status_body():
    return bytes(16) + struct.pack(">HBBIQ8s", 0, wire.WORKING, 0, 0, 0, bytes(8))


def a_query(nonce, **more):
    return wire.query_frame(nonce, os.urandom(16), os.urandom(32), 10, ("10.87.0.2", 4871),
                            ("10.87.0.1", 5555), **more)


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_malformed_frame_has_its_counter(lab, session, name):
    reason, build = MALFORMED[name]
    raw = build(session)
    expect_drop(lab, "central", reason, lambda: session.peer.put(raw, session.relay))
    silent(session)


def test_every_truncation_is_short(lab, session):
    """A SEND cut anywhere is dropped as one that ended too early, or as misshapen."""
    raw = send_bytes(session)
    before = lab.drops("central")
    for size in range(1, len(raw)):
        session.peer.put(raw[:size], session.relay)
        if size % 64 == 0:
            time.sleep(0.01)
    names = ("short", "ext")

    def fallen():
        after = lab.drops("central")
        return sum(after[n] - before[n] for n in names)

    wait_until(lambda: fallen() == len(raw) - 1, 10, what="a drop for each truncation")
    silent(session)


def test_unknown_verb(lab, session):
    """Dropped and counted; told so only to a valid cookie."""
    raw = session_header(session, 99) + session.cookie + bytes(16)
    expect_drop(lab, "central", "verb", lambda: session.peer.put(raw, session.relay))
    frame, _ = session.peer.get(1, (wire.ERROR,))
    assert wire.Error.of(frame).code == wire.UNSUPPORTED
    raw = session_header(session, 99) + bytes(32)
    expect_drop(lab, "central", "verb", lambda: session.peer.put(raw, session.relay))
    silent(session)


def test_unknown_critical_extension(lab, session):
    raw = listen_bytes(session, ext=b"\xff\x00\0\0")
    expect_drop(lab, "central", "ext-critical", lambda: session.peer.put(raw, session.relay))
    frame, _ = session.peer.get(1, (wire.ERROR,))
    assert wire.Error.of(frame).code == wire.UNSUPPORTED
    raw = with_byte(raw, 16 + 9, session.cookie[9] ^ 4)
    expect_drop(lab, "central", "ext-critical", lambda: session.peer.put(raw, session.relay))
    silent(session)


def test_unknown_extension_is_skipped(lab, session):
    """Only critical ones matter: a LISTEN with a strange extension is a LISTEN."""
    raw = with_byte(session.listen_frame(1).encode(), 3, 1) + b"\x7e\x02ab"
    session.peer.put(raw, session.relay)
    assert session.peer.get(2, (wire.LISTENING,))[0] is not None


def test_hello_of_another_version_is_answered(lab, peer):
    """HELLO's layout never changes, so that versions can be negotiated."""
    speaker = peer("source")
    frame = speaker.hello_frame(version=7)
    speaker.put(frame.encode(), lab.relay("central"))
    reply, _ = speaker.get(2, (wire.WELCOME,))
    assert reply.body[:8] == frame.body
    assert len(reply.raw) <= len(frame.encode())


def test_stale_cookie(lab, session):
    """Genuine, of an epoch that has passed: one small ERROR(stale). Of this epoch: good."""
    master = bytes.fromhex((lab.state / "central.key").read_text())
    now = int(time.time()) // tokens.EPOCH_SECONDS
    session.cookie = tokens.mint_cookie(master, now, session.peer.address, session.conn)
    assert session.listen() > 0
    session.cookie = tokens.mint_cookie(master, now - 3, session.peer.address, session.conn)
    raw = session.listen_frame(1).encode()
    expect_drop(lab, "central", "cookie-stale", lambda: session.peer.put(raw, session.relay))
    frame, _ = session.peer.get(1, (wire.ERROR,))
    assert wire.Error.of(frame).code == wire.STALE
    assert len(frame.raw) <= len(raw)


def test_forged_old_cookie(lab, session):
    """Only what was genuine is called stale, and draws an answer."""
    epoch = struct.unpack(">H", session.cookie[:2])[0]
    session.cookie = struct.pack(">H", (epoch - 3) % 65536) + session.cookie[2:]
    raw = session.listen_frame(1).encode()
    expect_drop(lab, "central", "cookie-bad", lambda: session.peer.put(raw, session.relay))
    silent(session)


def test_duplicate_data(lab, session, digest):
    content = os.urandom(1000)
    session.tell(session.send_frame(digest(content + b"!"), 2000, (lab.address["target"], 4999)))
    pull = Pull.of(session.peer.get(3, (wire.PULL,))[0])
    first = session.data_frame(pull, 0, bytes(1152))
    session.tell(first)
    time.sleep(0.1)
    expect_drop(lab, "central", "duplicate-data", lambda: session.tell(first))


def test_pull_of_a_blob_that_went(fresh_lab, peer, make_blob, out, digest):
    """The ticket outlives the blob: ERROR(gone)."""
    path = make_blob(5000)
    fresh_lab.deliver(path, "central", out)
    source, target = peer("source", where=fresh_lab), peer("target", where=fresh_lab)
    asking = source.hello(fresh_lab.relay("central"))
    asking.tell(asking.send_frame(digest(path.read_bytes()), 5000, target.address))
    offer = Offer.of(target.get(3, (wire.OFFER,))[0])
    session = target.hello(fresh_lab.relay("central"))
    fresh_lab.stop_relay("central")
    fresh_lab.empty_store("central")
    fresh_lab.start_relay("central")
    expect_drop(fresh_lab, "central", "unknown-blob",
                lambda: session.tell(session.pull_frame(offer, 1)))
    frame, _ = target.get(1, (wire.ERROR,))
    assert wire.Error.of(frame).code == wire.GONE


# ---- packets ----

def inject(lab, packet, host="source"):
    """Sends an Ethernet frame from a host as it is."""
    with lab.packet_socket(host) as sock:
        sock.send(bytes(packet))


def packet(lab, payload, host="source", sport=7777, ip=None, udp=None):
    return (Ether(src=lab.mac(host), dst=lab.mac("central"))
            / IP(**{"src": lab.address[host], "dst": lab.address["central"], **(ip or {})})
            / UDP(**{"sport": sport, "dport": RELAY_PORT, **(udp or {})}) / Raw(payload))


PACKETS = {
    "ip-checksum": dict(ip={"chksum": 0x1234}),
    "udp-checksum": dict(udp={"chksum": 0x1234}),
    "ip-header": dict(ip={"len": 1000}),
    "udp-header": dict(udp={"len": 1000}),
    "address": dict(sport=0),
}


@pytest.mark.parametrize("reason", sorted(PACKETS))
def test_malformed_packet_has_its_counter(lab, peer, reason):
    raw = peer("source").hello_frame().encode()
    made = packet(lab, raw, **PACKETS[reason])
    expect_drop(lab, "central", reason, lambda: inject(lab, made))


@pytest.mark.parametrize("source", ["224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0"])
def test_senders_nobody_could_answer(lab, peer, source):
    raw = peer("source").hello_frame().encode()
    made = packet(lab, raw, ip={"src": source})
    expect_drop(lab, "central", "address", lambda: inject(lab, made))


def test_fragments_and_options_are_not_ours(lab, peer):
    """They stay with the kernel: the relay counts nothing and answers nothing."""
    raw = peer("source").hello_frame().encode()
    before = lab.drops("central")
    inject(lab, packet(lab, raw, ip={"flags": "MF"}))
    inject(lab, packet(lab, raw, ip={"options": b"\x01\x01\x01\x00"}))
    time.sleep(0.2)
    assert lab.drops("central") == before


def test_replayed_query(lab, peer):
    """A captured QUERY, sent again from the right address, is recognised. It is seen on
    the bridge, as AF_XDP takes the relay's frames before a packet socket there could."""
    with lab.packet_socket("net", "private") as sniffer:
        sniffer.settimeout(5)
        asking = peer("source").hello(lab.relay("private"))
        asking.tell(asking.send_frame(os.urandom(32), 10, (lab.address["target"], 4999)))
        while True:
            seen = sniffer.recv(2000)
            if len(seen) > 60 and seen[12:14] == b"\x08\x00" and seen[23] == 17 and \
                    decode(seen[42:]).verb == wire.QUERY:
                break
    expect_drop(lab, "central", "replay", lambda: inject(lab, seen, "private"))


def test_answer_to_nothing(fresh_lab):
    """Rightly signed, but to a QUERY that private never made. In a lab of its own, for
    such a frame moves the window of numbers in which the true peer's must lie."""
    lab = fresh_lab
    key = lab.key("pair")
    raw = wire.answer_frame(time.time_ns() // 1000, 42, os.urandom(16), 2).encode(key)
    made = (Ether(src=lab.mac("central"), dst=lab.mac("private"))
            / IP(src=lab.address["central"], dst=lab.address["private"])
            / UDP(sport=RELAY_PORT, dport=RELAY_PORT) / Raw(raw))
    expect_drop(lab, "private", "unknown-query", lambda: inject(lab, made, "central"))


def test_query_with_a_wrong_clock(lab):
    key = lab.key("pair")
    query = a_query(time.time_ns() // 1000)
    old = struct.pack(">Q", int(time.time() * 1000) - 3_600_000)
    stale = Frame(query.verb, query.conn, query.body[:8] + old + query.body[16:], key=query.key)
    made = packet(lab, stale.encode(key), host="private", sport=RELAY_PORT)
    expect_drop(lab, "central", "replay", lambda: inject(lab, made, "private"))


def test_target_without_a_route(lab, make_blob):
    before = lab.drops("central").get("no-route", 0)
    sent = lab.send(make_blob(10), "central", to="203.0.113.5", timeout=10)
    assert sent.code == 5 and "route" in sent.err, sent
    assert lab.drops("central")["no-route"] >= before


# ---- all of it at once ----

def resident(lab, role):
    """Bytes of memory that the relay's process has."""
    status = (pathlib.Path("/proc") / str(lab.daemon_pid(role)) / "status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def dropped(status):
    """Frames that the relay or its XDP program did not act on."""
    return sum(status["drops"].values()) + sum(
        count for name, count in status.items() if name.startswith("xdp_shed"))


DAMAGE = {"short", "version", "verb", "overlong", "flags", "ext", "field", "cookie-bad",
          "key-unknown", "auth", "role", "unknown-stream"}


@pytest.fixture(scope="module")
def memory_lab(make_lab):
    """Its relays keep blobs in memory alone, so that theirs is easily accounted for."""
    return make_lab(LAB_ENGINE="memory")


def test_hostile_peer_changes_nothing(memory_lab, make_blob, out):
    """Transfers through both relays go on beside it, and all that arrives is what was sent.
    The relays live, count what they drop by its name, and need no more memory than the
    blobs that they were sent; more packets than they have buffers for leave none missing."""
    lab = memory_lab
    first = make_blob(20_000)
    with lab.captured() as said:
        assert lab.deliver(first, "central", out)[0].outcome == "uploaded-central"
        assert lab.deliver(first, "private", out)[0].outcome == "central-hit"
    packets = hostile.attack_packets(lab, said, 1)
    roles = {role: lab.daemon_pid(role) for role in ("private", "central")}
    with hostile.Flood(lab, packets):
        time.sleep(2)  # buffers are touched for the first time
    before = {role: (lab.status(role), resident(lab, role)) for role in roles}
    paths, end = [], time.monotonic() + NOISE_SECONDS
    with lab.receive(out, count=0, timeout=NOISE_SECONDS + 120,
                     lease=("private", "central")) as receiver:
        with hostile.Flood(lab, packets) as flood:
            while time.monotonic() < end or len(paths) < 2:
                path = make_blob(500_000)
                for via, outcome in (("central", "uploaded-central"), ("private", "central-hit")):
                    sent = lab.send(path, via, timeout=60)
                    assert (sent.code, sent.outcome) == (0, outcome), sent
                paths.append(path)
        receiver.process.send_signal(signal.SIGTERM)
        receiver.wait()
        received = [json.loads(line) for line in receiver.stdout.splitlines()]
    assert len(received) == 2 * len(paths) and len(os.listdir(out)) == len(received)
    for got, path in zip(received, (path for path in paths for _ in range(2))):
        assert got["verified"] and filecmp.cmp(got["path"], path, shallow=False)
    for role, pid in roles.items():
        assert lab.daemon_pid(role) == pid
        status, memory = before[role]
        after = lab.status(role)
        assert flood.sent > 16384 and dropped(after) - dropped(status) > NOISE_SECONDS * 50
        assert after["blobs"] - status["blobs"] == (len(paths) if role == "central" else 0)
        assert after["drops"]["no-buffer"] == 0
        grown = resident(lab, role) - memory
        if "ASAN_OPTIONS" not in os.environ:  # it keeps freed memory for a while
            assert grown <= after["blob_bytes"] - status["blob_bytes"] + (8 << 20)
        assert all(after["drops"][name] > 0 for name in DAMAGE), after["drops"]
