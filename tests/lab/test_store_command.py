# SPDX-License-Identifier: BSD-3-Clause
"""`oncewire store`: an operator looks into a relay's store, takes blobs out and in, and has it
verified, while the relay serves."""

import hashlib
import json
import os
import pathlib
import socket
import time

import pytest

from labtools import wait_until


class Store:
    """The command on a relay's host."""

    def __init__(self, lab, role):
        self.lab = lab
        self.role = role

    def run(self, *words, code=0, **more):
        done = self.lab.run(self.role, "oncewire", "store", *map(str, words), **more)
        assert done.returncode == code, done
        return done

    def objects(self, *words, code=0):
        return [json.loads(line)
                for line in self.run(*words, "--json", code=code).stdout.splitlines()]

    def connect(self, line):
        """A client of its own, which has sent a command."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(str(self.lab.state / f"{self.role}.sock"))
        sock.sendall(line)
        return sock


def ident(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=["rocksdb", "memory"])
def store(request, make_lab):
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0, LAB_ENGINE=request.param)
    yield Store(lab, "private")
    lab.down()


@pytest.fixture(scope="module")
def kept(make_lab):
    """A store on disk alone, which a test may stop."""
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0)
    yield Store(lab, "private")
    lab.down()


def test_look_and_carry(store, make_blob, out, tmp_path):
    """In by a source or by import, out by export or to a target: the same bytes."""
    sizes = (0, 1, 1_152, 774_144, 774_145, 5_000_000)
    files = {ident(blob): blob for blob in map(make_blob, sizes)}
    brought = make_blob(300_000)
    store.run("import", *files.values())
    assert [o["stored"] for o in store.objects("import", *files.values())] == [False] * len(sizes)
    store.lab.deliver(brought, "private", out)
    files[ident(brought)] = brought

    listed = store.objects("ls")
    assert {o["id"]: o["bytes"] for o in listed} == {i: f.stat().st_size for i, f in files.items()}
    for o in listed:
        assert o["rule"] == "sha256" and o["domain"] is None
        assert abs(o["stored"] - time.time()) < 300

    pages, more = [], []
    while len(pages) < len(files):
        done = store.run("ls", "--json", "--limit", 2, *more)
        pages += [json.loads(line)["id"] for line in done.stdout.splitlines()]
        more = ["--after", done.stderr.split("--after ")[1].strip()] if done.stderr else []
    assert not more and sorted(pages) == sorted(files)

    for i, path in files.items():
        copy = tmp_path / f"copy-{i}"
        store.run("export", i, copy)
        assert copy.read_bytes() == path.read_bytes()
        again = store.run("export", i, copy, code=1)
        assert "is there already" in again.stderr
        described = store.objects("stat", i)[0]
        assert described["bytes"] == path.stat().st_size and described["expires"] is None
        assert described["pieces_in_memory"] == described["pieces"]
    assert not list(tmp_path.glob("copy-*.*"))

    sent = store.lab.deliver_all(files.values(), "private", out)
    assert {one.outcome for one in sent} == {"private-hit"}
    done = store.objects("verify")
    assert done == [{"verified": {"blobs": len(files), "damaged": 0,
                                  "bytes": sum(f.stat().st_size for f in files.values())}}]

    store.run("rm", *files)
    assert store.objects("ls") == []
    assert store.lab.status("private")["blobs"] == 0
    for i in files:
        assert "has no blob" in store.run("rm", i, code=1).stderr
    sent, _ = store.lab.deliver(brought, "private", out)
    assert sent.outcome == "uploaded-private"


def test_removed_while_it_is_served(store, make_blob, out):
    """Its source, which waits for the delivery, uploads it anew, and it arrives whole."""
    blob = make_blob(5_000_000)
    store.lab.deliver(blob, "private", out)
    before = store.lab.status("private")
    with store.lab.impaired("target", to="rate=20mbit"), store.lab.receive(out) as target:
        sender = store.lab.popen("source", "oncewire", "send", str(blob), "--to",
                                 store.lab.address["target"], "--via", "private")
        wait_until(lambda: store.lab.status("private")["data_chunks"] >
                   before["data_chunks"] + 500)
        store.run("rm", ident(blob))
        assert sender.wait(60) == 0
        received, = target.files()
    assert ident(pathlib.Path(received["path"])) == ident(blob)
    after = store.lab.status("private")
    assert after["uploads"] == before["uploads"] + 1 and after["blobs"] == before["blobs"]


def test_wrong_bytes_are_not_imported(store, make_blob):
    """Whatever a client of the socket sends, the store has what it is said to have."""
    content = os.urandom(900_000)
    wrong = hashlib.sha256(content + b"x").hexdigest()
    for line, data, words in (
            (f"- sha256 {wrong} {len(content)}", content, "another identifier"),
            (f"- sha256 {wrong} {1 << 60}", b"", "max_blob"),
            (f"- sha256 {wrong} x", b"", "not a length"),
            (f"- md5 {wrong} 1", b"", "not a rule"),
            (f"nowhere sha256 {wrong} 1", b"", 'no domain "nowhere"'),
            ("- sha256 abc 1", b"", "not an identifier")):
        with store.connect(f"store import {line}\n".encode()) as sock:
            if data:  # else the relay may have hung up
                sock.sendall(data)
            answer = json.loads(sock.makefile().readline())
            assert words in answer["error"], answer
    # a client that goes in the middle leaves nothing behind
    before = store.lab.status("private")
    for sent in (0, 100, 800_000):
        with store.connect(f"store import - sha256 {wrong} 900000\n".encode()) as sock:
            sock.sendall(content[:sent])
    wait_until(lambda: store.lab.status("private")["stored_bytes"] == before["stored_bytes"])
    assert store.lab.status("private")["blobs"] == before["blobs"]


def test_the_group_may_not(store):
    """Who may read the counters may not read, or remove, what people send."""
    sock = store.lab.state / "private.sock"
    group = ("setpriv", "--reuid=nobody", "--regid=oncewire", "--clear-groups", "oncewire")
    assert store.lab.run("private", *group, "status", "--socket", sock).returncode == 0
    for words in (("ls",), ("verify",)):
        done = store.lab.run("private", *group, "store", *words, "--socket", sock)
        assert done.returncode == 1 and "run it as root" in done.stderr, done


def bring(store, size):
    """Stores random bytes; their identifier."""
    content = os.urandom(size)
    name = hashlib.sha256(content).hexdigest()
    with store.connect(f"store import - sha256 {name} {size}\n".encode()) as sock:
        sock.sendall(content)
        assert json.loads(sock.makefile().readline()) == {"stored": True}
    return name


def flip(folder, content):
    """Flips a bit of a blob in the database's files."""
    for path in folder.iterdir():
        if not path.is_file() or path.suffix == ".log":
            continue
        at = path.read_bytes().find(content[:64])
        if at < 0:
            continue
        with open(path, "r+b") as file:
            file.seek(at + 20)
            byte = file.read(1)[0]
            file.seek(at + 20)
            file.write(bytes([byte ^ 1]))
        return
    raise AssertionError("it is in none of the files")


