# SPDX-License-Identifier: BSD-3-Clause
"""A lab as tests see it: hosts to run things on, relays to start and stop, sockets
inside a host, and what crossed the wire between whom."""

import contextlib
import ctypes
import filecmp
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
TOOL = str(ROOT / "tools" / "lab")
RELAY_PORT = 4870
TARGET_PORT = 4871
HOSTS = ("source", "target", "private", "central")
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33

# Counts UDP between each pair of hosts where it must pass: on the bridge.
TRAFFIC = "table bridge traffic {{\n{counters}\nchain forward {{\n" \
          "type filter hook forward priority -20;\n{rules}\n}}\n}}\n"
LOSS = "table bridge loss {{\nchain forward {{\ntype filter hook forward priority 0;\n" \
       "meta l4proto udp numgen random mod 1000 < {permille} counter drop\n}}\n}}\n"


def wait_until(condition, timeout=20, step=0.05, what="condition"):
    """Polls until the condition holds, and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {timeout} s"
        time.sleep(step)


def xdp_program(lab, role):
    """Name of the XDP program on the relay's interface, or None."""
    shown = lab.run(role, "ip", "-d", "-j", "link", "show", "eth0", check=True).stdout
    program = json.loads(shown)[0].get("xdp", {}).get("prog")
    return program and program.get("name", str(program["id"]))


def reload(lab, role):
    """SIGHUP to the relay; what its status says of that."""
    before = lab.status(role)["reload"]["count"]
    os.kill(lab.daemon_pid(role), signal.SIGHUP)
    return wait_until(lambda: (now := lab.status(role)["reload"])["count"] > before and now, 5,
                      what="the reload")


def expect_drop(lab, role, reason, act, count=1):
    """act() must raise this counter by exactly `count`, and no other."""
    before = lab.drops(role)
    act()
    wait_until(lambda: lab.drops(role).get(reason, 0) >= before.get(reason, 0) + count, 5,
               what=f"drop counter {reason}")
    time.sleep(0.1)
    after = lab.drops(role)
    rise = {name: after[name] - before.get(name, 0) for name in after
            if after[name] != before.get(name, 0)}
    assert rise == {reason: count}


@dataclass
class Sent:
    """How a `oncewire send` ended."""
    code: int
    out: str
    err: str
    json: dict = field(default_factory=dict)

    @property
    def outcome(self):
        return self.json.get("outcome")


def visible(out):
    """What a target shows of its folder: what has come of a file that is cut off is hidden."""
    return [name for name in os.listdir(out) if not name.startswith(".oncewire-")]


class Receiver:
    """A `oncewire recv` in the background. What it prints is read all the time, for one
    that cannot print waits, and takes no more files."""

    def __init__(self, process):
        self.process = process
        self.stdout = self.stderr = None
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        self.stdout, self.stderr = self.process.communicate()

    def wait(self, timeout=60):
        """Its exit status; stdout and stderr are then there to read."""
        self.process.wait(timeout)
        self.reader.join(timeout)
        return self.process.returncode

    def files(self, timeout=60):
        """Waits for its end, which must be a success: the objects it printed."""
        code = self.wait(timeout)
        assert code == 0, f"recv ended with {code}: {self.stderr}"
        return [json.loads(line) for line in self.stdout.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end_process(self.process)
        self.reader.join()


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_packet(macs, source, target, payload):
    """An Ethernet frame with UDP over IPv4, as a packet socket sends it. macs: (from, to);
    source and target: (address, port)."""
    ends = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
    udp = struct.pack(">HHHH", source[1], target[1], 8 + len(payload), 0)
    pseudo = ends + struct.pack(">HH", socket.IPPROTO_UDP, 8 + len(payload))
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp + payload) or 0xFFFF)
    ip = struct.pack(">BBHIBBH", 0x45, 0, 28 + len(payload), 0, 64, socket.IPPROTO_UDP, 0)
    ip = ip[:10] + struct.pack(">H", checksum(ip + ends)) + ends
    return b"".join(bytes.fromhex(mac.replace(":", "")) for mac in macs[::-1]) + b"\x08\x00" + \
        ip + udp + payload


def drain(sniffer):
    """What a packet socket on a bridge's port has from the host behind it."""
    frames = []
    sniffer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            raw, where = sniffer.recvfrom(2048)
            if where[2] != socket.PACKET_OUTGOING and raw[12:14] == b"\x08\x00" and \
                    raw[14] == 0x45 and raw[23] == socket.IPPROTO_UDP:
                frames.append(raw)
    return frames


def has_ended(pid):
    """The process and all its threads: what they had open is closed then. Its parent may
    not have asked for it yet."""
    states = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(path.read_text().rsplit(")", 1)[1].split()[0])
    return all(state in "ZX" for state in states)


