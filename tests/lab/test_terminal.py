# SPDX-License-Identifier: BSD-3-Clause
"""The commands as a person or a script meets them: exit status, icons, bars."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import termios
import time

import pytest

from labtools import BUILD, visible, wait_until

RIGHT, LEFT, ENTER, ESCAPE = b"\x1b[C", b"\x1b[D", b"\r", b"\x1b"


class Terminal:
    """A command whose stdin, stdout and stderr are one pseudo terminal."""

    def __init__(self, lab, *argv, environment=()):
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (30, 100))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.screen = b""
        self.process = lab.popen("source", "env", "TERM=xterm-256color", "LC_ALL=C.UTF-8",
                                 *environment, *argv, stdin=slave, stdout=slave, stderr=slave,
                                 text=False, start_new_session=True)

    def read(self, seconds):
        with contextlib.suppress(OSError):
            if select.select([self.master], [], [], seconds)[0]:
                self.screen += os.read(self.master, 65536)

    def expect(self, pattern, timeout=15):
        end = time.monotonic() + timeout
        while not re.search(pattern, self.screen):
            assert time.monotonic() < end, f"{pattern} is not in {self.screen!r}"
            self.read(0.1)

    def press(self, *keys):
        for key in keys:
            os.write(self.master, key)
            self.read(0.3)

    def wait(self, timeout=40):
        end = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < end, self.screen
            self.read(0.1)
        self.read(0.1)
        return self.process.returncode

    def restored(self):
        """The terminal's modes are as they were before."""
        return termios.tcgetattr(self.slave) == self.before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def chooser(lab, path, **more):
    return Terminal(lab, "oncewire", "send", path, "--to", lab.address["target"], "--timeout", 20,
                    **more)


@pytest.mark.parametrize("keys,relay", [
    ((b"1", ENTER), "private"),
    ((b"2", ENTER), "central"),
    ((ENTER,), "private"),
    ((RIGHT, ENTER), "central"),
    ((RIGHT, LEFT, ENTER), "private"),
])
def test_icons_choose_the_relay(lab, make_blob, out, keys, relay):
    path = make_blob(3_000)
    before = lab.status(relay)["uploads"]
    with lab.receive(out) as receiver, chooser(lab, path) as terminal:
        terminal.expect(rb"(?i)private")
        terminal.expect(rb"(?i)central")
        terminal.expect(lab.address["private"].encode())
        terminal.press(*keys)
        assert terminal.wait() == 0, terminal.screen
        assert terminal.restored()
        [got] = receiver.files()
    assert got["relay"].startswith(lab.address[relay])
    assert lab.status(relay)["uploads"] == before + 1


@pytest.mark.parametrize("key", [b"q", ESCAPE, b"\x03"])
def test_icons_can_be_left(lab, make_blob, key):
    """q, Esc and Ctrl-C: nothing is sent, the terminal is as before."""
    before = lab.status("private")["rx_packets"]
    with chooser(lab, make_blob(10)) as terminal:
        terminal.expect(rb"(?i)central")
        terminal.press(key)
        assert terminal.wait(10) != 0
        assert terminal.restored()
    assert lab.status("private")["rx_packets"] == before


def test_icons_without_utf8(lab, make_blob):
    with chooser(lab, make_blob(10), environment=("LC_ALL=C",)) as terminal:
        terminal.expect(rb"(?i)central")
        terminal.press(b"q")
        terminal.wait(10)
        assert terminal.screen.isascii()


def test_progress_is_for_terminals(lab, make_blob, out):
    path = make_blob(20_000_000)
    with lab.receive(out) as receiver:
        with Terminal(lab, "oncewire", "send", path, "--to", lab.address["target"], "--via",
                      "private") as terminal:
            assert terminal.wait() == 0
            assert b"\r" in terminal.screen.replace(b"\r\n", b"")
        receiver.files()
    with lab.receive(out) as receiver:
        sent = lab.send(path, "private")
        receiver.files()
    assert sent.err == "" and len(sent.out.splitlines()) == 1


def test_no_via_without_a_terminal_is_a_usage_error(lab, make_blob):
    done = lab.run("source", "oncewire", "send", make_blob(10), "--to", lab.address["target"])
    assert done.returncode == 2 and "--via" in done.stderr, done


@pytest.mark.parametrize("argv", [
    (), ("fly",), ("send",), ("send", "/etc/hostname"), ("send", "/etc/hostname", "--to"),
    ("send", "/etc/hostname", "--to", "nonsense", "--via", "private"),
    ("send", "/etc/hostname", "--to", "10.87.0.2", "--via", "pigeon"),
    ("send", "/etc/hostname", "--to", "10.87.0.2", "--via", "private", "--rule", "md5"),
    ("send", "/etc/hostname", "--to", "10.87.0.2", "--via", "private", "--timeout", "soon"),
    ("recv",), ("recv", "--out", "/tmp", "--count", "-1"), ("id",), ("status", "--bogus"),
])
def test_usage_errors_end_with_2(lab, argv):
    done = lab.run("source", "oncewire", *argv, timeout=10)
    assert done.returncode == 2, done
    assert done.stderr and not done.stdout, done


def test_failures_have_a_status_of_their_own(lab, tmp_path):
    missing = lab.send(tmp_path / "missing", "private")
    assert missing.code == 1 and "missing" in missing.err, missing
    missing = tmp_path / "nowhere" / "deeper"
    folder = lab.run("target", "oncewire", "recv", "--out", missing, timeout=10)
    assert folder.returncode == 1 and "nowhere" in folder.stderr, folder
    socket = lab.run("source", "oncewire", "status", "--socket", tmp_path / "none", timeout=10)
    assert socket.returncode == 3 and "none" in socket.stderr, socket


