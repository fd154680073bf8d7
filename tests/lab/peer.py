# SPDX-License-Identifier: BSD-3-Clause
"""A small peer that speaks the protocol of docs/protocol.md, for tests that need
one which misbehaves, or which looks at every frame.

Nothing here shares code with the relay: what both agree on is the document.
"""

import ctypes
import hashlib
import ipaddress
import os
import socket
import struct
import time
from dataclasses import dataclass

CHUNK = 1152
EPOCH_SECONDS = 300
MAX_FRAME = 1232
HELLO_SIZE = 96
SEND_MIN = 384
PULL_CHUNKS = 32

(HELLO, WELCOME, LISTEN, LISTENING, SEND, STATUS, QUERY, ANSWER, OFFER, PULL, DATA,
 RECEIPT, NOTICE, STOP, ERROR) = range(1, 16)

AUTH = 0x80
INLINE = UPLOAD = ACK = LEASED = 0x01

META, VERSIONS, RETRY_AFTER, PAD, HOLDER = 0x01, 0x04, 0x0D, 0x0E, 0x83

WORKING, WAITING, UPLOAD_WANTED, STORED, SERVING_PRIVATE, SERVING_CENTRAL, DELIVERING, \
    DELIVERED, REFUSED = range(1, 10)
TARGET_POLICY, TARGET_UNREACHABLE, TARGET_DECLINED, TARGET_FAILED, TOO_LARGE, STORE_FULL, \
    BUSY, RULE, WRONG_IDENTIFIER, UPLOAD_TIMEOUT, INTERNAL = range(1, 12)
COMPLETE, PROGRESS, DECLINE = 1, 2, 3
STALE, FRESH, BAD_TICKET, GONE, UNSUPPORTED, ERROR_BUSY = range(1, 7)

BODY_SIZE = {
    HELLO: 8, WELCOME: 76, LISTEN: 28, LISTENING: 12, SEND: 116, STATUS: 40, QUERY: 152,
    ANSWER: 144, OFFER: 168, PULL: 184, DATA: 24, RECEIPT: 176, NOTICE: 92, STOP: 24, ERROR: 24,
}


@dataclass(frozen=True)
class Frame:
    verb: int
    conn: int
    body: bytes
    flags: int = 0
    key: int = 0
    ext: tuple = ()  # (type, value) pairs
    payload: bytes = b""
    version: int = 1

    def encode(self, pair_key=None):
        ext = b"".join(pack_ext(t, v) for t, v in self.ext)
        flags = self.flags | (AUTH if pair_key else 0)
        out = struct.pack(">BBBBIQ", self.version, self.verb, flags, len(ext) // 4, self.key,
                          self.conn) + self.body + ext + self.payload
        if pair_key:
            out += hashlib.blake2b(out, digest_size=16, key=pair_key).digest()
        return out

    def extension(self, kind):
        return next((v for t, v in self.ext if t == kind), None)


def pack_ext(kind, value):
    tlv = bytes([kind, len(value)]) + value
    return tlv + bytes(-len(tlv) % 4)


def pad_ext(size):
    """PAD extensions of `size` bytes in all."""
    out = []
    while size > 0:
        part = min(size, 256)
        out.append((PAD, bytes(part - 2)))
        size -= part
    return tuple(out)


def decode(raw):
    version, verb, flags, ext4, key, conn = struct.unpack_from(">BBBBIQ", raw)
    at = 16 + BODY_SIZE[verb]
    end = at + 4 * ext4
    ext = []
    body = raw[16:at]
    while at < end:
        kind, size = raw[at], raw[at + 1]
        ext.append((kind, raw[at + 2:at + 2 + size]))
        at += (2 + size + 3) // 4 * 4
    payload = raw[end:-16] if flags & AUTH else raw[end:]
    return Frame(verb, conn, body, flags, key, tuple(ext), payload, version)


def pack_addr(address):
    ip, port = address[:2]
    ip = ipaddress.ip_address(ip)
    return struct.pack(">BBH16s", ip.version, 0, port, ip.packed)


def unpack_addr(raw):
    kind, _, port = struct.unpack_from(">BBH", raw)
    return str(ipaddress.ip_address(raw[4:8] if kind == 4 else raw[4:20])), port


@dataclass
class Status:
    transfer: bytes
    leg: int
    code: int
    reason: int
    bytes: int

    @classmethod
    def of(cls, frame):
        transfer, leg, code, reason, _, count, _ = struct.unpack(">16sHBBIQ8s", frame.body)
        return cls(transfer, leg, code, reason, count)


