# SPDX-License-Identifier: BSD-3-Clause
"""The interface's own life under a running relay: what can be mended is mended and said,
what cannot ends the relay with an error, and nothing of it is left behind."""

import json
import time

import pytest

from labtools import wait_until, xdp_program


@pytest.fixture(scope="module")
def place(make_lab):
    """A lab for this file; its central relay is started by each test that ended it."""
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0)
    yield lab
    lab.down()


@pytest.fixture
def central(place):
    """Runs, and its log from here on can be waited for."""
    if place.daemon_pid("central") is None:
        place.start_relay("central")
    return Watched(place)


class Watched:
    def __init__(self, lab):
        self.lab = lab
        self.log = lab.state / "central.log"
        self.start = self.log.stat().st_size

    def ip(self, *words):
        self.lab.run("central", "ip", *words, check=True)

    def says(self, words, timeout=30):
        wait_until(lambda: words in self.log.read_bytes()[self.start:].decode(), timeout, 0.05,
                   f'"{words}" in the log')

    def problems(self):
        health = self.lab.status("central")["health"]
        assert health["ok"] == (not health["problems"])
        return health["problems"]

    def ends(self, words):
        """With an error in words; nothing of it holds the interface."""
        self.says(words)
        wait_until(lambda: self.lab.daemon_pid("central") is None, 20, 0.05, "end of the relay")
        assert not (self.lab.state / "central.sock").exists()


def restart(watched):
    """As our own child, whose exit status can be seen."""
    watched.lab.stop_relay("central")
    process = watched.lab.start_relay("central")
    watched.start = watched.log.stat().st_size
    return process


def test_detached_program_is_attached_again(central, make_blob, out):
    for count in (1, 2):
        program = json.loads(central.lab.run("central", "ip", "-d", "-j", "link", "show",
                                             "eth0").stdout)[0]["xdp"]["prog"]["id"]
        central.ip("link", "set", "eth0", "xdp", "off")
        wait_until(lambda: xdp_program(central.lab, "central") == "steer", 20, 0.05,
                   "the program on the interface")
        health = central.lab.status("central")["health"]
        assert health["program_attached_again"] == count
        again = json.loads(central.lab.run("central", "ip", "-d", "-j", "link", "show",
                                           "eth0").stdout)[0]["xdp"]["prog"]["id"]
        assert again == program
    central.says("somebody detached the XDP program; it is attached again")
    central.lab.deliver(make_blob(200_000), "central", out)


def test_mac_address_is_followed(central, make_blob, out):
    """Frames leave with the new one at once."""
    mac = "02:00:00:00:77:01"
    central.ip("link", "set", "eth0", "address", mac)
    central.says(f"MAC address {mac.upper()}")
    with central.lab.packet_socket("source") as sniffer:
        central.lab.deliver(make_blob(100_000), "central", out)
        sniffer.settimeout(1)
        sources = set()
        with pytest.raises(TimeoutError):
            while True:
                frame = sniffer.recv(2000)
                if frame[12:14] == b"\x08\x00" and frame[23] == 17:
                    sources.add(frame[6:12].hex(":"))
    assert mac in sources and len(sources) <= 2, sources


def test_renamed_interface(central, make_blob, out):
    central.ip("link", "set", "eth0", "name", "wan7")
    try:
        central.says("interface eth0 is named wan7 now")
        assert any("wan7" in p for p in central.problems())
        central.lab.deliver(make_blob(100_000), "central", out)
    finally:
        central.ip("link", "set", "wan7", "name", "eth0")
    wait_until(lambda: not central.problems(), 10, 0.05, "health")


