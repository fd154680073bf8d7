# SPDX-License-Identifier: BSD-3-Clause
"""Takes each defence out of a copy of the tree, once, and sees that a test notices.

usage: defences.py FOLDER [WORD...]    FOLDER: for the copy and its build, kept for the next
                                       run; WORD: only rows whose attack or test has it
       defences.py --stale             names rows whose defence is not in the source any more
"""

import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGETS = ["control/oncewired", "client/oncewire", "dataplane/xdp/steer.bpf.o"]
SECURITY, HOSTILE = "tests/lab/test_security.py::", "tests/lab/test_hostile.py::"
DOMAINS, POSSESSION = "tests/lab/test_domains.py::", "tests/lab/test_possession.py::"
CONSENT = "tests/lab/test_consent.py::"


@dataclass
class Row:
    attack: str
    test: str  # a pytest node, or the name of a unit test
    file: str
    old: str
    new: str
    second: tuple = ()  # (file, old, new) of a second line of defence, which goes too

    @property
    def unit(self):
        return "/" not in self.test

    @property
    def edits(self):
        return [(self.file, self.old, self.new), *([self.second] if self.second else [])]


ROWS = [
    Row("amplification", SECURITY + "test_amplification_to_a_third_party[800-central-central]",
        "dataplane/answer.c", "allowed & ~3u);\n\treturn len <= allowed ? len : 0;",
        "WIRE_MAX_FRAME);\n\treturn len;"),
    Row("amplification", CONSENT + "test_offers_to_a_stranger_are_limited",
        "dataplane/offer.c", "return budget_take(&b->pair", "return true || budget_take(&b->pair"),
    Row("amplification", "test_wire_frame_client",
        "wire/frame_hello.c", "if (f->len < HELLO_SIZE)", "if (false)"),
    Row("admin: the group reads blobs", "tests/lab/test_store_command.py::test_the_group_may_not",
        "control/admin/socket.c", "if (cmd->owner && !c->owner)", "if (false)"),
    Row("client: aimed by WELCOME", "test_client_stranger",
        "client/lib/contact.c", "\t\tself_note(p, w.self, from);\n\t\treturn false;\n", ""),
    Row("client: silent holder", "test_client_stranger",
        "client/lib/delivery.c", "&& now >= contact_quiet_at(d->peer))", "&& false)"),
    Row("client: reports to silence", "test_client_stranger",
        "client/lib/delivery.c", "d->peer->heard > d->told_at)", "true)"),
    Row("client: refuses for lack of descriptors", "test_client_relay",
        "client/lib/delivery.c", "error != -EMFILE && error != -ENFILE", "true"),
    Row("client: ended ones without number", "test_client_deliveries",
        "client/lib/deliveries.c", "if (ds->ended_count == ENDED_MAX)",
        "if (ds->ended_count == UINT32_MAX)"),
    Row("client: a transfer inherited, not found", "test_client_deliveries",
        "client/lib/deliveries.c", "RB_INSERT(delivery_offers, &ds->offers, d);\n}\n\nvoid del"
        "iveries_begun", "}\n\nvoid deliveries_begun"),
    Row("client: relay's answer touches nobody", "test_client_deliveries",
        "client/lib/deliveries.c", "ds->slot[i]->peer == p)", "ds->slot[i]->peer != p)"),
    Row("client: pace set by ERROR", "test_client_stranger",
        "client/lib/delivery.c", "\td->state = DELIVERY_PAUSED;\n\tif (resume", "\tif (resume"),
    Row("client: pace set by LATER", "test_client_stranger",
        "client/lib/delivery.c", "\td->state = DELIVERY_PAUSED;\n\td->laters", "\td->laters"),
    Row("client: attempts mixed", "test_client_partial",
        "client/lib/delivery.c", "\td->state = DELIVERY_PULLING;\n\tdelivery_restart(r, d, now);",
        "\td->state = DELIVERY_PULLING;\n\tif (now == 0)\n\t\tdelivery_restart(r, d, now);"),
    Row("attempt: not named", "test_partial",
        "dataplane/pull.c", "memory_order_acquire) != p->attempt)",
        "memory_order_acquire) == 0)"),
    Row("attempt: another one, stored", "test_partial",
        "dataplane/pull.c", "return p->attempt == 0 || piece->attempt == p->attempt;",
        "return true;"),
    Row("attempt: under another blob's ticket", "test_partial",
        "dataplane/pull.c", "return piece_is(piece, it->domain->id, p->id, p->rule, p->length, "
        "number) ? piece : NULL;", "return piece;"),
    Row("attempt: beyond what is here", "test_partial",
        "dataplane/pull.c", "p->mask & ((UINT32_C(1) << n) - 1) : p->mask;",
        "p->mask : p->mask;"),
    Row("attempt: shown to who proved nothing", "test_partial",
        "control/transfer/request.c", "const bool own_only = request_owes(rq) ||",
        "const bool own_only ="),
    Row("attempt: shown though hits are hidden", "test_partial",
        "control/transfer/upload.c", "key.owner = ask->key; /* that", "; /* that"),
    Row("attempt: an OFFER more than SENDs", "test_amplification",
        "control/transfer/request.c", "\trq->owes_offer = false;\n\treturn owed;",
        "\treturn owed;"),
    Row("vouch: not looked at", "test_parked",
        "control/transfer/upload.c",
        "if (!vouch_check(vouch, &parked->prefix, parked->hashed)) {", "if (false) {"),
    Row("vouch: for another challenge", "test_parked",
        "control/transfer/upload.c",
        "memcmp(&vouch->challenge, &w->challenge, sizeof(w->challenge)) != 0)", "false)"),
    Row("vouch: is no proof of possession", "test_parked",
        "control/transfer/attempt.c", "if (a->foreign && a->ctl->relay->possession)",
        "if (false)"),
    Row("vouch: nor in the end", "test_parked",
        "control/transfer/upload.c", "const bool brought = !a->foreign || !ctl->relay->possession;",
        "const bool brought = true;"),
    Row("parked: more than its share", "test_parked",
        "control/transfer/parked.c", "a->hashed == 0 || parked_size(a) > parked_share(ctl)",
        "a->hashed == 0"),
    Row("blocking: half as fast", "test_upload",
        "control/transfer/upload.c", "if (upload_passed(&v)) {", "if (false) {"),
    Row("blocking: passed, and back at once", "test_upload",
        "control/transfer/upload.c", "!(w->passed && upload_moves(u)) &&", ""),
    Row("adopted: is no proof of possession", "test_adopt",
        "control/transfer/attempt.c",
        "a->foreign |= memcmp(&a->ask.key, &ask->key, sizeof(ask->key)) != 0;", ""),
    Row("adopted: what was hidden", "test_adopt",
        "control/transfer/attempt.c",
        "ctl->config->parked_seconds > 0 && !relay_hides(ctl->relay, ask->length);", "true;"),
    Row("attempt: read back for another number", "test_adopt",
        "control/transfer/fetch.c", "a->shown && a->number == p->attempt &&", "a->shown &&"),
    Row("adopted: two of one blob", "test_adopt",
        "control/transfer/parked.c",
        "other != NULL && !other->doubted && other->hashed >= a->contiguous", "false"),
    Row("adopted: a body's number anew", "test_engine",
        "store/rocks_open.c", "\t\ts->next = number + 1;\n", "\t\ts->next += 0;\n"),
    Row("adopted: for ever", "test_engine",
        "store/rocks_open.c", "s == NULL || u->seen < c->keep_since", "s == NULL"),
    Row("adopted: what an engine lost", "test_store_recall",
        "store/recall.c", "\tput->error = put_error(put);\n\tif (put->error == 0 &&",
        "\tif (put->error == 0 &&"),
    Row("parked: for ever", "test_parked",
        "control/transfer/upload.c", "\tparked_review(ctl);\n", ""),
    Row("blocking: who is to vouch", "test_parked",
        "control/transfer/upload.c", "now - u->voucher_since >= VOUCH_TURN_US &&", "false &&"),
    Row("client: pace set by vouching", "test_client_stranger",
        "client/lib/prefix.c", "return p->hash != NULL ? 0 : p->at;", "return 0;"),
    Row("client: pace set by STALE", "test_client_stranger",
        "client/lib/contact.c", "now > p->ask_floor ? now : p->ask_floor;", "now;"),
    Row("client: pace set by CHALLENGE", "test_client_stranger",
        "client/lib/sender.c", "s->prove_at > now ? s->prove_at : now);", "now);"),
    Row("client: kept of another attempt", "test_client_resume",
        "client/lib/delivery.c", "(p->attempt != d->attempt && d->attempt != 0)", "false",
        ("client/lib/delivery.c", "\td->attempt = p->attempt;\n\tpulls_restore",
         "\tpulls_restore")),
    Row("client: a part that somebody planted", "test_client_resume",
        "client/lib/part.c", "st.st_nlink == 1 &&", "true &&"),
    Row("client: a part that others may read", "test_client_resume",
        "client/lib/part.c", "(st.st_mode & 0777 & ~mode) == 0", "true"),
    Row("client: a copy that was written to", "test_client_resume",
        "client/lib/twin.c", "d->decryption != NULL || ident_equal(&id, &d->id)", "true"),
    Row("client: memory by promise", "test_client_stranger",
        "client/lib/delivery.c", "pullwin_init(d->window,",
        "memset(d->bits, 0, pullwin_memory(d->length));\n\tpullwin_init(d->window,"),
    Row("diverted: answer", "test_egress",
        "dataplane/reply.c", "\t\tegress_reply(w, m, it);\n}\n\nvoid reply_status",
        "\t\tegress_send(w, m);\n}\n\nvoid reply_status"),
    Row("diverted: unproven", "test_egress",
        "dataplane/admit.c", "\tenum drop reason = address_proven(w, it);\n",
        "\tenum drop reason = (mac_learn(&w->relay->macs, &it->packet->peer, &it->packet->mac), "
        "address_proven(w, it));\n"),
    Row("memory by promise: relay", "test_egress",
        "control/transfer/attempt.c", "RTE_MIN(reach, earned)", "reach"),
    Row("limits times workers", "test_consent",
        "dataplane/budget.c", "if (next <= latest)\n\t\treturn true;",
        "if (next <= latest) {\n\t\tatomic_store(b, full);\n\t\treturn true;\n\t}"),
    Row("target that is no host", "test_egress",
        "dataplane/offer.c", "|| !addr_one_host(target) ||\n\t    addr_loopback(target))", ")"),
    Row("blocking: trickle", "test_upload",
        "control/control.c", "\tuploads_review(ctl);\n", ""),
    Row("blocking: many trickles", "test_upload",
        "control/transfer/upload.c", "if (full || v.least < RATE_LEAST)",
        "if (v.least < RATE_LEAST)"),
    Row("spoofed sources", SECURITY + "test_spoofed_sources_and_state_exhaustion",
        "dataplane/admit.c", "\t\treturn it->proof;\n", "\t\treturn DROP_NONE;\n"),
    Row("state exhaustion", SECURITY + "test_spoofed_sources_and_state_exhaustion",
        "control/transfer/attempt.c",
        "h->count < ctl->config->max_uploads_per_source ||", "h->count <= UINT32_MAX ||"),
    Row("flood of strangers", "test_shed",
        "dataplane/shed.c", "\t\treturn DROP_SHED_SOURCE;", "\t\treturn DROP_NONE;"),
    Row("scan: by one source", "test_route",
        "control/net/router.c", "if (!ask_allowed(r, source))", "if (false)"),
    Row("scan: hosts driven out", "test_route",
        "control/net/neighbour.c", "if (!held && !neighbour_stamp(r, n)) {", "if (!held) {",
        ("control/net/neighbour.c", "\tn->kept |= n->looked_at;\n", "")),
    Row("scan: all ask at once", "test_route",
        "control/net/router.c", "if (r->neighbours.waiting == ROUTE_WAITING)", "if (false)"),
    Row("consent: lease over", SECURITY + "test_consent_gone_stale",
        "dataplane/lease.h", "return l->expiry > unix_seconds &&", "return l->expiry > 0 &&"),
    Row("consent: withdrawn", SECURITY + "test_stop_is_not_undone",
        "dataplane/inbound.c", "lease_revoke(w->relay->leases, &it->packet->peer, s.number);", ""),
    Row("consent: old echo", SECURITY + "test_consent_gone_stale",
        "dataplane/pull.c", "if (it->echo != DROP_NONE) {", "if (false) {"),
    Row("echo: makes no flow known", CONSENT + "test_echo_stands_for_a_cookie_that_was_right",
        "dataplane/admit.c", "return it->flow.known && it->flow.marked;", "return true;"),
    Row("echo: wrong, and no cookie", CONSENT + "test_echo_stands_for_a_cookie_that_was_right",
        "dataplane/admit.c", "\tif (it->echo == DROP_NONE)\n\t\treturn DROP_NONE;\n",
        "\tif (true)\n\t\treturn DROP_NONE;\n"),
    Row("echo: never grows old", CONSENT + "test_data_brings_an_echo_of_now",
        "dataplane/pull.c", "echo_now(p->echo, worker_seconds(w)) ? p->echo", "true ? p->echo"),
    Row("echo: of another key", "test_wire_token",
        "wire/token.c", "\tin->key = put32(key);\n\tin->conn", "\tin->key = put32(0 & key);\n\tin->conn"),
    Row("consent: transfer over", SECURITY + "test_consent_gone_stale",
        "wire/token.c", "get32(t->expiry) < unix_seconds", "get32(t->expiry) == 0"),
    Row("probe: special ranges", SECURITY + "test_relay_as_a_probe_into_private_networks",
        "dataplane/offer.c", "if (!keyring_allows(relay_keyring(r), d, target) ||", "if ("),
    Row("probe: 6to4", SECURITY + "test_relay_as_a_probe_into_private_networks",
        "wire/addr.c", "\t{{0x20, 0x02}, 16},", "\t{{0x3f, 0xfe}, 16},"),
    Row("probe: NAT64", SECURITY + "test_relay_as_a_probe_into_private_networks",
        "wire/addr.c", "return ip4_special_use(a->ip + 12);", "return false;"),
    Row("probe: IPv4-mapped", SECURITY + "test_relay_as_a_probe_into_private_networks",
        "wire/addr.c", "a->type == ADDR_IP6 && memcmp(a->ip, mapped_prefix, 12) != 0;",
        "a->type == ADDR_IP6;"),
    Row("probe: relay, peers", SECURITY + "test_relay_as_a_probe_into_private_networks",
        "dataplane/offer.c", "peer_hosts_have(&r->peers, target))", "false)"),
    Row("probe: domain's ranges", DOMAINS + "test_target_ranges_of_a_domain",
        "dataplane/keyring.c", "return d->limited ?", "return false && d->limited ?"),
    Row("hash is not file", SECURITY +
        "test_knowing_the_hash_is_not_having_the_file[private-private]",
        "dataplane/hit.c", "if (r->possession && a->length > 0) {", "if (false) {"),
    Row("hash is not file", SECURITY +
        "test_knowing_the_hash_is_not_having_the_file[central-central]",
        "control/transfer/possession.c", "j->right = proof_check(", "j->right = true | proof_check("),
    Row("hash is not file", SECURITY +
        "test_knowing_the_hash_is_not_having_the_file[central-private]",
        "control/transfer/serve.c", "if (!ctl->relay->possession ||", "if (true ||"),
    Row("hash: waiter", POSSESSION + "test_waiter_during_an_upload_proves_too",
        "control/transfer/request.c", "possession && !rq->uploaded && !rq->proven &&",
        "possession && false &&"),
    Row("hash: proof replayed", POSSESSION + "test_proof_is_of_one_transfer_and_one_source",
        "control/transfer/send.c",
        "ask_challenged(&c->ask, relay_keys(ctl->relay), &c->cold.proof.challenge)", "true"),
    Row("existence: hidden", SECURITY + "test_existence_oracle",
        "dataplane/hit.c", "||\n\t    relay_hides(r, a.length))", ")"),
    Row("existence: domains", SECURITY + "test_existence_oracle",
        "store/index.c", "(uint64_t)domain << 8 | rule", "(domain & 0) | rule",
        ("store/index.h", "p->domain == domain && ", "")),
    Row("poisoning: store", SECURITY + "test_poisoning_by_collision",
        "control/transfer/upload.c", "if (ident_equal(&a->computed, &u->key.id))", "if (true)"),
    Row("poisoning: target", SECURITY + "test_poisoning_by_collision",
        "client/lib/delivery_settle.c", "d->verified = ident_equal(&id, &d->id);",
        "d->verified = true;"),
    Row("poisoning: weak rule", SECURITY + "test_poisoning_by_collision",
        "dataplane/hit.c", "if ((r->rules & (1u << it->send.rule)) == 0)", "if (false)"),
    Row("index flooding: seed", SECURITY + "test_index_flooding",
        "store/index.c", "rc = random_fill(&hash_seed, sizeof(hash_seed));", "hash_seed = 1;"),
    Row("index flooding: leases", SECURITY + "test_index_flooding",
        "dataplane/lease.c", "*tally_of(&t->hosts, &l->target) >= t->per_host", "false"),
    Row("malformed: extensions", "test_wire_ext",
        "wire/frame.c", "if (size > left || type < last", "if (type < last"),
    Row("malformed: lengths", HOSTILE + "test_every_truncation_is_short",
        "wire/frame.c", "\tif (ext > left)\n\t\treturn DROP_EXT;", ""),
    Row("malformed: chunk mask", HOSTILE +
        "test_malformed_frame_has_its_counter[pull-far-beyond]",
        "wire/frame_blob.c", "if (!(mask & 1) || first >= count)", "if (!(mask & 1))"),
    Row("replay: nonce", SECURITY + "test_replay_of_a_captured_exchange",
        "control/transfer/peer.c", "|| !nonce_fresh(p, nonce)", "|| (nonce_fresh(p, nonce), false)"),
    Row("replay: clock", HOSTILE + "test_query_with_a_wrong_clock",
        "control/transfer/peer.c", "llabs(ahead_ms) > CLOCK_SKEW_MS || nonce_ahead", "nonce_ahead"),
    Row("replay: LISTEN", SECURITY + "test_stop_is_not_undone",
        "dataplane/lease.c", "if (old->number >= l->number)", "if (false)"),
    Row("upload taken over", "test_upload",
        "control/transfer/send.c", "!c->has_moved || cookie_check(", "!c->has_moved || DROP_NONE & cookie_check("),
    Row("replay: conn", CONSENT + "test_conn_is_part_of_the_cookie",
        "wire/token.c", "\tin->conn = put64(conn);\n\tin->key",
        "\tin->conn = put64(conn & 0);\n\tin->key"),
    Row("replay: address", DOMAINS + "test_captured_frames_are_of_no_use_elsewhere",
        "wire/token.c", "\tin->key = put32(key);\n\tin->client = *client;",
        "\tin->key = put32(key);\n\tin->client = (struct addr){client->type & 0};"),
    Row("member: trailer", DOMAINS + "test_signed_verbs_and_nothing_else",
        "dataplane/admit.c", "return it->trailer != DROP_NONE ? it->trailer : reason;",
        "return reason;"),
    Row("member: upload", DOMAINS + "test_signed_verbs_and_nothing_else",
        "dataplane/inbound.c", "s->member && !frame_signed(", "false && !frame_signed("),
    Row("member: HELLO", DOMAINS + "test_wrong_hello_is_not_answered",
        "dataplane/inbound.c", "if (h->proof == NULL || !hello_proven(",
        "if (false && !hello_proven("),
    Row("member: lease", DOMAINS + "test_lease_of_another_domain_is_no_consent",
        "dataplane/offer.h", "l->key >> 8 == key >> 8 &&", "key != 1 &&"),
    Row("member: ticket", DOMAINS + "test_forged_pull_of_another_domains_blob",
        "dataplane/pull.c", "if (it->ticket != DROP_NONE) {", "if (false) {"),
    Row("pair: trailer", HOSTILE +
        "test_malformed_frame_has_its_counter[query-with-a-wrong-trailer]",
        "dataplane/admit.c", "!trailer_check(p->key,", "false & !trailer_check(p->key,"),
    Row("zero-copy: freed under a frame", "test_zero_copy",
        "store/room.c", "reclaim_defer_flown(", "reclaim_defer("),
    Row("zero-copy: an epoch too early", "test_zero_copy",
        "store/flight.c", "memory_order_relaxed) + 2;", "memory_order_relaxed) + 1;"),
]


