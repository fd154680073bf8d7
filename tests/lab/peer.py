# SPDX-License-Identifier: BSD-3-Clause
"""A small peer that speaks the protocol of docs/protocol.md, for tests that need
one which misbehaves, or which looks at every frame.

Nothing here shares code with the relay: what both agree on is the document.
"""

import hashlib
import os
import socket
import struct
import time
from dataclasses import dataclass

from tokens import CHUNK, Key, make_proof, pack_addr, siphash, unpack_addr

MAX_FRAME = 1232
HELLO_SIZE = 112
SEND_MIN = 432
PULL_CHUNKS = 32

(HELLO, WELCOME, LISTEN, LISTENING, SEND, STATUS, QUERY, ANSWER, OFFER, PULL, DATA,
 RECEIPT, NOTICE, STOP, ERROR) = range(1, 16)

AUTH = 0x80
INLINE = UPLOAD = ACK = LEASED = 0x01

META, VERSIONS, DOMAIN_PROOF, CHALLENGE, PROOF, RETRY_AFTER, PAD = 1, 4, 5, 8, 9, 0x0D, 0x0E
ATTEMPT, AVAILABLE = 0x10, 0x11
HOLDER, SEALED_KEY = 0x83, 0x8A

WORKING, CHALLENGED, WAITING, UPLOAD_WANTED, STORED, SERVING_PRIVATE, SERVING_CENTRAL, \
    DELIVERING, DELIVERED, REFUSED = range(1, 11)
TARGET_POLICY, TARGET_UNREACHABLE, TARGET_DECLINED, TARGET_FAILED, TOO_LARGE, STORE_FULL, \
    BUSY, RULE, WRONG_IDENTIFIER, MEMBERS_ONLY, QUOTA, WRONG_PROOF, \
    INTERNAL, TARGET_STOPPED = range(1, 15)
COMPLETE, PROGRESS, DECLINE = 1, 2, 3
STALE, FRESH, BAD_TICKET, GONE, UNSUPPORTED, ERROR_BUSY, ERROR_KEY, LATER = range(1, 9)
ANSWER_SERVING, ANSWER_FAILED = 1, 2

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
    raw: bytes = b""  # as it arrived

    def encode(self, pair_key=None, session_key=None):
        """Signed with the key of a pair of relays, or of a member's session."""
        ext = b"".join(pack_ext(t, v) for t, v in self.ext)
        flags = self.flags | (AUTH if pair_key or session_key else 0)
        out = struct.pack(">BBBBIQ", self.version, self.verb, flags, len(ext) // 4, self.key,
                          self.conn) + self.body + ext + self.payload
        if pair_key:
            out += hashlib.blake2b(out, digest_size=16, key=pair_key).digest()
        if session_key:
            out += siphash(out, session_key)
        return out

    def signed(self, session_key):
        return bool(self.flags & AUTH) and siphash(self.raw[:-16], session_key) == self.raw[-16:]

    def extension(self, kind):
        return next((v for t, v in self.ext if t == kind), None)


def pack_ext(kind, value):
    tlv = bytes([kind, len(value)]) + value
    return tlv + bytes(-len(tlv) % 4)


def number_ext(frame, kind):
    """None: it is not there."""
    value = frame.extension(kind)
    return None if value is None else int.from_bytes(value, "big")


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
    return Frame(verb, conn, body, flags, key, tuple(ext), payload, version, raw)


@dataclass
class Status:
    transfer: bytes
    leg: int
    code: int
    reason: int
    bytes: int
    challenge: bytes = None

    @classmethod
    def of(cls, frame):
        transfer, leg, code, reason, _, count, _ = struct.unpack(">16sHBBIQ8s", frame.body)
        return cls(transfer, leg, code, reason, count, frame.extension(CHALLENGE))


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
    attempt: int = 0  # 0: all of it is there; else so much:
    available: int = None

    @classmethod
    def of(cls, frame):
        echo, transfer, ident, length, deadline, leg, rule, _, ticket = struct.unpack(
            ">8s16s32sQIHBB96s", frame.body)
        holder = frame.extension(HOLDER)
        return cls(echo, transfer, ident, length, deadline, leg, rule, ticket,
                   frame.extension(META) or b"", unpack_addr(holder) if holder else None,
                   frame.payload if frame.flags & INLINE else None,
                   number_ext(frame, ATTEMPT) or 0, number_ext(frame, AVAILABLE))


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


def query_frame(nonce, transfer, blob_id, length, target, source, send_size=460, deadline=10,
                rule=1, key=1 << 8 | 1, source_key=0):
    """A private relay's question; encode it with the pair's key."""
    body = struct.pack(">QQ16sHBBIII32sQ", nonce, int(time.time() * 1000), transfer, 0, rule, 0,
                       deadline, send_size, source_key, blob_id, length)
    body += pack_addr(target) + bytes(16) + pack_addr(source) + struct.pack(">Q", 1)
    return Frame(QUERY, nonce, body, key=key)


