#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sends a sparse file of many GiB, which few disks have, from a source by a private relay to a target:
first its upload, streamed, then a hit.

Prints seconds, and the most memory that source, relay and target had of their own. Ends with 1 if a
byte is wrong, or if the source or the target took more than --most MiB. Relay and target
write all of it: each needs as much disk as the file is long, the relay below
/var/tmp/oncewire-lab, the target in --folder. As root.
"""

import argparse
import filecmp
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lab"))

from labtools import Lab, Receiver  # noqa: E402

GIB = 1 << 30
MARKS = 64  # of random bytes in the file
STORES = pathlib.Path("/var/tmp/oncewire-lab")


class Memory:
    """The most that each of some processes has had, in MiB: its own, without files' pages."""

    def __init__(self, pids):
        self.pids, self.most = pids, dict.fromkeys(pids, 0)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def look(self, name):
        try:
            status = pathlib.Path(f"/proc/{self.pids[name]}/status").read_text()
        except OSError:
            return  # it has ended
        for line in status.splitlines():
            if line.startswith("RssAnon:"):
                self.most[name] = max(self.most[name], int(line.split()[1]) / 1024)

    def watch(self):
        while not self.over.wait(0.2):
            for name in self.pids:
                self.look(name)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def sparse(path, length):
    with open(path, "wb") as file:
        file.truncate(length)
        for i in range(MARKS):
            file.seek(min(length * i // MARKS + 12345 * i, length - 4096))
            file.write(os.urandom(4096))


def room_check(folder, length):
    STORES.mkdir(exist_ok=True)
    shared = os.stat(STORES).st_dev == os.stat(folder).st_dev
    for where in (STORES, folder):
        free = shutil.disk_usage(where).free
        if free < length * (2 if shared else 1) + 2 * GIB:
            return f"{where} has {free / GIB:.0f} GiB free: set a smaller --gib"
    return None


def transfer(lab, path, folder, patience):
    out = pathlib.Path(tempfile.mkdtemp(dir=folder))
    start = time.monotonic()
    receiver = Receiver(lab.popen("target", "oncewire", "recv", "--out", out, "--count", 1,
                                  "--timeout", patience, "--json"))
    sender = lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"],
                       "--via", "private", "--timeout", 120, "--json")
    pids = {"source": sender.pid, "target": receiver.process.pid,
            "relay": lab.daemon_pid("private")}
    try:
        with Memory(pids) as memory:
            text, err = sender.communicate(timeout=patience)
            if sender.returncode != 0:
                raise RuntimeError(f"send ended with {sender.returncode}: {text} {err}")
            [got] = receiver.files()
            receiver.wait()
    finally:
        for process in sender, receiver.process:
            process.kill()
            process.wait()
    took = time.monotonic() - start
    print(f"{json.loads(text)['outcome']}: {took:.0f} s; MiB: " +
          ", ".join(f"{name} {most:.0f}" for name, most in memory.most.items()), flush=True)
    same = filecmp.cmp(path, got["path"], shallow=False)
    shutil.rmtree(out)
    return same, memory.most


def run(options):
    length = int(options.gib * GIB)
    folder = pathlib.Path(tempfile.mkdtemp(dir=options.folder))
    reason = room_check(folder, length)
    if reason:
        print(reason)
        shutil.rmtree(folder)
        return False
    lab = Lab(f"large{os.getpid()}", LAB_HUGEPAGES=0, LAB_SLAB="512M")
    fine = True
    try:
        lab.up()
        path = folder / "file.bin"
        sparse(path, length)
        for _ in range(2):
            same, most = transfer(lab, path, folder, 120 + 60 * options.gib)
            fine = fine and same and max(most["source"], most["target"]) <= options.most
            if not same:
                print("wrong: the target's file differs")
    finally:
        lab.down()
        shutil.rmtree(folder)
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=64, help="of the file (%(default)s)")
    parser.add_argument("--folder", default="/var/tmp", help="%(default)s")
    parser.add_argument("--most", type=float, default=64, help="MiB (%(default)s)")
    return 0 if run(parser.parse_args()) else 1


if __name__ == "__main__":
    sys.exit(main())