class Copy:
    """The tree's copy: brought up to date, then changed and built row by row."""

    def __init__(self, folder):
        self.tree = folder / "tree"
        self.build = folder / "build"

    def write(self, file, text):
        path = self.tree / file
        if not path.exists() or path.read_text() != text:
            path.write_text(text)

    def update(self):
        for path in ROOT.rglob("*"):
            name = path.relative_to(ROOT)
            if name.parts[0] in (".git", "__pycache__") or name.parts[0].startswith("build"):
                continue
            target = self.tree / name
            if path.is_file() and (not target.exists() or
                                   target.read_bytes() != path.read_bytes()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        if not (self.build / "build.ninja").exists():
            subprocess.run(["meson", "setup", "-Dwerror=false", "-Doptimization=1", self.build,
                            self.tree], check=True, stdout=subprocess.DEVNULL)

    def compile(self, row=None):
        unit = [f"tests/unit/{row.test}"] if row and row.unit else []
        done = subprocess.run(["ninja", "-C", self.build, *TARGETS, *unit], text=True,
                              capture_output=True)
        if done.returncode == 0:
            return None
        return next((line for line in done.stdout.splitlines() if "error" in line), done.stderr)

    def run(self, row):
        """None if the row's test fails, else what it did."""
        if row.unit:
            argv = [self.build / "tests" / "unit" / row.test]
        else:
            argv = ["/usr/bin/python3", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
                    row.test]
        done = subprocess.run(argv, cwd=self.tree, env=dict(os.environ, BUILD=str(self.build)),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, timeout=300)
        if done.returncode == 0:
            return "not noticed"
        summary = done.stdout.strip().split("\n")[-1]
        return None if row.unit or " failed" in summary else f"the test could not run: {summary}"

    def judge(self, row):
        """None if the test noticed, else what went wrong."""
        before = {file: (self.tree / file).read_text() for file, _, _ in row.edits}
        for file, old, new in row.edits:
            if before[file].count(old) != 1:
                return f"{file} has not exactly one: {old}"
            text = (self.tree / file).read_text()  # both of them may be in one file
            self.write(file, text.replace(old, new))
        try:
            error = self.compile(row)
            if error is not None:
                return f"does not build without the defence: {error}"
            return self.run(row)
        finally:
            for file, text in before.items():
                self.write(file, text)


def stale():
    """Rows whose defence is not where they look for it."""
    return [f"{row.attack}: {file} has not exactly one: {old!r}"
            for row in ROWS for file, old, _ in row.edits
            if not (ROOT / file).is_file() or (ROOT / file).read_text().count(old) != 1]


def main(folder, words):
    rows = [row for row in ROWS if not words or any(w in row.attack + row.test for w in words)]
    copy = Copy(pathlib.Path(folder).resolve())
    copy.update()
    noticed = 0
    for row in rows:
        fault = copy.judge(row)
        noticed += fault is None
        print(f"{row.attack:24} {row.file:26} {row.test.split('::')[-1]:70} "
              f"{fault or 'noticed'}", flush=True)
    print(f"{noticed} of {len(rows)}: a test fails when the defence is gone")
    return noticed != len(rows)


if __name__ == "__main__":
    if sys.argv[1:] == ["--stale"]:
        sys.exit("\n".join(stale()) or 0)
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
