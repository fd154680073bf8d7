#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A relay that dies again and again while several sources upload to it.

Each time it gets `kill -9`, at a random moment, and is started again. Whatever it had reported
stored must be there then: it is asked for, and must come to the target whole, without an
upload. Counts are printed. Ends with 1 if a blob was lost or wrong. As root; the same --seed
draws the same sizes and moments, though they meet the uploads elsewhere.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import random
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))

from labtools import Lab  # noqa: E402
from peer import (OFFER, PULL, SERVING_PRIVATE, STATUS, STORED, UPLOAD_WANTED,  # noqa: E402
                  Offer, Peer, Status)

SIZES = (1, 500, 4_000, 30_000, 120_000, 900_000, 2_000_000)
SOURCES = 3
SO_RCVBUFFORCE = 33  # of Linux: above what hosts allow to all
CHECK_MOST = 12  # blobs asked for after each crash: the newest, and some of the older ones


class Uploader(threading.Thread):
    """Uploads blobs of its own, one after the other, and remembers those reported stored."""

    def __init__(self, lab, role, seed):
        super().__init__()
        self.lab, self.role, self.random = lab, role, random.Random(seed)
        self.stored, self.sent, self.stop = [], 0, threading.Event()

    def blob(self):
        """Its seed: the bytes follow from it, so that they need not be kept."""
        return self.random.getrandbits(64), self.random.choice(SIZES)

    def run(self):
        while not self.stop.is_set():
            seed, size = self.blob()
            source = Peer(self.lab.udp_socket("source"))
            try:
                self.sent += 1
                final, _ = source.send_blob(self.lab.relay(self.role), content(seed, size),
                                            (self.lab.address["target"], 4871), deadline=3,
                                            until=STORED)
                if final.code == STORED:
                    self.stored.append((seed, size))
            except (AssertionError, OSError):
                time.sleep(0.02)  # the relay is not there
            finally:
                source.sock.close()


def content(seed, size):
    return random.Random(seed).randbytes(size)


def roomy(peer):
    """With place for all that one PULL brings, whenever it is read."""
    peer.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    return peer


def fetch(relay, source, target, expected):
    """What the target gets of a blob that nobody uploads; None: the relay does not have it."""
    takes = target.hello(relay)
    takes.listen()
    asks = source.hello(relay)
    send = asks.send_frame(hashlib.sha256(expected).digest(), len(expected), target.address)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        asks.tell(send)
        frame, _ = source.get(0.3, (STATUS, PULL))
        if frame is None or frame.verb == PULL:
            continue
        code = Status.of(frame).code
        if code == UPLOAD_WANTED:
            return None
        if code == SERVING_PRIVATE:
            offer, _ = target.get(0.3, (OFFER,))
            if offer is not None:
                offer = Offer.of(offer)
                return offer.inline if offer.inline is not None else takes.fetch(offer)
    raise AssertionError("no answer")


class Crash:
    def __init__(self, lab, role, seed):
        self.lab, self.role, self.random = lab, role, random.Random(seed)
        self.uploaders = [Uploader(lab, role, seed * 1000 + i) for i in range(SOURCES)]
        self.checked = collections.Counter()
        self.lost, self.corrupt, self.crashes = [], [], 0

    def stored(self):
        return [blob for uploader in self.uploaders for blob in list(uploader.stored)]

    def check(self, seed, size):
        """Asks for the blob as a source that has nothing to upload, and pulls it."""
        expected = content(seed, size)
        with Peer(self.lab.udp_socket("source")) as source, \
                roomy(Peer(self.lab.udp_socket("target"))) as target:
            got = fetch(self.lab.relay(self.role), source, target, expected)
        self.checked["blobs"] += 1
        self.checked["bytes"] += size
        if got is None:
            self.lost.append((seed, size))
        elif got != expected:
            self.corrupt.append((seed, size))

    def check_some(self, most):
        blobs = self.stored()
        newest = blobs[-most // 2:]
        for blob in {*newest, *self.random.sample(blobs, min(len(blobs), most // 2))}:
            self.check(*blob)

    def round(self):
        time.sleep(self.random.uniform(0.02, 0.6))
        self.lab.stop_relay(self.role, signal.SIGKILL)
        self.crashes += 1
        self.lab.start_relay(self.role)
        self.check_some(CHECK_MOST)

    def run(self, rounds, until=float("inf"), last=sys.maxsize):
        """last: how many of all blobs are asked for at the end."""
        for uploader in self.uploaders:
            uploader.start()
        try:
            while self.crashes < rounds and time.monotonic() < until:
                self.round()
        finally:
            for uploader in self.uploaders:
                uploader.stop.set()
            for uploader in self.uploaders:
                uploader.join()
        blobs = self.stored()
        for blob in self.random.sample(blobs, min(len(blobs), last)):
            self.check(*blob)

    def summary(self):
        sent = sum(uploader.sent for uploader in self.uploaders)
        return (f"{self.crashes} crashes, {sent} uploads begun, {len(self.stored())} blobs reported "
                f"stored, {self.checked['blobs']} asked for afterwards ({self.checked['bytes']} "
                f"bytes): {len(self.lost)} lost, {len(self.corrupt)} corrupt")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000, help="crashes (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lab = Lab(f"crash-{os.getpid():x}", LAB_SLAB="64M", LAB_HUGEPAGES=0)
    lab.up()
    try:
        crash = Crash(lab, "private", options.seed)
        crash.run(options.rounds, time.monotonic() + options.seconds)
        print(crash.summary())
    finally:
        lab.down()
    return 1 if crash.lost or crash.corrupt else 0


if __name__ == "__main__":
    sys.exit(main())
