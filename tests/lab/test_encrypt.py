# SPDX-License-Identifier: BSD-3-Clause
"""Confidential payloads: the ends encrypt, and what relays get is ciphertext."""

import contextlib
import filecmp
import json
import os
import re
import socket
import threading
from dataclasses import dataclass

import pytest

MARKER = b"only the two ends may read this."
NAME = "merger-with-acme.txt"
SIZE = 300_000
SO_RCVBUFFORCE = 33


@dataclass
class Keys:
    content: str
    other_content: str
    identity: str
    other_identity: str
    recipient: str


@pytest.fixture
def keys(lab, tmp_path):
    def make(kind, name):
        made = lab.run("source", "oncewire", "keygen", kind, tmp_path / name, "--json", check=True)
        return json.loads(made.stdout)

    contents = [make("content", name)["path"] for name in ("content", "content2")]
    identities = [make("identity", name) for name in ("identity", "identity2")]
    return Keys(*contents, *(one["path"] for one in identities), identities[0]["public_key"])


@pytest.fixture
def secret_file(tmp_path):
    """A file whose text would be found wherever it is; no relay has seen it."""
    path = tmp_path / NAME
    path.write_bytes(os.urandom(32) + MARKER * (SIZE // len(MARKER)))
    return path


def shared(keys, content=None):
    return ["--encrypt", "shared", "--recipient", keys.recipient,
            "--content-key", content or keys.content]


def randomly(keys):
    return ["--encrypt", "random", "--recipient", keys.recipient]


def deliver(lab, path, via, out, keys, *ways, lease=()):
    """The file once for each way (send's options), compared at the target. Returns
    how the sends ended."""
    identity = ["--identity", keys.identity]
    with lab.receive(out, count=len(ways), lease=lease, extra=identity) as receiver:
        sent = [lab.send(path, via, extra=way) for way in ways]
        assert [one.code for one in sent] == [0] * len(ways), sent
        received = receiver.files()
    names = [path.name] + [f"{path.stem} ({i}){path.suffix}" for i in range(1, len(ways))]
    for way, one, got, name in zip(ways, sent, received, names):
        assert got["encrypted"] == (way != [])
        assert got["id"] == one.json["id"]
        assert got["bytes"] == one.json["bytes"] == path.stat().st_size
        assert os.path.basename(got["path"]) == name
        assert one.json["target_name"] == (name if name != path.name else None)
        assert filecmp.cmp(path, got["path"], shallow=False)
        os.unlink(got["path"])
    return sent


@contextlib.contextmanager
def captured(lab, roles=("private", "central")):
    """Yields a list that holds, after the block, what these relays got and sent."""
    frames, ended, threads, sockets = [], threading.Event(), [], []

    def capture(sock):
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                frames.append(sock.recv(65536))

    for role in roles:
        sock = lab.packet_socket("net", role)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sock.settimeout(0.2)
        sockets.append(sock)
        threads.append(threading.Thread(target=capture, args=(sock,)))
        threads[-1].start()
    try:
        yield frames
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for sock in sockets:
            sock.close()


def memory_has(pid, texts):
    """Which of the texts the process has anywhere in its memory."""
    found, page, step = set(), 4096, 1 << 20
    with open(f"/proc/{pid}/maps") as maps:
        areas = re.findall(r"^(\w+)-(\w+) rw", maps.read(), re.M)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, \
            open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for start, end in areas:
            for at in range(int(start, 16), int(end, 16), step):
                entries = os.pread(pagemap.fileno(), step // page * 8, at // page * 8)
                if not any(entries[7::8]):  # no page of it was ever touched
                    continue
                with contextlib.suppress(OSError):
                    piece = os.pread(memory.fileno(), step + 64, at)
                    found.update(text for text in texts if text in piece)
    return found


def test_relays_see_ciphertext(fresh_lab, secret_file, out, keys):
    """Neither the text nor the name is in any frame or in any relay's memory; sent
    plainly, both are, so they would have been found."""
    texts = {MARKER, NAME.removesuffix(".txt").encode()}
    pid = fresh_lab.daemon_pid("private")
    with captured(fresh_lab) as frames:
        sent = deliver(fresh_lab, secret_file, "private", out, keys, shared(keys), randomly(keys))
        assert [one.outcome for one in sent] == ["uploaded-private"] * 2
    wire = b"".join(frames)
    assert len(wire) > 4 * SIZE  # two uploads, two deliveries
    assert not [text for text in texts if text in wire]
    assert memory_has(pid, texts) == set()
    with captured(fresh_lab) as frames:
        deliver(fresh_lab, secret_file, "private", out, keys, [])
    assert all(text in b"".join(frames) for text in texts)
    assert MARKER in memory_has(pid, texts)


@pytest.mark.parametrize("via, uploaded, hit", [("private", "uploaded-private", "private-hit"),
                                                ("central", "uploaded-central", "direct-hit")])
def test_shared_is_uploaded_once(lab, secret_file, out, keys, via, uploaded, hit):
    # With another domain's content key, or none, it is another blob.
    first, again, other, plain = deliver(lab, secret_file, via, out, keys, shared(keys),
                                         shared(keys), shared(keys, keys.other_content), [])
    assert first.outcome == uploaded and first.json["uploaded_bytes"] > first.json["bytes"]
    assert again.outcome == hit and again.json["uploaded_bytes"] == 0
    assert again.json["id"] == first.json["id"]
    assert other.outcome == plain.outcome == uploaded
    assert len({one.json["id"] for one in (first, other, plain)}) == 3


def test_shared_central_hit(lab, secret_file, out, keys):
    """The sealed key goes through the QUERY; and, under a lease, back to private."""
    deliver(lab, secret_file, "central", out, keys, shared(keys))
    for lease in ([], ["private"]):
        [sent] = deliver(lab, secret_file, "private", out, keys, shared(keys), lease=lease)
        assert sent.outcome == "central-hit"


def test_random_is_never_a_hit(lab, secret_file, out, keys):
    sent = deliver(lab, secret_file, "private", out, keys, randomly(keys), randomly(keys))
    assert [one.outcome for one in sent] == ["uploaded-private"] * 2
    assert sent[0].json["id"] != sent[1].json["id"]


def test_possession_is_of_the_ciphertext(make_lab, secret_file, out, keys, tmp_path):
    """A member proves that it holds the blob, from the file that it encrypts."""
    extra = tmp_path / "extra.ini"
    extra.write_text("[store]\npossession = always\n")
    lab = make_lab(LAB_DOMAINS=1, LAB_EXTRA_PRIVATE=extra, LAB_SLAB="256M", LAB_HUGEPAGES=0)
    try:
        sent = deliver(lab, secret_file, "private", out, keys, shared(keys), shared(keys))
        assert [one.outcome for one in sent] == ["uploaded-private", "private-hit"]
    finally:
        lab.down()


@pytest.mark.parametrize("size", [0, 1, 700])
def test_small(lab, make_blob, out, keys, size):
    """Also where the ciphertext could ride in the OFFER."""
    deliver(lab, make_blob(size), "private", out, keys, shared(keys), shared(keys),
            lease=["private"])


def test_declined_without_the_identity(lab, secret_file, out, keys):
    for extra, said in (([], "--identity"), (["--identity", keys.other_identity], "recipient")):
        with lab.receive(out, extra=extra) as receiver:
            sent = lab.send(secret_file, "private", extra=shared(keys))
            assert sent.code == 5 and "declined" in sent.err, sent
            receiver.process.terminate()
            receiver.wait()
        warnings = receiver.stderr.splitlines()
        assert len([line for line in warnings if said in line]) == 1, warnings
        assert list(out.iterdir()) == []


def test_command_refuses_half_an_encryption(lab, secret_file, keys):
    """Nothing is sent plainly because an option is missing."""
    for extra in (["--recipient", keys.recipient], ["--encrypt", "random"],
                  ["--encrypt", "shared", "--recipient", keys.recipient],
                  ["--content-key", keys.content], ["--encrypt", "both"]):
        sent = lab.send(secret_file, "private", extra=extra)
        assert sent.code == 2, sent
    os.chmod(keys.content, 0o644)
    sent = lab.send(secret_file, "private", extra=shared(keys))
    assert sent.code == 1 and "chmod 600" in sent.err, sent
