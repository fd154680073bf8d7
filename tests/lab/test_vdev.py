# SPDX-License-Identifier: BSD-3-Clause
"""The relay on DPDK's virtual devices: a capture file in, a capture file out, where every
answer and every counter is known beforehand; and a real transfer over AF_PACKET."""

import collections
import concurrent.futures
import filecmp
import ipaddress
import json
import logging
import struct
import subprocess
import time
from dataclasses import dataclass

import pytest

import peer as wire
from labtools import BUILD, RELAY_PORT, stop_process, wait_until
from peer import decode, unpack_addr

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402
from scapy.utils import rdpcap, wrpcap  # noqa: E402

RELAY = ("192.0.2.1", RELAY_PORT)
RELAY_MAC, SOURCE_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
SOURCES = 4
SOURCE_PORT = 40000
EPOCH = 300

CONFIG = """[relay]
role = central
instance = {name}
listen = {ip}:{port}
port = vdev:net_pcap0,rx_pcap={folder}/in.pcap,tx_pcap={folder}/out.pcap
master_key_file = {folder}/master.key
admin_socket = {folder}/admin.sock
hugepages = off
packet_buffers = 14336
[store]
engine = memory
slab_size = 16M
slab_blobs = 1024
[targets]
allow = 10.1.0.0/16
"""


@dataclass
class Reply:
    frame: wire.Frame
    to: tuple
    mac: str
    size: int  # of the UDP payload


