# SPDX-License-Identifier: BSD-3-Clause
"""Floods of strangers' frames: they are dropped before they cost, and cost nobody whom the
relay knows anything."""

import contextlib
import filecmp
import logging
import os
import struct
import threading
import time

import pytest

import peer as wire
from labtools import RELAY_PORT, wait_until
from peer import Error, Frame, Peer
from test_vdev import PcapRelay

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

PER_SOURCE, TOTAL, CONTROL = 200, 2000, 100
LIMITS = f"""[limits]
strangers_per_source = {PER_SOURCE}
strangers = {TOTAL}
control_per_source = {CONTROL}
"""
FLOOD_SECONDS = 2


@pytest.fixture(scope="module")
def lab(make_lab, tmp_path_factory):
    extra = tmp_path_factory.mktemp("shed") / "limits.conf"
    extra.write_text(LIMITS)
    made = make_lab(LAB_SLAB="512M", LAB_HUGEPAGES=0, LAB_EXTRA_CENTRAL=extra)
    # what the flood's answers would be sent to
    made.run("central", "ip", "route", "add", "unreachable", "198.18.0.0/15", check=True)
    return made


def packets(lab, payloads):
    """Whole Ethernet frames from (source, port, payload)."""
    ether = Ether(src=lab.mac("source"), dst=lab.mac("central"))
    return [bytes(ether / IP(src=source, dst=lab.address["central"])
                  / UDP(sport=port, dport=RELAY_PORT) / Raw(payload))
            for source, port, payload in payloads]


def garbage(lab):
    """From the good source's own address: somebody has spoofed it. Half of it cannot be
    frames at all, half could be a known flow's but for the number."""
    pulls = (Frame(wire.PULL, int.from_bytes(os.urandom(8), "big"),
                   os.urandom(wire.BODY_SIZE[wire.PULL])).encode() for _ in range(64))
    noise = (os.urandom(size) for size in range(0, 64 * 7, 7))
    return packets(lab, ((lab.address["source"], 1024 + i, raw)
                         for i, raw in enumerate([*pulls, *noise])))


def hellos(lab):
    """From as many addresses as there are packets."""
    raw = Frame(wire.HELLO, 1, bytes(8), ext=wire.pad_ext(wire.HELLO_SIZE - 16 - 8)).encode()
    return packets(lab, ((f"198.18.{i // 250}.{1 + i % 250}", 4000, raw) for i in range(500)))


@contextlib.contextmanager
def flood(lab, made):
    """As fast as this machine goes; yields a function that says how many went out."""
    stop, sent = threading.Event(), [0]

    def run():
        end = time.monotonic() + 30
        with lab.packet_socket("source") as sock:
            while not stop.is_set() and time.monotonic() < end:
                for raw in made:
                    with contextlib.suppress(OSError):  # no buffer: the link is full
                        sock.send(raw)
                        sent[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: sent[0]
    finally:
        stop.set()
        thread.join()


def shed(status):
    return {name: status[f"xdp_shed_{name}"] for name in ("source", "total")}


def hello_answered(lab, host, tries):
    with Peer(lab.udp_socket(host)) as peer:
        frame = peer.hello_frame()
        for _ in range(tries):
            peer.put(frame.encode(), lab.relay("central"))
            if peer.get(0.2, (wire.WELCOME,))[0]:
                return True
    return False


@pytest.mark.parametrize("make,counter", [(garbage, "source"), (hellos, "total")])
def test_transfer_beside_a_flood(lab, make_blob, out, make, counter):
    path, made = make_blob(100_000_000), make(lab)
    before = lab.status("central")
    with lab.receive(out, timeout=90, lease=("central",)) as receiver:
        sender = lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"],
                           "--via", "central", "--timeout", 60, "--json")
        wait_until(lambda: lab.status("central")["upload_chunks"] > before["upload_chunks"], 10,
                   0.01, "the upload")
        assert sender.poll() is None
        with flood(lab, made) as count:
            time.sleep(FLOOD_SECONDS)
            sent = count()
        assert sender.wait(60) == 0, sender.stderr.read()
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    after = lab.status("central")
    rise = shed(after)[counter] - shed(before)[counter]
    # a flooded link may lose some before the relay sees them
    assert rise > sent // 2 > 1000
    # dropped before the worker saw them
    assert after["drops"]["cookie-bad"] - before["drops"]["cookie-bad"] < rise // 10


def test_flood_of_one_source_keeps_nobody_else_out(lab):
    with flood(lab, garbage(lab)) as count:
        wait_until(lambda: count() > 5000, 10, what="a flood")
        assert hello_answered(lab, "target", tries=5)


def test_newcomers_get_in_after_the_flood(lab, make_blob, out):
    before = shed(lab.status("central"))
    with flood(lab, garbage(lab) + hellos(lab)) as count:
        wait_until(lambda: count() > 10000, 10, what="a flood")
    assert shed(lab.status("central"))["total"] > before["total"]
    assert hello_answered(lab, "source", tries=10)
    lab.deliver(make_blob(100_000), "central", out)


def test_control_is_not_for_one_source_alone(lab):
    """What one source asks beyond its share is told to come back later; others go on."""
    before = lab.drops("central")["rate"]
    with Peer(lab.udp_socket("source")) as peer, Peer(lab.udp_socket("target")) as other:
        session = peer.hello(lab.relay("central"))
        send = session.send_frame(os.urandom(32), 1000, (lab.address["target"], 4999))
        for _ in range(3 * CONTROL):
            session.tell(send)
        found, _ = peer.get(2, (wire.ERROR,))
        assert Error.of(found).code == wire.ERROR_BUSY
        retry_after, = struct.unpack(">I", found.extension(wire.RETRY_AFTER))
        assert 0 < retry_after <= 5000
        assert len(found.encode()) <= len(send.encode())
        assert lab.drops("central")["rate"] > before
        assert other.hello(lab.relay("central")).listen() > 0
        time.sleep(1)
        assert session.listen() > 0


def test_worker_sheds_where_there_is_no_xdp(tmp_path):
    """With the default rate, 500 a second: twice that passes at once."""
    relay, flooding, other = PcapRelay(tmp_path), "10.1.0.1", "10.1.0.2"
    relay.request("hello", 1600, sources=1, source=f"{flooding}:4000")
    relay.request("hello", 10, sources=1, source=f"{other}:4000")
    status, replies = relay.run(lambda status: status["rx_packets"] >= 1610)
    answered = [reply.to[0] for reply in replies]
    assert answered.count(other) == 10
    assert 1000 <= answered.count(flooding) < 1300
    assert status["drops"]["shed-source"] == 1600 - answered.count(flooding)
