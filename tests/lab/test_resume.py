# SPDX-License-Identifier: BSD-3-Clause
"""Transfers whose program is killed: the same command again moves what is missing."""

import filecmp
import json
import os
import signal

import pytest

from labtools import wait_until

LINK = "delay=10ms,rate=20mbit,queue=60k"
SIZE = 8_000_000  # 3.4 s of that link
CHUNKS = SIZE // 1152 + 1
SLACK = 400  # of what is under way on that link, and in its queues


def begin(lab, path, via, *more):
    return lab.popen("source", "oncewire", "send", path, "--to", lab.address["target"], "--via",
                     via, "--timeout", 60, "--json", *more)


def kill(process):
    process.kill()
    process.communicate()


def killed_source(lab, path, via, chunks, *more):
    """One that has uploaded about so many chunks; how many the relay has."""
    before = lab.status(via)["upload_chunks"]
    process = begin(lab, path, via, *more)
    try:
        wait_until(lambda: lab.status(via)["upload_chunks"] - before >= chunks, 60)
    finally:
        kill(process)
    return lab.status(via)["upload_chunks"] - before


@pytest.mark.parametrize("via", ["private", "central"])
def test_source(fresh_lab, make_blob, out, via):
    """Its target has one file, and nothing of it twice."""
    lab, path = fresh_lab, make_blob(SIZE)
    with lab.receive(out, timeout=120) as receiver:
        with lab.impaired("source", LINK, LINK):
            killed_source(lab, path, via, CHUNKS // 3)
            sent = lab.send(path, via, timeout=60)
        assert (sent.code, sent.outcome) == (0, f"uploaded-{via}"), sent
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert sent.json["uploaded_bytes"] + sent.json["kept_bytes"] == SIZE
    status = lab.status(via)
    assert (status["uploads"], status["uploads_resumed"], status["uploads_parked"]) == (1, 1, 0)
    # what was under way when it was killed comes twice
    assert status["upload_chunks"] <= CHUNKS + SLACK
    assert status["data_chunks"] <= CHUNKS + SLACK
    assert os.listdir(out) == [os.path.basename(got["path"])]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("miss", [True, False], ids=["miss", "hit"])
def test_target(fresh_lab, make_blob, out, tmp_path, miss, how):
    """What it has stays in its folder, and the next one goes on with it."""
    lab, path = fresh_lab, make_blob(SIZE)
    if not miss:
        (tmp_path / "first").mkdir()
        lab.deliver(path, "private", tmp_path / "first")
    before = lab.status("private")["data_chunks"]
    with lab.impaired("target", LINK, LINK):
        first = lab.receive(out, timeout=120)
        sender = begin(lab, path, "private")
        wait_until(lambda: lab.status("private")["data_chunks"] - before > CHUNKS // 3, 60)
        first.process.send_signal(how)
        first.wait()
        if how == signal.SIGTERM:  # its source is told, and ends
            assert sender.wait(timeout=20) == 5
            sender.communicate()
        assert {name.split(".")[-1] for name in os.listdir(out)} == {"part", "have"}
        with lab.receive(out, timeout=120) as receiver:
            if how == signal.SIGTERM:
                sender = begin(lab, path, "private")
            text, err = sender.communicate(timeout=90)
            assert sender.returncode == 0, (text, err)
            [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert got["kept_bytes"] > SIZE // 5
    assert lab.status("private")["data_chunks"] - before <= CHUNKS + SLACK
    assert os.listdir(out) == [os.path.basename(got["path"])]


def encrypted(lab, tmp_path):
    """Options of send and recv for the members' encryption."""
    def made(kind):
        return json.loads(lab.run("source", "oncewire", "keygen", kind, tmp_path / kind, "--json",
                                  check=True).stdout)

    content, identity = made("content")["path"], made("identity")
    return (["--encrypt", "shared", "--recipient", identity["public_key"], "--content-key",
             content], ["--identity", identity["path"]])


def test_encrypted(fresh_lab, make_blob, out, tmp_path):
    """Members' encryption makes the same blob each time: both ends are killed, and go on."""
    lab, path = fresh_lab, make_blob(SIZE)
    sends, receives = encrypted(lab, tmp_path)
    with lab.impaired("source", LINK, LINK):
        first = lab.receive(out, timeout=120, extra=receives)
        killed_source(lab, path, "private", CHUNKS // 3, *sends)
        first.process.kill()
        first.wait()
        with lab.receive(out, timeout=120, extra=receives) as receiver:
            sent = lab.send(path, "private", timeout=60, extra=sends)
            assert sent.code == 0, sent
            [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert sent.json["kept_bytes"] > SIZE // 5 and got["kept_bytes"] > SIZE // 5
    status = lab.status("private")
    assert status["upload_chunks"] <= CHUNKS + SLACK and status["data_chunks"] <= CHUNKS + SLACK