def answer_frame(nonce, query_nonce, transfer, code, reason=0, key=1 << 8 | 1):
    body = struct.pack(">QQQ16sHBBI96s", nonce, int(time.time() * 1000), query_nonce, transfer, 0,
                       code, reason, 0, bytes(96))
    return Frame(ANSWER, query_nonce, body, key=key)


class Gone(AssertionError):
    """The relay does not have the blob any more."""


@dataclass
class Session:
    """What one relay told one socket: the way to speak to it from now on."""
    peer: "Peer"
    relay: tuple
    conn: int
    cookie: bytes
    echo: bytes
    member: Key = None
    session_key: bytes = None

    def frame(self, verb, body, **more):
        more.setdefault("key", self.member.field if self.member else 0)
        return Frame(verb, self.conn, body, **more)

    def encode(self, frame):
        """With a member's trailer, if it is one's session."""
        return frame.encode(session_key=self.session_key)

    def tell(self, frame):
        self.peer.put(self.encode(frame), self.relay)

    def get(self, timeout, verbs=None):
        """The next frame; the relay must have signed it for a member."""
        frame, sender = self.peer.get(timeout, verbs)
        self.check(frame)
        return frame, sender

    def check(self, frame):
        if frame and self.session_key and frame.verb in (STATUS, LISTENING, ERROR, PULL):
            assert frame.signed(self.session_key), "not signed for the member"

    def ask(self, frame, verb, tries=8):
        """Says it until an answer comes."""
        reply = self.peer.ask(self.encode(frame), self.relay, verb, tries)
        self.check(reply)
        return reply

    def listen_frame(self, number, seconds=60):
        return self.frame(LISTEN, self.cookie + struct.pack(">QI", number, seconds))

    def listen(self, number=None, seconds=60):
        """Takes a lease; returns the seconds granted."""
        number = number or time.time_ns() // 1000
        reply = self.ask(self.listen_frame(number, seconds), LISTENING)
        got, granted = struct.unpack(">QI", reply.body)
        assert got == number
        return granted

    def stop(self, number=None):
        reply = self.ask(self.stop_frame(number or time.time_ns() // 1000), LISTENING)
        return struct.unpack(">QI", reply.body)[1]

    def stop_frame(self, number):
        return self.frame(STOP, self.cookie + struct.pack(">Q", number))

    def send_frame(self, blob_id, length, target, transfer=None, deadline=30, rule=1, meta=b"",
                   leg=0, proof=None, sealed_key=None):
        body = self.cookie + struct.pack(">16sHBBI32sQ", transfer or os.urandom(16), leg, rule, 0,
                                         deadline, blob_id, length)
        body += pack_addr(target) + bytes(16)
        ext = ((META, meta),) if meta else ()
        ext += ((PROOF, proof),) if proof else ()
        ext += pad_ext(SEND_MIN - 16 - len(body))
        ext += ((SEALED_KEY, sealed_key),) if sealed_key else ()
        return self.frame(SEND, body, ext=ext)

    def pull_frame(self, offer, number, first=0, mask=None, stream=1, ticket=None, echo=None,
                   cookie=None):
        chunks = max(1, -(-offer.length // CHUNK))
        if mask is None:
            mask = (1 << min(PULL_CHUNKS, chunks - first)) - 1
        body = (cookie or self.cookie) + (echo or self.echo) + struct.pack(
            ">QIIIB3x32sQ", stream, number, first, mask, offer.rule, offer.id, offer.length)
        ext = ((ATTEMPT, struct.pack(">Q", offer.attempt)),) if offer.attempt else ()
        return self.frame(PULL, body + (ticket or offer.ticket), ext=ext)

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
        """Pulls a whole blob, one PULL after the other. May raise Gone."""
        chunks = -(-offer.length // CHUNK)
        have, number, end = {}, 0, time.monotonic() + timeout
        while len(have) < chunks:
            assert time.monotonic() < end, "the blob did not come"
            first = next(i for i in range(chunks) if i not in have)
            number += 1
            self.tell(self.pull_frame(offer, number, first))
            wanted = min(first + PULL_CHUNKS, chunks)
            while not all(i in have for i in range(first, wanted)):
                frame, _ = self.get(0.3, (DATA, ERROR))
                if frame is None:
                    break
                if frame.verb == ERROR:
                    error = Error.of(frame)
                    if error.code == GONE:
                        raise Gone
                    assert error.code in (FRESH, ERROR_BUSY, LATER), error
                    if error.code == LATER:
                        time.sleep(0.01)
                    if error.code == FRESH:
                        self.echo = error.echo
                    break
                if frame.conn != self.conn:
                    continue  # of a session before, by the same socket
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

    def collect(self, seconds):
        """All that arrives, for some time: (payload size, frame)."""
        found, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            raw, _ = self.get_raw(left)
            if raw is not None:
                found.append((len(raw), decode(raw)))
        return found

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

    def offered(self, blob_id, timeout):
        """The offer of that blob, of those that come now; None: there is none."""
        while (frame := self.get(timeout, (OFFER,))[0]) is not None:
            offer = Offer.of(frame)
            if offer.id == blob_id:
                return offer
        return None

    def ask(self, raw, to, verb, tries=8):
        """Says it until an answer comes."""
        for _ in range(tries):
            self.put(raw, to)
            reply, _ = self.get(0.5, (verb,))
            if reply:
                return reply
        raise AssertionError(f"no answer (verb {verb}) from {to}")

    def hello_frame(self, conn=None, nonce=None, version=1, member=None):
        conn = conn or int.from_bytes(os.urandom(8), "big") or 1
        nonce = nonce or os.urandom(8)
        ext = ((VERSIONS, b"\x01"),)
        size = HELLO_SIZE - 16 - 8 - 4
        if member:
            ext += ((DOMAIN_PROOF, member.hello_proof(conn, nonce)),)
            size -= 20
        return Frame(HELLO, conn, nonce, ext=ext + pad_ext(size), version=version,
                     key=member.field if member else 0)

    def hello(self, relay, member=None, tries=8):
        """`member`: the key of its domain."""
        frame = self.hello_frame(member=member)
        reply = self.ask(frame.encode(), relay, WELCOME, tries)
        nonce, cookie, echo, seen, own, _ = struct.unpack(">8s16s8s20s20sI", reply.body)
        assert nonce == frame.body and reply.conn == frame.conn
        assert unpack_addr(seen) == self.address
        assert unpack_addr(own) == relay
        session_key = member.session(frame.conn, unpack_addr(seen)) if member else None
        assert member is None or reply.signed(session_key)
        return Session(self, relay, frame.conn, cookie, echo, member, session_key)

    def hold_blob(self, blob_id, content, target, seconds=3):
        """A relay's side of one delivery: an OFFER under this identifier, and these bytes
        for each PULL. Returns the codes of the RECEIPTs that come."""
        transfer, codes, again, end = os.urandom(16), [], 0, time.monotonic() + seconds
        offer = struct.pack(">8s16s32sQIHBB96s", bytes(8), transfer, blob_id, len(content), 30,
                            0, 1, 0, os.urandom(96))
        offer = Frame(OFFER, int.from_bytes(transfer[:8], "big"), offer,
                      ext=pad_ext(SEND_MIN - 16 - len(offer))).encode()
        while time.monotonic() < end and not codes:
            if time.monotonic() >= again:
                self.put(offer, target)
                again = time.monotonic() + 1
            frame, sender = self.get(0.1, (HELLO, PULL, RECEIPT))
            if frame is None:
                continue
            if frame.verb == HELLO:
                body = frame.body + bytes(24) + pack_addr(sender) + pack_addr(self.address)
                self.put(Frame(WELCOME, frame.conn, body + struct.pack(">I", 300),
                               ext=((VERSIONS, b"\x01"),)).encode(), sender)
            elif frame.verb == PULL:
                pull = Pull.of(frame)
                for chunk in pull.chunks():
                    body = bytes(8) + struct.pack(">QII", pull.stream, pull.number, chunk)
                    part = content[chunk * CHUNK:(chunk + 1) * CHUNK]
                    self.put(Frame(DATA, frame.conn, body, payload=part).encode(), sender)
            elif frame.body[16] != PROGRESS:
                codes.append(frame.body[16])
        return codes

    def send_blob(self, relay, content, target, claim=None, deadline=20, transfer=None, meta=b"f",
                  member=None, until=DELIVERED, or_until=DELIVERED):
        """A source's whole life: SEND until a final STATUS, or one that it waits for,
        serving PULLs and proving that it has what it uploads. `claim` is the content
        the identifier is computed from, if not the one uploaded.
        Returns the final status and the codes seen on the way."""
        session = self.hello(relay, member)
        blob_id = hashlib.sha256(content if claim is None else claim).digest()
        transfer = transfer or os.urandom(16)
        send = session.send_frame(blob_id, len(content), target, transfer, deadline, meta=meta)
        codes, again, end = [], 0, time.monotonic() + deadline
        while time.monotonic() < end:
            if time.monotonic() >= again:
                session.tell(send)
                again = time.monotonic() + 0.3
            frame, _ = self.get(0.1, (STATUS, PULL))
            session.check(frame)
            if frame is None:
                continue
            if frame.verb == PULL:
                session.serve(Pull.of(frame), content)
                continue
            status = Status.of(frame)
            codes.append(status.code)
            if status.code == CHALLENGED:
                proof = make_proof(status.challenge, blob_id, content)
                send = session.send_frame(blob_id, len(content), target, transfer, deadline,
                                          meta=meta, proof=proof)
                again = 0
            if status.code in (until, or_until, DELIVERED, REFUSED):
                return status, codes
        raise AssertionError(f"no final status; seen: {codes}")
