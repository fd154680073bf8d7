# SPDX-License-Identifier: BSD-3-Clause
"""Keys of domains, tokens and proofs of possession, as docs/protocol.md has them."""

import ctypes
import hashlib
import ipaddress
import os
import struct
from dataclasses import dataclass

CHUNK = 1152
EPOCH_SECONDS = 300
PROOF_CHUNKS = 20


def pack_addr(address):
    ip, port = address[:2]
    ip = ipaddress.ip_address(ip)
    return struct.pack(">BBH16s", ip.version, 0, port, ip.packed)


def unpack_addr(raw):
    kind, _, port = struct.unpack_from(">BBH", raw)
    return str(ipaddress.ip_address(raw[4:8] if kind == 4 else raw[4:20])), port


sodium = ctypes.CDLL("libsodium.so.23")


def siphash(data, key):
    """SipHash-2-4 with 128 bits of output."""
    out = ctypes.create_string_buffer(16)
    sodium.crypto_shorthash_siphashx24(out, data, ctypes.c_ulonglong(len(data)), key)
    return out.raw


def siphash_short(data, key):
    """SipHash-2-4 with 64 bits of output."""
    out = ctypes.create_string_buffer(8)
    sodium.crypto_shorthash(out, data, ctypes.c_ulonglong(len(data)), key)
    return out.raw


def derive(key, number, context):
    """16 bytes of libsodium's crypto_kdf_derive_from_key()."""
    out = ctypes.create_string_buffer(16)
    sodium.crypto_kdf_derive_from_key(out, ctypes.c_size_t(16), ctypes.c_uint64(number),
                                      context, key)
    return out.raw


@dataclass(frozen=True)
class Key:
    """One generation of a domain's or pair's key."""
    id: int
    generation: int
    secret: bytes

    @classmethod
    def make(cls, id, generation=1):
        return cls(id, generation, os.urandom(32))

    @property
    def field(self):
        return self.id << 8 | self.generation

    @property
    def line(self):
        return f"{self.id}.{self.generation} {self.secret.hex()}\n"

    def hello_proof(self, conn, nonce):
        return siphash(struct.pack(">Q8sI", conn, nonce, self.field),
                       derive(self.secret, 1, b"owhello1"))

    def session(self, conn, address):
        return siphash(struct.pack(">Q", conn) + pack_addr(address),
                       derive(self.secret, 1, b"owsessn1"))


def proof_chunks(challenge, length):
    """Which chunks a challenge picks."""
    chunks, picked, counter = -(-length // CHUNK), set(), 0
    if chunks <= PROOF_CHUNKS:
        return list(range(chunks))
    while len(picked) < PROOF_CHUNKS:
        number = siphash_short(struct.pack(">I", counter), challenge)
        picked.add(int.from_bytes(number, "big") % chunks)
        counter += 1
    return sorted(picked)


def make_proof(challenge, blob_id, content):
    """What only a holder of the content can answer; the value of a PROOF extension."""
    mac = hashlib.blake2b(blob_id, digest_size=16, key=challenge)
    for chunk in proof_chunks(challenge, len(content)):
        mac.update(content[chunk * CHUNK:(chunk + 1) * CHUNK])
    return challenge + mac.digest()


def mint_cookie(master, epoch, address, conn, key=0):
    """A genuine cookie of any epoch, by who knows the group's master key."""
    covered = struct.pack(">QI", conn, key) + pack_addr(address)
    return struct.pack(">H", epoch & 0xFFFF) + \
        siphash(covered, derive(master, epoch, b"owcookie"))[:14]


def mint_echo(master, second, address, conn, key=0):
    """A genuine echo of any second, likewise."""
    covered = struct.pack(">IIQ", second, key, conn) + pack_addr(address)
    return bytes([second & 0xFF]) + \
        siphash(covered, derive(master, second // EPOCH_SECONDS, b"owecho02"))[:7]
