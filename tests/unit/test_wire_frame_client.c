/* SPDX-License-Identifier: BSD-3-Clause
 * HELLO, WELCOME, LISTEN, LISTENING, STOP, SEND, STATUS, ERROR.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/wire_frames.h"

static uint8_t buf[65536];

static void test_hello(void **state)
{
	struct frame f = sample_parse(VERB_HELLO);
	struct hello h;

	(void)state;
	assert_int_equal(f.len, HELLO_SIZE);
	assert_int_equal(f.key, SAMPLE_KEY);
	assert_true(f.conn == SAMPLE_CONN);
	assert_int_equal(f.versions_len, 1);
	assert_int_equal(f.versions[0], WIRE_VERSION);
	assert_int_equal(hello_decode(&f, &h), DROP_NONE);
	assert_true(h.nonce == 0xfeedfacecafebeef);
	assert_memory_equal(h.proof->b, "domain proof 16", 16);
}

static void test_hello_unpadded(void **state)
{
	struct frame f = sample_parse(VERB_HELLO);
	struct hello h;

	(void)state;
	memcpy(buf, f.start, HELLO_SIZE);
	((struct wire_header *)buf)->ext = 0;
	for (size_t len = sizeof(struct wire_header) + 8; len <= HELLO_SIZE; len++) {
		assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
		assert_int_equal(hello_decode(&f, &h), len < HELLO_SIZE ? DROP_SHORT : DROP_NONE);
	}
}

/* Probes for larger frames are padded with a payload, past WIRE_MAX_FRAME. */
static void test_hello_probe(void **state)
{
	struct frame f = sample_parse(VERB_HELLO);
	struct hello h;

	(void)state;
	memset(buf, 0, sizeof(buf));
	memcpy(buf, f.start, HELLO_SIZE);
	assert_int_equal(frame_parse(buf, 65507, &f), DROP_NONE);
	assert_int_equal(f.payload_len, 65507 - HELLO_SIZE);
	assert_int_equal(hello_decode(&f, &h), DROP_NONE);
	assert_int_equal(frame_parse(buf, 65508, &f), DROP_OVERLONG);
}

static void test_welcome(void **state)
{
	struct frame f = sample_parse(VERB_WELCOME);
	struct welcome w;

	(void)state;
	assert_int_equal(f.len + TRAILER_SIZE, HELLO_SIZE);
	assert_int_equal(welcome_decode(&f, &w), DROP_NONE);
	assert_true(w.nonce == 0xfeedfacecafebeef);
	assert_memory_equal(w.cookie->mac, "cookie mac 14", 14);
	assert_memory_equal(w.echo->mac, "echo 7", 7);
	assert_true(addr_equal(w.seen, &sample_ip6));
	assert_true(addr_equal(w.self, &sample_ip4));
	assert_int_equal(w.lifetime, 300);
	assert_false(w.central);
	w.central = true;
	assert_int_equal(frame_parse(buf, welcome_encode(buf, sizeof(buf), 0, 1, &w), &f),
			 DROP_NONE);
	assert_int_equal(welcome_decode(&f, &w), DROP_NONE);
	assert_true(w.central);
	assert_int_equal(frame_newest_version(&f), WIRE_VERSION);
	assert_int_equal(DROP_WITH(VERB_WELCOME, welcome, seen.type, 5), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_WELCOME, welcome, self.zero, 1), DROP_FIELD);
}

/* Whatever the relay takes is sent to it, and in whole MiB little else; above what can be said all
 * is. */
static void test_longest(void **state)
{
	const uint64_t mib = UINT64_C(1) << 20;

	(void)state;
	assert_true(welcome_takes(0, BLOB_MAX_LENGTH));
	assert_true(welcome_takes(welcome_longest(BLOB_MAX_LENGTH), BLOB_MAX_LENGTH));
	assert_true(welcome_takes(welcome_longest(5 * mib + 1), 6 * mib));
	assert_false(welcome_takes(welcome_longest(5 * mib + 1), 6 * mib + 1));
	assert_false(welcome_takes(welcome_longest(65534 * mib), 65534 * mib + 1));
	assert_true(welcome_takes(welcome_longest(65534 * mib + 1), BLOB_MAX_LENGTH));
}

