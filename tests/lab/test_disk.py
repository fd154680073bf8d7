# SPDX-License-Identifier: BSD-3-Clause
"""What a relay does whose disk is full, breaks, loses power or is taken away: what it said to
be stored is there, it says what is wrong, and goes on by itself once that is over."""

import ctypes
import os
import pathlib
import signal
import sys

import pytest

from labtools import wait_until
from volume import Volume

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from crash import Crash  # noqa: E402


@pytest.fixture(scope="module")
def lab(make_lab):
    return make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0, LAB_STORE="min_free = 0")


def problem(lab):
    """What the private relay says is wrong with its store, or None."""
    found = [p for p in lab.status("private")["health"]["problems"] if "store" in p or "disk" in p]
    return found[0] if found else None


def log(lab):
    return (lab.state / "private.log").read_text()


def wait_for_problem(lab, *words):
    """That has all these words: it may come and go while the store is tried again."""
    wait_until(lambda: all(word in (problem(lab) or "") for word in words), 30, what=str(words))


def upload(lab, blob, out):
    sent, _ = lab.deliver(blob, "private", out)
    assert sent.outcome == "uploaded-private"


def assert_hits(lab, blobs, out):
    for sent in lab.deliver_all(blobs, "private", out):
        assert (sent.outcome, sent.json["uploaded_bytes"]) == ("private-hit", 0)


def assert_not_taken(lab, blob, out):
    """Though its target is there, and may get it."""
    before = lab.status("private")["blobs"]
    with lab.receive(out):
        sent = lab.send(blob, "private", timeout=2)
        assert sent.code != 0 and sent.json["stored"] is False
        assert sent.json["delivered"] is (sent.code == 7)
    assert lab.status("private")["blobs"] == before


def assert_no_start(lab, words):
    done = lab.run("private", "oncewired", "--config", lab.state / "private.conf")
    assert done.returncode == 1 and words in done.stderr, done.stderr


def upload_until(lab, make_blob, out, words):
    """Until the relay's log has the words: the engine's log has some room of its own. What was
    said to be stored, and is in memory whole."""
    said, stored = len(log(lab)), []
    for _ in range(60):
        blob = make_blob(3_000_000)
        with lab.receive(out):
            if lab.send(blob, "private", timeout=10).code == 0:
                stored.append(blob)
        if words in log(lab)[said:]:
            return stored
    raise AssertionError(f"the relay does not say: {words}")


def test_full(lab, make_blob, out):
    """Nothing that does not fit is said to be stored, what is in memory is served, and it goes
    on when there is room again; what was stored before is there."""
    blobs, later = [make_blob(300_000)], make_blob(300_000)
    with Volume(lab, "private") as volume:
        upload(lab, blobs[0], out)
        volume.fill()
        # in the log, as it works again at once if nothing else is to be written
        blobs += upload_until(lab, make_blob, out, "No space left")
        assert_not_taken(lab, make_blob(80_000_000), out)  # which does not go by the log
        assert_hits(lab, blobs, out)
        volume.free()
        wait_until(lambda: not problem(lab), 30)
        upload(lab, later, out)
        lab.stop_relay("private", signal.SIGKILL)
        lab.start_relay("private")
        assert_hits(lab, [*blobs, later], out)


def test_too_full_to_start(lab, make_blob, out):
    with Volume(lab, "private") as volume:
        blob = make_blob(100_000)
        upload(lab, blob, out)
        lab.stop_relay("private")
        volume.fill()
        assert_no_start(lab, "the disk is full: free some space")
        volume.free()
        lab.start_relay("private")
        assert_hits(lab, [blob], out)


def test_read_only(lab, make_blob, out):
    with Volume(lab, "private") as volume:
        blob = make_blob(100_000)
        upload(lab, blob, out)
        lab.stop_relay("private")
        volume.remount("ro")
        assert_no_start(lab, "the relay's user must be able to write there")
        volume.remount("rw")
        lab.start_relay("private")
        assert_hits(lab, [blob], out)


def set_version(folder, version):
    """What a relay of another release would have written, with the database's own library."""
    db = ctypes.CDLL("librocksdb.so.7.8")
    for name in ("options_create", "list_column_families", "open_column_families",
                 "writeoptions_create"):
        getattr(db, f"rocksdb_{name}").restype = ctypes.c_void_p
    options = ctypes.c_void_p(db.rocksdb_options_create())
    db.rocksdb_options_set_uint64add_merge_operator(options)
    path, error, count = str(folder).encode(), ctypes.c_char_p(), ctypes.c_size_t()
    names = ctypes.c_void_p(db.rocksdb_list_column_families(
        options, path, ctypes.byref(count), ctypes.byref(error)))
    handles = (ctypes.c_void_p * count.value)()
    base = ctypes.c_void_p(db.rocksdb_open_column_families(
        options, path, count.value, names, (ctypes.c_void_p * count.value)(
            *[options.value] * count.value), handles, ctypes.byref(error)))
    assert error.value is None, error.value
    default = [ctypes.cast(names, ctypes.POINTER(ctypes.c_char_p))[i]
               for i in range(count.value)].index(b"default")
    db.rocksdb_put_cf(base, ctypes.c_void_p(db.rocksdb_writeoptions_create()),
                      ctypes.c_void_p(handles[default]), b"version", ctypes.c_size_t(7), version,
                      ctypes.c_size_t(len(version)), ctypes.byref(error))
    assert error.value is None, error.value
    for handle in handles:
        db.rocksdb_column_family_handle_destroy(ctypes.c_void_p(handle))
    db.rocksdb_close(base)


