# SPDX-License-Identifier: BSD-3-Clause
"""The five flows with the real commands, at sizes around every boundary."""

import filecmp
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from labtools import wait_until

CHUNK = 1152
EXTENT = 56 * CHUNK
SIZES = [1, CHUNK - 1, CHUNK, CHUNK + 1, 28 * CHUNK, 28 * CHUNK + 1, EXTENT - 1, EXTENT, EXTENT + 1,
         65535, 65536, 65537, 10_000_000, 200_000_000]
# What frames other than data may take on the wire for one delivery.
SLACK = 40_000

OUTCOME_RELAY = {"private-hit": "private", "uploaded-private": "private", "central-hit": "central",
                 "direct-hit": "central", "uploaded-central": "central"}


def send_and_check(lab, path, via, outcome, timeout=60):
    """One send to a recv that runs already; what crossed the wire must fit the outcome."""
    size = path.stat().st_size
    uploads = outcome.startswith("uploaded")
    with lab.crossing() as crossed:
        sent = lab.send(path, via, timeout=timeout)
    assert (sent.code, sent.outcome) == (0, outcome), sent
    assert sent.json["bytes"] == size
    assert sent.json["delivered"] is True
    assert sent.json["uploaded_bytes"] == (size if uploads else 0)
    uploaded = crossed["source", "private"] + crossed["source", "central"]
    if uploads:
        assert uploaded >= size
    else:
        assert uploaded < size // 20 + SLACK
    # The bytes came from the relay that should have sent them, and from no other.
    holder = OUTCOME_RELAY[outcome]
    other = "private" if holder == "central" else "central"
    assert crossed[holder, "target"] >= size
    assert crossed[other, "target"] < SLACK
    # A blob never moves between the relays.
    assert crossed["private", "central"] + crossed["central", "private"] < SLACK
    return crossed


def check_received(got, lab, path, outcome):
    assert got["verified"] is True
    assert got["bytes"] == path.stat().st_size
    assert got["relay"].strip("[").startswith(lab.address[OUTCOME_RELAY[outcome]])
    assert filecmp.cmp(path, got["path"], shallow=False)
    assert got["id"] == hashlib.sha256(path.read_bytes()).hexdigest()
    os.unlink(got["path"])


def five_flows(lab, first, second, out):
    """`first` is uploaded to central, `second` to private; each is then a hit."""
    flows = [(first, "central", "uploaded-central"), (first, "central", "direct-hit"),
             (first, "private", "central-hit"), (second, "private", "uploaded-private"),
             (second, "private", "private-hit")]
    before = {role: lab.status(role) for role in ("private", "central")}
    with lab.receive(out, count=len(flows), timeout=200) as receiver:
        for path, via, outcome in flows:
            crossed = send_and_check(lab, path, via, outcome)
            if outcome == "private-hit":  # central is not even asked
                assert crossed["private", "central"] == 0
        received = receiver.files()
    for (path, _, outcome), got in zip(flows, received):
        check_received(got, lab, path, outcome)
    after = {role: lab.status(role) for role in ("private", "central")}

    def rise(role, name):
        return after[role][name] - before[role][name]

    # A private miss leaves the blob in the private store alone.
    assert (rise("private", "blobs"), rise("central", "blobs")) == (1, 1)
    assert (rise("private", "uploads"), rise("central", "uploads")) == (1, 1)
    # Two of the private relay's questions: for `first` and for `second`.
    assert rise("private", "queries") == 2
    assert rise("private", "hits") >= 1 and rise("central", "hits") >= 1
    assert rise("private", "misses") >= 2 and rise("central", "misses") >= 1


@pytest.mark.parametrize("size", SIZES)
def test_five_flows(lab, make_blob, out, size):
    first, second = make_blob(size), make_blob(size)
    if size == 1:  # one byte may well come twice
        first.write_bytes(b"a")
        second.write_bytes(b"b")
    five_flows(lab, first, second, out)


def test_empty_blob(fresh_lab, make_blob, out):
    """There is only one empty blob, so the two misses need relays without it."""
    path = make_blob(0)
    flows = [("private", "uploaded-private"), ("private", "private-hit"),
             ("central", "uploaded-central"), ("central", "direct-hit")]
    with fresh_lab.receive(out, count=len(flows)) as receiver:
        for via, outcome in flows:
            sent = fresh_lab.send(path, via)
            assert (sent.code, sent.outcome) == (0, outcome), sent
        received = receiver.files()
    fresh_lab.stop_relay("private")
    fresh_lab.empty_store("private")
    fresh_lab.start_relay("private")
    sent, got = fresh_lab.deliver(path, "private", out)
    assert sent.outcome == "central-hit"
    for got in received:
        assert got["bytes"] == 0 and os.path.getsize(got["path"]) == 0
        assert got["id"] == hashlib.sha256(b"").hexdigest()