static void test_listen(void **state)
{
	struct frame f = sample_parse(VERB_LISTEN);
	struct listen l;

	(void)state;
	assert_int_equal(listen_decode(&f, &l), DROP_NONE);
	assert_memory_equal(l.cookie->mac, "cookie mac 14", 14);
	assert_int_equal(l.number, 7);
	assert_int_equal(l.seconds, 60);
}

static void test_listening(void **state)
{
	struct frame f = sample_parse(VERB_LISTENING);
	struct listening l;

	(void)state;
	assert_int_equal(listening_decode(&f, &l), DROP_NONE);
	assert_int_equal(l.number, 7);
	assert_int_equal(l.seconds, 30);
}

static void test_stop(void **state)
{
	struct frame f = sample_parse(VERB_STOP);
	struct stop s;

	(void)state;
	assert_int_equal(stop_decode(&f, &s), DROP_NONE);
	assert_memory_equal(s.cookie->mac, "cookie mac 14", 14);
	assert_int_equal(s.number, 8);
}

static void test_send(void **state)
{
	struct frame f = sample_parse(VERB_SEND);
	struct send s;

	(void)state;
	assert_int_equal(send_decode(&f, &s), DROP_NONE);
	assert_memory_equal(s.transfer, sample_transfer, TRANSFER_SIZE);
	assert_true(ident_equal(s.id, &sample_id));
	assert_true(addr_equal(s.target, &sample_ip6));
	assert_int_equal(s.meta_len, 26);
	assert_memory_equal(s.meta, "report.pdf\0application/pdf", 26);
	assert_memory_equal(s.proof->mac.b, "proof mac of 16", 16);
	assert_string_equal((const char *)s.sealed_key, "a key that is sealed");
	assert_int_equal(s.leg, 258);
	assert_int_equal(s.rule, RULE_SHA256);
	assert_int_equal(s.deadline, 3600);
	assert_true(s.length == BLOB_MAX_LENGTH);

	assert_int_equal(DROP_WITH(VERB_SEND, send, rule, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_SEND, send, rule, RULE_COUNT), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_SEND, send, deadline.b[3], 0x11), DROP_FIELD); /* 3601 */
	assert_int_equal(DROP_WITH(VERB_SEND, send, length.b[7], 1), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_SEND, send, target.addr.type, ADDR_LISTENER), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_SEND, send, target.addr.type, ADDR_NONE), DROP_FIELD);
	assert_reserved(VERB_SEND, send, zero);
	assert_reserved(VERB_SEND, send, target.key_tail);
}

/* Where the source was before: a whole address and cookie, or the frame is dropped. */
static void test_send_moved(void **state)
{
	const struct moved m = {.addr = sample_ip6, .cookie = {.mac = "cookie mac 14"}};
	struct frame f = sample_parse(VERB_SEND);
	struct send s, t;
	size_t len, at = 0;

	(void)state;
	send_decode(&f, &s);
	assert_null(s.moved);
	s.moved = &m;
	len = send_encode(buf, sizeof(buf), 0, 1, &s);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(send_decode(&f, &t), DROP_NONE);
	assert_memory_equal(t.moved, &m, sizeof(m));
	assert_string_equal((const char *)t.sealed_key, "a key that is sealed");
	while (buf[at] != EXT_MOVED || buf[at + 1] != sizeof(m))
		at++;
	buf[at + 2] = ADDR_NONE;
	assert_int_equal(frame_parse(buf, len, &f), DROP_FIELD);
	buf[at + 2] = ADDR_IP6;
	buf[at + 1] = sizeof(m) - 1;
	assert_int_equal(frame_parse(buf, len, &f), DROP_EXT);
}

