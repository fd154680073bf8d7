# SPDX-License-Identifier: BSD-3-Clause
"""Starting, stopping and being killed; and what else lives on the same interface."""

import glob
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from labtools import ROOT, stop_process, wait_until, xdp_program

def hugepage_files(lab):
    return glob.glob(f"/dev/hugepages/oncewire-{lab.name}-*")


def assert_nothing_left(lab, role):
    assert xdp_program(lab, role) is None
    assert not (lab.state / f"{role}.sock").exists()
    assert not [path for path in hugepage_files(lab) if role in path]


def test_every_number_has_a_meaning(closed_lab):
    """The registry, `oncewire status` and the manual know the same numbers."""
    described = json.loads(closed_lab.run("private", "oncewire", "status", "--describe", "--json",
                                          check=True).stdout)["metrics"]
    status = closed_lab.status("private")
    names = {one["name"]: one for one in described}
    assert len(names) == len(described)
    for name, one in names.items():
        assert one["help"] and one["type"] in ("counter", "gauge", "histogram"), one
        if one["label"] == "domain":
            for domain in status["domains"].values():
                assert isinstance(domain[name.removeprefix("domain_")], int), name
        elif one["label"]:
            assert status[name] and all(type(n) is int for n in status[name].values()), name
        else:
            assert type(status[name]) is int, name
    assert {name for name, value in status.items() if type(value) is int} <= set(names)
    manual = (ROOT / "docs" / "operations.md").read_text()
    assert not [name for name, one in names.items()
                if one["label"] != "domain" and f"`{name}`" not in manual]
    plain = closed_lab.run("private", "oncewire", "status", "--describe", check=True).stdout
    assert re.search(r"^rx_burst_packets\{le\} +histogram +receive bursts", plain, re.M)


def test_bursts_and_latencies_add_up(fresh_lab, make_blob, out):
    """Each frame is in a burst, and each that control dealt with has its time."""
    fresh_lab.deliver(make_blob(300_000), "private", out)
    status = fresh_lab.status("private")
    bursts = status["rx_burst_packets"]
    assert sum(bursts.values()) > 0
    most = sum(int(size) * n for size, n in bursts.items())
    assert most / 2 < status["rx_packets"] <= most
    assert sum(status["control_latency_us"].values()) >= status["queries"] + status["misses"]
    assert 0 < max(status["ring_to_control_most"].values()) <= 8192


def test_relay_is_attached_while_it_runs(lab):
    assert xdp_program(lab, "private") == "steer"
    assert xdp_program(lab, "central") == "steer"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_clean_end(fresh_lab, how):
    """Within two seconds, status 0, nothing left; and again after a restart."""
    process = None
    for role in ("private", "private"):
        if process is None:
            fresh_lab.stop_relay(role)
        process = fresh_lab.start_relay(role)
        started = time.monotonic()
        process.send_signal(how)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 2
        assert_nothing_left(fresh_lab, role)


def test_clean_end_under_load(fresh_lab, make_blob):
    """Also in the middle of an upload."""
    fresh_lab.stop_relay("private")
    process = fresh_lab.start_relay("private")
    sender = fresh_lab.popen("source", "oncewire", "send", make_blob(200_000_000), "--to",
                             fresh_lab.address["target"], "--via", "private", "--timeout", 10)
    try:
        wait_until(lambda: fresh_lab.status("private")["rx_packets"] > 1000, 10, 0.02,
                   "an upload under way")
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - started < 2
        assert_nothing_left(fresh_lab, "private")
    finally:
        sender.kill()
        sender.communicate()


@pytest.mark.parametrize("pages", [0, 128])
def test_kill_and_start_again(make_lab, make_blob, out, pages):
    """What `kill -9` left is cleaned up by the next start, with and without hugepages."""
    lab = make_lab(LAB_HUGEPAGES=pages, LAB_SLAB="64M")
    try:
        path = make_blob(100_000)
        for outcome in ("uploaded-central", "direct-hit"):
            lab.stop_relay("central", signal.SIGKILL)
            process = lab.start_relay("central")
            assert xdp_program(lab, "central") == "steer"
            assert lab.deliver(path, "central", out)[0].outcome == outcome
            assert lab.deliver(path, "central", out)[0].outcome == "direct-hit"
        process.terminate()
        assert process.wait(10) == 0
        assert_nothing_left(lab, "central")
    finally:
        lab.down()


