# SPDX-License-Identifier: BSD-3-Clause
"""What a relay may do while it serves: its user, capabilities, system calls and files; and
that its end, without privileges, leaves nothing behind."""

import grp
import os
import pathlib
import pwd
import re
import signal
import stat
import subprocess
import sys

import pytest

from labtools import wait_until, xdp_program
from test_lifecycle import assert_nothing_left, hugepage_files

USER = "oncewire"
CAP_NET_ADMIN = 1 << 12
NOBODY = 65534
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


def fields(task):
    """Of a thread's or a process's status file."""
    text = (task / "status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def threads(lab, role):
    return [fields(task) for task in pathlib.Path(f"/proc/{lab.daemon_pid(role)}/task").iterdir()]


def cleaner(lab, role):
    """The process that stays root, or None."""
    pids = subprocess.run(["ip", "netns", "pids", lab.namespace(role)], text=True,
                          capture_output=True, check=True).stdout.split()
    found = [pathlib.Path(f"/proc/{pid}") for pid in pids]
    found = [path for path in found if (path / "comm").read_text().strip() == "oncewired-clean"]
    assert len(found) <= 1
    return found[0] if found else None


def runtime(lab, role):
    return pathlib.Path(f"/run/oncewire/dpdk/oncewire-{lab.name}-{role}")


def log(lab, role):
    return (lab.state / f"{role}.log").read_text()


def restart_with(lab, role, lines, empty=False):
    lab.stop_relay(role)
    if empty:  # what another user kept is not this one's
        lab.empty_store(role)
    with open(lab.state / f"{role}.conf", "a") as config:
        config.write(f"[relay]\n{lines}\n")
    return lab.start_relay(role)


@pytest.fixture
def small_lab(make_lab):
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=256)
    yield lab
    lab.down()


@pytest.mark.parametrize("role", ["private", "central"])
def test_threads(lab, role):
    """The user in every thread; one capability in one; nothing that could bring any back."""
    uid, gid = str(pwd.getpwnam(USER).pw_uid), str(pwd.getpwnam(USER).pw_gid)
    found = threads(lab, role)
    assert len(found) >= 3, "control, a worker, a hash thread"
    for thread in found:
        assert thread["Uid"].split() == [uid] * 4 and thread["Gid"].split() == [gid] * 4
        assert thread["Groups"].strip() == ""
        assert thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2"
        main = thread["Pid"] == thread["Tgid"]
        for name, value in (("CapEff", CAP_NET_ADMIN if main else 0),
                            ("CapPrm", CAP_NET_ADMIN if main else 0),
                            ("CapInh", 0), ("CapAmb", 0), ("CapBnd", 0)):
            assert int(thread[name], 16) == value, (thread["Name"], name)
    status = lab.status(role)
    assert (status["user"], status["capabilities"], status["seccomp"]) == \
        (USER, ["cap_net_admin"], True)


