# SPDX-License-Identifier: BSD-3-Clause
"""A sender whose kernel leaves UDP checksums to a device that is none, as in containers:
accepted by the private relay (the default), dropped by this lab's central one."""

import pytest

from labtools import wait_until

EXTRA = "[relay]\nunfinished_checksums = drop\n"


@pytest.fixture(scope="module")
def mixed(make_lab, tmp_path_factory):
    extra = tmp_path_factory.mktemp("checksums") / "extra"
    extra.write_text(EXTRA)
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0, LAB_EXTRA_CENTRAL=extra)
    for host in ("source", "target"):
        lab.run(host, "ethtool", "-K", "eth0", "tx", "on", check=True)
    yield lab
    lab.down()


def said(lab, role, words):
    return (lab.state / f"{role}.log").read_text().count(words)


def test_accepted_and_said_once(mixed, make_blob, out):
    mixed.deliver(make_blob(500_000), "private", out, lease=("private",))
    status = mixed.status("private")
    assert status["unfinished_checksums"] > 0 and status["drops"]["udp-checksum"] == 0
    words = "sends unfinished UDP checksums, as a container"
    wait_until(lambda: said(mixed, "private", words), 10, 0.1, "the line in the log")
    mixed.deliver(make_blob(500_000), "private", out)
    assert said(mixed, "private", words) == 1
    assert status["health"]["ok"]


def test_dropped_with_a_remedy(mixed, make_blob):
    """At both ends: in the sender's message, in the relay's log and in its health."""
    sent = mixed.send(make_blob(1000), "central", timeout=10)
    assert sent.code == 3 and "ethtool -K IF tx off" in sent.err, sent.err
    wait_until(lambda: said(mixed, "central", "`ethtool -K IF tx off`"), 10, 0.1, "the line")
    status = mixed.status("central")
    assert any("10.87.0.1:" in p and "ethtool" in p for p in status["health"]["problems"])
    assert status["drops"]["udp-checksum"] == status["unfinished_checksums"] > 0
