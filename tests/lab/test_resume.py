# SPDX-License-Identifier: BSD-3-Clause
"""Transfers whose program is killed: the same command again moves what is missing."""

import filecmp
import os

import pytest

from labtools import wait_until

LINK = "delay=10ms,rate=20mbit,queue=60k"
SIZE = 8_000_000  # 3.4 s of that link


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
    lab, path = fresh_lab, make_blob(SIZE)
    chunks = SIZE // 1152 + 1
    with lab.receive(out, timeout=120) as receiver:
        with lab.impaired("source", LINK, LINK):
            killed_source(lab, path, via, chunks // 2)
            sent = lab.send(path, via, timeout=60)
        assert (sent.code, sent.outcome) == (0, f"uploaded-{via}"), sent
        [got] = receiver.files()
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert sent.json["uploaded_bytes"] + sent.json["kept_bytes"] == SIZE
    status = lab.status(via)
    assert (status["uploads"], status["uploads_resumed"], status["uploads_parked"]) == (1, 1, 0)
    # what was under way when it was killed comes twice
    assert status["upload_chunks"] <= chunks + 400
    assert os.listdir(out) == [os.path.basename(got["path"])]