def test_cleaner_has_no_capability(lab):
    """Root by its number, with nothing else."""
    found = fields(cleaner(lab, "private"))
    assert found["Uid"].split() == ["0"] * 4
    assert {int(found[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {0}
    assert found["NoNewPrivs"] == "1" and found["Seccomp"] == "2"


def test_transfer_and_end(small_lab, make_blob, out):
    """Upload, hit, and an end that removes what only root may: by order, not by luck."""
    path = make_blob(3_000_000)
    for outcome in ("uploaded-private", "private-hit"):
        assert small_lab.deliver(path, "private", out)[0].outcome == outcome
    assert xdp_program(small_lab, "private") == "steer"
    assert [path for path in hugepage_files(small_lab) if "private" in path]
    assert runtime(small_lab, "private").stat().st_uid == pwd.getpwnam(USER).pw_uid
    small_lab.stop_relay("private")
    assert_nothing_left(small_lab, "private")
    assert not runtime(small_lab, "private").exists()
    assert cleaner(small_lab, "private") is None
    small_lab.start_relay("private")
    assert small_lab.deliver(path, "private", out)[0].outcome == "private-hit"


def test_killed(small_lab, make_blob, out):
    """The cleaner does not outlive a killed relay, and the next start, as root, tidies up."""
    small_lab.stop_relay("private", signal.SIGKILL)
    wait_until(lambda: cleaner(small_lab, "private") is None, 5, 0.02, "the cleaner's end")
    assert runtime(small_lab, "private").exists()
    process = small_lab.start_relay("private")
    assert small_lab.deliver(make_blob(100_000), "private", out)[0].outcome == "uploaded-private"
    process.terminate()
    assert process.wait(10) == 0
    assert_nothing_left(small_lab, "private")
    assert not runtime(small_lab, "private").exists()


def test_links_of_a_former_run_are_not_followed(fresh_lab, tmp_path):
    """Whoever took over the relay lays a link where root's DPDK opens and truncates a file."""
    fresh_lab.stop_relay("private")
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    folder = runtime(fresh_lab, "private")
    folder.mkdir(0o700)
    for name in ("config", "fbarray_memzone", "hugepage_info"):
        (folder / name).symlink_to(precious)
    os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    fresh_lab.start_relay("private")
    assert precious.read_text() == "untouched"
    assert not (folder / "config").is_symlink()
    assert precious.stat().st_uid == 0


def test_admin_socket(fresh_lab):
    """Mode 0660, of the user and its group; or of admin_group, whose members may then ask."""
    path = fresh_lab.state / "private.sock"
    user = pwd.getpwnam(USER)

    def owner():
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o660
        return found.st_uid, found.st_gid

    def may_ask(gid):
        return subprocess.run([sys.executable, "-c", CONNECT, path], user=NOBODY, group=gid,
                              extra_groups=[], stderr=subprocess.DEVNULL).returncode == 0

    assert owner() == (user.pw_uid, user.pw_gid)
    adm = grp.getgrnam("adm").gr_gid
    assert not may_ask(adm)
    restart_with(fresh_lab, "private", "admin_group = adm")
    assert owner() == (user.pw_uid, adm)
    assert may_ask(adm) and not may_ask(NOBODY)


def test_reload_as_the_user(fresh_lab):
    """SIGHUP opens files under the filter; a key file of root's is named at the start."""
    os.kill(fresh_lab.daemon_pid("private"), signal.SIGHUP)
    wait_until(lambda: "oncewired: reloaded" in log(fresh_lab, "private"), 5, 0.05, "a reload")
    fresh_lab.stop_relay("private")
    key = fresh_lab.state / "private.key"
    assert f"chown {USER} {key}" not in log(fresh_lab, "private")
    os.chown(key, 0, 0)
    fresh_lab.start_relay("private")
    assert f"chown {USER} {key}" in log(fresh_lab, "private")


def test_stays_root(fresh_lab):
    """user = root: said loudly; the capabilities go all the same."""
    process = restart_with(fresh_lab, "private", "user = root", empty=True)
    assert re.search("WARNING: .*root", log(fresh_lab, "private"))
    assert cleaner(fresh_lab, "private") is None
    for thread in threads(fresh_lab, "private"):
        assert thread["Uid"].split() == ["0"] * 4
        assert int(thread["CapEff"], 16) in (0, CAP_NET_ADMIN)
        assert thread["NoNewPrivs"] == "1" and thread["Seccomp"] == "2"
    assert fresh_lab.status("private")["user"] == "root"
    process.terminate()
    assert process.wait(10) == 0
    assert_nothing_left(fresh_lab, "private")
    assert not runtime(fresh_lab, "private").exists()


def test_unknown_user_and_group(lab, tmp_path):
    for line, remedy in (("user = no-such-user", "useradd --system"),
                         ("admin_group = no-such-group", "groupadd --system")):
        config = tmp_path / "relay.conf"
        config.write_text((lab.state / "private.conf").read_text() + f"[relay]\n{line}\n")
        done = lab.run("private", "oncewired", "--config", config, timeout=20)
        assert done.returncode == 1
        assert line.split()[-1] in done.stderr and remedy in done.stderr, done.stderr