def test_recv_timeout_ends_with_1(lab, out):
    with lab.receive(out, timeout=1) as receiver:
        assert receiver.wait(15) == 1


def test_version_and_help(lab):
    for program in ("oncewire", "oncewired"):
        version = lab.run("private", program, "--version", check=True).stdout
        assert re.search(r"\d+\.\d+\.\d+", version)
        helped = lab.run("private", program, "--help", check=True).stdout
        assert "usage" in helped.lower()


def test_status_for_people(lab):
    """The same counters as the JSON's, without braces."""
    text = lab.run("private", "oncewire", "status", check=True).stdout
    assert "private" in text and "{" not in text
    numbers = lab.status("private")
    for name in ("blobs", "hits", "misses", "uploads", "queries"):
        assert re.search(rf"{name}\b.*\d", text), name
        assert isinstance(numbers[name], int)
    assert all(isinstance(count, int) for count in numbers["drops"].values())


def test_configuration_errors_name_the_line(lab, make_blob, tmp_path):
    config = tmp_path / "client.conf"
    config.write_text("[oncewire]\nprivate = 10.87.0.3\ncentrall = 10.87.0.4\n")
    done = lab.run("source", "env", f"ONCEWIRE_CONFIG={config}", "oncewire", "send", make_blob(1),
                   "--to", lab.address["target"], "--via", "private", timeout=20)
    assert done.returncode in (1, 2)
    assert f"{config}:3" in done.stderr and "centrall" in done.stderr, done


def test_daemon_usage(lab):
    assert lab.run("private", "oncewired", "--nonsense", timeout=10).returncode == 2
    sample = lab.run("private", "oncewired", "--print-sample", check=True).stdout
    assert "[relay]" in sample and "master_key_file" in sample


def test_status_over_a_dead_socket(fresh_lab):
    fresh_lab.stop_relay("private")
    done = fresh_lab.run("private", "oncewire", "status", "--socket",
                         fresh_lab.state / "private.sock", "--json", timeout=10)
    assert done.returncode == 3 and not done.stdout


def test_admin_socket_survives_nonsense(lab):
    """Unknown commands get an error object; then the relay answers as before."""
    script = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
              "s.sendall(b'dance wildly\\n'); print(s.makefile().read())")
    done = lab.run("private", "/usr/bin/python3", "-c", script, lab.state / "private.sock")
    assert "error" in json.loads(done.stdout)
    assert lab.status("private")["role"] == "private"


def test_interrupt_is_passed_on(lab, tmp_path):
    """recv into a folder that is not there yet; Ctrl-C gives its lease back, and then ends the
    shell's loop around it."""
    out = tmp_path / "incoming"
    with lab.receive(out, count=0, lease=("private",)) as receiver:
        assert out.is_dir()
        wait_until(lambda: lab.status("private")["leases"] > 0, what="a lease")
        receiver.process.send_signal(signal.SIGINT)
        assert receiver.wait() == -signal.SIGINT


def test_full_output_is_an_error(lab, make_blob):
    """A result that nobody could read is not one; and the command says why."""
    for words in (("id", make_blob(10)), ("status",)):
        done = lab.run("private", "sh", "-c", 'exec oncewire "$@" >/dev/full', "sh", *words)
        assert done.returncode == 1
        assert "standard output: No space left on device" in done.stderr


def test_status_of_somebody_elses_relay(lab):
    """Permission denied is not `no relay answers`."""
    socket = lab.state / "private.sock"
    done = lab.run("private", "setpriv", "--reuid", "nobody", "--clear-groups",
                   BUILD / "client" / "oncewire", "status", "--socket", socket)
    assert done.returncode == 1 and "admin_group" in done.stderr, done


def test_recv_says_where_it_listens(lab, out):
    with lab.receive(out, count=1, timeout=20, lease=("central",)) as receiver:
        def said():
            return lab.status("central")["leases"] > 0

        wait_until(said, 10, 0.1, "the lease")
        time.sleep(0.5)
    err = receiver.stderr
    assert f"listening on all addresses, port 4871, files go to {out}" in err, err
    assert f"registered with relay {lab.relay('central')[0]}:4870" in err, err


def test_stopped_recv_tells_the_source(make_lab, make_blob, out, tmp_path):
    """In the middle of a file, which takes twenty seconds: the source ends at once, and both
    say so."""
    extra = tmp_path / "slow"
    extra.write_text("[limits]\nrate_per_target = 1M\n")
    lab = make_lab(LAB_EXTRA_CENTRAL=extra, LAB_SLAB="64M", LAB_HUGEPAGES=0)
    sender = None
    try:
        with lab.receive(out, count=0, timeout=60) as receiver:
            before = lab.status("central")["data_chunks"]
            sender = lab.popen("source", "oncewire", "send", make_blob(20_000_000), "--to",
                               lab.address["target"], "--via", "central", "--timeout", 60)
            wait_until(lambda: lab.status("central")["data_chunks"] > before, 50, 0.02,
                       "a delivery under way")
            receiver.process.terminate()
            assert receiver.wait(10) == 1
        err = sender.communicate(timeout=15)[1]
        assert sender.returncode == 5 and "was stopped" in err, err
        assert "in the middle of 1 files" in receiver.stderr
        assert not visible(out)
    finally:
        if sender:
            sender.kill()
            sender.wait()
        lab.down()