@pytest.mark.parametrize("act,undo,words", [
    (("link", "set", "eth0", "down"), ("link", "set", "eth0", "up"), "is down"),
    (("link", "set", "eth0", "mtu", "1000"), ("link", "set", "eth0", "mtu", "1500"),
     "MTU of 1000"),
    (("addr", "del", "10.87.0.4/24", "dev", "eth0"), ("addr", "add", "10.87.0.4/24", "dev", "eth0"),
     "is not on this host any more"),
])
def test_it_says_what_is_wrong_and_goes_on_after(central, make_blob, out, act, undo, words):
    """Each shows in status and in its exit status, in the log once, and passes."""
    central.ip(*act)
    try:
        central.says(words)
        assert any(words in p for p in central.problems())
        shown = central.lab.run("central", "oncewire", "status", timeout=10)
        assert shown.returncode == 6 and words in shown.stderr, shown
    finally:
        central.ip(*undo)
    wait_until(lambda: not central.problems(), 20, 0.05, "health")
    central.lab.deliver(make_blob(100_000), "central", out)


def test_no_carrier(central):
    """The far end's is what a switch or a cable would be."""
    central.lab.run("net", "ip", "link", "set", "central", "down", check=True)
    try:
        central.says("has no carrier")
        assert central.lab.status("central")["health"]["link"] == "no carrier"
    finally:
        central.lab.run("net", "ip", "link", "set", "central", "up", check=True)
    wait_until(lambda: not central.problems(), 20, 0.05, "health")


def test_a_flapping_link_is_few_lines(central):
    started = time.monotonic()
    for _ in range(40):
        central.ip("link", "set", "eth0", "down")
        central.ip("link", "set", "eth0", "up")
    wait_until(lambda: not central.problems(), 20, 0.05, "health")
    lines = central.log.read_bytes()[central.start:].decode().splitlines()
    about = [line for line in lines if "link" in line or "carrier" in line]
    assert len(about) <= 2 + (time.monotonic() - started) / 10, lines


def test_another_program_ends_it(central, pass_object):
    """The other one stays; the exit status is an error's."""
    process = restart(central)
    central.ip("-force", "link", "set", "eth0", "xdp", "obj", pass_object, "sec", "xdp")
    try:
        central.ends("took the place of the relay's")
        assert process.wait(10) == 1
        assert xdp_program(central.lab, "central") == "somebody_elses"
    finally:
        central.ip("link", "set", "eth0", "xdp", "off")


def make_interface(lab, queues):
    """central's interface anew, with room for some receive queues, one of them in use."""
    lab.run("central", "ip", "link", "del", "eth0")
    net, central = lab.namespace("net"), lab.namespace("central")
    lab.run("net", "ip", "link", "add", "eth0", "netns", central, "numrxqueues", queues,
            "numtxqueues", 1, "type", "veth", "peer", "name", "central", "netns", net,
            "numrxqueues", 1, "numtxqueues", 1, check=True)
    lab.run("central", "ethtool", "-K", "eth0", "tx", "off", check=True)
    if queues > 1:
        lab.run("central", "ethtool", "-L", "eth0", "rx", 1, check=True)
    lab.run("central", "ip", "addr", "add", "10.87.0.4/24", "dev", "eth0", check=True)
    lab.run("central", "ip", "link", "set", "eth0", "up", check=True)
    lab.run("net", "ip", "link", "set", "central", "master", "br0", "up", check=True)


def test_added_queues_end_it(central, make_blob, out):
    """Packets on a queue without a worker would be lost; the remedy is in the words."""
    central.lab.stop_relay("central")
    make_interface(central.lab, 2)
    process = central.lab.start_relay("central")
    central.start = central.log.stat().st_size
    central.lab.run("central", "ethtool", "-L", "eth0", "rx", 2, check=True)
    central.ends("`ethtool -L eth0 rx 1`")
    assert process.wait(10) == 1
    central.lab.run("central", "ethtool", "-L", "eth0", "rx", 1, check=True)
    central.lab.start_relay("central")
    central.lab.deliver(make_blob(100_000), "central", out)


def test_deleted_interface_ends_it(central, make_blob, out):
    """And once it is there again, a start is all it takes."""
    process = restart(central)
    central.ip("link", "del", "eth0")
    central.ends("interface eth0 is gone")
    assert process.wait(10) == 1
    make_interface(central.lab, 1)
    central.lab.start_relay("central")
    central.lab.deliver(make_blob(100_000), "central", out)