static void test_send_vouch(void **state)
{
	struct frame f = sample_parse(VERB_SEND);
	struct send s, t;
	size_t len;

	(void)state;
	send_decode(&f, &s);
	assert_null(s.vouch);
	s.vouch = s.proof;
	s.proof = NULL;
	len = send_encode(buf, sizeof(buf), 0, 1, &s);
	assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
	assert_int_equal(send_decode(&f, &t), DROP_NONE);
	assert_memory_equal(t.vouch->mac.b, "proof mac of 16", 16);
	assert_null(t.proof);
}

/* With UPLOAD, where something is kept, but with no other. */
static void test_status_kept(void **state)
{
	static const struct challenge challenge;
	struct status s = {.transfer = sample_transfer, .challenge = &challenge, .bytes = 1152};
	struct frame f;

	(void)state;
	for (s.code = STATUS_WORKING; s.code < STATUS_REFUSED; s.code++) {
		const bool may = s.code == STATUS_UPLOAD || s.code == STATUS_CHALLENGE;
		const size_t len = status_encode(buf, sizeof(buf), 0, 1, &s);

		assert_int_equal(len > 0, may);
		if (!may)
			continue;
		assert_int_equal(frame_parse(buf, len, &f), DROP_NONE);
		assert_int_equal(frame_decode(&f), DROP_NONE);
		((struct wire_status *)(uintptr_t)f.body)->code = STATUS_WAITING;
		assert_int_equal(frame_decode(&f), DROP_FIELD);
	}
}

static size_t send_with_meta(uint8_t meta_len, uint32_t deadline)
{
	static const uint8_t meta[META_MAX];
	struct frame f = sample_parse(VERB_SEND);
	struct send s;

	send_decode(&f, &s);
	s.meta = meta;
	s.meta_len = meta_len;
	s.proof = NULL;
	s.sealed_key = NULL;
	s.deadline = deadline;
	return send_encode(buf, sizeof(buf), 0, 1, &s);
}

static void test_send_padding(void **state)
{
	static const struct {
		uint8_t meta_len;
		size_t size;
	} cases[] = {{0, 432}, {1, 436}, {2, 436}, {3, 440}, {254, 688}, {255, 692}};
	struct frame f;
	struct send s;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(send_with_meta(cases[i].meta_len, 1), cases[i].size);
		assert_int_equal(frame_parse(buf, cases[i].size, &f), DROP_NONE);
		assert_int_equal(send_decode(&f, &s), DROP_NONE);
		assert_int_equal(s.meta_len, cases[i].meta_len);
		/* Less padding, in a well-formed frame. */
		((struct wire_header *)buf)->ext--;
		buf[cases[i].size - 44 + 1] -= 4;
		assert_int_equal(frame_parse(buf, cases[i].size - 4, &f), DROP_NONE);
		assert_int_equal(send_decode(&f, &s), DROP_SHORT);
	}
	/* What the OFFER repeats comes on top, and what it does not is padding enough. */
	f = sample_parse(VERB_SEND);
	assert_int_equal(f.len, SEND_MIN + 28 + 84 + 36);
	assert_int_equal(send_decode(&f, &s), DROP_NONE);
	assert_int_equal(send_with_meta(0, 0), 0);
	assert_int_equal(send_with_meta(0, DEADLINE_MAX + 1), 0);
}

