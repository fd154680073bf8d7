# SPDX-License-Identifier: BSD-3-Clause
"""bench/report: what was measured, as a page with plots, all of it or nothing."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from labtools import BUILD, ROOT

REPORT = ROOT / "bench" / "report"
PLOTS = ("bench-latency.svg", "bench-ratios.svg", "bench-stages.svg")


def report(*words, **more):
    return subprocess.run([REPORT, "--build", BUILD, *map(str, words)], capture_output=True,
                          text=True, timeout=240, **more)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with a report, and what it was made of; however short, it is measured."""
    folder = tmp_path_factory.mktemp("report")
    done = report("loop", "micro", "--pairs", 2, "--seconds", 0.05, "--repetitions", 2, "--rows",
                  "pull-64,scaling-hot,latency", "--micro=--benchmark_filter=echo_check|head",
                  "--folder", folder, "--save", folder / "saved.json",
                  "--loop=--no-hugepages,--requests=20000,--blobs=20000")
    assert done.returncode == 0, done.stderr
    return folder


def test_page_and_plots(measured):
    page = (measured / "bench.md").read_text()
    saved = json.loads((measured / "saved.json").read_text())
    row = saved["loop"]["rows"]["pull-64"]
    assert row["cycles"]["median"] > 0 and sum(row["stages"].values()) > 0
    assert f"| pull-64 | {row['cycles']['median']:.0f} [" in page
    for word in ("scaling-hot", "p99.9", "`echo_check` | ", "`head_write` | ",
                 saved["machine"]["date"]):
        assert word in page
    assert sorted(p.name for p in measured.iterdir()) == \
        sorted([*PLOTS, "bench.md", "saved.json"])
    for name in PLOTS:
        assert name in page
        plot = (measured / name).read_text()
        assert "SPDX-License-Identifier" in plot
        assert xml.etree.ElementTree.fromstring(plot).tag.endswith("svg")


def test_written_again_without_measuring(measured, tmp_path):
    done = report("--from", measured / "saved.json", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("bench.md", *PLOTS):
        assert (tmp_path / name).read_bytes() == (measured / name).read_bytes()


def test_without_gnuplot_nothing_is_written(measured, tmp_path):
    """And it says so."""
    path, folder = tmp_path / "bin", tmp_path / "docs"
    path.mkdir()
    folder.mkdir()
    (path / "python3").symlink_to(shutil.which("python3"))
    done = report("--from", measured / "saved.json", "--folder", folder,
                  env=dict(os.environ, PATH=str(path)))
    assert done.returncode == 1 and "tools/deps installs it" in done.stderr
    assert list(folder.iterdir()) == []


def test_usage(tmp_path):
    assert "no such part" in report("lop").stderr
    assert "no such folder" in report("--folder", tmp_path / "none").stderr