def test_flows_over_ipv6(make_lab, make_blob, out):
    lab = make_lab(LAB_FAMILY=6, LAB_SLAB="256M", LAB_HUGEPAGES=0)
    try:
        five_flows(lab, make_blob(100_000), make_blob(100_000), out)
    finally:
        lab.down()


def test_one_relay_for_both_ip_versions(make_lab, make_blob, out):
    """A relay's two addresses are one relay: source and target need not be of one version."""
    lab = make_lab(LAB_FAMILY="both", LAB_SLAB="256M", LAB_HUGEPAGES=0)
    four = {role: lab.address[role] for role in ("private", "central", "target")}
    six = {role: f"[{lab.address[role + '6']}]" for role in four}
    paths = [make_blob(70_000 + n) for n in range(6)]
    try:
        assert lab.status("private")["listen"] == f"{four['private']}:4870, {six['private']}:4870"
        ways = [(asked, to) for asked in (four, six) for to in (four, six)]
        with lab.receive(out, count=11, lease=("private",)) as receiver:
            for path, (asked, to) in zip(paths, ways):
                relay = ["--private", asked["private"]]
                for outcome in ("uploaded-private", "private-hit"):
                    sent = lab.send(path, "private", to=to["target"], extra=relay)
                    assert (sent.code, sent.outcome) == (0, outcome), sent
            # central's OFFER comes from the address that the target can answer
            for to in (four, six):
                sent = lab.send(paths[4], "central", to=to["target"],
                                extra=["--central", six["central"]])
                assert sent.code == 0, sent
            sent = lab.send(paths[4], "private", to=six["target"])
            assert (sent.code, sent.outcome) == (0, "central-hit"), sent
            received = receiver.files()
        assert {got["relay"].rsplit(":", 1)[0] for got in received} == {
            four["private"], six["private"], four["central"], six["central"]}
        by_size = {path.stat().st_size: path for path in paths}
        for got in received:
            assert filecmp.cmp(by_size[got["bytes"]], got["path"], shallow=False)
        health = lab.status("private")["health"]
        assert health["ok"] and health["address"]
        lab.run("private", "ip", "addr", "del", f"{lab.address['private6']}/64", "dev", "eth0",
                check=True)
        wait_until(lambda: not lab.status("private")["health"]["address"])
        [problem] = lab.status("private")["health"]["problems"]
        assert six["private"] in problem
        # the other one goes on
        assert lab.deliver(paths[5], "private", out)[0].outcome == "uploaded-private"
    finally:
        lab.down()


@pytest.mark.parametrize("via", ["private", "central"])
def test_two_sources_upload_once(lab, make_blob, out, via):
    path = make_blob(20_000_000)
    before = lab.status(via)
    with lab.receive(out, count=2) as receiver, lab.crossing() as crossed:
        with ThreadPoolExecutor(2) as pool:
            both = [pool.submit(lab.send, path, via) for _ in range(2)]
            sent = [one.result() for one in both]
        received = receiver.files()
    assert [one.code for one in sent] == [0, 0], sent
    assert sum(one.json["uploaded_bytes"] for one in sent) == 20_000_000
    assert crossed["source", via] < 1.5 * 20_000_000
    assert lab.status(via)["uploads"] - before["uploads"] == 1
    assert lab.status(via)["blobs"] - before["blobs"] == 1
    assert len({got["path"] for got in received}) == 2
    for got in received:
        assert filecmp.cmp(path, got["path"], shallow=False)


def test_many_at_once(lab, make_blob, out):
    """Sixteen files, through both relays, to one target, all at the same time."""
    blobs = [make_blob(300_000 + i) for i in range(16)]
    with lab.receive(out, count=16) as receiver:
        with ThreadPoolExecutor(16) as pool:
            sent = list(pool.map(lambda i: lab.send(blobs[i], ("private", "central")[i % 2]),
                                 range(16)))
        received = receiver.files()
    assert [one.code for one in sent] == [0] * 16, sent
    by_size = {got["bytes"]: got["path"] for got in received}
    for blob in blobs:
        assert filecmp.cmp(blob, by_size[blob.stat().st_size], shallow=False)


def test_private_miss_stays_private(lab, make_blob, out):
    """What private took does not reach central: sent that way, it is uploaded again."""
    path = make_blob(70_000)
    assert lab.deliver(path, "private", out)[0].outcome == "uploaded-private"
    assert lab.deliver(path, "central", out)[0].outcome == "uploaded-central"
    # Private still answers from its own store, although central has the blob now.
    assert lab.deliver(path, "private", out)[0].outcome == "private-hit"


def test_rules_have_names_of_their_own(lab, make_blob):
    """`id` prints what `send` names, for each rule."""
    path = make_blob(3000)
    plain = lab.run("source", "oncewire", "id", path, check=True).stdout.split()[0]
    assert plain == hashlib.sha256(path.read_bytes()).hexdigest()
    other = lab.run("source", "oncewire", "id", path, "--rule", "xxh3", check=True).stdout
    assert other.split()[0] != plain and len(other.split()[0]) == 64


