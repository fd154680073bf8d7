# SPDX-License-Identifier: BSD-3-Clause
"""Many transfers at once to one receiver, by handles of the library (bench/many)."""

import hashlib
import json

from labtools import BUILD, TARGET_PORT, Receiver

COUNT = 200
SIZE = 96 << 10
LINK = "delay=5ms,rate=20mbit,queue=100k"


def receive(lab, out, *before):
    return Receiver(lab.popen("target", *before, "oncewire", "recv", "--out", out, "--count",
                              COUNT, "--timeout", 120, "--json"))


def send_all(lab):
    """Blobs 1 to COUNT; what each came to."""
    program = BUILD / "bench" / "many"
    done = lab.run("source", program, "send", lab.address["private"], lab.address["target"],
                   TARGET_PORT, 1, 0, COUNT, 1, COUNT, SIZE, input="\n", timeout=150)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["outcomes"]


def check(files, out):
    assert len({got["id"] for got in files}) == len(files) == COUNT
    assert sorted(path.name for path in out.iterdir()) == sorted(map(str, range(1, COUNT + 1)))
    for got in files:
        with open(got["path"], "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == got["id"]


def test_one_receiver(fresh_lab, out, tmp_path):
    """By the limits that a relay has unless told otherwise, and over a slow link also where the
    receiver may have fewer files open than come at once: then some wait for others."""
    lab, again = fresh_lab, tmp_path / "again"
    again.mkdir()
    with receive(lab, out) as receiver:
        assert send_all(lab) == {"uploaded-private": COUNT}
        check(receiver.files(), out)
    with lab.impaired("target", LINK), \
            receive(lab, again, "prlimit", "--nofile=60:60") as receiver:
        assert send_all(lab) == {"private-hit": COUNT}
        check(receiver.files(), again)
    assert "files arrive at once, and no more can be opened" in receiver.stderr
