#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A relay that dies again and again while several sources upload to it.

Each time it gets `kill -9`, at a random moment, and is started again. Whatever it had reported
stored must be there then: it is asked for, and must come to the target whole, without an
upload. With --power its machine loses power: what its disk, an ext4 of its own, was not told to
keep is gone. Counts are printed. Ends with 1 if a blob was lost, which it may be if `sync` is
"os" and power is, or wrong. As root; the same --seed draws the same sizes and moments, though
they meet the uploads elsewhere.
"""

import argparse
import collections
import contextlib
import hashlib
import os
import pathlib
import random
import signal
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))

from labtools import Lab  # noqa: E402
from peer import (PULL, SERVING_PRIVATE, STATUS, STORED, UPLOAD_WANTED, Peer,  # noqa: E402
                  Status)
from volume import Volume  # noqa: E402

SIZES = (1, 500, 4_000, 30_000, 120_000, 900_000, 2_000_000,
         18_000_000)  # whose blocks do not go by the engine's log
WEIGHTS = (4, 4, 4, 4, 4, 4, 4, 1)
DISK = "8G"  # at most: files of what is not there take no room
SOURCES = 3
SO_RCVBUFFORCE = 33  # of Linux: above what hosts allow to all
BEHIND = 0.2  # seconds
CHECK_MOST = 12  # blobs asked for after each crash: the newest, and some of the older ones


class Uploader(threading.Thread):
    """Uploads blobs of its own, one after the other, and remembers those reported stored."""

    def __init__(self, lab, role, seed):
        super().__init__()
        self.lab, self.role, self.random = lab, role, random.Random(seed)
        self.stored, self.sent, self.stop = [], 0, threading.Event()
        self.told = []  # when it was, of each

    def blob(self):
        """Its seed: the bytes follow from it, so that they need not be kept."""
        return self.random.getrandbits(64), self.random.choices(SIZES, WEIGHTS)[0]

    def run(self):
        while not self.stop.is_set():
            seed, size = self.blob()
            source = Peer(self.lab.udp_socket("source"))
            try:
                self.sent += 1
                final, _ = source.send_blob(self.lab.relay(self.role), content(seed, size),
                                            (self.lab.address["target"], 4871), deadline=5,
                                            until=STORED)
                if final.code == STORED:
                    self.told.append(time.monotonic())
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
    blob_id = hashlib.sha256(expected).digest()
    send = asks.send_frame(blob_id, len(expected), target.address)
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
            offer = target.offered(blob_id, 0.3)
            if offer is not None:
                return offer.inline if offer.inline is not None else takes.fetch(offer)
    raise AssertionError("no answer")


class Crash:
    """The process dies; with a volume, on which its store is, the machine loses power."""

    def __init__(self, lab, role, seed, volume=None):
        self.lab, self.role, self.random = lab, role, random.Random(seed)
        self.volume = volume
        self.target = roomy(Peer(lab.udp_socket("target")))  # one: a host's leases are bounded
        self.uploaders = [Uploader(lab, role, seed * 1000 + i) for i in range(SOURCES)]
        self.checked = collections.Counter()
        self.lost, self.corrupt, self.crashes = [], [], 0
        self.dark = []  # when there was no power, and the relay still a process

    def counts(self, told):
        """A machine without power tells nobody anything. Here an fdatasync that was under way
        when it went may return as if all were well: ext4 does so with a plain file, too."""
        return not any(begin <= told <= end for begin, end in self.dark)

    def stored(self):
        return [blob for uploader in self.uploaders
                for blob, told in list(zip(uploader.stored, uploader.told)) if self.counts(told)]

    def check(self, seed, size):
        """Asks for the blob as a source that has nothing to upload, and pulls it."""
        expected = content(seed, size)
        with Peer(self.lab.udp_socket("source")) as source:
            got = fetch(self.lab.relay(self.role), source, self.target, expected)
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

    def lose_power(self):
        begin = time.monotonic()
        self.volume.power_off()
        self.lab.stop_relay(self.role, signal.SIGKILL)
        # the sources' threads may be behind
        self.dark.append((begin, time.monotonic() + BEHIND))
        self.volume.power_on()

    def round(self):
        time.sleep(self.random.uniform(0.02, 0.6))
        if self.volume:
            self.lose_power()
        else:
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
        self.target.sock.close()

    def failed(self, may_lose=False):
        return bool(self.corrupt or (self.lost and not may_lose))

    def summary(self):
        sent = sum(uploader.sent for uploader in self.uploaders)
        return (f"{self.crashes} crashes, {sent} uploads begun, {len(self.stored())} blobs reported "
                f"stored, {self.checked['blobs']} asked for afterwards ({self.checked['bytes']} "
                f"bytes): {len(self.lost)} lost, {len(self.corrupt)} corrupt")


def run(options, lab):
    end = time.monotonic() + options.seconds
    with contextlib.ExitStack() as stack:
        volume = None
        if options.power:
            folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
            volume = stack.enter_context(Volume(lab, "private", folder / "disk", DISK))
        crash = Crash(lab, "private", options.seed, volume)
        crash.run(options.rounds, end)
    print(crash.summary())
    return crash.failed(may_lose=options.power and options.sync == "os")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000, help="crashes (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--power", action="store_true", help="its machine loses power")
    parser.add_argument("--sync", default="group", choices=("always", "group", "os"),
                        help="of its store (default %(default)s)")
    options = parser.parse_args()
    lab = Lab(f"crash-{os.getpid():x}", LAB_SLAB="64M", LAB_HUGEPAGES=0,
              LAB_STORE=f"sync = {options.sync}")
    lab.up()
    try:
        return run(options, lab)
    finally:
        lab.down()


if __name__ == "__main__":
    sys.exit(main())
