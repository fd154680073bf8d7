# SPDX-License-Identifier: BSD-3-Clause
"""Transfers that something stops in the middle: they go on, and the bytes are the same."""

import filecmp
import time

import pytest

LINK = "delay=10ms,rate=20mbit,queue=60k"
SIZE = 8_000_000  # 3.4 s of that link


def begin(lab, path, timeout=90):
    return lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"], "--via",
                     "private", "--timeout", timeout, "--json")


def finish(process, receiver, path):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, (out, err)
    [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)


@pytest.mark.parametrize("kind, host, seconds", [
    ("pause", "source", 7), ("pause", "private", 5), ("carrier", "source", 3),
])
def test_upload(fresh_lab, make_blob, out, kind, host, seconds):
    """An upload is no wrong one because nothing came for a while."""
    path = make_blob(SIZE)
    with fresh_lab.impaired("source", LINK, LINK):
        with fresh_lab.receive(out, timeout=120) as receiver:
            process = begin(fresh_lab, path)
            time.sleep(1.5)
            with fresh_lab.fault(kind, host, seconds) as fault:
                assert fault.wait(30) == 0
            finish(process, receiver, path)
    assert fresh_lab.status("private")["uploads"] == 1


@pytest.mark.parametrize("kind, host, seconds", [
    ("pause", "target", 7), ("pause", "private", 5), ("pause", "source", 7),
    ("carrier", "target", 3), ("carrier", "private", 3),
])
def test_hit(fresh_lab, make_blob, out, tmp_path, kind, host, seconds):
    path = make_blob(SIZE)
    first = tmp_path / "first"
    first.mkdir()
    fresh_lab.deliver(path, "private", first)
    with fresh_lab.impaired("target", LINK, LINK):
        with fresh_lab.receive(out, timeout=120) as receiver:
            process = begin(fresh_lab, path)
            time.sleep(1.5)
            with fresh_lab.fault(kind, host, seconds) as fault:
                assert fault.wait(30) == 0
            finish(process, receiver, path)
    assert fresh_lab.status("private")["uploads"] == 1
