# SPDX-License-Identifier: BSD-3-Clause
"""Uploads whose relay ends: the next one goes on with what had come."""

import filecmp
import json
import os
import signal
import time

import pytest

from labtools import wait_until

LINK = "delay=10ms,rate=20mbit,queue=60k"
SIZE = 8_000_000  # 3.4 s of that link
CHUNKS = SIZE // 1152 + 1
SLACK = 2000  # of what is under way, and not yet written, on a busy machine, too


def begin(lab, path, via):
    return lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"], "--via",
                     via, "--timeout", 60, "--json")


def finish(process):
    text, err = process.communicate(timeout=90)
    assert process.returncode == 0, (text, err)
    return json.loads(text)


def until_some_came(lab, via):
    """How many chunks that are."""
    wait_until(lambda: lab.status(via)["upload_chunks"] > CHUNKS // 2, 60)
    return lab.status(via)["upload_chunks"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("via", ["private", "central"])
def test_ends_live_on(fresh_lab, make_blob, out, via, how):
    """Neither source nor target sends or gets much of it twice."""
    lab, path = fresh_lab, make_blob(SIZE)
    with lab.receive(out, timeout=120) as receiver:
        with lab.impaired("source", LINK, LINK):
            process = begin(lab, path, via)
            came = until_some_came(lab, via)
            lab.stop_relay(via, how)
            lab.start_relay(via)
            sent = finish(process)
        assert sent["outcome"] == f"uploaded-{via}"
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    status = lab.status(via)
    assert (status["uploads"], status["uploads_resumed"], status["uploads_parked"]) == (1, 1, 0)
    assert status["upload_chunks"] <= CHUNKS - came + SLACK
    assert status["data_chunks"] <= CHUNKS - came + SLACK
    assert os.listdir(out) == [os.path.basename(got["path"])]


def test_everybody_is_killed(fresh_lab, make_blob, out, tmp_path):
    """A target that has nothing of it yet gets all of it, and it stays stored."""
    lab, path = fresh_lab, make_blob(SIZE)
    (tmp_path / "first").mkdir()
    with lab.impaired("source", LINK, LINK):
        first = lab.receive(tmp_path / "first", timeout=120)
        process = begin(lab, path, "private")
        came = until_some_came(lab, "private")
        process.kill()
        process.communicate()
        first.process.kill()
        first.wait()
        lab.stop_relay("private", signal.SIGKILL)
        lab.start_relay("private")
        assert lab.status("private")["uploads_parked"] == 1
        with lab.receive(out, timeout=120) as receiver:
            sent = finish(begin(lab, path, "private"))
            [got] = receiver.files()
    assert sent["kept_bytes"] >= (came - SLACK) * 1152
    assert filecmp.cmp(path, got["path"], shallow=False)
    lab.stop_relay("private", signal.SIGKILL)
    lab.start_relay("private")
    assert lab.status("private")["uploads_parked"] == 0
    sent, _ = lab.deliver(path, "private", tmp_path / "first")
    assert sent.outcome == "private-hit"


def test_what_is_old_is_gone(make_lab, make_blob, out, tmp_path):
    """It begins anew; nothing of the old one stays."""
    extra = tmp_path / "extra.conf"
    extra.write_text("[limits]\nparked_seconds = 1\n")
    lab = make_lab(LAB_SLAB="256M", LAB_HUGEPAGES=0, LAB_EXTRA_PRIVATE=extra)
    path = make_blob(SIZE)
    with lab.receive(out, timeout=120) as receiver:
        with lab.impaired("source", LINK, LINK):
            process = begin(lab, path, "private")
            until_some_came(lab, "private")
            lab.stop_relay("private", signal.SIGKILL)
            time.sleep(2.1)
            lab.start_relay("private")
            finish(process)
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    status = lab.status("private")
    assert (status["uploads"], status["uploads_resumed"]) == (1, 0)
    assert status["upload_chunks"] >= CHUNKS
    lab.down()