def restart(store, between=lambda: None):
    store.lab.stop_relay("private")
    between()
    store.lab.start_relay("private")


@pytest.mark.parametrize("found_by", ["verify", "a target", "export"])
def test_flipped_on_disk(kept, make_blob, out, tmp_path, found_by):
    """It is put aside and said, never delivered, and can be stored again."""
    good, bad = make_blob(2_000_000), make_blob(2_000_000)
    kept.run("import", good, bad)
    others = []
    while kept.objects("stat", ident(bad))[0]["pieces_in_memory"] > 0:
        others.append(bring(kept, 4_000_000))  # else a start would read it back, and find it
    restart(kept)  # what is in the log goes to the files
    folder = kept.lab.stores / "private"
    restart(kept, lambda: flip(folder, bad.read_bytes()))
    if found_by == "verify":
        done = kept.run("verify", "--anew", code=6)
        assert "1 damaged" in done.stdout and ident(bad) in done.stderr
        assert "damaged" in (kept.lab.state / "private.log").read_text()
    elif found_by == "export":
        done = kept.run("export", ident(bad), tmp_path / "copy", code=1)
        assert "broke off" in done.stderr
        assert not list(tmp_path.glob("copy*"))
    sent = kept.lab.deliver_all([good, bad], "private", out)
    assert [one.outcome for one in sent] == ["private-hit", "uploaded-private"]
    assert kept.lab.status("private")["blobs_corrupt"] == 1
    assert "0 damaged" in kept.run("verify", "--anew").stdout
    kept.run("rm", ident(good), ident(bad), *others)


def test_verify_goes_on_where_it_was(kept):
    """Clients leave in the middle; in the end each blob was looked at, and none twice."""
    blobs = 60
    for _ in range(blobs):
        bring(kept, 4_000_000)
    for attempt in range(50):
        with kept.connect(b"store verify\n") as sock:
            begun = json.loads(sock.makefile().readline()).get("from_blobs", 0)
            if begun > 0:
                break
            time.sleep(0.01 * (attempt % 10))
    assert 0 < begun < blobs
    done = None
    while done is None or "being verified" in done.stderr:  # the last client is not missed yet
        done = kept.lab.run("private", "oncewire", "store", "verify")
    assert f"verified {blobs} blobs, {blobs * 4_000_000} bytes: 0 damaged" in done.stdout, done
    assert "going on after" in done.stderr
    # that was all of it: the next one begins anew
    assert "going on" not in kept.run("verify").stderr
