# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: one lab for the whole session, fresh labs for tests that break theirs."""

import hashlib
import itertools
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import domains  # noqa: E402
from labtools import BUILD, TOOL, Lab  # noqa: E402
from peer import STORED, Peer  # noqa: E402

serial = itertools.count(1)

PASS_PROGRAM = """
#define SEC(name) __attribute__((section(name), used))
SEC("xdp") int somebody_elses(void *ctx) { return 2; /* XDP_PASS */ }
char terms[] SEC("license") = "GPL";
"""


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the lab's network namespaces need root", returncode=3)
    if not (BUILD / "control" / "oncewired").exists():
        pytest.exit(f"no oncewired in {BUILD}: build first, or set BUILD", returncode=3)
    subprocess.run([TOOL, "user"], check=True)


@pytest.fixture(scope="session")
def make_lab():
    """Brings up labs that nobody else has; all are down at the session's end."""
    labs = []

    def make(**options):
        lab = Lab(f"t{os.getpid():x}-{next(serial)}", **options)
        labs.append(lab)
        lab.up()
        return lab

    yield make
    for lab in labs:
        lab.down()


@pytest.fixture(scope="session")
def lab(make_lab):
    return make_lab()


@pytest.fixture(scope="session")
def closed_lab(make_lab, tmp_path_factory):
    """Its relays serve domains only: lab.domains, by name."""
    return domains.closed_lab(make_lab, tmp_path_factory.mktemp("domains"))


@pytest.fixture(scope="session")
def proof_lab(make_lab, tmp_path_factory):
    """Hits of up to domains.HIDDEN bytes are hidden; above, they cost a proof."""
    return domains.proof_lab(make_lab, tmp_path_factory.mktemp("possession"))


@pytest.fixture
def fresh_lab(make_lab):
    """A lab of the test's own, small, for tests that stop relays."""
    lab = make_lab(LAB_SLAB="256M", LAB_HUGEPAGES=0)
    yield lab
    lab.down()


@pytest.fixture
def make_blob(tmp_path):
    """Files that no relay has seen: random bytes under a name of their own."""

    def make(size, name=None):
        path = tmp_path / (name or f"blob-{next(serial)}-{size}.bin")
        with open(path, "wb") as out:
            left = size
            while left:
                left -= out.write(os.urandom(min(left, 1 << 20)))
        return path

    return make


@pytest.fixture
def out(tmp_path):
    """The folder that recv writes to."""
    path = tmp_path / "out"
    path.mkdir()
    return path


@pytest.fixture
def peer(lab):
    """Peers on a host of the session's lab, closed at the test's end."""
    peers = []

    def make(host="source", port=0, where=None):
        made = Peer((where or lab).udp_socket(host, port))
        peers.append(made)
        return made

    yield make
    for made in peers:
        made.sock.close()


@pytest.fixture
def stored(lab, peer):
    """A function that puts a new blob of some size into one relay's store."""

    def make(size, role, where=None, member=None):
        content = os.urandom(size)
        final, _ = peer(where=where).send_blob(
            (where or lab).relay(role), content, peer("target", where=where).address,
            deadline=10, member=member, until=STORED)
        assert final.code == STORED
        return content

    return make


@pytest.fixture
def digest():
    return lambda content: hashlib.sha256(content).digest()


@pytest.fixture(scope="session")
def pass_object(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xdp")
    (folder / "pass.c").write_text(PASS_PROGRAM)
    subprocess.run(["clang", "-O2", "-target", "bpf", "-c", "pass.c", "-o", "pass.o"], cwd=folder,
                   check=True)
    return folder / "pass.o"
