# SPDX-License-Identifier: BSD-3-Clause
"""pktgen-scripts for Pktgen-DPDK, which is not here: the Lua scripts against a stand-in whose
capacity is known, and what reads their output."""

import importlib.machinery
import importlib.util
import os
import subprocess

import pytest

from labtools import BUILD, ROOT

SCRIPTS = ROOT / "pktgen-scripts"
FAKE = ROOT / "tests" / "lab" / "pktgen_fake.lua"

_loader = importlib.machinery.SourceFileLoader("pktgen_run", str(SCRIPTS / "run"))
pktgen_run = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("pktgen_run", _loader))
_loader.exec_module(pktgen_run)


def script(name, capacity=1e9, **variables):
    """Its lines, and what Pktgen was told."""
    done = subprocess.run(
        ["lua5.3", FAKE, SCRIPTS / f"{name}.lua"], capture_output=True, text=True, timeout=30,
        env=os.environ | {"FAKE_CAPACITY": str(capacity)}
        | {k: str(v) for k, v in variables.items()})
    assert done.returncode == 0, done.stderr
    return pktgen_run.said(done.stdout), done.stderr.splitlines()


def test_throughput():
    lines, told = script("throughput", capacity=400, ONCEWIRE_RATE=50, ONCEWIRE_SECONDS=2)
    assert lines == [("throughput", {"rate": 50, "seconds": 2, "sent": 1_000_000,
                                     "received": 800_000})]
    assert "set count 0" in told and "set burst 32" in told and told[-1] == "quit"


@pytest.mark.parametrize("capacity,percent", [(370, 37), (3, 0.3), (999, 99.9)])
def test_rate_without_loss(capacity, percent):
    """Found to within what so many halvings can."""
    lines, told = script("rfc2544", capacity, ONCEWIRE_TRIALS=10)
    trials, (word, result) = lines[:-1], lines[-1]
    assert word == "rfc2544" and len(trials) == 10 and told[-1] == "quit"
    assert percent - 100 / 2 ** 9 <= result["rate"] <= percent
    assert result["per_second"] == pytest.approx(result["rate"] * 10_000, abs=1)
    for _, trial in trials:
        assert (trial["lost"] > 0) == (trial["rate"] > percent)


def test_all_of_the_link():
    """It does not look for more."""
    lines, _ = script("rfc2544", 2000)
    assert [word for word, _ in lines] == ["trial", "rfc2544"]
    assert lines[-1][1] == {"rate": 100, "per_second": 1_000_000}


def test_several_answers_and_some_loss():
    lines, _ = script("rfc2544", 500, FAKE_ANSWERS=32, ONCEWIRE_ANSWERS=32, ONCEWIRE_TRIALS=6)
    assert lines[-1][1]["rate"] == 50
    lines, _ = script("rfc2544", 500, ONCEWIRE_TRIALS=6, ONCEWIRE_LOSS=300_000)
    assert 50 < lines[-1][1]["rate"] <= 50 / 0.7


def test_latency():
    lines, told = script("latency", ONCEWIRE_RATE=2, FAKE_PROBES=1)
    assert lines[0][1] == {"rate": 2, "sent": 60_000, "received": 60_000, "probes": 7,
                           "min_us": 1.5, "avg_us": 2.25, "max_us": 9}
    assert "latency enable " in told


@pytest.mark.parametrize("variables", [{"FAKE_BROKEN": 1}, {"ONCEWIRE_SECONDS": "soon"}])
def test_a_script_that_fails_ends_pktgen(variables):
    lines, told = script("throughput", **variables)
    assert lines[0][0] == "failed" and told[-1] == "quit"
    assert any(word in lines[0][1]["why"] for word in ("no_such_port", "is_no_number"))


def test_lines_are_found_in_the_display():
    output = ("\x1b[2J\x1b[1;1H<Main>\r\n/ Ports 0-0 of 1\x1b[7m\r\n"
              "\x1b[0moncewire: trial number=1 sent=12 lost=0.5 why=so\r\n"
              "Pktgen:/> no oncewire: here sent=3\r\n\x1b8oncewire: rfc2544 rate=25\x1b[K\r\n")
    assert pktgen_run.said(output) == [
        ("trial", {"number": 1, "sent": 12, "lost": 0.5, "why": "so"}), ("rfc2544", {"rate": 25})]


def test_without_pktgen(tmp_path):
    for pktgen in ([], ["--pktgen", tmp_path / "none"]):
        done = subprocess.run([SCRIPTS / "run", "throughput", "--build", BUILD, *pktgen],
                              capture_output=True, text=True, timeout=30,
                              env={"PATH": "/usr/bin:/bin"})
        assert done.returncode == 2 and "name it with --pktgen" in done.stderr
