# SPDX-License-Identifier: BSD-3-Clause
"""worker_bench, which bench/loop drives: the worker's answers to minted requests, every byte of
which it compares."""

import json
import os
import subprocess

import pytest

from labtools import BUILD

BLOBS = 500
CPU = min(os.sched_getaffinity(0))
CONFIG = """[relay]
role = central
instance = bench
listen = 192.0.2.1
port = vdev:net_null0
master_key_file = {folder}/master.key
hugepages = off
[store]
engine = memory
slab_size = 48M
slab_blobs = 4096
[targets]
allow = 10.0.0.0/8
{more}
"""


@pytest.fixture
def bench(tmp_path):
    """Makes requests, and runs a list of commands on them; the answers."""
    def keygen(kind, name):
        subprocess.run([BUILD / "client" / "oncewire", "keygen", kind, tmp_path / name],
                       check=True, capture_output=True)
        return tmp_path / name

    def run(*commands, port="rings", verb="pull", bytes=256, domain=False, program="worker_bench",
            seed=1, second=False, **more):
        words = {"master-key": tmp_path / "master.key", "relay": "192.0.2.1",
                 "relay-mac": "02:00:00:00:00:02", "source": "10.0.1.1:40000", "sources": 8,
                 "source-mac": "02:00:00:00:00:01", "generate": BLOBS, "bytes": bytes,
                 "verb": verb, "count": 2000, "out": tmp_path / "requests.pcap",
                 **{name.replace("_", "-"): value for name, value in more.items()}}
        section = ""
        if domain:
            words["domain"] = keygen("domain", "domain.key")
            section = f"[domain bench]\nkey_file = {words['domain']}\n"
        (tmp_path / "relay.conf").write_text(CONFIG.format(folder=tmp_path, more=section))
        flags = [f for name, value in words.items() for f in (f"--{name}", str(value))]
        subprocess.run([BUILD / "pktgen-scripts" / "request_pcap", *flags], check=True)
        others = tmp_path / "others.pcap"
        if second:
            subprocess.run([BUILD / "pktgen-scripts" / "request_pcap", *flags, "--source",
                            "10.0.2.1:40000", "--seed", "2", "--out", others], check=True)
        done = subprocess.run(
            [BUILD / "bench" / program, "--config", tmp_path / "relay.conf", "--requests",
             tmp_path / "requests.pcap", "--blobs", str(BLOBS), "--bytes", str(bytes), "--seed",
             str(seed), "--port", port, "--cpus", f"{CPU},{CPU}",
             *(["--second", others] if second else [])],
            input="\n".join([*commands, "quit"]), text=True, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()[1:]]

    keygen("master", "master.key")
    return run


@pytest.mark.parametrize("load,frames", [
    ({"verb": "pull"}, 1),
    ({"verb": "pull", "domain": True}, 1),
    ({"verb": "send"}, 2),
    ({"verb": "send", "domain": True}, 2),
    ({"verb": "pull", "bytes": 40_000, "chunks": 32}, None),
])
def test_answers(bench, load, frames):
    (result,) = bench("offer 2000 1", **load)
    assert result["wrong"] == 0, result["fault"]
    assert result["answered"] > 0
    assert result["answered"] == result["sent"]  # what did not fit the ring was never asked
    assert result["drops"] == {}
    if frames:
        assert result["frames"] == frames * result["answered"]


def test_reflector(bench):
    (result,) = bench("offer 2000 0.5 swapped")
    assert result["wrong"] == 0, result["fault"]
    assert result["answered"] == result["sent"] == result["frames"] > 0


def test_misses_are_told(bench):
    """What is not there is answered otherwise, and is no wrong answer either."""
    (result,) = bench("offer 2000 0.5", hit_share=0.5)
    assert result["wrong"] == 0, result["fault"]
    assert 0 < result["answered"] < result["sent"]


def test_other_blobs(bench):
    """Blobs of another seed are not those that the requests name: none is answered."""
    (result,) = bench("offer 1000 0.3", seed=2)
    assert result["answered"] == 0


def test_loop(bench):
    """The file over and over, to a port that takes all."""
    for program in ("worker_bench", "worker_stages"):
        first, second = bench("run 0.3", "run 0.3", port="pcap", program=program)
        for result in (first, second):
            assert result["requests"] == result["frames"] == result["hits"] > 0
            assert result["drops"] == {}
        assert (first["stages"] is None) == (program == "worker_bench")


def test_two_workers(bench):
    """Each has its own requests, and the relay's one store."""
    one, both = bench("run 0.3", "run 0.3 both", port="pcap", second=True)
    for result in (one, both):
        assert result["requests"] == result["frames"] == result["hits"] > 0
        assert result["drops"] == {}
    assert len(one["by_worker"]) == 1 and len(both["by_worker"]) == 2
    assert min(both["by_worker"]) > 0 and sum(both["by_worker"]) == both["requests"]


def test_blobs_come_and_go(bench):
    """While others are served, and again after that."""
    for result in bench("run 0.3 churn 20000", "run 0.3 churn 20000", port="pcap"):
        assert result["requests"] == result["frames"] == result["hits"] > 0
        assert result["drops"] == {}
        churn = result["churn"]
        assert churn["stored"] > churn["removed"] > 0 and churn["refused"] == 0


def test_misses_while_control_answers(bench):
    (result,) = bench("run 0.3 control", port="pcap", hit_share=0.5)
    assert 0.4 < result["hits"] / result["requests"] < 0.6
    assert result["frames"] > result["hits"]


def test_commands_are_checked(bench):
    results = bench("run 1", "offer 0 1", "offer 1000 99", "offer 1000 1 sideways")
    results += bench("run 0", "run 1 both", "run 1 churn", "run 1 churn 0", "run 1 control 5",
                     port="pcap")
    assert all("no such command" in r["error"] for r in results)
