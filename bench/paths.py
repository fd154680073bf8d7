# SPDX-License-Identifier: BSD-3-Clause
"""What bench/wan, bench/share and bench/trace have in common: the paths that people have, and a
lab whose transfers can be watched."""

import filecmp
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import rig
from rig import LAB

FIRST_PORT = 4871
ONCEWIRE_SHARE = 1152 / 1234
TCP_SHARE = 1448 / 1514


def path(rtt, rate, queue, **faults):
    """rtt in ms, rate in Mb/s, queue in KB."""
    return {"rtt": rtt, "rate": rate, "queue": queue, **faults}


CELLS = {
    # no loss: queues of 30 KB to 4 BDP
    "2ms-100m": path(2, 100, 100),
    "2ms-20m": path(2, 20, 60),
    "10ms-2m-q30k": path(10, 2, 30),
    "40ms-2m-q30k": path(40, 2, 30),
    "40ms-20m": path(40, 20, 100),
    "40ms-50m-q256k": path(40, 50, 256),
    "40ms-100m-4bdp": path(40, 100, 2000),
    "100ms-20m": path(100, 20, 250),
    "100ms-100m-quarter": path(100, 100, 312),
    "200ms-2m": path(200, 2, 50),
    "200ms-20m": path(200, 20, 500),
    "200ms-100m": path(200, 100, 2500),
    # loss, each way
    "40ms-50m-0.1%": path(40, 50, 256, loss=0.1),
    "200ms-100m-0.1%": path(200, 100, 2500, loss=0.1),
    "2ms-100m-1%": path(2, 100, 100, loss=1),
    "40ms-2m-1%": path(40, 2, 30, loss=1),
    "40ms-20m-1%": path(40, 20, 100, loss=1),
    "40ms-50m-1%": path(40, 50, 256, loss=1),
    "100ms-50m-1%": path(100, 50, 625, loss=1),
    "100ms-100m-1%": path(100, 100, 1250, loss=1),
    "200ms-20m-1%": path(200, 20, 500, loss=1),
    "2ms-20m-5%": path(2, 20, 60, loss=5),
    "20ms-20m-5%": path(20, 20, 100, loss=5),
    "40ms-100m-5%": path(40, 100, 500, loss=5),
    "200ms-20m-5%": path(200, 20, 500, loss=5),
    "40ms-20m-20%": path(40, 20, 100, loss=20),
    # other faults
    "40ms-50m-reorder": path(40, 50, 256, reorder=5),
    "200ms-20m-reorder": path(200, 20, 500, reorder=5),
    "60ms-30m-burst8": path(60, 30, 250, loss=2, burst=8),
    "100ms-20m-burst20": path(100, 20, 250, loss=2, burst=20),
    "40ms-50m-jitter": path(40, 50, 256, jitter=10),
    "40ms-20m-mess": path(40, 20, 100, loss=0.5, reorder=2, duplicate=1, corrupt=0.1, jitter=3),
}


def faults(cell):
    """The cell for tools/lab impair."""
    words = [f"delay={cell['rtt'] / 2}ms", f"rate={cell['rate']}mbit", f"queue={cell['queue']}k"]
    words += [f"{key}={cell[key]}%" for key in ("loss", "reorder", "duplicate", "corrupt")
              if key in cell]
    words += [f"burst={cell['burst']}"] if "burst" in cell else []
    words += [f"jitter={cell['jitter']}ms"] if "jitter" in cell else []
    return ",".join(words)


class Transfer:
    """A file on its way from the source over the private relay to the target, or another host,
    where each number has a port of its own. What happens is watched at both ends, "recv" and
    "send"."""

    def __init__(self, lab, file, number=0, host="target", receiver=("goodput", "recv")):
        self.lab, self.file = lab, file
        self.inbox = tempfile.TemporaryDirectory(dir=lab.folder.name)
        target = f"{lab.address[host]}:{FIRST_PORT + number}"
        self.processes, self.logs = {}, {}
        self.begin("recv", host, *receiver, self.inbox.name, target)
        time.sleep(0.3)
        self.begin("send", "source", "goodput", "send", lab.address["private"], target, file)

    def begin(self, end, host, program, *words):
        self.logs[end] = pathlib.Path(self.inbox.name + "." + end)
        with open(self.logs[end], "w") as out:
            self.processes[end] = self.lab.popen(host, self.lab.build / "bench" / program, *words,
                                                 stdout=out)

    def done(self, end):
        return "done" in self.logs[end].read_text()

    def wait(self, end, seconds):
        last = time.monotonic() + seconds
        while time.monotonic() < last and not self.done(end) and \
                self.processes[end].poll() is None:
            time.sleep(0.1)

    def samples(self, end):
        """(seconds, bytes) at one of the ends."""
        lines = self.logs[end].read_text().splitlines()
        return [(float(at), int(count)) for at, count in
                (line.split() for line in lines if line[:1].isdigit())]

    def end(self):
        """Stops it. Returns whether the file has arrived, whole."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(30)
        whole = any(filecmp.cmp(self.file, got, shallow=False)
                    for got in pathlib.Path(self.inbox.name).iterdir())
        if self.done("recv") and not whole:
            raise RuntimeError("a file arrived that is not the one that was sent")
        self.inbox.cleanup()
        return whole


class Paths(rig.Rig):
    """A lab whose links can be paths. options: build, seed."""

    def __init__(self, options):
        super().__init__(options.build, 0)
        self.env["LAB_SLAB"] = "4G"
        self.options = options
        self.stored = {}
        self.outbox = pathlib.Path(self.folder.name, "outbox")

    def start(self):
        self.up()
        self.outbox.mkdir()
        for host in ("target", "private"):
            for what in ("rmem", "wmem"):
                self.lab("exec", host, "sysctl", "-qw",
                         f"net.ipv4.tcp_{what}=4096 262144 67108864")

    def popen(self, host, *words, stdout=subprocess.DEVNULL):
        return subprocess.Popen([LAB, "exec", host, *map(str, words)], env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=stdout,
                                stderr=subprocess.DEVNULL)

    # ---- blobs ----

    def blob(self, size):
        """A new file of random bytes."""
        made = self.outbox / f"{time.monotonic_ns():x}"
        with open(made, "wb") as out:
            while size > 0:
                size -= out.write(os.urandom(min(size, 1 << 20)))
        return made

    def stored_blob(self, size):
        """A file that the private relay has already."""
        if size not in self.stored:
            self.stored[size] = self.blob(size)
            transfer = Transfer(self, self.stored[size])
            transfer.wait("send", 120)
            if not transfer.end():
                raise RuntimeError("the clean lab did not carry a blob in two minutes")
        return self.stored[size]

    # ---- links ----

    def impair(self, link, cell):
        words = faults(cell)
        self.lab("impair", link, "--to", words, "--from", words, "--seed", self.options.seed)

    def repair(self, link):
        return json.loads(self.lab("impair", link, "off"))

    @staticmethod
    def queue_of(counts):
        return {"frames": counts["frames"], "full": counts["full"],
                "queue_ms": counts["queue_mean_us"] * 1e-3}
