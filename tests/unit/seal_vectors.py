#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints seal_vectors.h: encrypted content as docs/protocol.md says it is made,
computed here from its parts (RFC 8439, draft-irtf-cfrg-xchacha, BLAKE2b), without
libsodium. Usage: seal_vectors.py > seal_vectors.h"""

import hashlib
import struct

MASK = 0xffffffff
SEGMENT = 65536


def rotate(value, bits):
    return (value << bits | value >> (32 - bits)) & MASK


def rounds(state):
    """The twenty rounds of ChaCha20, without the addition at their end."""
    x = list(state)
    columns = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
    diagonals = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            x[a] = (x[a] + x[b]) & MASK
            x[d] = rotate(x[d] ^ x[a], 16)
            x[c] = (x[c] + x[d]) & MASK
            x[b] = rotate(x[b] ^ x[c], 12)
            x[a] = (x[a] + x[b]) & MASK
            x[d] = rotate(x[d] ^ x[a], 8)
            x[c] = (x[c] + x[d]) & MASK
            x[b] = rotate(x[b] ^ x[c], 7)
    return x


def initial(key, sixteen):
    return struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + \
        struct.unpack("<4I", sixteen)


def hchacha20(key, nonce16):
    x = rounds(initial(key, nonce16))
    return struct.pack("<8I", *(x[:4] + x[12:]))


def block(key, counter, nonce12):
    start = initial(key, struct.pack("<I", counter) + nonce12)
    return struct.pack("<16I", *((a + b) & MASK for a, b in zip(rounds(start), start)))


def chacha20(key, nonce12, data):
    out = bytearray()
    for at in range(0, len(data), 64):
        stream = block(key, 1 + at // 64, nonce12)
        out += bytes(a ^ b for a, b in zip(data[at:at + 64], stream))
    return bytes(out)


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at:at + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def pad16(data):
    return data + bytes(-len(data) % 16)


def xchacha20poly1305(key, nonce24, data, ad):
    """Ciphertext, then tag."""
    subkey, nonce12 = hchacha20(key, nonce24[:16]), bytes(4) + nonce24[16:]
    sealed = chacha20(subkey, nonce12, data)
    mac = pad16(ad) + pad16(sealed) + struct.pack("<QQ", len(ad), len(sealed))
    return sealed + poly1305(block(subkey, 0, nonce12)[:32], mac)


def subkey(key, number):
    """crypto_kdf_derive_from_key"""
    return hashlib.blake2b(b"", digest_size=32, key=key, salt=struct.pack("<QQ", number, 0),
                           person=b"owseal01" + bytes(8)).digest()


def shared_key(secret, plain):
    of = hashlib.sha256(plain).digest() + struct.pack(">Q", len(plain))
    return hashlib.blake2b(of, digest_size=32, key=secret).digest()


def header(key):
    return b"oncewire\x01\x10" + bytes(6) + subkey(key, 3)


def encrypt(key, plain):
    out = header(key)
    count = max(1, -(-len(plain) // SEGMENT))
    for number in range(count):
        nonce = bytes(15) + struct.pack(">QB", number, number + 1 == count)
        part = plain[number * SEGMENT:(number + 1) * SEGMENT]
        out += xchacha20poly1305(subkey(key, 1), nonce, part, header(key))
    return out


def encrypt_meta(key, nonce, meta):
    return nonce + xchacha20poly1305(subkey(key, 2), nonce, meta, header(key))


def show(name, data):
    rows = [data[at:at + 12] for at in range(0, len(data), 12)]
    print(f"static const uint8_t {name}[] = {{")
    for row in rows:
        print("\t" + " ".join(f"0x{byte:02x}," for byte in row))
    print("};")


def main():
    secret = bytes(range(32))
    plain = bytes(at * at >> 3 & 0xff for at in range(SEGMENT + 100))
    print("/* SPDX-License-Identifier: BSD-3-Clause\n * Made by seal_vectors.py: the content "
          "secret is 00 01 .. 1f, byte i of a\n * file is i * i >> 3.\n */")
    print("#ifndef TESTS_SEAL_VECTORS_H\n#define TESTS_SEAL_VECTORS_H\n\n#include <stdint.h>\n")
    print("/* clang-format off */")
    key = shared_key(secret, plain[:11])
    show("vector_key_11", key)
    show("vector_sealed_0", encrypt(shared_key(secret, b""), b""))
    show("vector_sealed_11", encrypt(key, plain[:11]))
    print("/* SHA-256 of the ciphertexts of 65536 and 65636 bytes. */")
    for length in (SEGMENT, SEGMENT + 100):
        sealed = encrypt(shared_key(secret, plain[:length]), plain[:length])
        show(f"vector_id_{length}", hashlib.sha256(sealed).digest())
    print('/* "a.txt" under vector_key_11, its nonce is 40 41 .. 57. */')
    show("vector_meta", encrypt_meta(key, bytes(range(0x40, 0x58)), b"a.txt"))
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