static void test_status(void **state)
{
	struct frame f = sample_parse(VERB_STATUS);
	struct status s;

	(void)state;
	assert_int_equal(status_decode(&f, &s), DROP_NONE);
	assert_memory_equal(s.transfer, sample_transfer, TRANSFER_SIZE);
	assert_memory_equal(s.meta_digest, "digest8", 8);
	assert_int_equal(s.leg, 258);
	assert_int_equal(s.code, STATUS_REFUSED);
	assert_int_equal(s.reason, REFUSE_BUSY);
	assert_true(s.bytes == 123456789012);
	assert_int_equal(s.retry_after, 250);

	assert_int_equal(DROP_WITH(VERB_STATUS, status, code, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_STATUS, status, code, STATUS_CODE_COUNT), DROP_FIELD);
	/* reasons may grow; only a refusal has one */
	assert_int_equal(DROP_WITH(VERB_STATUS, status, reason, REFUSE_COUNT), DROP_NONE);
	assert_int_equal(DROP_WITH(VERB_STATUS, status, code, STATUS_WORKING), DROP_FIELD);
	assert_reserved(VERB_STATUS, status, zero);

	s.retry_after = 0;
	s.meta_digest = NULL;
	assert_int_equal(frame_parse(buf, status_encode(buf, sizeof(buf), 0, 1, &s), &f),
			 DROP_NONE);
	assert_int_equal(f.len, sizeof(struct wire_header) + sizeof(struct wire_status));
	assert_int_equal(status_decode(&f, &s), DROP_NONE);
	assert_int_equal(s.retry_after, 0);
	assert_memory_equal(s.meta_digest, "\0\0\0\0\0\0\0", 8);
	assert_int_equal(s.name_len, 0);

	/* only what was delivered has a name */
	f = sample_parse(VERB_STATUS);
	assert_int_equal(status_decode(&f, &s), DROP_NONE);
	s.name = (const uint8_t *)"a (1).txt";
	s.name_len = 9;
	assert_int_equal(status_encode(buf, sizeof(buf), 0, 1, &s), 0);
	s.code = STATUS_DELIVERED;
	s.reason = REFUSE_NONE;
	assert_int_equal(frame_parse(buf, status_encode(buf, sizeof(buf), 0, 1, &s), &f),
			 DROP_NONE);
	assert_int_equal(status_decode(&f, &s), DROP_NONE);
	assert_int_equal(s.name_len, 9);
	assert_memory_equal(s.name, "a (1).txt", 9);
	((struct wire_status *)(buf + sizeof(struct wire_header)))->code = STATUS_DELIVERING;
	assert_int_equal(frame_parse(buf, f.len, &f), DROP_NONE);
	assert_int_equal(status_decode(&f, &s), DROP_NONE);
	assert_int_equal(s.name_len, 0);
}

static void test_error(void **state)
{
	struct frame f = sample_parse(VERB_ERROR);
	struct error e;

	(void)state;
	assert_int_equal(error_decode(&f, &e), DROP_NONE);
	assert_memory_equal(e.echo->mac, "echo 7", 7);
	assert_int_equal(e.code, ERROR_FRESH);
	assert_int_equal(e.verb, VERB_PULL);
	assert_int_equal(e.number, 99);
	assert_true(e.stream == 0x5152535455565758);
	assert_int_equal(e.retry_after, 1000);
	/* An answer to a PULL is no larger than it. */
	assert_true(f.len <= sizeof(struct wire_header) + sizeof(struct wire_pull));

	assert_int_equal(DROP_WITH(VERB_ERROR, error, code, 0), DROP_FIELD);
	assert_int_equal(DROP_WITH(VERB_ERROR, error, code, ERROR_CODE_COUNT), DROP_FIELD);
	assert_reserved(VERB_ERROR, error, zero);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello),	     cmocka_unit_test(test_hello_unpadded),
		cmocka_unit_test(test_hello_probe),  cmocka_unit_test(test_welcome),
		cmocka_unit_test(test_longest),	     cmocka_unit_test(test_listen),
		cmocka_unit_test(test_listening),    cmocka_unit_test(test_stop),
		cmocka_unit_test(test_send),	     cmocka_unit_test(test_send_moved),
		cmocka_unit_test(test_send_vouch),   cmocka_unit_test(test_status_kept),
		cmocka_unit_test(test_send_padding), cmocka_unit_test(test_status),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
