# SPDX-License-Identifier: BSD-3-Clause
"""A hostile peer: every frame of the protocol with every field damaged, replayed,
reflected and out of order, from its own and from spoofed addresses, at the full rate
of a veth."""

import ctypes
import os
import random
import threading

import peer as wire
import tokens
from labtools import TARGET_PORT, udp_packet
from peer import Frame, Offer, Peer, Pull

ADDRESS = "10.87.0.66"
BATCH = 512
PAYLOAD_STEP = 61  # bytes of a long frame that are damaged: each of the first 200, then every

libc = ctypes.CDLL(None, use_errno=True)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Header(ctypes.Structure):
    """struct msghdr"""
    _fields_ = [("name", ctypes.c_void_p), ("name_len", ctypes.c_uint32),
                ("iov", ctypes.POINTER(Iovec)), ("iov_len", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("control_len", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Message(ctypes.Structure):
    """struct mmsghdr"""
    _fields_ = [("header", Header), ("sent", ctypes.c_uint)]


def messages(packets):
    iovecs = (Iovec * len(packets))(*[Iovec(raw, len(raw)) for raw in packets])
    made = (Message * len(packets))()
    for message, iovec in zip(made, iovecs):
        message.header.iov, message.header.iov_len = ctypes.pointer(iovec), 1
    return made


class Flood:
    """Sends packets from a host over and over while its block runs; `sent` counts."""

    def __init__(self, lab, packets, host="source"):
        self.sock = lab.packet_socket(host)
        self.packets = messages(packets)
        self.sent = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        at = 0
        while not self.stop.is_set():
            count = min(BATCH, len(self.packets) - at)
            done = libc.sendmmsg(self.sock.fileno(), ctypes.byref(self.packets[at]), count, 0)
            self.sent += max(done, 0)
            at = (at + max(done, 1)) % len(self.packets)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.sock.close()


def damaged(raw):
    """Each byte flipped, zero and 0xff; every length up to, and some beyond, its own."""
    places = [*range(min(200, len(raw))), *range(200, len(raw), PAYLOAD_STEP)]
    for at in places:
        for value in {raw[at] ^ 1 << at % 8, 0, 0xFF} - {raw[at]}:
            yield raw[:at] + bytes([value]) + raw[at + 1:]
    for size in places:
        yield raw[:size]
    for more in (1, 4, 64, 1400 - min(len(raw), 1399)):
        yield raw + bytes(more)


def every_verb(session, target):
    """One frame of each verb that is as right as an outsider's can be."""
    ident = os.urandom(32)
    offer = Offer(bytes(8), bytes(16), ident, 3000, 30, 0, 1, os.urandom(96), b"", None, None)
    pull = Pull(os.getpid() << 12, 1, 0, 1, ident, 1152)
    offer_body = bytes(8) + os.urandom(16) + ident + bytes(16) + os.urandom(96)
    notice = os.urandom(40) + bytes([0, 0, 1]) + bytes(21) + tokens.pack_addr(target) + bytes(8)
    frames = [
        session.peer.hello_frame(conn=session.conn),
        session.listen_frame(1, 5),
        session.stop_frame(2),
        session.send_frame(ident, 3000, target, deadline=5, meta=b"name", proof=os.urandom(32),
                           sealed_key=os.urandom(80)),
        session.pull_frame(offer, 1),
        session.receipt_frame(offer, wire.COMPLETE, 3000),
        session.data_frame(pull, 0, os.urandom(1152)),
        session.frame(wire.WELCOME, os.urandom(76)),
        session.frame(wire.LISTENING, bytes(12)),
        session.frame(wire.STATUS, os.urandom(18) + bytes([wire.DELIVERED]) + bytes(21)),
        session.frame(wire.OFFER, offer_body),
        session.frame(wire.ERROR, bytes([wire.STALE]) + bytes(23)),
        wire.query_frame(1, os.urandom(16), ident, 3000, target, target),
        wire.answer_frame(1, 1, os.urandom(16), wire.ANSWER_SERVING),
        Frame(wire.NOTICE, 1, notice, key=1 << 8 | 1),
    ]
    return [frame.encode(session_key=bytes(16) if frame.verb in
                         (wire.QUERY, wire.ANSWER, wire.NOTICE) else None) for frame in frames]


def attack_packets(lab, said, seed):
    """What a flood is made of. said: an exchange that was captured, by host."""
    chance = random.Random(seed)
    lab.run("source", "ip", "addr", "add", f"{ADDRESS}/24", "dev", "eth0")
    source_mac, victim = lab.mac("source"), (lab.address["target"], TARGET_PORT)
    packets = []
    for role in ("private", "central"):
        macs, relay = (source_mac, lab.mac(role)), lab.relay(role)
        spoofed = [victim, lab.relay("private"), lab.relay("central")]
        spoofed += [(f"203.0.113.{n}", 4000 + n) for n in range(40)]
        with Peer(lab.udp_socket("source", address=ADDRESS)) as attacker:
            own = attacker.address
            session = attacker.hello(relay)
            for raw in every_verb(session, (lab.address["target"], 4999)):
                for bad in damaged(raw):
                    packets.append(udp_packet(macs, own, relay, bad))
                packets.append(udp_packet(macs, own, relay, raw))
                packets += [udp_packet(macs, liar, relay, raw) for liar in spoofed]
        for frames in said.values():
            for frame in chance.sample(frames, min(len(frames), 200)):
                # replayed from elsewhere, and reflected at the relays that said it
                packets.append(udp_packet(macs, own, relay, frame[42:]))
                packets.append(udp_packet(macs, victim, relay, frame[42:]))
    chance.shuffle(packets)
    return packets
