# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself: it leaves nothing behind, and two labs never meet."""

import fcntl
import glob
import os
import pathlib
import signal
import subprocess
import time

import pytest

from labtools import TOOL, Lab, wait_until


def traces(lab):
    """Whatever on this machine carries the lab's id."""
    found = glob.glob(f"/run/netns/ow-{lab.name}-*") + glob.glob(f"/run/oncewire/dpdk/*{lab.name}-*")
    found += glob.glob(f"/run/oncewire-lab/{lab.name}") + glob.glob(f"/dev/hugepages/*{lab.name}*")
    for cmdline in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            text = pathlib.Path(cmdline).read_bytes()
        except OSError:
            continue
        if f"oncewire-lab/{lab.name}/".encode() in text:
            found.append(text.replace(b"\0", b" ").decode())
    return found


def hugepages():
    """Pages that no lab added: other labs may come and go while a test runs."""
    shared = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(shared, fcntl.LOCK_EX)
        added = sum(int(path.read_text())
                    for path in pathlib.Path("/run/oncewire-lab").glob("*/hugepages"))
        return int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text()) - added
    finally:
        os.close(shared)


@pytest.fixture
def name():
    return f"l{os.getpid():x}"


def test_down_leaves_nothing(name):
    before = hugepages()
    lab = Lab(name, LAB_SLAB="64M", LAB_HUGEPAGES=64)
    lab.up()
    assert traces(lab)
    # Somebody's program in a namespace does not keep it alive either.
    sleeper = lab.popen("target", "sleep", "1000")
    lab.down()
    assert sleeper.wait(5) != 0
    sleeper.communicate()
    assert traces(lab) == []
    assert hugepages() == before
    lab.down()  # and again: nothing to do, no error


def heed_interrupts():
    """Tests that run in the background inherit that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("after", [0.02, 0.1, 0.3, 0.6, 1.0])
def test_interrupted_up_leaves_nothing(name, after):
    """Ctrl-C reaches the whole process group, whatever it is doing."""
    before = hugepages()
    lab = Lab(name, LAB_SLAB="64M", LAB_HUGEPAGES=64)
    process = subprocess.Popen([TOOL, "up"], env=lab.env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True, preexec_fn=heed_interrupts)
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    code = process.wait(60)
    try:
        assert code != 0 or after == 1.0
        if code != 0:
            assert traces(lab) == []
            assert hugepages() == before
    finally:
        lab.down()


def test_failed_up_leaves_nothing_and_says_why(name, tmp_path):
    extra = tmp_path / "extra.ini"
    extra.write_text("[relay]\nnonsense = 1\n")
    lab = Lab(name, LAB_SLAB="64M", LAB_HUGEPAGES=0, LAB_EXTRA_PRIVATE=extra)
    done = lab.tool("up")
    assert done.returncode != 0
    assert "private" in done.stderr and "nonsense" in done.stderr, done.stderr
    assert traces(lab) == []


def test_second_up_of_a_lab_is_refused(lab):
    done = lab.tool("up")
    assert done.returncode != 0 and "up already" in done.stderr
    assert lab.status("private")["role"] == "private"


def test_two_labs_do_not_meet(lab, make_lab, make_blob, out):
    """The same addresses, and yet: what one stores is a miss in the other."""
    other = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0)
    try:
        assert other.address == lab.address
        path = make_blob(20_000)
        assert lab.deliver(path, "central", out)[0].outcome == "uploaded-central"
        assert other.deliver(path, "central", out)[0].outcome == "uploaded-central"
        assert lab.deliver(path, "central", out)[0].outcome == "direct-hit"
    finally:
        other.down()
    assert lab.status("central")["role"] == "central"


def test_exec_and_env(lab):
    printed = lab.tool("env", check=True).stdout.split()
    assert [line.split("=")[0] for line in printed] == ["SOURCE", "TARGET", "PRIVATE", "CENTRAL"]
    for host in lab.address:
        shown = lab.run(host, "ip", "-br", "addr", "show", "eth0", check=True).stdout
        assert lab.address[host] in shown
    assert lab.run("source", "sh", "-c", "exit 7").returncode == 7
    assert lab.tool("exec", "mars", "true").returncode == 2
    assert lab.tool("exec", "source").returncode == 2


def test_host_network_is_not_touched(lab):
    """No bridge, no veth of the lab outside its namespaces."""
    shown = subprocess.run(["ip", "-br", "link"], text=True, capture_output=True, check=True).stdout
    assert not [line for line in shown.splitlines() if line.startswith(("br0", "private@"))]


def test_killed_up_is_cleaned_by_down(name):
    """Even after kill -9 of `up` itself."""
    lab = Lab(name, LAB_SLAB="64M", LAB_HUGEPAGES=0)
    process = subprocess.Popen([TOOL, "up"], env=lab.env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: (lab.state / "central.log").exists(), 20, 0.01, "a relay being started")
    process.kill()
    process.wait()
    lab.down()
    wait_until(lambda: traces(lab) == [], 5, what="a clean machine")

def test_help_says_nothing_of_the_host():
    """It is text, and nothing in it is run."""
    done = subprocess.run([TOOL, "--help"], env={"PATH": os.environ["PATH"], "MINE": "secret"},
                          capture_output=True, text=True)
    assert done.returncode == 0 and "`env` also has SOURCE6=" in done.stdout
    assert "secret" not in done.stdout
