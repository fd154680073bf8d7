# SPDX-License-Identifier: BSD-3-Clause
"""What the benches that run in a lab have in common: the lab itself (tools/lab), its
relays' configuration and processes, and how figures are summed up and printed."""

import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
LAB = str(ROOT / "tools" / "lab")


class Rig:
    """A lab of the bench's own. The relays share the last CPU, the load has the first."""

    def __init__(self, build, pages):
        cpus = sorted(os.sched_getaffinity(0))
        self.client_cpu, self.server_cpu = cpus[0], cpus[-1]
        self.build = build
        self.folder = tempfile.TemporaryDirectory()
        self.env = dict(os.environ, LAB=f"bench-{os.getpid()}", BUILD=str(build),
                        LAB_SLAB="32M", LAB_HUGEPAGES=str(pages))
        self.state = pathlib.Path("/run/oncewire-lab", self.env["LAB"])
        self.address = {}

    def configure(self, role, idle, more=""):
        """What a relay's configuration has besides what the lab writes; before up()."""
        path = pathlib.Path(self.folder.name, role)
        path.write_text(f"[relay]\nidle = {idle}\nworker_cpus = {self.server_cpu}\n"
                        f"control_cpu = {self.server_cpu}\n{more}")
        self.env[f"LAB_EXTRA_{role.upper()}"] = str(path)

    def domain_key(self):
        """The path of a new domain's key file."""
        path = pathlib.Path(self.folder.name, "domain.key")
        subprocess.run([self.build / "client" / "oncewire", "keygen", "domain", path], check=True,
                       stdout=subprocess.DEVNULL)
        return path

    def lab(self, *words):
        done = subprocess.run([LAB, *words], env=self.env, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"tools/lab {words[0]}: {done.stderr.strip()}")
        return done.stdout

    def up(self):
        self.lab("up")
        lines = self.lab("env").split()
        self.address = {name.lower(): a for name, a in (line.split("=") for line in lines)}

    def down(self):
        """Leaves nothing behind, wherever it went wrong."""
        if self.state.exists():
            self.lab("down")
        self.folder.cleanup()

    def namespace(self, host):
        return f"ow-{self.env['LAB']}-{host}"

    def mac(self, host):
        return self.lab("exec", host, "cat", "/sys/class/net/eth0/address").strip()

    def relay_pid(self, role):
        pids = subprocess.run(["ip", "netns", "pids", self.namespace(role)],
                              capture_output=True, text=True, check=True).stdout.split()
        for pid in pids:
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "oncewired":
                return int(pid)
        raise RuntimeError(f"no relay in {role}")

    def relay_status(self, role):
        return json.loads(self.lab("exec", role, "oncewire", "status", "--json"))

    def load_command(self, host, *words):
        """pull_load in a host, on the load's CPU."""
        return [LAB, "exec", host, "taskset", "-c", str(self.client_cpu),
                str(self.build / "bench" / "pull_load"), *map(str, words)]


def signals_raise():
    """SIGINT and SIGTERM end the bench through its clean-up."""
    for how in (signal.SIGINT, signal.SIGTERM):
        signal.signal(how, lambda number, _: sys.exit(128 + number))


def signals_ignore():
    for how in (signal.SIGINT, signal.SIGTERM):
        signal.signal(how, signal.SIG_IGN)


def hugepages_free():
    """Pages that are neither in use nor promised to somebody."""
    info = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    return int(info.get("HugePages_Free", 0)) - int(info.get("HugePages_Rsvd", 0))


def machine():
    models = [line.split(":", 1)[1].strip()
              for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count(),
            "kernel": platform.release(), "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
            "load": os.getloadavg()[0]}


def machine_line(where):
    return (f"{where['cpu']}, {where['cores']} cores, Linux {where['kernel']}, {where['date']}, "
            f"load {where['load']:.1f}")


def spread(values):
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") \
        if len(values) > 1 else values * 3
    return {"median": middle, "quartiles": [low, high], "range": [min(values), max(values)]}


def cell(s, form):
    low, high = s["quartiles"]
    return f"{s['median']:{form}} [{low:{form}}, {high:{form}}]"


def options_add(parser, seconds, pairs, window):
    """What every bench takes."""
    parser.add_argument("--seconds", type=float, default=seconds, help=f"of one arm ({seconds})")
    parser.add_argument("--pairs", type=int, default=pairs,
                        help=f"rounds over all arms ({pairs})")
    parser.add_argument("--window", type=int, default=window,
                        help=f"requests under way ({window})")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--build", type=pathlib.Path, help="build directory ($BUILD, or build/)",
                        default=pathlib.Path(os.environ.get("BUILD", ROOT / "build")))


def options_parse(parser):
    options = parser.parse_args()
    options.build = options.build.resolve()
    if options.pairs < 1 or options.seconds <= 0:
        parser.error("--pairs and --seconds must be above 0")
    return options