def end_process(process, timeout=5):
    """Ends a process that we started, gently first."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stop_process(process):
    """Ends it, and what it has not read or written is lost."""
    end_process(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


class Lab:
    def __init__(self, name, **options):
        self.name = name
        self.env = dict(os.environ, LAB=name, BUILD=str(BUILD),
                        **{k: str(v) for k, v in options.items()})
        self.state = pathlib.Path("/run/oncewire-lab") / name
        self.stores = pathlib.Path("/var/tmp/oncewire-lab") / name
        self.address = {}
        self.restarted = []

    # ---- life ----

    def tool(self, *words, **more):
        return subprocess.run([TOOL, *words], env=self.env, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=120, **more)

    def up(self):
        done = self.tool("up")
        if done.returncode != 0:
            raise RuntimeError(f"tools/lab up: {done.stderr}")
        lines = self.tool("env", check=True).stdout.split()
        self.address = {k.lower(): v for k, v in (line.split("=") for line in lines)}
        self.count_traffic()

    def down(self):
        """Stops the relays first, so that what a sanitizer says at their end is read."""
        for role in ("private", "central"):
            if self.state.exists() and self.daemon_pid(role):
                self.stop_relay(role)
        logs = "".join(path.read_text() for path in self.state.glob("*.log"))
        self.tool("down", check=True)
        for process in self.restarted:
            stop_process(process)
        assert "runtime error" not in logs and "Sanitizer" not in logs, logs

    def key(self, name):
        """The newest key of a key set file."""
        return bytes.fromhex((self.state / f"{name}.key").read_text().split()[1])

    # ---- hosts ----

    def namespace(self, host):
        return f"ow-{self.name}-{host}"

    def popen(self, host, *argv, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        more.setdefault("text", True)
        return subprocess.Popen([TOOL, "exec", host, *map(str, argv)], env=self.env, **more)

    def run(self, host, *argv, timeout=60, check=False, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        if "input" in more:
            del more["stdin"]
        return subprocess.run([TOOL, "exec", host, *map(str, argv)], env=self.env, text=True,
                              capture_output=True, timeout=timeout, check=check, **more)

    def in_host(self, host, work):
        """Calls work() in a thread that lives in the host's network namespace."""
        box = {}

        def enter():
            try:
                with open(f"/run/netns/{self.namespace(host)}", "rb") as ns:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(ns.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                box["value"] = work()
            except BaseException as failure:  # handed to the caller below
                box["failure"] = failure

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if "failure" in box:
            raise box["failure"]
        return box["value"]

    def udp_socket(self, host, port=0, address=None):
        """address: another one than the host's first."""
        address = address or self.address[host]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def make():
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind((address, port))
            return sock

        return self.in_host(host, make)

    def packet_socket(self, host, interface="eth0"):
        """Whole Ethernet frames, in and out."""

        def make():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            sock.bind((interface, 0))
            return sock

        return self.in_host(host, make)

    def mac(self, host):
        shown = self.run(host, "ip", "-j", "link", "show", "eth0", check=True).stdout
        return json.loads(shown)[0]["address"]

    def relay(self, role):
        return self.address[role], RELAY_PORT

    # ---- the bridge ----

    def nft(self, script):
        self.run("net", "nft", "-f", "-", input=script, check=True)

    def count_traffic(self):
        pairs = [(a, b) for a in HOSTS for b in HOSTS if a != b]
        counters = "\n".join(f"counter {a}_{b} {{}}" for a, b in pairs)
        rules = "\n".join(f'iifname {{ "{a}", "{a}-net" }} oifname {{ "{b}", "{b}-net" }} '
                          f'meta l4proto udp counter name "{a}_{b}"' for a, b in pairs)
        self.nft(TRAFFIC.format(counters=counters, rules=rules))

    def traffic(self):
        """IP bytes of UDP so far, by (from, to)."""
        shown = self.run("net", "nft", "-j", "list", "counters", "table", "bridge", "traffic",
                         check=True).stdout
        found = {}
        for item in json.loads(shown)["nftables"]:
            if "counter" in item:
                found[tuple(item["counter"]["name"].split("_"))] = item["counter"]["bytes"]
        return found

    @contextlib.contextmanager
    def crossing(self):
        """Yields a dict that holds, after the block, the bytes sent during it."""
        before, delta = self.traffic(), {}
        yield delta
        delta.update({pair: count - before[pair] for pair, count in self.traffic().items()})

    @contextlib.contextmanager
    def captured(self):
        """Yields a dict that holds, after the block, the Ethernet frames with oncewire's
        UDP over IPv4 that each host sent. They are seen on the bridge, as AF_XDP takes the
        relays' frames before a packet socket there could."""
        sniffers = {host: self.packet_socket("net", host) for host in HOSTS}
        found = {}
        try:
            for sniffer in sniffers.values():
                sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            yield found
            time.sleep(0.1)
            found.update({host: drain(sniffer) for host, sniffer in sniffers.items()})
        finally:
            for sniffer in sniffers.values():
                sniffer.close()

    @contextlib.contextmanager
    def loss(self, permille):
        """Every UDP frame that crosses the bridge is lost with this chance."""
        self.nft(LOSS.format(permille=permille))
        try:
            yield
            shown = self.run("net", "nft", "list", "table", "bridge", "loss", check=True).stdout
            assert "counter packets 0 " not in shown, "nothing was lost"
        finally:
            self.run("net", "nft", "delete", "table", "bridge", "loss", check=True)

    # ---- faults ----

    @contextlib.contextmanager
    def impaired(self, host, to="", back="", seed=1):
        """A bad link: the faults (tools/lab impair) of what goes to a host, and of what comes
        from it. Yields a dict that holds, after the block, what met them."""
        counts = {}
        self.tool("impair", host, "--to", to, "--from", back, "--seed", str(seed), check=True)
        try:
            yield counts
        finally:
            counts.update(json.loads(self.tool("impair", host, "off", check=True).stdout))

    def fault(self, kind, host, seconds):
        """Starts a pause of what runs on a host, or takes its carrier."""
        return subprocess.Popen([TOOL, kind, host, str(seconds)], env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)

    # ---- relays ----

    def status(self, role):
        done = self.run(role, "oncewire", "status", "--json", timeout=10)
        status = json.loads(done.stdout)
        assert done.returncode == (0 if status["health"]["ok"] else 6), done
        return status

    def drops(self, role):
        return self.status(role)["drops"]

    def daemon_pid(self, role):
        """The relay's process, or None."""
        pids = subprocess.run(["ip", "netns", "pids", self.namespace(role)], text=True,
                              capture_output=True, check=True).stdout.split()
        for pid in pids:
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "oncewired":
                    return int(pid)
        return None

    def stop_relay(self, role, how=signal.SIGTERM, timeout=10):
        """Ends the relay and waits until it is gone; seconds that took."""
        pid, start = self.daemon_pid(role), time.monotonic()
        os.kill(pid, how)
        wait_until(lambda: has_ended(pid), timeout, 0.02, "end of the relay")
        return time.monotonic() - start

    def empty_store(self, role):
        """What a relay that does not run had kept is gone."""
        shutil.rmtree(self.stores / role)

    def start_relay(self, role):
        """Starts the relay again, as our own child, and waits until it answers."""
        with open(self.state / f"{role}.log", "a") as log:
            process = self.popen(role, "oncewired", "--config", self.state / f"{role}.conf",
                                 stdout=log, stderr=log)
        self.restarted.append(process)

        def answers():
            assert process.poll() is None, (self.state / f"{role}.log").read_text()[-2000:]
            return self.run(role, "oncewire", "status", "--socket",
                            self.state / f"{role}.sock").returncode in (0, 6)

        wait_until(answers, 30, 0.1, f"start of the {role} relay")
        return process

    # ---- blobs ----

    def send(self, path, via, to=None, timeout=30, host="source", extra=()):
        """`oncewire send`, to its end."""
        argv = ["oncewire", "send", path, "--to", to or self.address["target"], "--via", via,
                "--timeout", timeout, "--json", *extra]
        done = self.run(host, *argv, timeout=timeout + 30)
        sent = Sent(done.returncode, done.stdout, done.stderr)
        if done.stdout.strip():
            sent.json = json.loads(done.stdout)
        return sent

    def receive(self, out, count=1, timeout=60, lease=(), host="target", extra=()):
        """Starts `oncewire recv` and waits until it listens."""
        argv = ["oncewire", "recv", "--out", out, "--timeout", timeout, "--json", *extra]
        if count:
            argv += ["--count", count]
        for role in lease:
            argv += ["--relay", self.address[role]]
        process = self.popen(host, *argv)
        port = f":{TARGET_PORT:04X} "

        def bound():
            if process.poll() is not None:
                raise AssertionError(f"recv did not start: {process.stderr.read()}")
            tables = (pathlib.Path(f"/proc/{process.pid}/net/{t}") for t in ("udp", "udp6"))
            return any(port in table.read_text() for table in tables)

        wait_until(bound, 10, 0.02, "recv's socket")
        return Receiver(process)

    def deliver(self, path, via, out, timeout=30, lease=()):
        """One file from source to target, compared byte by byte at its end. Returns
        how send ended and what recv printed."""
        with self.receive(out, timeout=timeout + 10, lease=lease) as receiver:
            sent = self.send(path, via, timeout=timeout)
            assert sent.code == 0, f"send ended with {sent.code}: {sent.err}"
            [got] = receiver.files()
        assert got["verified"] is True
        assert got["id"] == sent.json["id"] and got["bytes"] == sent.json["bytes"]
        assert filecmp.cmp(path, got["path"], shallow=False)
        os.unlink(got["path"])
        return sent, got

    def deliver_all(self, paths, via, out):
        """All of them to one target, compared byte by byte; how each send ended."""
        paths = list(paths)
        with self.receive(out, count=len(paths)) as receiver:
            sent = [self.send(path, via) for path in paths]
            assert [one.code for one in sent] == [0] * len(paths), sent
            files = {got["id"]: got["path"] for got in receiver.files()}
        for one, path in zip(sent, paths):
            assert filecmp.cmp(path, files[one.json["id"]], shallow=False)
            os.unlink(files[one.json["id"]])
        return sent
