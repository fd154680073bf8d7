#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A relay whose store is ten times its memory, under a mix of requests for a long time.

Blobs of the store are asked for by Zipf 0.99, each is pulled whole, and its bytes are compared;
every twentieth request uploads a blob that nobody has, so that the oldest go, and who went is
uploaded again when its turn comes. The relay's memory and the size of its folder are sampled.
Ends with 1 if any byte was wrong, if the memory grew in the second half of the time, or if the
folder was larger than its limits allow. As root.
"""

import argparse
import bisect
import hashlib
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))

from crash import content, roomy  # noqa: E402
from labtools import Lab  # noqa: E402
from peer import SERVING_PRIVATE, STORED, UPLOAD_WANTED, Gone, Peer  # noqa: E402

SLAB = 32 << 20
STORE = 10 * SLAB
SIZES = (300, 4_000, 30_000, 120_000, 400_000)
ASKERS = 3
SKEW = 0.99
NEW_EVERY = 20  # requests
FOLDER_MOST = STORE * 4 // 3 + (1 << 30)  # docs/operations.md
GROWTH = 1.05  # of memory, from the first half of the time to the second
GROWTH_BYTES = 8 << 20


class Population:
    """The blobs that are asked for: their seeds and sizes."""

    def __init__(self, seed):
        draw = random.Random(seed)
        self.blobs, total = [], 0
        while total < STORE * 9 // 10:
            self.blobs.append((draw.getrandbits(64), draw.choice(SIZES)))
            total += self.blobs[-1][1]
        self.below = list(itertools.accumulate((i + 1) ** -SKEW for i in range(len(self.blobs))))

    def pick(self, draw):
        return self.blobs[bisect.bisect(self.below, draw.uniform(0, self.below[-1] * 0.999999))]


class Asker(threading.Thread):
    def __init__(self, lab, population, seed, number):
        super().__init__()
        self.lab, self.population, self.random = lab, population, random.Random(seed)
        self.mine = population.blobs[number::ASKERS]
        self.filled = threading.Event()
        self.stop = threading.Event()
        self.hits = self.hit_bytes = self.uploads = self.gone = 0
        self.wrong, self.failed = [], []

    def send(self, source, seed, size, target, until):
        """As a source does, with the blob at hand. Was it uploaded?"""
        _, codes = source.send_blob(self.lab.relay("private"), content(seed, size), target,
                                    deadline=30, until=until, or_until=SERVING_PRIVATE)
        return UPLOAD_WANTED in codes

    def upload(self, seed, size):
        with Peer(self.lab.udp_socket("source")) as source:
            self.send(source, seed, size, (self.lab.address["target"], 4871), STORED)
        self.uploads += 1

    def check_gone(self, blob_id, begun):
        """It was the oldest: it is not there, or somebody brought it since."""
        done = self.lab.run("private", "oncewire", "store", "stat", blob_id.hex(), "--json")
        if done.returncode == 0 and json.loads(done.stdout)["stored"] < begun - 1:
            self.wrong.append(f"said to be gone, and is there: {blob_id.hex()}")

    def ask(self, seed, size):
        """Who asked and was told to upload does so: a source that goes then keeps others waiting
        for the blob, until the relay gives it up."""
        takes = self.target.hello(self.lab.relay("private"))
        takes.listen()
        begun, uploaded, offer = time.time(), False, None
        with Peer(self.lab.udp_socket("source")) as source:
            while offer is None:
                uploaded |= self.send(source, seed, size, self.target.address, SERVING_PRIVATE)
                offer = self.target.offered(hashlib.sha256(content(seed, size)).digest(), 0.5)
        try:
            got = offer.inline if offer.inline is not None else takes.fetch(offer)
        except Gone:
            self.gone += 1
            self.check_gone(offer.id, begun)
            return
        if got != content(seed, size):
            self.wrong.append(f"wrong bytes: seed {seed}")
        elif uploaded:
            self.uploads += 1
        else:
            self.hits += 1
            self.hit_bytes += size

    def run(self):
        # one, as a host's leases are bounded
        with roomy(Peer(self.lab.udp_socket("target"))) as self.target:
            self.requests()

    def requests(self):
        try:
            for blob in self.mine:
                self.upload(*blob)
            self.filled.set()
            for number in itertools.count():
                if self.stop.is_set():
                    return
                if number % NEW_EVERY == 0:
                    self.upload(self.random.getrandbits(64), self.random.choice(SIZES))
                else:
                    self.ask(*self.population.pick(self.random))
        except (AssertionError, OSError) as error:
            self.failed.append(repr(error))
            self.filled.set()


def memory(pid):
    """Bytes of the process in RAM, its slab included."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} is gone")


def folder_size(path):
    done = subprocess.run(["du", "-s", "--block-size=1", path], capture_output=True, text=True)
    return int(done.stdout.split()[0])  # files come and go meanwhile: its status says nothing


def watch(lab, askers, seconds):
    """Samples until the time is over: (memory, folder)."""
    pid, samples, end = lab.daemon_pid("private"), [], time.monotonic() + seconds
    while time.monotonic() < end and not any(a.failed for a in askers):
        samples.append((memory(pid), folder_size(lab.stores / "private")))
        time.sleep(min(2, seconds / 50))
    return samples


def judge(askers, samples):
    """What was wrong, in words."""
    half = len(samples) // 2
    before, after = (max(s[0] for s in part) for part in (samples[:half], samples[half:]))
    folder = max(s[1] for s in samples)
    print(f"memory at most {before >> 20} MiB in the first half, {after >> 20} in the second; "
          f"folder at most {folder >> 20} MiB of {FOLDER_MOST >> 20} allowed")
    problems = [f"failed: {error}" for a in askers for error in a.failed]
    problems += [wrong for a in askers for wrong in a.wrong]
    if after > before * GROWTH + GROWTH_BYTES:
        problems.append("the memory grew")
    if folder > FOLDER_MOST:
        problems.append("the folder is too large")
    return problems


def run(lab, seconds, seed):
    population = Population(seed)
    askers = [Asker(lab, population, seed * 1000 + i, i) for i in range(ASKERS)]
    for asker in askers:
        asker.start()
    try:
        for asker in askers:
            asker.filled.wait()
        samples = watch(lab, askers, seconds)
    finally:
        for asker in askers:
            asker.stop.set()
            asker.mine = []
        for asker in askers:
            asker.join()
    status = lab.status("private")
    print(f"{len(population.blobs)} blobs; {sum(a.hits for a in askers)} hits "
          f"({sum(a.hit_bytes for a in askers)} bytes), {sum(a.uploads for a in askers)} uploads, "
          f"{sum(a.gone for a in askers)} gone while they were pulled; "
          f"{status['loads']} pieces loaded, {status['evictions']} evicted, "
          f"{status['blobs_trimmed']} blobs trimmed")
    return judge(askers, samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=600, help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lab = Lab(f"mix-{os.getpid():x}", LAB_SLAB=str(SLAB), LAB_HUGEPAGES=0,
              LAB_STORE=f"max_bytes = {STORE}")
    lab.up()
    try:
        problems = run(lab, options.seconds, options.seed)
    finally:
        lab.down()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
