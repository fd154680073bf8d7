# SPDX-License-Identifier: BSD-3-Clause
"""The relay sends where the kernel of its host would, also while that changes its mind."""

import filecmp
import os
import threading

import pytest

from labtools import wait_until

AWAY = "10.88.0.2"  # the target, behind one gateway or another
SCANNED = "10.89"  # a network on the link that has no hosts
TARGETS = 600


@pytest.fixture(scope="module")
def place(make_lab, tmp_path_factory):
    """A lab for this file. Two ways lead to AWAY: by the target itself, and by the source's
    host, which forwards."""
    extra = tmp_path_factory.mktemp("routes") / "extra.conf"
    extra.write_text("[limits]\nrate_per_target = 3000000\n")
    lab = make_lab(LAB_SLAB="256M", LAB_HUGEPAGES=0, LAB_EXTRA_PRIVATE=str(extra))
    ip(lab, "target", f"address add {AWAY}/32 dev eth0")
    ip(lab, "source", f"route add {AWAY} via {lab.address['target']}")
    lab.run("source", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward;"
            "for f in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >$f; done", check=True)
    yield lab
    lab.down()


def ip(lab, host, words):
    lab.run(host, "ip", *words.split(), check=True)


@pytest.fixture
def route(place):
    """`ip route` and `ip rule` on the private relay's host, until the test's end."""
    undo = []

    def change(words, back=None):
        ip(place, "private", words)
        if back:
            undo.append(back)

    yield change
    for words in reversed(undo):  # the test may have done it
        place.run("private", "ip", *words.split())


def drops_of_ways(lab):
    drops = lab.drops("private")
    return {name: drops.get(name, 0) for name in ("no-route", "no-neighbour", "next-hop-full")}


def test_a_transfer_goes_on_while_its_route_changes(place, route, make_blob, out):
    """Gateways, longer prefixes, next-hop objects: no frame is dropped for it."""
    by_target, by_source = place.address["target"], place.address["source"]
    blob = make_blob(12_000_000)
    route(f"route add 10.88.0.0/16 via {by_target}", "route del 10.88.0.0/16")
    route(f"nexthop add id 7 via {by_target} dev eth0", "nexthop del id 7")
    with place.receive(out, timeout=60) as receiver:
        assert place.send(blob, "private", to=AWAY).code == 0  # uploaded, and now a hit
        receiver.files()
    before, over = drops_of_ways(place), threading.Event()

    def flip():
        changes = (f"route replace 10.88.0.0/16 via {by_source}",
                   f"route add {AWAY} via {by_target}",
                   f"route add 10.88.0.0/24 via {by_source}",
                   f"route del {AWAY}",
                   "route replace 10.88.0.0/16 nhid 7",
                   "route del 10.88.0.0/24",
                   f"nexthop replace id 7 via {by_source} dev eth0",
                   f"nexthop replace id 7 via {by_target} dev eth0",
                   f"route replace 10.88.0.0/16 via {by_target}")
        while not over.is_set():
            for words in changes:
                ip(place, "private", words)
                over.wait(0.05)
            place.run("private", "ip", "neigh", "flush", "dev", "eth0")

    flipper = threading.Thread(target=flip)
    flipper.start()
    try:
        with place.receive(out, timeout=60) as receiver:
            sent = place.send(blob, "private", to=AWAY, timeout=50)
            [got] = receiver.files()
    finally:
        over.set()
        flipper.join()
    assert sent.code == 0 and sent.outcome == "private-hit", sent
    assert filecmp.cmp(blob, got["path"], shallow=False)
    assert drops_of_ways(place) == before


def test_rules_decide_by_the_address_it_listens_on(place, route, make_blob, out):
    blob = make_blob(5000)
    sent = place.send(blob, "private", to=AWAY, timeout=5)
    assert sent.code == 5 and "no route" in sent.err, sent
    routes = place.status("private")["routes"]
    gateway = place.address["target"]
    route(f"route add 10.88.0.0/16 via {gateway} table 99", "route flush table 99")
    route(f"rule add from {place.address['private']} lookup 99",
          f"rule del from {place.address['private']} lookup 99")
    wait_until(lambda: place.status("private")["routes"] > routes, 10)
    with place.receive(out) as receiver:
        sent = place.send(blob, "private", to=AWAY)
        assert sent.code == 0, sent
        [got] = receiver.files()
    assert filecmp.cmp(blob, got["path"], shallow=False)


def test_a_rule_that_cannot_be_followed_is_said(place, route):
    route("rule add dport 99 lookup 98 priority 500", "rule del priority 500")
    wait_until(lambda: place.status("private")["rules_left_out"] == 1, 10)
    log = (place.state / "private.log").read_text()
    assert "ip rule 500 is not followed: its selector (dport)" in log
    ip(place, "private", "rule del priority 500")
    wait_until(lambda: place.status("private")["rules_left_out"] == 0, 10)


def test_a_scan_by_way_of_the_relay(place, route, peer, stored, digest, make_blob, out):
    """A source that names all of a network has the relay look for some of its hosts only, and
    nobody else waits for that."""
    content = stored(1000, "private", where=place)
    route(f"route add {SCANNED}.0.0/16 dev eth0", f"route del {SCANNED}.0.0/16")
    asked = place.status("private")["neighbours_asked"]
    session = peer(where=place).hello(place.relay("private"))
    for i in range(TARGETS):
        session.tell(session.send_frame(digest(content), len(content),
                                        (f"{SCANNED}.{i // 200}.{1 + i % 200}", 4871),
                                        transfer=os.urandom(16)))
    wait_until(lambda: place.drops("private").get("neighbour-budget", 0) > 0, 10)
    assert place.status("private")["neighbours_asked"] - asked < TARGETS
    place.deliver(make_blob(3000), "private", out)