def test_tokens_outlive_a_restart(fresh_lab, peer):
    """Keys come from the master key file and the clock: the old cookie is still good."""
    session = peer("source", where=fresh_lab).hello(fresh_lab.relay("central"))
    fresh_lab.stop_relay("central", signal.SIGKILL)
    fresh_lab.start_relay("central")
    assert session.listen() > 0


def second_daemon(lab, config, tmp_path, changes=()):
    """Starts another relay in central's namespace; returns how it ended."""
    text = (lab.state / "central.conf").read_text()
    for old, new in (("instance = ", "instance = x"), ("central.sock", "second.sock"), *changes):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / config
    path.write_text(text)
    return lab.run("central", "oncewired", "--config", path, timeout=60)


def test_second_daemon_is_refused(lab, make_blob, out, tmp_path):
    """Same interface, even with another port: a clear error, the first one undisturbed."""
    pid = lab.daemon_pid("central")
    for changes in ((), ((":4870\nport", ":4990\nport"),)):
        done = second_daemon(lab, "second.conf", tmp_path, changes)
        assert done.returncode not in (0, None) and done.returncode > 0, done
        assert "eth0" in done.stderr, done.stderr
        assert lab.daemon_pid("central") == pid
        assert xdp_program(lab, "central") == "steer"
        lab.deliver(make_blob(50_000), "central", out)


def test_taken_port_is_refused(fresh_lab):
    """Another program's socket on the relay's port: the error names the port."""
    fresh_lab.stop_relay("central")
    with fresh_lab.udp_socket("central", 4870):
        done = fresh_lab.run("central", "oncewired", "--config", fresh_lab.state / "central.conf",
                             timeout=20)
        assert done.returncode > 0 and "4870" in done.stderr, done
    assert_nothing_left(fresh_lab, "central")
    fresh_lab.start_relay("central")


def test_foreign_xdp_program_is_left_alone(fresh_lab, pass_object):
    fresh_lab.stop_relay("private")
    fresh_lab.run("private", "ip", "link", "set", "eth0", "xdp", "obj", pass_object, "sec", "xdp",
                  check=True)
    foreign = xdp_program(fresh_lab, "private")
    done = fresh_lab.run("private", "oncewired", "--config", fresh_lab.state / "private.conf",
                         timeout=20)
    assert done.returncode > 0
    assert "XDP" in done.stderr and "eth0" in done.stderr, done.stderr
    assert xdp_program(fresh_lab, "private") == foreign
    fresh_lab.run("private", "ip", "link", "set", "eth0", "xdp", "off", check=True)
    fresh_lab.start_relay("private")


def test_missing_interface_and_address(fresh_lab):
    config = fresh_lab.state / "central.conf"
    good = config.read_text()
    fresh_lab.stop_relay("central")
    for old, new in (("af_xdp:eth0", "af_xdp:eth77"), ("10.87.0.4:4870", "10.87.0.99:4870")):
        config.write_text(good.replace(old, new))
        done = fresh_lab.run("central", "oncewired", "--config", config, timeout=20)
        assert done.returncode > 0
        assert new.split(":")[1 if "eth" in new else 0] in done.stderr, done.stderr
    config.write_text(good)
    fresh_lab.start_relay("central")


# ---- the kernel beside the relay ----

@pytest.mark.parametrize("role", ["private", "central"])
def test_ping_is_answered(lab, role):
    done = lab.run("source", "ping", "-c", 3, "-i", "0.2", "-W", 2, lab.address[role])
    assert done.returncode == 0, done.stdout


def test_ping_during_a_transfer(lab, make_blob, out):
    ping = lab.popen("source", "ping", "-c", "20", "-i", "0.1", "-W", "2", lab.address["central"])
    lab.deliver(make_blob(30_000_000), "central", out)
    assert ping.wait(30) == 0, ping.stdout.read()