def test_newer_version(lab, make_blob, out):
    """One that this release does not know is refused, and is as it was afterwards."""
    blob, path = make_blob(2_000_000), lab.stores / "private"
    upload(lab, blob, out)
    lab.stop_relay("private")
    owner = path.stat()
    for version, works in ((b"4", False), (b"3", True)):
        set_version(path, version)
        for file in path.iterdir():
            os.chown(file, owner.st_uid, owner.st_gid)
        if not works:
            assert_no_start(lab, "it is of another oncewire: run that one")
    lab.start_relay("private")
    assert_hits(lab, [blob], out)


def test_room_is_kept_free(make_lab, make_blob, out):
    """The oldest go where others write to the disk; where they write more than that helps,
    nothing is taken."""
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0, LAB_STORE="min_free = 20M")
    try:
        with Volume(lab, "private", size="100M") as volume:
            blob = make_blob(300_000)
            upload(lab, blob, out)
            volume.fill(but=15 << 20)
            wait_until(lambda: lab.status("private")["blobs"] == 0, 30)
            upload(lab, blob, out)
            volume.fill(but=5 << 20)
            wait_for_problem(lab, "nothing is taken until it has more")
            refused = lab.send(make_blob(300_000), "private", timeout=2)
            assert "the relay's store is full" in refused.err
            volume.free()
            wait_until(lambda: not problem(lab), 30)
            upload(lab, make_blob(300_000), out)
    finally:
        lab.down()


def test_disk_breaks(lab, make_blob, out, tmp_path):
    """Each write fails (EIO) from some moment on."""
    before, after = make_blob(300_000), make_blob(300_000)
    with Volume(lab, "private", tmp_path / "disk", "256M") as volume:
        upload(lab, before, out)
        volume.power_off()
        assert_not_taken(lab, after, out)
        wait_for_problem(lab, "does not work")
        assert_hits(lab, [before], out)
        volume.power_on()
        wait_until(lambda: not problem(lab), 30)
        upload(lab, after, out)
        assert_hits(lab, [before], out)


def test_folder_disappears(lab, make_blob, out):
    blob = make_blob(300_000)
    path, away = lab.stores / "private", lab.stores / "away"
    upload(lab, blob, out)
    path.rename(away)
    try:
        wait_for_problem(lab, "put it back")
        assert_not_taken(lab, make_blob(300_000), out)
        assert_hits(lab, [blob], out)
    finally:
        away.rename(path)
    wait_until(lambda: not problem(lab), 30)
    upload(lab, make_blob(300_000), out)


@pytest.mark.parametrize("sync", ["group", "always", "os"])
def test_power_is_lost(lab, make_blob, out, tmp_path, sync):
    """group, always: what was said to be stored is there. os: it need not be, but what is
    there is right, and the store opens."""
    blobs = [make_blob(size) for size in (1, 5_000, 100_000, 1_000_000, 3_000_000,
                                          20_000_000)]  # the last one not by the log
    config = lab.state / "private.conf"
    text = config.read_text()
    config.write_text(text.replace("[store]\n", f"[store]\nsync = {sync}\n"))
    try:
        with Volume(lab, "private", tmp_path / "disk", "256M") as volume:
            sent = lab.deliver_all(blobs, "private", out)
            assert {one.outcome for one in sent} == {"uploaded-private"}
            volume.power_off()
            lab.stop_relay("private", signal.SIGKILL)
            volume.power_on()
            lab.start_relay("private")
            sent = lab.deliver_all(blobs, "private", out)
            hits = sum(one.outcome == "private-hit" for one in sent)
    finally:
        config.write_text(text)
    print(f"sync = {sync}: {hits} of {len(blobs)} were there")
    assert hits == len(blobs) or sync == "os"


def test_power_is_lost_again_and_again(lab, tmp_path):
    """While several sources upload; tests/crash.py --power does it as often as it is told."""
    with Volume(lab, "private", tmp_path / "disk", "2G") as volume:
        crash = Crash(lab, "private", int.from_bytes(os.urandom(2), "big"), volume)
        crash.run(5, last=20)
        print(crash.summary())
        assert not crash.failed(), crash.summary()
        assert crash.checked["blobs"] > 0
