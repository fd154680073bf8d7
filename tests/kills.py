#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kills a source, a target or their relay (kill -9) at random moments of an upload or of a
delivery, runs the same command again, and looks at what that moved.

Each time the file must arrive with the right bytes, once, and nothing may be left where files
arrive; what went over the link of either end, in both runs together, is compared with a transfer
that nothing disturbed. Prints the greater ratio. Ends with 1 if something was lost or wrong, or
if more than --more percent too much went over a link in the median. As root.
"""

import argparse
import filecmp
import json
import os
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))

from labtools import Lab, Receiver, visible  # noqa: E402

ENDS = ("source", "target")
KINDS = ("source-upload", "target-upload", "relay-upload",
         "source-delivery", "target-delivery", "relay-delivery")
PATIENCE = 60  # seconds without progress
PORT = 4871


def link_bytes(lab, host):
    """Both ways, since it was made."""
    links = json.loads(lab.run(host, "ip", "-j", "-s", "link", check=True).stdout)
    return sum(link["stats64"][way]["bytes"] for link in links if link["ifname"] != "lo"
               for way in ("rx", "tx"))


class Kills:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.random = random.Random(options.seed)
        self.wrong = []
        self.lab = Lab(f"kills{os.getpid()}", LAB_HUGEPAGES=0, LAB_SLAB="256M")
        self.lab.up()

    def file(self):
        path = self.folder / "file.bin"
        path.write_bytes(self.random.randbytes(self.options.bytes))
        return path

    def receive(self, out):
        return Receiver(self.lab.popen("target", "oncewire", "recv", "--out", out, "--count", 1,
                                       "--timeout", 4 * PATIENCE, "--json"))

    def send(self, path):
        return self.lab.popen("source", "oncewire", "send", path, "--to",
                              self.lab.address["target"], "--via", "private", "--timeout",
                              PATIENCE, "--json")

    def transfer(self, kind, at=None):
        """One, and what is killed after `at` seconds. Bytes on the link of each end; seconds."""
        who, phase = kind.split("-")
        path, out = self.file(), pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        if phase == "delivery":
            self.lab.deliver(path, "private", pathlib.Path(tempfile.mkdtemp(dir=self.folder)))
        slow = "source" if phase == "upload" else "target"
        before, start = [link_bytes(self.lab, host) for host in ENDS], time.monotonic()
        with self.lab.impaired(slow, self.options.link, self.options.link):
            receiver, sender, had_it = self.receive(out), self.send(path), False
            if at is not None:
                time.sleep(at)
                receiver, sender, had_it = self.kill(who, receiver, sender, path, out)
            text, err = sender.communicate(timeout=3 * PATIENCE)
            took = time.monotonic() - start
            if sender.returncode != 0:
                self.wrong.append(f"{kind} at {at}: {text} {err}")
                receiver.process.kill()
            if had_it:
                receiver.process.terminate()
            receiver.wait()
        self.look(kind, at, path, out)
        return [link_bytes(self.lab, host) - had for host, had in zip(ENDS, before)], took

    def kill(self, who, receiver, sender, path, out):
        """Those that go on, and whether the target had it all: then another may get nothing."""
        if who == "relay":
            self.lab.stop_relay("private", signal.SIGKILL)
            self.lab.start_relay("private")
            return receiver, sender, False
        if who == "target":
            receiver.process.kill()
            receiver.wait()
            had_it = bool(visible(out))
            if had_it:
                print("the target had it", flush=True)
            return self.receive(out), sender, had_it
        sender.kill()
        sender.communicate()
        return receiver, self.send(path), False

    def look(self, kind, at, path, out):
        there = list(out.iterdir())
        if len(there) != 1 or not filecmp.cmp(path, there[0], shallow=False):
            self.wrong.append(f"{kind} at {at}: {[(t.name, t.stat().st_size) for t in there]}")
        for file in there:
            os.unlink(file)

    def run(self, kind):
        clean = [self.transfer(kind) for _ in range(3)]
        took = statistics.median(seconds for _, seconds in clean)
        least = [statistics.median(column) for column in zip(*(counts for counts, _ in clean))]
        ratios = []
        for _ in range(self.options.moments):
            at = self.random.uniform(0.02, 0.98) * took
            # of a hit the source's link has next to nothing
            ratios.append(max(had / clean for had, clean in zip(self.transfer(kind, at)[0], least)
                              if clean > self.options.bytes / 2))
            print(f"{kind}: killed after {at:.2f} of {took:.2f} s: {ratios[-1]:.4f}", flush=True)
        ratios.sort()
        over = sum(ratio > 1 + self.options.more / 100 for ratio in ratios)
        print(f"{kind}: median {statistics.median(ratios):.4f}, most {ratios[-1]:.4f}, "
              f"{over} of {len(ratios)} over {1 + self.options.more / 100}", flush=True)
        return statistics.median(ratios) <= 1 + self.options.more / 100

    def all(self):
        try:
            return all([self.run(kind) for kind in self.options.kinds]) and not self.wrong
        finally:
            self.lab.down()
            for line in self.wrong:
                print(f"wrong: {line}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS) + " (all)")
    parser.add_argument("--moments", type=int, default=50, help="of each kind (%(default)s)")
    parser.add_argument("--bytes", type=int, default=20_000_000, help="of a file (%(default)s)")
    parser.add_argument("--link", default="delay=10ms,rate=50mbit,queue=60k", help="%(default)s")
    parser.add_argument("--more", type=float, default=2, help="percent (%(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="(the time)")
    options = parser.parse_args()
    options.kinds = options.kinds or KINDS
    for kind in options.kinds:
        if kind not in KINDS:
            parser.error(f"there is no {kind}: one of {', '.join(KINDS)}")
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return 0 if Kills(options, pathlib.Path(folder)).all() else 1


if __name__ == "__main__":
    sys.exit(main())