def test_ssh_to_the_relays_interface(lab, tmp_path):
    """A real sshd on the address that the relay listens on."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name],
                       check=True)
    (tmp_path / "keys").write_text((tmp_path / "user.pub").read_text())
    config = tmp_path / "sshd_config"
    config.write_text(f"Port 2222\nListenAddress {lab.address['central']}\n"
                      f"HostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/keys\n"
                      "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\n")
    privileges = pathlib.Path("/run/sshd")  # sshd wants this folder to exist
    made = not privileges.exists()
    privileges.mkdir(mode=0o755, exist_ok=True)
    server = lab.popen("central", "/usr/sbin/sshd", "-D", "-e", "-f", config)
    try:
        argv = ["ssh", "-p", "2222", "-i", str(tmp_path / "user"), "-F", "none",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-o", "LogLevel=ERROR",
                f"root@{lab.address['central']}", "echo", "through"]

        def connects():
            done = lab.run("source", *argv, timeout=20)
            return done.stdout.strip() == "through"

        wait_until(connects, 20, 0.3, "ssh to the relay's interface")
    finally:
        stop_process(server)
        if made:
            privileges.rmdir()


def test_kernel_says_nothing_about_the_port(lab, peer):
    """Fragments reach the kernel's socket, which draws no ICMP `unreachable`."""
    source = peer("source").sock
    source.connect(lab.relay("central"))
    source.send(bytes(4000))
    time.sleep(0.3)
    source.send(bytes(10))  # a pending ICMP error would surface here


# ---- configuration ----

def check_config(lab, path):
    return lab.run("central", "oncewired", "--config", path, "--check-config", timeout=10)


def test_check_config_accepts_the_labs(lab):
    for role in ("private", "central"):
        assert check_config(lab, lab.state / f"{role}.conf").returncode == 0


@pytest.mark.parametrize("old,new,words", [
    ("role = central", "role = centre", ["[relay] role"]),
    ("role = central\n", "", ["role"]),
    ("hugepages", "hugpages", ["hugpages", "hugepages"]),
    ("[store]", "[stoer]", ["stoer", "store"]),
    ("slab_size = 2G", "slab_size = lots", ["[store] slab_size"]),
    (":4870\nport", ":99999\nport", ["[relay] listen"]),
    ("\nkey_file", "\nkeyfile", ["[peer private] keyfile", "key_file"]),
])
def test_check_config_names_the_fault(lab, tmp_path, old, new, words):
    text = (lab.state / "central.conf").read_text()
    assert old in text
    path = tmp_path / "bad.conf"
    path.write_text(text.replace(old, new))
    done = check_config(lab, path)
    assert done.returncode == 2, "a service manager need not try again"
    line = next(line for line in done.stderr.splitlines() if all(w in line for w in words))
    assert str(path) in line and ";" in line, "file, and what to do"


def test_check_config_wants_private_key_files(lab, tmp_path):
    key = tmp_path / "open.key"
    key.write_text("00" * 32)
    key.chmod(0o644)
    text = (lab.state / "central.conf").read_text()
    path = tmp_path / "bad.conf"
    path.write_text(text.replace(str(lab.state / "central.key"), str(key)))
    done = check_config(lab, path)
    assert done.returncode > 0 and "open.key" in done.stderr and "600" in done.stderr, done


# ---- idle ----

def test_idle_relay_rests(lab):
    """A relay without traffic must not burn its cores."""
    pid = lab.daemon_pid("private")
    ticks = os.sysconf("SC_CLK_TCK")

    def busy():
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    time.sleep(1)
    before = busy()
    time.sleep(3)
    assert busy() - before < 1.0


def test_relay_dies_alone(fresh_lab, make_blob, out):
    """Killing one relay under a transfer leaves the other one serving."""
    path = make_blob(100_000)
    fresh_lab.deliver(path, "private", out)
    fresh_lab.stop_relay("central", signal.SIGKILL)
    assert fresh_lab.deliver(path, "private", out)[0].outcome == "private-hit"
