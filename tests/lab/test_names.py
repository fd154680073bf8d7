# SPDX-License-Identifier: BSD-3-Clause
"""Host names and zones, as the hosts file of a namespace has them."""

import contextlib
import pathlib
import shutil

import pytest

from labtools import wait_until

HOSTS = """127.0.0.1 localhost
fd87:6c61:62::dead two.example
10.87.0.4 two.example
10.87.0.4 central.example
10.87.0.3 private.example
fd87:6c61:62::2 target.example
10.87.0.2 target.example
fd87:6c61:62::2 six.example
"""


@pytest.fixture(scope="module")
def named(make_lab):
    """`ip netns exec` puts /etc/netns/NAME/hosts in the place of /etc/hosts."""
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0)
    folders = [pathlib.Path("/etc/netns") / lab.namespace(host) for host in ("source", "target")]
    try:
        for folder in folders:
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(HOSTS)
        yield lab
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others' are left alone
            folders[0].parent.rmdir()
        lab.down()


def send(lab, path, relay, to, timeout=15):
    return lab.run("source", "oncewire", "send", path, "--to", to, "--via", "central", "--central",
                   relay, "--timeout", timeout, timeout=timeout + 20)


@pytest.mark.parametrize("relay", ["central.example", "central.example:4870", "two.example"])
def test_names_of_relay_and_target(named, make_blob, out, relay):
    """The first address that answers; of the target's the one of the relay's family."""
    path = make_blob(100_000)
    with named.receive(out, count=1) as receiver:
        sent = send(named, path, relay, "target.example")
        assert sent.returncode == 0, sent
        [got] = receiver.files()
    assert pathlib.Path(got["path"]).read_bytes() == path.read_bytes()


def test_registered_by_name(named, out):
    with named.receive(out, count=0, extra=("--relay", "two.example")) as receiver:
        wait_until(lambda: named.status("central")["leases"] > 0, 15, 0.1, "the lease")
        receiver.process.terminate()
        assert receiver.wait(10) == 0
    assert "registered with relay 10.87.0.4:4870" in receiver.stderr, receiver.stderr


def test_target_without_the_relays_family(named, make_blob):
    sent = send(named, make_blob(10), "central.example", "six.example")
    assert sent.returncode == 2 and "has no IPv4 address" in sent.stderr, sent


def test_unknown_name(named, make_blob):
    sent = send(named, make_blob(10), "nobody.invalid", "target.example")
    assert sent.returncode == 2 and '"nobody.invalid"' in sent.stderr, sent


def test_link_local_relay_with_a_zone(make_lab, make_blob, out, tmp_path):
    """The zone is the user's; the relay's own port is its link."""
    lab = make_lab(LAB_FAMILY=6, LAB_SLAB="64M", LAB_HUGEPAGES=0)
    try:
        lab.run("central", "ip", "addr", "add", "fe80::4:4/64", "dev", "eth0", "nodad", check=True)
        lab.run("target", "ip", "addr", "add", "fe80::2:2/64", "dev", "eth0", "nodad", check=True)
        lab.stop_relay("central")
        config = lab.state / "central.conf"
        text = config.read_text()
        config.write_text(text.replace("[fd87:6c61:62::4]:4870", "[fe80::4:4]:4870"))
        assert config.read_text() != text
        peer = text[text.index("[peer private]"):]
        config.write_text(config.read_text().replace(peer, ""))
        lab.start_relay("central")
        path = make_blob(100_000)
        with lab.receive(out, count=1) as receiver:
            sent = send(lab, path, "fe80::4:4%eth0", "fe80::2:2%eth0")
            assert sent.returncode == 0, sent
            [got] = receiver.files()
        assert pathlib.Path(got["path"]).read_bytes() == path.read_bytes()
    finally:
        lab.down()