def test_xxh3_works_where_allowed(make_lab, make_blob, out, tmp_path):
    extra = tmp_path / "extra.ini"
    extra.write_text("[store]\nrules = sha256,xxh3\n")
    lab = make_lab(LAB_EXTRA_CENTRAL=extra, LAB_SLAB="256M", LAB_HUGEPAGES=0)
    try:
        path = make_blob(200_000)
        with lab.receive(out, count=1) as receiver:
            sent = lab.send(path, "central", extra=["--rule", "xxh3"])
            assert (sent.code, sent.outcome) == (0, "uploaded-central"), sent
            [got] = receiver.files()
        assert filecmp.cmp(path, got["path"], shallow=False)
        refused = lab.send(path, "private", extra=["--rule", "xxh3"])
        assert refused.code == 5, refused
    finally:
        lab.down()


def test_too_large_is_refused_with_a_reason(make_lab, make_blob, tmp_path):
    extra = tmp_path / "extra.ini"
    extra.write_text("[store]\nmax_blob = 1500000\n")
    lab = make_lab(LAB_EXTRA_PRIVATE=extra, LAB_SLAB="64M", LAB_HUGEPAGES=0)
    try:
        over_limit = lab.send(make_blob(1_500_001), "private")
        assert over_limit.code == 5 and "large" in over_limit.err, over_limit
        assert "max_blob" not in over_limit.err, "it is under the limit in whole MiB"
        far_over = lab.send(make_blob(2_097_153), "private")
        assert far_over.code == 5 and far_over.json["uploaded_bytes"] == 0, far_over
        assert "takes, 2 MiB" in far_over.err and "[store] max_blob" in far_over.err, far_over
    finally:
        lab.down()


def test_too_large_for_memory_alone(make_lab, make_blob):
    """engine = memory: what does not fit into the slab is refused at once."""
    lab = make_lab(LAB_SLAB="64M", LAB_HUGEPAGES=0, LAB_ENGINE="memory")
    try:
        over_slab = lab.send(make_blob(70_000_000), "central")
        assert over_slab.code == 5 and "large" in over_slab.err, over_slab
    finally:
        lab.down()


def test_full_store_makes_room(make_lab, make_blob, out):
    """More than RAM holds: all are delivered, the first ones make room for the last."""
    lab = make_lab(LAB_SLAB="16M", LAB_HUGEPAGES=0, LAB_ENGINE="memory")
    try:
        blobs = [make_blob(5_000_000) for _ in range(6)]
        with lab.receive(out, count=8, timeout=90) as receiver:
            sent = [lab.send(blob, "central") for blob in blobs]
            assert [one.code for one in sent] == [0] * 6, sent
            status = lab.status("central")
            assert status["blobs"] <= 3 and status["evictions"] >= 3, status
            assert status["evicted_bytes"] == 5_000_000 * status["evictions"]
            last, first = lab.send(blobs[-1], "central"), lab.send(blobs[0], "central")
            assert receiver.wait() == 0
        assert (last.outcome, first.outcome) == ("direct-hit", "uploaded-central")
        got = sorted(path.read_bytes() for path in out.iterdir())
        assert got == sorted(blob.read_bytes() for blob in blobs + [blobs[-1], blobs[0]])
    finally:
        lab.down()


@pytest.mark.parametrize("via, outcome", [("private", "central-hit"), ("central", "direct-hit")])
def test_source_is_told_the_name_that_was_taken(lab, make_blob, out, via, outcome):
    """Also when it is central that delivers, and private that is asked."""
    blob = make_blob(100_000)
    with lab.receive(out, count=3) as receiver:
        first = lab.send(blob, "central")
        again = lab.send(blob, via)
        words = lab.run("source", "oncewire", "send", blob, "--to", lab.address["target"],
                        "--via", via)
        assert receiver.wait() == 0
    assert first.json["target_name"] is None
    assert (again.outcome, again.json["target_name"]) == (outcome, f"{blob.stem} (1){blob.suffix}")
    assert f'{lab.address["target"]} as "{blob.stem} (2){blob.suffix}": {outcome}' in words.stdout
    assert again.json["target_name"] in {path.name for path in out.iterdir()}


def test_json_has_the_stable_names(lab, make_blob, out):
    with lab.receive(out, count=1) as receiver:
        sent = lab.send(make_blob(10), "central")
        assert receiver.wait() == 0
    assert set(sent.json) >= {"id", "bytes", "outcome", "uploaded_bytes", "delivered", "target_name",
                              "seconds"}
    assert set(json.loads(receiver.stdout)) >= {"id", "bytes", "path", "relay", "verified"}
    assert set(lab.status("private")) >= {"role", "blobs", "hits", "misses", "uploads", "queries",
                                          "drops", "rx_packets", "tx_packets"}
    assert lab.status("private")["role"] == "private"
    assert lab.status("central")["role"] == "central"
