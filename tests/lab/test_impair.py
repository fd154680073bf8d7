# SPDX-License-Identifier: BSD-3-Clause
"""The lab's faults: what tools/lab does to links and hosts is what it says."""

import contextlib
import json
import os
import socket
import subprocess
import time

import pytest

from labtools import BUILD, SO_RCVBUFFORCE, Lab, wait_until

IMPAIR = BUILD / "tools" / "impair"
HEADER = bytes.fromhex("02 00 00 00 00 02 02 00 00 00 00 01 88 b5")  # a local experiment's type


class Wire:
    """Two interfaces with the forwarder between them, and nothing else: no frame is on
    this wire but ours, so that every draw is repeatable."""

    def __init__(self, name):
        self.name, self.forwarder = name, None

    def ip(self, *words):
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def up(self):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        for end in ("a", "b"):
            self.ip("link", "add", f"{end}0", "mtu", "9000", "type", "veth", "peer", "name",
                    f"{end}1")
            for side in "01":
                self.ip("link", "set", end + side, "addrgenmode", "none", "mtu", "9000", "up")
        self.a, self.b = self.socket("a0"), self.socket("b0")

    def down(self):
        if self.forwarder:
            self.forwarder.kill()
            self.forwarder.communicate()
        for sock in (self.a, self.b):
            sock.close()
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def socket(self, interface):
        lab = Lab.__new__(Lab)
        lab.namespace = lambda host: self.name

        def make():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            sock.bind((interface, 0x88b5))
            return sock

        return lab.in_host("", make)

    def start(self, *words):
        self.forwarder = subprocess.Popen(
            ["ip", "netns", "exec", self.name, IMPAIR, "b1", "a1", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.forwarder.stdout.readline() == "ready\n"

    def stop(self):
        self.forwarder.terminate()
        out, _ = self.forwarder.communicate(timeout=20)
        self.forwarder = None
        return json.loads(out)

    def carry(self, count, *words, size=100):
        """Sends numbered frames to the host. Returns the payloads that came, in order, how
        long that took, and the counts of that way."""
        self.start(*words)
        frames = [number.to_bytes(4, "big") + bytes(size - 4) for number in range(count)]
        begin = time.monotonic()
        for frame in frames:
            self.a.send(HEADER + frame)
        got, counts = [], {}
        self.b.settimeout(1)
        while True:
            with contextlib.suppress(socket.timeout):
                got.append(self.b.recv(65536)[len(HEADER):])
                last = time.monotonic()
                continue
            break
        counts = self.stop()["to"]
        return got, last - begin if got else 0, counts


@pytest.fixture
def wire():
    made = Wire(f"ow-w{os.getpid():x}")
    made.up()
    yield made
    made.down()


def numbers(got):
    return [int.from_bytes(frame[:4], "big") for frame in got]


def test_delay_keeps_frames_and_their_order(wire):
    got, took, counts = wire.carry(500, "--to", "delay=100ms,jitter=50ms")
    assert numbers(got) == list(range(500)) and {len(frame) for frame in got} == {100}
    assert took >= 0.1
    assert counts["frames"] == 500 and counts["bytes"] == 500 * 114


def test_loss_is_seeded(wire):
    lost = []
    for seed in ("7", "7", "8"):
        got, _, counts = wire.carry(1000, "--to", "loss=20%", "--seed", seed)
        lost.append(set(range(1000)) - set(numbers(got)))
        assert counts["lost"] == len(lost[-1]) and counts["frames"] == len(got)
    assert lost[0] == lost[1] != lost[2]
    assert all(100 < len(one) < 300 for one in lost)


def test_loss_in_bursts(wire):
    got = set(numbers(wire.carry(4000, "--to", "loss=5%,burst=8")[0]))
    runs, run = [], 0
    for number in range(4000):
        if number in got and run:
            runs.append(run)
        run = run + 1 if number not in got else 0
    assert len(runs) > 5 and min(runs) == 8


def test_rate_and_queue(wire):
    # 114 bytes with their header take 9.12 ms at 100 kb/s
    got, took, counts = wire.carry(20, "--to", "rate=100kbit")
    assert len(got) == 20 and took >= 20 * 0.00912
    assert counts["queue_most_us"] >= counts["queue_mean_us"] > 0
    got, _, counts = wire.carry(100, "--to", "rate=100kbit,queue=1140")
    assert counts["full"] > 0 and len(got) + counts["full"] == 100
    assert numbers(got)[:10] == list(range(10))  # what found room


def test_reordered_frames_overtake(wire):
    got, _, counts = wire.carry(200, "--to", "delay=60ms,reorder=20%")
    order = numbers(got)
    assert sorted(order) == list(range(200)) and order != sorted(order)
    assert 10 < counts["reordered"] < 100
    # each of the two kinds keeps its order
    assert sum(a > b for a, b in zip(order, order[1:])) <= 2 * counts["reordered"]


def test_duplicates_corruption_and_mtu(wire):
    got, _, counts = wire.carry(500, "--to", "duplicate=10%")
    assert len(got) == 500 + counts["duplicated"] and counts["duplicated"] > 10
    assert set(numbers(got)) == set(range(500))
    got, _, counts = wire.carry(500, "--to", "corrupt=10%")
    turned = [sum(byte.bit_count() for byte in bytes(a ^ b for a, b in zip(
        frame, number.to_bytes(4, "big") + bytes(96)))) for number, frame in enumerate(got)]
    assert counts["corrupted"] > 10 and sorted(set(turned)) == [0, 1]
    assert sum(turned) == counts["corrupted"]
    assert wire.carry(5, "--to", "mtu=100")[2]["frames"] == 5
    assert wire.carry(5, "--to", "mtu=99")[2]["oversize"] == 5


def test_each_way_has_faults_of_its_own(wire):
    wire.start("--to", "loss=100%", "--from", "duplicate=100%")
    wire.a.send(HEADER + bytes(50))
    wire.b.send(HEADER + bytes(50))
    wire.a.settimeout(10)
    assert len(wire.a.recv(1000)) == len(wire.a.recv(1000)) == 64
    counts = wire.stop()
    assert counts["to"]["lost"] == 1 and counts["from"]["frames"] == 2


@pytest.mark.parametrize("words, complaint", [
    (["--to", "delay=20"], "delay=20: a number and a unit"),
    (["--to", "loss=101%"], "more than 100%"),
    (["--to", "loss"], "loss needs a value"),
    (["--from", "reorder=1%"], "--from: reorder needs a delay"),
    (["--to", "queue=10k"], "queue needs a rate"),
    (["--to", "burst=8"], "burst needs a loss"),
    (["--to", "speed=1mbit"], 'unknown fault "speed=1mbit"'),
])
def test_wrong_faults_are_named(words, complaint):
    done = subprocess.run([IMPAIR, "a", "b", *words], capture_output=True, text=True)
    assert done.returncode == 2 and complaint in done.stderr


# ---- in a lab ----

def test_lab_link(lab, make_blob, out):
    path = make_blob(300_000)
    with lab.impaired("target", "delay=2ms,loss=2%,duplicate=2%", "delay=2ms,loss=2%",
                      seed=3) as counts:
        lab.deliver(path, "private", out)
    assert counts["to"]["lost"] > 0 and counts["to"]["bytes"] > 300_000
    assert counts["from"]["frames"] > 0
    with lab.crossing() as crossed:  # it is off
        lab.deliver(path, "private", out)
    assert crossed["private", "target"] > 300_000


def test_wrong_fault_leaves_the_link_good(lab, make_blob, out):
    done = lab.tool("impair", "target", "--to", "loss=2")
    assert done.returncode == 2 and "loss=2: a number and a unit" in done.stderr
    lab.deliver(make_blob(10), "private", out)
    for words in (["target"], ["target", "soon"], ["nobody", "1"]):
        assert lab.tool("pause", *words).returncode != 0
    assert "nothing runs on target" in lab.tool("pause", "target", "1").stderr


def test_carrier_is_taken_for_a_time(lab):
    def carrier():
        return lab.run("target", "cat", "/sys/class/net/eth0/carrier").stdout.strip()

    with lab.fault("carrier", "target", 1) as fault:
        wait_until(lambda: carrier() == "0")
        assert fault.wait(20) == 0
    assert carrier() == "1"


@pytest.mark.parametrize("interrupted", [False, True])
def test_pause_of_a_daemon(lab, interrupted):
    def stopped():
        with open(f"/proc/{lab.daemon_pid('private')}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"

    with lab.fault("pause", "private", 60 if interrupted else 0.5) as fault:
        wait_until(stopped)
        if interrupted:
            fault.terminate()  # where the tests run in the background, SIGINT is ignored
        assert fault.wait(20) == (130 if interrupted else 0)
    assert not stopped()
    assert lab.status("private")["role"] == "private"
