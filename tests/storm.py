#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Transfers in a storm: relays and targets are killed and come back, hosts stand still, links
lose their carrier or become bad ones, all at random, while files are sent.

Every file whose source lives must arrive, with the right bytes, and nothing else may appear
where files arrive. Some sources are killed; theirs need not arrive. What happened is counted.
Ends with 1 if something was lost or wrong. As root; the same --seed draws the same faults,
though they meet the transfers elsewhere.
"""

import argparse
import collections
import contextlib
import filecmp
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))

from labtools import Lab, Receiver  # noqa: E402

HOSTS = ("source", "target", "private", "central")
FIRST_PORT = 4871
PATIENCE = 300  # seconds without progress, for a transfer
NEW_BYTES = 1 << 30  # of all targets' new files: the relays must have room for them
UNREACHABLE = 3  # exit status of a source whose relay never answered, in some seconds
LINKS = ("delay=20ms,loss=2%", "delay=50ms,rate=20mbit,queue=100k", "delay=10ms,reorder=5%",
         "loss=20%", "delay=30ms,loss=3%,burst=8", "duplicate=5%,corrupt=1%",
         "rate=2mbit,queue=30k", "delay=40ms,jitter=20ms,loss=0.5%")


class Target:
    """A `oncewire recv` with a port of its own, and files that are named for their transfer."""

    def __init__(self, lab, folder, number):
        self.lab, self.number = lab, number
        self.out = folder / f"target{number}"
        self.out.mkdir()
        self.receiver = None
        self.start()

    @property
    def address(self):
        return f"{self.lab.address['target']}:{FIRST_PORT + self.number}"

    def start(self):
        self.receiver = Receiver(self.lab.popen("target", "oncewire", "recv", "--out", self.out,
                                                "--listen", self.address))

    def restart(self, after):
        self.receiver.process.kill()
        self.receiver.wait()
        time.sleep(after)
        self.start()

    def end(self):
        self.receiver.process.send_signal(signal.SIGTERM)
        self.receiver.wait()


class Storm:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.lab = Lab(f"storm-{os.getpid()}", LAB_SLAB="4G", LAB_HUGEPAGES=0)
        self.end = 0
        self.count = collections.Counter()
        self.slowest = 0.0
        self.wrong = []  # what went wrong, in words
        self.targets = []
        self.busy = {host: threading.Lock() for host in HOSTS}

    # ---- transfers ----

    def file(self, draw, name, known):
        """A new file, or one that was sent before, under a new name."""
        path = self.folder / name
        if known and (draw.random() < 0.4 or self.count["new bytes"] > NEW_BYTES):
            os.link(draw.choice(known), path)
        else:
            path.write_bytes(draw.randbytes(int(10 ** draw.uniform(0, 7.2))))
            self.count["new bytes"] += path.stat().st_size
            kept = self.folder / f"kept-{name}"
            os.link(path, kept)
            known.append(kept)
        return path

    def send(self, draw, path, target):
        """A source that cannot reach its relay at first says so, and its user tries again."""
        via = draw.choice(("private", "private", "central"))
        while True:
            began = time.monotonic()
            process = self.lab.popen("source", "oncewire", "send", path, "--to", target.address,
                                     "--via", via, "--timeout", PATIENCE, "--json")
            if draw.random() < 0.1:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(draw.uniform(0, 5))
                process.kill()
            out, err = process.communicate()
            self.slowest = max(self.slowest, time.monotonic() - began)
            if process.returncode != UNREACHABLE or time.monotonic() - began > PATIENCE:
                return process.returncode, out, err
            self.count["relay not reached, and tried again"] += 1

    def transfer(self, draw, number, name, known):
        target, path = self.targets[number], self.file(draw, name, known)
        code, out, err = self.send(draw, path, target)
        arrived = [p for p in target.out.iterdir() if p.name.startswith(pathlib.Path(name).stem)]
        for got in arrived:
            if not filecmp.cmp(path, got, shallow=False):
                self.wrong.append(f"{name}: {got.name} has other bytes")
        if code == -signal.SIGKILL:
            self.count["source killed"] += 1
        elif code != 0:
            self.wrong.append(f"{name}, {path.stat().st_size} bytes: ended with "
                              f"{code}: {err.strip()}")
        elif not arrived:
            self.wrong.append(f"{name}: delivered, but it is not there")
        else:
            self.count[json.loads(out)["outcome"]] += 1
            self.count["bytes"] += path.stat().st_size
        for got in arrived:
            got.unlink()
        path.unlink()

    def transfers(self, number):
        draw, known, i = random.Random(f"{self.options.seed} {number}"), [], 0
        while time.monotonic() < self.end:
            self.transfer(draw, number, f"t{number}-{i}-.bin", known)
            i += 1

    # ---- faults ----

    def impair(self, draw, host):
        with self.lab.impaired(host, draw.choice(LINKS), draw.choice(LINKS), draw.randrange(1000)):
            time.sleep(draw.uniform(3, 20))

    def pause(self, draw, host):
        seconds = 60 if draw.random() < 0.1 else draw.uniform(1, 15)
        _, complaint = (fault := self.lab.fault("pause", host, f"{seconds:.1f}")).communicate()
        # between two transfers there may be nothing to pause
        assert fault.returncode == 0 or "nothing runs" in complaint, complaint

    def carrier(self, draw, host):
        seconds = 25 if draw.random() < 0.2 else draw.uniform(1, 12)
        _, complaint = (fault := self.lab.fault("carrier", host, f"{seconds:.1f}")).communicate()
        assert fault.returncode == 0, complaint

    def kill(self, draw, host):
        after = draw.uniform(0, 5)
        if host == "target":
            draw.choice(self.targets).restart(after)
        else:
            self.lab.stop_relay(host, draw.choice((signal.SIGKILL, signal.SIGTERM)))
            time.sleep(after)
            self.lab.start_relay(host)

    def faults(self, number):
        draw = random.Random(f"{self.options.seed} faults {number}")
        while time.monotonic() < self.end:
            kind = draw.choice((self.impair, self.pause, self.carrier, self.kill))
            host = draw.choice(HOSTS[1:] if kind == self.kill else HOSTS)
            if self.busy[host].acquire(blocking=False):
                try:
                    kind(draw, host)
                    self.count[f"{kind.__name__} {host}"] += 1
                finally:
                    self.busy[host].release()
            time.sleep(draw.uniform(0, 6))

    # ---- all ----

    def guarded(self, work, number):
        try:
            work(number)
        except BaseException as failure:  # a thread's end is not seen otherwise
            self.wrong.append(f"{work.__name__}: {failure!r}")

    def run(self):
        self.lab.up()
        try:
            self.targets = [Target(self.lab, self.folder, n)
                            for n in range(self.options.transfers)]
            self.end = time.monotonic() + self.options.seconds
            threads = [threading.Thread(target=self.guarded, args=(work, n))
                       for work, n in [(self.transfers, n) for n in range(self.options.transfers)]
                       + [(self.faults, n) for n in range(self.options.faults)]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for target in self.targets:
                target.end()
                self.wrong += [f"{left.name} was left behind" for left in target.out.iterdir()
                               if not left.name.startswith(("t", ".oncewire-"))]
            for role in ("private", "central"):
                self.lab.status(role)  # asserts its health
        finally:
            for target in self.targets:
                target.receiver.__exit__()
            self.lab.down()

    def report(self):
        for name, count in sorted(self.count.items()):
            print(f"{count:>12} {name}")
        print(f"{self.slowest:>12.1f} s, the longest transfer")
        for line in self.wrong:
            print(f"wrong: {line}")
        print(f"{len(self.wrong)} lost or wrong")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="%(default)s")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="(the time)")
    parser.add_argument("--transfers", type=int, default=3, help="at once (%(default)s)")
    parser.add_argument("--faults", type=int, default=2, help="at once (%(default)s)")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(options, pathlib.Path(folder))
        storm.run()
        storm.report()
    return 1 if storm.wrong or not storm.count["bytes"] else 0


if __name__ == "__main__":
    sys.exit(main())