@dataclass
class Offer:
    echo: bytes
    transfer: bytes
    id: bytes
    length: int
    deadline: int
    leg: int
    rule: int
    ticket: bytes
    meta: bytes
    holder: tuple
    inline: bytes

    @classmethod
    def of(cls, frame):
        echo, transfer, ident, length, deadline, leg, rule, _, ticket = struct.unpack(
            ">8s16s32sQIHBB96s", frame.body)
        holder = frame.extension(HOLDER)
        return cls(echo, transfer, ident, length, deadline, leg, rule, ticket,
                   frame.extension(META) or b"", unpack_addr(holder) if holder else None,
                   frame.payload if frame.flags & INLINE else None)


@dataclass
class Pull:
    stream: int
    number: int
    first: int
    mask: int
    id: bytes
    length: int

    @classmethod
    def of(cls, frame):
        _, _, stream, number, first, mask, _, _, ident, length, _ = struct.unpack(
            ">16s8sQIIIB3s32sQ96s", frame.body)
        return cls(stream, number, first, mask, ident, length)

    def chunks(self):
        return [self.first + i for i in range(32) if self.mask >> i & 1]


@dataclass
class Error:
    code: int
    verb: int
    number: int
    stream: int
    echo: bytes

    @classmethod
    def of(cls, frame):
        code, verb, _, number, stream, echo = struct.unpack(">BBHIQ8s", frame.body)
        return cls(code, verb, number, stream, echo)


def mint_cookie(master, epoch, address, conn):
    """A genuine cookie of any epoch, by who knows the group's master key."""
    key = hashlib.blake2b(digest_size=16, key=master, salt=struct.pack("<QQ", epoch, 0),
                          person=b"owcookie" + bytes(8)).digest()
    covered = struct.pack(">QI", conn, 0) + pack_addr(address)
    mac = ctypes.create_string_buffer(16)
    ctypes.CDLL("libsodium.so.23").crypto_shorthash_siphashx24(
        mac, covered, ctypes.c_ulonglong(len(covered)), key)
    return struct.pack(">H", epoch & 0xFFFF) + mac.raw[:14]


def query_frame(nonce, transfer, blob_id, length, target, source, send_size=412, deadline=10,
                rule=1, key=1 << 8):
    """A private relay's question; encode it with the pair's key."""
    body = struct.pack(">QQ16sHBBIII32sQ", nonce, int(time.time() * 1000), transfer, 0, rule, 0,
                       deadline, send_size, 0, blob_id, length)
    body += pack_addr(target) + bytes(16) + pack_addr(source) + struct.pack(">Q", 1)
    return Frame(QUERY, nonce, body, key=key)


def answer_frame(nonce, query_nonce, transfer, code, reason=0, key=1 << 8):
    body = struct.pack(">QQQ16sHBBI96s", nonce, int(time.time() * 1000), query_nonce, transfer, 0,
                       code, reason, 0, bytes(96))
    return Frame(ANSWER, query_nonce, body, key=key)


