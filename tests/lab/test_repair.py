# SPDX-License-Identifier: BSD-3-Clause
"""The loss of any single frame is repaired: of each verb, the first or the second
frame that crosses the network is lost, and all deliveries succeed all the same."""

import contextlib
import filecmp
import re

import pytest

VERBS = {"HELLO": 1, "WELCOME": 2, "LISTEN": 3, "LISTENING": 4, "SEND": 5, "STATUS": 6,
         "QUERY": 7, "ANSWER": 8, "OFFER": 9, "PULL": 10, "DATA": 11, "RECEIPT": 12,
         "NOTICE": 13, "STOP": 14}
# These come once in the transfers below.
ONCE = {"LISTEN", "LISTENING", "STOP"}

# The verb is the second byte of the UDP payload: bits 72 to 79 from the UDP header on.
RULE = """table bridge single {{
chain forward {{
type filter hook forward priority 10;
meta l4proto udp @th,72,8 {verb} numgen inc mod 1000000 == {nth} counter drop
}}
}}
"""


@contextlib.contextmanager
def one_frame_lost(lab, verb, nth):
    lab.nft(RULE.format(verb=verb, nth=nth))
    try:
        yield
        shown = lab.run("net", "nft", "list", "table", "bridge", "single", check=True).stdout
        assert re.search(r"counter packets 1 ", shown), f"not exactly one lost: {shown}"
    finally:
        lab.run("net", "nft", "delete", "table", "bridge", "single", check=True)


@pytest.mark.parametrize("name,nth", [(name, nth) for name in VERBS for nth in (0, 1)
                                      if not (nth and name in ONCE)])
def test_one_lost_frame_is_repaired(lab, make_blob, out, name, nth):
    first, second = make_blob(600), make_blob(40_000)
    flows = [(first, "central", "uploaded-central"), (first, "private", "central-hit"),
             (second, "private", "uploaded-private"), (second, "private", "private-hit"),
             (second, "central", "uploaded-central"), (second, "central", "direct-hit")]
    with one_frame_lost(lab, VERBS[name], nth):
        with lab.receive(out, count=len(flows), timeout=60, lease=("private",)) as receiver:
            for path, via, outcome in flows:
                sent = lab.send(path, via, timeout=20)
                assert sent.code == 0, sent
                assert sent.outcome == outcome, sent
            received = receiver.files()
    assert len(received) == len(flows)
    for (path, _, _), got in zip(flows, received):
        assert filecmp.cmp(path, got["path"], shallow=False)