class PcapRelay:
    """A relay that reads in.pcap, once, and writes out.pcap."""

    def __init__(self, folder):
        self.folder = folder
        self.packets = []
        self.macs = {}  # of hosts that are not behind SOURCE_MAC
        key = folder / "master.key"
        key.touch(0o600)
        key.write_text("5a" * 32)

    def request(self, verb, count, **more):
        """Packets made by request_pcap, added to what the relay will read."""
        path = self.folder / "made.pcap"
        make_requests(path, self.folder / "master.key", verb, count, **more)
        made = list(rdpcap(str(path)))
        assert len(made) == count
        self.packets += made
        return made

    def add(self, *packets):
        self.packets += packets

    def run(self, until):
        """Starts the relay on all packets; its status once until(status) holds, and its
        replies."""
        wrpcap(str(self.folder / "in.pcap"), self.packets)
        name = f"pcap-{time.time_ns() & 0xffffffff:x}"
        (self.folder / "relay.conf").write_text(
            CONFIG.format(name=name, folder=self.folder, ip=RELAY[0], port=RELAY[1]))
        with open(self.folder / "relay.log", "w") as log:
            process = subprocess.Popen([BUILD / "control" / "oncewired", "--config",
                                        self.folder / "relay.conf"], stdout=log, stderr=log)

        def done():
            assert process.poll() is None, (self.folder / "relay.log").read_text()
            status = self.status()
            return status if status and until(status) else None

        try:
            wait_until(done, 20, 0.05, "the relay's counters")
            time.sleep(0.2)  # what should not happen has had its chance
            status = self.status()
            process.terminate()
            assert process.wait(10) == 0
        finally:
            stop_process(process)
        replies = [parse_reply(p) for p in rdpcap(str(self.folder / "out.pcap"))]
        for reply in replies:  # the Ethernet address that asked
            assert reply.mac == self.macs.get(reply.to[0], SOURCE_MAC)
        return status, replies

    def status(self):
        done = subprocess.run([BUILD / "client" / "oncewire", "status", "--json", "--socket",
                               self.folder / "admin.sock"], capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None


def make_requests(path, key, verb, count, sources=SOURCES, generate=16, bytes=1000, **more):
    options = {"master-key": key, "relay": RELAY[0], "relay-mac": RELAY_MAC,
               "source": f"10.1.0.1:{SOURCE_PORT}", "sources": sources, "source-mac": SOURCE_MAC,
               "generate": generate, "bytes": bytes, "verb": verb, "count": count, "out": path,
               **{name.replace("_", "-"): value for name, value in more.items()}}
    argv = [BUILD / "pktgen-scripts" / "request_pcap"]
    for name, value in options.items():
        argv += [f"--{name}", str(value)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def check_sums(packet):
    """Lengths and both checksums are what scapy computes anew."""
    again = Ether(bytes(packet))
    ip, udp = again[IP], again[UDP]
    stated = ip.len, ip.chksum, udp.len, udp.chksum
    assert udp.chksum != 0
    del ip.len, ip.chksum, udp.len, udp.chksum
    fresh = Ether(bytes(again))
    assert (fresh[IP].len, fresh[IP].chksum, fresh[UDP].len, fresh[UDP].chksum) == stated


def parse_reply(packet):
    assert (packet[Ether].src, packet[Ether].dst) != (SOURCE_MAC, RELAY_MAC)
    assert (packet[IP].src, packet[UDP].sport) == RELAY
    check_sums(packet)
    payload = bytes(packet[UDP].payload)
    return Reply(decode(payload), (packet[IP].dst, packet[UDP].dport), packet[Ether].dst,
                 len(payload))


def frame_of(packet):
    return decode(bytes(packet[UDP].payload))


def sender(packet):
    return packet[IP].src, packet[UDP].sport


def number_of(packet):
    """Of a PULL; 0 of others."""
    asked = frame_of(packet)
    return wire.Pull.of(asked).number if asked.verb == wire.PULL else 0


def drops(status):
    return {name: count for name, count in status["drops"].items() if count}


@pytest.fixture
def relay(tmp_path):
    # tokens that are compared must come from one epoch
    left = EPOCH - time.time() % EPOCH
    if left < 15:
        time.sleep(left)
    return PcapRelay(tmp_path)


# ---- the maker of requests ----

@pytest.mark.parametrize("verb", ["hello", "send", "pull"])
def test_requests_are_exact_and_repeatable(relay, tmp_path, verb):
    made = relay.request(verb, 200, time=1_700_000_000)
    first = (tmp_path / "made.pcap").read_bytes()
    assert first[:4] == bytes.fromhex("d4c3b2a1")  # classic, microseconds
    for number, packet in enumerate(made):
        check_sums(packet)
        assert (packet[IP].dst, packet[UDP].dport) == RELAY
        assert sender(packet) == (f"10.1.0.{1 + number % SOURCES}", SOURCE_PORT)
        assert (packet[Ether].src, packet[Ether].dst) == (SOURCE_MAC, RELAY_MAC)
    relay.request(verb, 200, time=1_700_000_000)
    assert (tmp_path / "made.pcap").read_bytes() == first
    relay.request(verb, 200, time=1_700_000_000, seed=2)
    assert (tmp_path / "made.pcap").read_bytes() != first


def pulled(packets):
    return collections.Counter(wire.Pull.of(frame_of(p)).id for p in packets)


def test_popularity(relay):
    """Uniform is flat; Zipf's first is drawn in proportion to its weight."""
    count, blobs = 8000, 10
    flat = pulled(relay.request("pull", count, generate=blobs))
    assert len(flat) == blobs
    assert max(flat.values()) < 1.3 * count / blobs
    skewed = pulled(relay.request("pull", count, generate=blobs, zipf=1))
    assert set(skewed) == set(flat)
    weight = sum(1 / rank for rank in range(1, blobs + 1))
    assert abs(max(skewed.values()) - count / weight) < 0.1 * count / weight


def test_hit_share(relay):
    known = set(pulled(relay.request("pull", 400, generate=10)))
    mixed = pulled(relay.request("pull", 4000, generate=10, hit_share=0.9))
    hits = sum(count for ident, count in mixed.items() if ident in known)
    assert 3500 < hits < 3700
    assert not known & set(pulled(relay.request("pull", 100, generate=10, hit_share=0)))


def test_ids_file(relay, tmp_path):
    """Lengths come from the file; a PULL never asks beyond the end."""
    lengths = {bytes([n]) * 32: n * 10_000 for n in range(1, 6)}
    listed = tmp_path / "ids"
    listed.write_text("".join(f"{i.hex()} {n}\n" for i, n in lengths.items()))
    path, key = tmp_path / "made.pcap", tmp_path / "master.key"
    argv = [BUILD / "pktgen-scripts" / "request_pcap", "--master-key", key, "--relay", RELAY[0],
            "--source", "10.1.0.1:1", "--verb", "pull", "--count", "500", "--chunks", "8",
            "--ids", listed, "--out", path]
    subprocess.run(argv, check=True, timeout=60)
    for packet in rdpcap(str(path)):
        pull = wire.Pull.of(frame_of(packet))
        assert pull.length == lengths[pull.id]
        last = -(-pull.length // wire.CHUNK) - 1
        assert 0 < len(pull.chunks()) <= 8 and max(pull.chunks()) <= last
        assert len(pull.chunks()) == 8 or max(pull.chunks()) == last
    listed.write_text("nonsense 12\n")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "ids:1:" in done.stderr


# ---- the relay, from file to file ----

def test_hello(relay):
    """A WELCOME each, with the very cookie that request_pcap mints."""
    asked = relay.request("hello", 100)
    minted = {sender(p): frame_of(p).body[:16] for p in relay.request("pull", SOURCES)}
    relay.packets = asked
    status, replies = relay.run(lambda s: s["tx_packets"] == 100)
    assert (status["rx_packets"], status["tx_packets"], drops(status)) == (100, 100, {})
    assert len(replies) == 100
    for packet, reply in zip(asked, replies):
        hello, welcome = frame_of(packet), reply.frame
        assert (welcome.verb, welcome.conn) == (wire.WELCOME, hello.conn)
        assert reply.to == sender(packet)
        assert reply.size <= len(packet[UDP].payload)
        nonce, cookie, _, seen, own, _ = struct.unpack(">8s16s8s20s20sI", welcome.body)
        assert (nonce, unpack_addr(seen), unpack_addr(own)) == (hello.body, reply.to, RELAY)
        assert cookie == minted[reply.to]


def malformed(relay):
    """Packets that must fall, by the counter that must say so."""
    hello = wire.Peer(None).hello_frame().encode()

    def packet(payload=hello, ip=None, udp=None):
        return (Ether(src=SOURCE_MAC, dst=RELAY_MAC)
                / IP(**{"src": "10.1.0.1", "dst": RELAY[0], **(ip or {})})
                / UDP(**{"sport": 7777, "dport": RELAY[1], **(udp or {})}) / Raw(payload))

    return {
        "not-ip": [Ether(src=SOURCE_MAC, dst=RELAY_MAC) / ARP(pdst=RELAY[0])],
        "ip-header": [packet(ip={"flags": "MF"}), packet(ip={"options": b"\x01\x01\x01\x00"}),
                      packet(ip={"len": 2000})],
        "ip-checksum": [packet(ip={"chksum": 0x1234})],
        "udp-header": [packet(ip={"proto": 6}), packet(udp={"len": 2000})],
        "udp-checksum": [packet(udp={"chksum": 0x1234})],
        "not-ours": [packet(ip={"dst": "192.0.2.9"}), packet(udp={"dport": 53})],
        "address": [packet(udp={"sport": 0}), packet(ip={"src": "224.0.0.1"})],
        "short": [packet(hello[:15]), packet(hello[:20])],
        "version": [packet(b"\x09" + bytes([wire.LISTEN]) + hello[2:])],
        "verb": [packet(b"\x01\x63" + hello[2:])],
        "overlong": [packet(wire.Frame(wire.LISTENING, 1, bytes(12)).encode() + b"\0")],
        "role": [packet(wire.Frame(wire.WELCOME, 1, bytes(76)).encode())],
    }


def test_every_fault_has_its_counter(relay):
    """Malformed packets, tokens of the wrong time, PULLs of nothing: each is counted once,
    and answered with the one ERROR that it deserves, or not at all."""
    now = int(time.time())
    faults = malformed(relay)
    for packets in faults.values():
        relay.add(*packets)
    gone = relay.request("pull", 20, time=now)
    fresh = relay.request("pull", 10, time=now - 20)
    stale = relay.request("send", 8, time=now - 3 * EPOCH)
    relay.request("send", 4, time=now - 50 * EPOCH)
    total = len(relay.packets)
    status, replies = relay.run(lambda s: s["rx_packets"] == total)
    expected = {name: len(packets) for name, packets in faults.items()}
    expected.update({"unknown-blob": 20, "echo-stale": 10, "cookie-stale": 8, "cookie-bad": 4})
    assert drops(status) == expected
    assert status["rx_packets"] == total
    assert status["tx_packets"] == status["errors"] == len(replies) == 38
    for code, packets in ((wire.GONE, gone), (wire.FRESH, fresh), (wire.STALE, stale)):
        of_code = [r for r in replies if wire.Error.of(r.frame).code == code]
        assert len(of_code) == len(packets)
        # some are a worker's answers, some the control thread's: in no common order
        of_code.sort(key=lambda r: (r.to, wire.Error.of(r.frame).number))
        for packet, reply in zip(sorted(packets, key=lambda p: (sender(p), number_of(p))), of_code):
            asked, error = frame_of(packet), wire.Error.of(reply.frame)
            assert (reply.to, reply.frame.conn, error.verb) == \
                (sender(packet), asked.conn, asked.verb)
            assert reply.size <= len(packet[UDP].payload)
            if asked.verb == wire.PULL:
                pull = wire.Pull.of(asked)
                assert (error.number, error.stream) == (pull.number, pull.stream)
            assert (error.echo != bytes(8)) == (code == wire.FRESH)


def test_checksum_zero_is_none(relay):
    """IPv4 lets a sender leave the UDP checksum out."""
    [asked] = relay.request("hello", 1)
    asked[UDP].chksum = 0
    status, [reply] = relay.run(lambda s: s["tx_packets"] == 1)
    assert (drops(status), reply.frame.verb) == ({}, wire.WELCOME)


def test_neighbours_on_one_wire(relay):
    """Each host has an Ethernet address of its own, and their frames come in one burst:
    none is answered at another's, also when the answer is control's or nobody's."""
    relay.macs = {f"10.1.0.{1 + n}": f"02:00:00:00:01:{n:02x}" for n in range(SOURCES)}
    relay.request("hello", 16)
    relay.request("pull", 32)
    relay.request("send", 16, generate=1000, bytes=3000)
    for packet in relay.packets:
        packet[Ether].src = relay.macs[packet[IP].src]
    status, replies = relay.run(lambda s: s["misses"] == 16 and s["tx_packets"] >= 80)
    assert {r.frame.verb for r in replies} == {wire.WELCOME, wire.ERROR, wire.STATUS, wire.PULL}
    assert {r.mac for r in replies} == set(relay.macs.values())


def test_miss_wants_an_upload(relay):
    """Every SEND of an unknown blob is told so, and its source is asked for the blob."""
    asked = relay.request("send", 12, generate=1000, bytes=3000)
    status, replies = relay.run(lambda s: s["misses"] == 12 and s["tx_packets"] >= 24)
    assert (status["rx_packets"], status["misses"], status["hits"], drops(status)) == \
        (12, 12, 0, {})
    assert status["uploads_active"] == 12
    told = {wire.Status.of(r.frame).transfer: r for r in replies if r.frame.verb == wire.STATUS}
    pulls = {}
    for reply in replies:
        if reply.frame.verb == wire.PULL:  # the first: silence is answered by smaller ones
            pulls.setdefault((reply.to, wire.Pull.of(reply.frame).id), reply.frame)
    assert len(told) == 12
    for packet in asked:
        send = frame_of(packet)
        transfer, ident = send.body[16:32], send.body[40:72]
        assert told[transfer].to == sender(packet)
        assert wire.Status.of(told[transfer].frame).code == wire.UPLOAD_WANTED
        pull = pulls[sender(packet), ident]
        assert (pull.flags, pull.conn) == (wire.UPLOAD, send.conn)
        assert wire.Pull.of(pull).chunks() == [0, 1, 2]


def test_target_policy(relay):
    """Special-use targets outside `allow` are refused at once."""
    asked = relay.request("send", 5, target="10.2.0.1:4871")
    status, replies = relay.run(lambda s: s["tx_packets"] == 5)
    assert (status["misses"], drops(status), len(replies)) == (0, {}, 5)
    for packet, reply in zip(asked, replies):
        told = wire.Status.of(reply.frame)
        assert reply.to == sender(packet) and told.transfer == frame_of(packet).body[16:32]
        assert (told.code, told.reason) == (wire.REFUSED, wire.TARGET_POLICY)


def test_sources_are_ipv4_hosts_in_a_row(relay):
    """Beyond the last byte of the address, too."""
    made = relay.request("hello", 600, sources=300)
    first = int(ipaddress.ip_address("10.1.0.1"))
    assert [int(ipaddress.ip_address(p[IP].src)) - first for p in made] == \
        [n % 300 for n in range(600)]
    assert len({frame_of(p).conn for p in made}) == 300


# ---- AF_PACKET ----

def central_over_af_packet(lab, zero_copy):
    """Its port is one that the kernel shares with it."""
    config = lab.state / "central.conf"
    text = config.read_text()
    assert "port = af_xdp:eth0\n" in text
    lab.stop_relay("central")
    config.write_text(text.replace("port = af_xdp:eth0\n",
                                   f"port = vdev:net_af_packet0,iface=eth0\n"
                                   f"zero_copy = {zero_copy}\n"
                                   # what is still uploaded is copied in any case
                                   f"deliver = stored\n"))
    lab.start_relay("central")


@pytest.mark.parametrize("zero_copy", ["auto", "off"])
def test_transfer_over_af_packet(fresh_lab, make_blob, out, zero_copy):
    """Upload, hit and a central hit; the host goes on answering pings. Frames for it may hold
    chunks by reference, those for the private relay's AF_XDP may not."""
    central_over_af_packet(fresh_lab, zero_copy)
    path = make_blob(2_000_000)
    for via, outcome in (("central", "uploaded-central"), ("central", "direct-hit"),
                         ("private", "central-hit")):
        assert fresh_lab.deliver(path, via, out)[0].outcome == outcome
    central, private = fresh_lab.status("central"), fresh_lab.status("private")
    assert (central["zero_copy"], private["zero_copy"]) == (zero_copy == "auto", False)
    assert central["data_chunks"] >= 3 * -(-2_000_000 // wire.CHUNK)
    # but the last one, which is shorter than it pays for if it is asked for alone
    by_reference = central["data_zero_copy"]
    assert by_reference >= 0.9 * central["data_chunks"] if central["zero_copy"] \
        else by_reference == 0
    assert private["data_zero_copy"] == central["frames_in_flight"] == 0
    ping = fresh_lab.run("source", "ping", "-c", "3", "-i", "0.2", "-W", "2",
                         fresh_lab.address["central"])
    assert " 0% packet loss" in ping.stdout


def test_what_is_sent_by_reference_may_have_to_go(make_lab, make_blob, out):
    """Three blobs at a time come and are sent, through memory for ten: what goes for them
    has been sent shortly before, and every byte that arrives is right."""
    lab = make_lab(LAB_SLAB="32M", LAB_HUGEPAGES=0, LAB_ENGINE="memory")
    central_over_af_packet(lab, "auto")
    paths = [make_blob(3_000_000) for _ in range(16)]
    with lab.receive(out, count=len(paths), timeout=100) as receiver:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            sent = list(pool.map(lambda path: lab.send(path, "central", timeout=60), paths))
        assert [one.code for one in sent] == [0] * len(paths), [one.err for one in sent]
        files = {got["id"]: got["path"] for got in receiver.files()}
    for one, path in zip(sent, paths):
        assert filecmp.cmp(path, files[one.json["id"]], shallow=False)
    status = lab.status("central")
    assert status["evictions"] > 0 and status["data_zero_copy"] > 16 * 2000
    wait_until(lambda: lab.status("central")["frames_in_flight"] == 0, 5, 0.1, "the last frame")
    lab.down()