@dataclass
class Session:
    """What one relay told one socket: the way to speak to it from now on."""
    peer: "Peer"
    relay: tuple
    conn: int
    cookie: bytes
    echo: bytes

    def frame(self, verb, body, **more):
        return Frame(verb, self.conn, body, **more)

    def tell(self, frame):
        self.peer.put(frame.encode(), self.relay)

    def listen_frame(self, number, seconds=60):
        return self.frame(LISTEN, self.cookie + struct.pack(">QI", number, seconds))

    def listen(self, number=None, seconds=60):
        """Takes a lease; returns the seconds granted."""
        number = number or time.time_ns() // 1000
        reply = self.peer.ask(self.listen_frame(number, seconds), self.relay, LISTENING)
        got, granted = struct.unpack(">QI", reply.body)
        assert got == number
        return granted

    def stop(self, number=None):
        number = number or time.time_ns() // 1000
        stop = self.frame(STOP, self.cookie + struct.pack(">Q", number))
        return struct.unpack(">QI", self.peer.ask(stop, self.relay, LISTENING).body)[1]

    def send_frame(self, blob_id, length, target, transfer=None, deadline=30, rule=1, meta=b"",
                   leg=0):
        body = self.cookie + struct.pack(">16sHBBI32sQ", transfer or os.urandom(16), leg, rule, 0,
                                         deadline, blob_id, length)
        body += pack_addr(target) + bytes(16)
        ext = ((META, meta),) if meta else ()
        return self.frame(SEND, body, ext=ext + pad_ext(SEND_MIN - 16 - len(body)))

    def pull_frame(self, offer, number, first=0, mask=None, stream=1, ticket=None, echo=None,
                   cookie=None):
        chunks = max(1, -(-offer.length // CHUNK))
        if mask is None:
            mask = (1 << min(PULL_CHUNKS, chunks - first)) - 1
        body = (cookie or self.cookie) + (echo or self.echo) + struct.pack(
            ">QIIIB3x32sQ", stream, number, first, mask, offer.rule, offer.id, offer.length)
        return self.frame(PULL, body + (ticket or offer.ticket))

    def receipt_frame(self, offer, code, count, reason=0):
        digest = hashlib.sha256(offer.meta).digest()[:8]
        body = self.cookie + struct.pack(">BBB5x32sQQ8s", code, reason, offer.rule, offer.id,
                                         offer.length, count, digest) + offer.ticket
        return self.frame(RECEIPT, body)

    def data_frame(self, pull, chunk, payload):
        body = bytes(8) + struct.pack(">QII", pull.stream, pull.number, chunk)
        return self.frame(DATA, body, flags=UPLOAD, payload=payload)

    def serve(self, pull, content):
        """Answers an upload's PULL from `content`, which may well be wrong."""
        for chunk in pull.chunks():
            part = content[chunk * CHUNK:(chunk + 1) * CHUNK]
            self.tell(self.data_frame(pull, chunk, part))

    def fetch(self, offer, timeout=20):
        """Pulls a whole blob, one PULL after the other."""
        chunks = -(-offer.length // CHUNK)
        have, number, end = {}, 0, time.monotonic() + timeout
        while len(have) < chunks:
            assert time.monotonic() < end, "the blob did not come"
            first = next(i for i in range(chunks) if i not in have)
            number += 1
            self.tell(self.pull_frame(offer, number, first))
            wanted = min(first + PULL_CHUNKS, chunks)
            while not all(i in have for i in range(first, wanted)):
                frame, _ = self.peer.get(0.3, (DATA, ERROR))
                if frame is None:
                    break
                if frame.verb == ERROR:
                    error = Error.of(frame)
                    assert error.code == FRESH, error
                    self.echo = error.echo
                    break
                self.echo = frame.body[:8]
                at = struct.unpack(">I", frame.body[20:24])[0]
                have[at] = frame.payload
        return b"".join(have[i] for i in range(chunks))


@dataclass
class Peer:
    """A UDP socket with frames."""
    sock: socket.socket

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    @property
    def address(self):
        return self.sock.getsockname()[:2]

    def put(self, raw, to):
        self.sock.sendto(raw, to)

    def get_raw(self, timeout):
        self.sock.settimeout(max(timeout, 0.001))
        try:
            raw, sender = self.sock.recvfrom(65535)
        except (socket.timeout, ConnectionError):
            return None, None
        return raw, sender[:2]

    def get(self, timeout, verbs=None):
        """The next frame with one of these verbs; others are skipped."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            raw, sender = self.get_raw(left)
            if raw is None:
                continue
            frame = decode(raw)
            if verbs is None or frame.verb in verbs:
                return frame, sender
        return None, None

    def ask(self, frame, to, verb, tries=8):
        """Says it until an answer comes."""
        for _ in range(tries):
            self.put(frame.encode(), to)
            reply, _ = self.get(0.5, (verb,))
            if reply:
                return reply
        raise AssertionError(f"no answer (verb {verb}) from {to}")

    def hello_frame(self, conn=None, nonce=None, version=1):
        conn = conn or int.from_bytes(os.urandom(8), "big") or 1
        nonce = nonce or os.urandom(8)
        size = HELLO_SIZE - 16 - 8 - 4
        return Frame(HELLO, conn, nonce, ext=((VERSIONS, b"\x01"),) + pad_ext(size),
                     version=version)

    def hello(self, relay):
        frame = self.hello_frame()
        reply = self.ask(frame, relay, WELCOME)
        nonce, cookie, echo, seen, own, _ = struct.unpack(">8s16s8s20s20sI", reply.body)
        assert nonce == frame.body and reply.conn == frame.conn
        assert unpack_addr(seen) == self.address
        assert unpack_addr(own) == relay
        return Session(self, relay, frame.conn, cookie, echo)

    def send_blob(self, relay, content, target, claim=None, deadline=20, transfer=None, meta=b"f"):
        """A source's whole life: SEND until a final STATUS, serving PULLs. `claim` is
        the content the identifier is computed from, if not the one uploaded.
        Returns the final status and the codes seen on the way."""
        session = self.hello(relay)
        blob_id = hashlib.sha256(content if claim is None else claim).digest()
        send = session.send_frame(blob_id, len(content), target, transfer, deadline, meta=meta)
        codes, again, end = [], 0, time.monotonic() + deadline
        while time.monotonic() < end:
            if time.monotonic() >= again:
                session.tell(send)
                again = time.monotonic() + 0.3
            frame, _ = self.get(0.1, (STATUS, PULL))
            if frame is None:
                continue
            if frame.verb == PULL:
                session.serve(Pull.of(frame), content)
                continue
            status = Status.of(frame)
            codes.append(status.code)
            if status.code in (DELIVERED, REFUSED):
                return status, codes
        raise AssertionError(f"no final status; seen: {codes}")
