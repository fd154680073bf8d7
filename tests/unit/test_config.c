/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/config/config.h"
#include "control/base/memory.h"
#include "store/index.h"
#include "store/store.h"
#include "store/slab.h"
#include "wire/frame.h"

#define RELAY                  \
	"[relay]\n"            \
	"role = private\n"     \
	"listen = 192.0.2.1\n" \
	"port = af_xdp:eth0\n" \
	"master_key_file = /k\n"
#define RELAY_LINES 5
#define CENTRAL                \
	"[relay]\n"            \
	"role = central\n"     \
	"listen = 192.0.2.1\n" \
	"port = af_xdp:eth0\n" \
	"master_key_file = /k\n"

static struct config config; /* large */
static char folder[] = "test_config.XXXXXX";
static char path[64];
static char *messages; /* of the last load */

static void file_write(const char *name, const void *bytes, size_t len, mode_t mode)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
	assert_int_equal(chmod(name, mode), 0);
}

static int load_bytes(const char *text, size_t len)
{
	size_t size;
	FILE *err;
	int rc;

	free(messages);
	messages = NULL;
	config_free(&config);
	err = open_memstream(&messages, &size);
	file_write(path, text, len, 0600);
	rc = config_load(path, &config, err);
	fclose(err);
	if (rc < 0)
		assert_true(size > 0);
	else
		assert_string_equal(messages, "");
	return rc;
}

static int load(const char *text)
{
	return load_bytes(text, strlen(text));
}

static void must_load(const char *text)
{
	if (load(text) != 0)
		fail_msg("refused: %s", messages);
}

static unsigned int message_count(void)
{
	unsigned int n = 0;

	for (const char *p = messages; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

/* The file is refused with one message, which starts with FILE:LINE: WHERE and
 * says `what`, then what to do. */
static void must_refuse(const char *text, int line, const char *where, const char *what)
{
	char head[160];

	assert_int_equal(load(text), -EINVAL);
	snprintf(head, sizeof(head), "%s:%d: %s", path, line, where);
	if (message_count() != 1 || strncmp(messages, head, strlen(head)) != 0 ||
	    !strstr(messages, what) || !strchr(messages, ';'))
		fail_msg("expected '%s ... %s ...; ...', got: %s", head, what, messages);
}

static void test_defaults(void **state)
{
	char text[ADDR_PAIR_TEXT_MAX];

	(void)state;
	must_load(RELAY);
	assert_int_equal(config.role, ROLE_PRIVATE);
	assert_string_equal(config.instance, "private");
	assert_string_equal(addr_pair_text(&config.listen, text), "192.0.2.1:4870");
	assert_string_equal(config.port, "af_xdp:eth0");
	assert_non_null(strstr(config.xdp_program, "/steer.bpf.o"));
	assert_int_equal(config.workers, 1);
	assert_int_equal(config.control_cpu, -1);
	for (unsigned int i = 0; i < CONFIG_WORKERS; i++)
		assert_int_equal(config.worker_cpus[i], -1);
	assert_int_equal(config.idle, IDLE_ADAPTIVE);
	assert_string_equal(config.admin_socket, "/run/oncewire/private.sock");
	assert_string_equal(config.admin_group, "");
	assert_string_equal(config.user, "oncewire");
	assert_true(config.hugepages);
	assert_true(config.zero_copy);
	assert_int_equal(config.packet_buffers, 24576);
	assert_string_equal(config.log_level, "warning");
	assert_true(config.slab_chosen);
	assert_int_equal(config.engine, ENGINE_ROCKSDB);
	assert_string_equal(config.store_path, "/var/lib/oncewire/private");
	assert_int_equal(config.sync, STORE_SYNC_GROUP);
	assert_int_equal(config.io_threads, 4);
	assert_int_equal(config.rules, 1 << RULE_SHA256);
	assert_int_equal(config.max_uploads, 1024);
	assert_int_equal(config.max_waiters, 4096);
	assert_int_equal(config.upload_credit, 4096);
	assert_int_equal(config.lease_seconds, 60);
	assert_int_equal(config.offers_per_target, 64);
	assert_int_equal(config.rate_per_target, UINT64_C(1250) << 20);
	assert_int_equal(config.hash_threads, 1);
	assert_false(config.targets.allow_special);
	assert_int_equal(config.targets.count, 0);
	assert_int_equal(config.upstream.addr.type, ADDR_NONE);
	assert_int_equal(config.upstream_timeout_ms, 1000);
	assert_int_equal(config.peer_count, 0);
	assert_int_equal(config.domain_count, 0);
	assert_false(config.possession);
	assert_int_equal(config.hide_hits, 0);
}

static void test_values(void **state)
{
	char text[ADDR_PAIR_TEXT_MAX];

	(void)state;
	must_load("# comment\n; another\n\n"
		  "[relay]\n"
		  "  role=private ; why not\n"
		  "instance: edge-1\n"
		  "listen = [2001:db8::1]:77\n"
		  "port = vdev:net_null0,copy=1\n"
		  "xdp_program = /x.o\n"
		  "workers = 3\n"
		  "control_cpu = 0\n"
		  "worker_cpus = 1, 4-5\n"
		  "idle = spin\n"
		  "hugepages = off\n"
		  "zero_copy = off\n"
		  "master_key_file = /k\n"
		  "log_level = debug\n"
		  "[store]\n"
		  "slab_size = 2G\n"
		  "max_blob = 10m\n"
		  "rules = xxh3, sha256\n"
		  "possession = always\n"
		  "hide_hits = 64k\n"
		  "[limits]\n"
		  "rate_per_target = 125000000\n"
		  "[upstream]\n"
		  "address = 2001:db8::2\n"
		  "key_file = /p\n"
		  "timeout_ms = 250"); /* no new line at the end */
	assert_string_equal(config.instance, "edge-1");
	assert_string_equal(config.admin_socket, "/run/oncewire/edge-1.sock");
	assert_string_equal(addr_pair_text(&config.listen, text), "[2001:db8::1]:77");
	assert_string_equal(config.port, "vdev:net_null0,copy=1");
	assert_string_equal(config.xdp_program, "/x.o");
	assert_int_equal(config.workers, 3);
	assert_int_equal(config.control_cpu, 0);
	assert_int_equal(config.worker_cpus[0], 1);
	assert_int_equal(config.worker_cpus[1], 4);
	assert_int_equal(config.worker_cpus[2], 5);
	assert_int_equal(config.worker_cpus[3], -1);
	assert_int_equal(config.idle, IDLE_SPIN);
	assert_false(config.hugepages);
	assert_false(config.zero_copy);
	assert_string_equal(config.log_level, "debug");
	assert_int_equal(config.slab_size, UINT64_C(2) << 30);
	assert_int_equal(config.max_blob, 10 << 20);
	assert_int_equal(config.rules, 1 << RULE_SHA256 | 1 << RULE_XXH3);
	assert_int_equal(config.rate_per_target, 125000000);
	assert_true(config.possession);
	assert_int_equal(config.hide_hits, 65536);
	assert_string_equal(addr_text(&config.upstream.addr, text), "[2001:db8::2]:4870");
	assert_string_equal(config.upstream.key_file, "/p");
	assert_int_equal(config.upstream_timeout_ms, 250);
}

/* As people write them. */
static void test_units_and_comments(void **state)
{
	static const char *const two_gib[] = {
		"2G",		"2GiB",
		"2 GB",		"2 gib",
		"2048M",	"2G ; as much as fits",
		"2147483648",	"2097152 KiB",
		"2G # as much", "2 GiB\t# as much",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(two_gib) / sizeof(two_gib[0]); i++) {
		snprintf(text, sizeof(text), CENTRAL "[store]\nslab_size = %s\n", two_gib[i]);
		must_load(text);
		assert_true(config.slab_size == UINT64_C(2) << 30);
	}
	/* a '#' within a word is no comment */
	must_load(CENTRAL "[peer a]\nkey_file = /a#b#c\n[peer b]\nkey_file = /b#c # of b\n");
	assert_string_equal(config.peers[0].key_file, "/a#b#c");
	assert_string_equal(config.peers[1].key_file, "/b#c");
}

static void test_peers(void **state)
{
	(void)state;
	must_load(CENTRAL "[peer a]\nkey_file = /a\n"
			  "[peer b]\nkey_file = /b\naddress = 192.0.2.9\n"
			  "[store]\nslab_size = 1M\n");
	assert_int_equal(config.role, ROLE_CENTRAL);
	assert_string_equal(config.instance, "central");
	assert_int_equal(config.peer_count, 2);
	assert_string_equal(config.peers[0].name, "a");
	assert_int_equal(config.peers[0].addr.type, ADDR_NONE);
	assert_string_equal(config.peers[1].key_file, "/b");
	assert_int_equal(config.peers[1].addr.type, ADDR_IP4);
	assert_int_equal(config.slab_size, 1 << 20);

	must_refuse(CENTRAL "[peer a]\naddress = 192.0.2.9\n", 7, "[peer a] key_file: ", "missing");
	must_refuse(CENTRAL "[peer a]\nkey_file = /a\n[peer a]\nkey_file = /b\n", 9,
		    "[peer a] key_file: ", "line 7");
	must_refuse(CENTRAL "[peer a/b]\nkey_file = /a\n", 7, "[peer a/b]: ", "not a name");
	must_refuse(CENTRAL "[peer a]\nkey_file = /a\naddress = 192.0.2.1\n", 8,
		    "[peer a] address: ", "own");
	must_refuse(RELAY "[peer a]\nkey_file = /a\n", 7, "[peer]: ", "role = central");
	/* it is in the key file now */
	must_refuse(CENTRAL "[peer a]\nkey_file = /a\nid = 1\n", 8, "[peer a] id: ", "no such key");
}

static void test_domains(void **state)
{
	(void)state;
	must_load(RELAY "[domain a]\nkey_file = /a\n"
			"[domain b]\nkey_file = /b\nmax_bytes = 3G\nmax_blobs = 70\n"
			"max_uploads = 5\nmax_requests = 6\nrequests_per_second = 9000\n"
			"targets = 10.1.0.0/16, 192.0.2.7\n"
			"[limits]\nmax_uploads = 9\n");
	assert_int_equal(config.domain_count, 2);
	assert_string_equal(config.domains[0].name, "a");
	assert_string_equal(config.domains[0].key_file, "/a");
	assert_int_equal(config.domains[0].max_bytes, 0);
	assert_int_equal(config.domains[0].max_blobs, 0);
	assert_int_equal(config.domains[0].max_uploads, 0);
	assert_int_equal(config.domains[0].requests_per_second, 0);
	assert_int_equal(config.domains[0].targets.count, 0);
	assert_int_equal(config.domains[1].max_bytes, UINT64_C(3) << 30);
	assert_int_equal(config.domains[1].max_blobs, 70);
	assert_int_equal(config.domains[1].max_uploads, 5);
	assert_int_equal(config.domains[1].max_requests, 6);
	assert_int_equal(config.domains[1].requests_per_second, 9000);
	assert_int_equal(config.domains[1].targets.count, 2);
	assert_int_equal(config.max_uploads, 9);

	must_refuse(RELAY "[domain a]\nmax_blobs = 1\n", 7, "[domain a] key_file: ", "missing");
	must_refuse(RELAY "[domain]\nkey_file = /a\n", 7, "[domain]: ", "no such section");
	must_refuse(RELAY "[domain x y]\nkey_file = /a\n", 7, "[domain x y]: ", "not a name");
	must_refuse(RELAY "[domain a]\nkey_file = /a\nid = 4\n", 8,
		    "[domain a] id: ", "no such key");
}

/* [domain NAME] KEY = VALUE is refused. */
static void test_bad_domain_values(void **state)
{
	static const struct {
		const char *key, *value, *what;
	} bad[] = {
		{"max_bytes", "-1", "from 0 to 64T"},
		{"max_bytes", "65T", "from 0 to 64T"},
		{"max_blobs", "1M", "from 0 to "},
		{"max_uploads", "4097", "from 0 to 4096"},
		{"requests_per_second", "100000001", "from 0 to 100000000"},
		{"targets", "", "not a prefix"},
		{"targets", "10.0.0.1/8", "behind its 8 bits"},
		{"targets", "all", "not a prefix"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512], where[64];

		snprintf(text, sizeof(text), RELAY "[domain a]\nkey_file = /a\n%s = %s\n",
			 bad[i].key, bad[i].value);
		snprintf(where, sizeof(where), "[domain a] %s: ", bad[i].key);
		must_refuse(text, RELAY_LINES + 3, where, bad[i].what);
	}
}

static void test_too_many_peers(void **state)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fputs(CENTRAL, f);
	for (int i = 1; i <= CONFIG_PEERS; i++)
		fprintf(f, "[peer p%d]\nkey_file = /k\n", i);
	fflush(f);
	must_load(text);
	assert_int_equal(config.peer_count, CONFIG_PEERS);
	fputs("[peer more]\nkey_file = /k\n", f);
	fclose(f);
	must_refuse(text, RELAY_LINES + 2 * CONFIG_PEERS + 2, "[peer more]: ", "at most 64");
	free(text);
}

static void test_too_many_domains(void **state)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fputs(RELAY, f);
	for (int i = 1; i <= CONFIG_DOMAINS; i++)
		fprintf(f, "[domain d%d]\nkey_file = /%d\nmax_blobs = %d\n", i, i, i);
	fflush(f);
	must_load(text);
	assert_int_equal(config.domain_count, CONFIG_DOMAINS);
	for (uint32_t i = 0; i < CONFIG_DOMAINS; i++)
		assert_int_equal(config.domains[i].max_blobs, i + 1);
	assert_string_equal(config.domains[CONFIG_DOMAINS - 1].key_file, "/1024");
	fputs("[domain more]\nkey_file = /k\n", f);
	fclose(f);
	must_refuse(text, RELAY_LINES + 3 * CONFIG_DOMAINS + 2, "[domain more]: ", "at most 1024");
	free(text);
}

static void test_bad_values(void **state)
{
	static const struct {
		const char *section, *key, *value, *what;
	} bad[] = {
		{"relay", "instance", "a b", "not a name"},
		{"relay", "instance", "-a", "not a name"},
		{"relay", "instance", "", "not a name"},
		{"relay", "instance", "../x", "not a name"},
		{"relay", "instance", "a2345678901234567890123456789012", "at most 31"},
		{"relay", "workers", "0", "from 1 to 16"},
		{"relay", "workers", "17", "from 1 to 16"},
		{"relay", "workers", "-1", "from 1 to 16"},
		{"relay", "workers", "1x", "from 1 to 16"},
		{"relay", "workers", "18446744073709551617", "from 1 to 16"},
		{"relay", "control_cpu", "-1", "not a CPU"},
		{"relay", "control_cpu", "99999", "not a CPU"},
		{"relay", "worker_cpus", "1,", "not a list"},
		{"relay", "worker_cpus", "1,1", "CPU 1 twice"},
		{"relay", "worker_cpus", "0-16", "at most 16"},
		{"relay", "worker_cpus", "1-", "not a list"},
		{"relay", "worker_cpus", "3-1", "not a list"},
		{"relay", "worker_cpus", "1,2", "workers = 2"},
		{"relay", "idle", "lazy", "adaptive|spin"},
		{"relay", "hugepages", "on", "off|auto"},
		{"relay", "log_level", "warn", "error|warning|info|debug"},
		{"relay", "packet_buffers", "10", "from 1024"},
		{"relay", "xdp_program", "", "empty"},
		{"store", "slab_size", "1", "or auto"},
		{"store", "slab_size", "1GBit", "from 1M to 64T"},
		{"store", "slab_size", "1 G G", "from 1M to 64T"},
		{"store", "slab_size", "99999999999999999T", "from 1M to 64T"},
		{"store", "max_blob", "65G", "from 1 to "},
		{"store", "rules", "md5", "not a rule"},
		{"store", "rules", "sha256,", "not a rule"},
		{"store", "possession", "on", "off|always"},
		{"store", "hide_hits", "always", "from 0 to "},
		{"limits", "upload_credit", "31", "from 32"},
		{"limits", "lease_seconds", "3601", "to 3600"},
		{"targets", "allow", "10.0.0.0/33", "not a prefix"},
		{"targets", "allow", "10.0.0.0/", "not a prefix"},
		{"targets", "allow", "10.0.0.0/8,", "not a prefix"},
		{"targets", "allow", "fd00::/129", "not a prefix"},
		{"targets", "allow", "10.0.0.1/8", "behind its 8 bits"},
		{"targets", "allow", "10.64.0.0/9", "behind its 9 bits"},
		{"targets", "allow", "fd00::1/127", "behind its 127 bits"},
		{"targets", "allow", "host.example", "not a prefix"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[512], where[64];
		bool own = strcmp(bad[i].section, "relay") == 0;

		snprintf(text, sizeof(text), RELAY "%s%s%s%s = %s\n", own ? "" : "[",
			 own ? "" : bad[i].section, own ? "" : "]\n", bad[i].key, bad[i].value);
		snprintf(where, sizeof(where), "[%s] %s: ", bad[i].section, bad[i].key);
		must_refuse(text, RELAY_LINES + (own ? 1 : 2), where, bad[i].what);
	}
}

/* One of the mandatory four, wrong. */
static void refuse_mandatory(const char *key, const char *value, const char *what)
{
	static const char *const line[] = {"role = private", "listen = 192.0.2.1",
					   "port = af_xdp:eth0", "master_key_file = /k"};
	char text[512] = "[relay]\n", where[64];
	int at = 0;

	for (int i = 0; i < 4; i++) {
		size_t len = strlen(text);

		if (strncmp(line[i], key, strlen(key)) == 0) {
			snprintf(text + len, sizeof(text) - len, "%s = %s\n", key, value);
			at = i + 2;
		} else {
			snprintf(text + len, sizeof(text) - len, "%s\n", line[i]);
		}
	}
	snprintf(where, sizeof(where), "[relay] %s: ", key);
	must_refuse(text, at, where, what);
}

static void test_bad_mandatory(void **state)
{
	(void)state;
	refuse_mandatory("role", "both", "private|central");
	refuse_mandatory("listen", "0.0.0.0", "any address");
	refuse_mandatory("listen", "224.0.0.1", "multicast");
	refuse_mandatory("listen", "255.255.255.255", "broadcast");
	refuse_mandatory("listen", "ff02::1", "multicast");
	refuse_mandatory("listen", "relay.example", "not an address");
	refuse_mandatory("listen", "192.0.2.1, 192.0.2.2", "two addresses of one IP version");
	refuse_mandatory("listen", "192.0.2.1, 2001:db8::1, 192.0.2.1", "two addresses of one");
	refuse_mandatory("listen", "192.0.2.1,", "not an address");
	refuse_mandatory("listen", "192.0.2.1 2001:db8::1", "not an address");
	refuse_mandatory("listen", "192.0.2.1:0", "not an address");
	refuse_mandatory("listen", "::ffff:192.0.2.1", "not an address");
	refuse_mandatory("port", "eth0", "af_xdp:IFNAME");
	refuse_mandatory("port", "af_xdp:", "not an interface");
	refuse_mandatory("port", "af_xdp:0123456789abcdef", "not an interface");
	refuse_mandatory("port", "af_xdp:a/b", "not an interface");
	refuse_mandatory("port", "vdev:", "names no port");
	refuse_mandatory("master_key_file", "", "empty");
}

static void test_unknown(void **state)
{
	(void)state;
	must_refuse(RELAY "worker = 2\n", 6, "[relay] worker: ", "nearest is workers in [relay]");
	must_refuse(RELAY "max_blob = 1M\n", 6, "[relay] max_blob: ", "max_blob in [store]");
	must_refuse(RELAY "[stor]\nmax_blob = 1M\n", 7, "[stor]: ", "[store]");
	must_refuse(RELAY "[peer]\nid = 1\n", 7, "[peer]: ", "[peer edge-1]");
	must_refuse("a = 1\n" RELAY, 1, "", "before any section");
	must_refuse(RELAY "[limits]\nmax_uplaods = 3\n", 7,
		    "[limits] max_uplaods: ", "nearest is max_uploads in");
}

static void test_structure(void **state)
{
	static const char nul[] = RELAY "worke\0rs = 2\n";
	char *text = malloc(10000);

	(void)state;
	must_refuse(RELAY "workers = 1\nidle = spin\nworkers = 1\n", 8,
		    "[relay] workers: ", "line 6");
	must_refuse(RELAY "what\n", 6, "", "neither a key");
	must_refuse(RELAY "[store\n", 6, "", "neither a key");
	assert_int_equal(load_bytes(nul, sizeof(nul) - 1), -EINVAL);
	assert_non_null(strstr(messages, ":6: the line"));

	/* 8191 bytes of line are too many, whatever their tail would mean */
	strcpy(text, RELAY "# ");
	memset(text + strlen(RELAY) + 2, 'x', 9000);
	strcpy(text + strlen(RELAY) + 9002, "workers = 2\n");
	must_refuse(text, 6, "", "too long");
	/* a long path on one line is fine */
	snprintf(text, 10000, RELAY "xdp_program = /%0*d\n", PATH_MAX - 2, 0);
	must_load(text);
	assert_int_equal(strlen(config.xdp_program), PATH_MAX - 1);
	snprintf(text, 10000, RELAY "xdp_program = /%0*d\n", PATH_MAX - 1, 0);
	must_refuse(text, 6, "[relay] xdp_program: ", "too long");
	snprintf(text, 10000, RELAY "admin_socket = /%0*d\n", 107, 0);
	must_refuse(text, 6, "[relay] admin_socket: ", "too long for a socket");
	free(text);
}

static void test_missing(void **state)
{
	(void)state;
	assert_int_equal(load(""), -EINVAL);
	assert_int_equal(message_count(), 4);
	assert_non_null(strstr(messages, ":1: [relay] role: is missing"));
	assert_non_null(strstr(messages, "[relay] port: is missing"));
	assert_non_null(strstr(messages, "[relay] master_key_file: is missing"));

	/* all problems of a file at once, in its order */
	assert_int_equal(load("[relay]\nrole = private\nworkers = 99\nfoo = 1\n[store]\n"
			      "slab_blobs = 0\n[upstream]\ntimeout_ms = 300\n"),
			 -EINVAL);
	assert_int_equal(message_count(), 8);
	assert_non_null(strstr(messages, ":3: [relay] workers:"));
	assert_non_null(strstr(messages, ":4: [relay] foo:"));
	assert_non_null(strstr(messages, ":6: [store] slab_blobs:"));
	assert_non_null(strstr(messages, ":4: [relay] listen: is missing"));
	assert_non_null(strstr(messages, ":8: [upstream] key_file: is missing"));
	assert_non_null(strstr(messages, ":8: [upstream] address: is missing"));
}

static void test_upstream(void **state)
{
	(void)state;
	must_refuse(CENTRAL "[upstream]\nkey_file = /p\naddress = 192.0.2.2\n", 8,
		    "[upstream]: ", "role = private");
	must_refuse(RELAY "[upstream]\nkey_file = /p\naddress = 2001:db8::2\n", 8,
		    "[upstream] address: ", "IP version");
	must_refuse(RELAY "[upstream]\nkey_file = /p\naddress = 192.0.2.1\n", 8,
		    "[upstream] address: ", "own");
	must_refuse(RELAY "[upstream]\nid = 1\nkey_file = /p\naddress = 192.0.2.2\n", 7,
		    "[upstream] id: ", "no such key");
	/* another port of the same host is another relay */
	must_load(RELAY "[upstream]\nkey_file = /p\naddress = 192.0.2.1:4999\n");
}

/* A quarter of the memory that there is, in whole MiB; files up to what it holds. */
static void test_store_of_this_host(void **state)
{
	uint64_t usable;

	(void)state;
	do { /* somebody may set hugepages aside just now */
		usable = memory_usable();
		must_load(RELAY "[store]\nslab_size = auto\nmax_blob = auto\nslab_blobs = auto\n");
	} while (memory_usable() != usable);
	assert_in_range(usable, 64 << 20, (uint64_t)sysconf(_SC_PHYS_PAGES) * 4096);
	assert_true(config.slab_chosen);
	assert_in_range(config.slab_size, usable / 4 - (2 << 20), usable / 4 + (2 << 20));
	assert_int_equal(config.slab_size % (1 << 20), 0);
	assert_int_equal(config.max_blob, BLOB_MAX_LENGTH);
	assert_in_range(config.slab_blobs, 65536, INDEX_MAX_ENTRIES);
	must_load(RELAY "[store]\nslab_size = 1M\n");
	assert_false(config.slab_chosen);
	assert_int_equal(config.slab_blobs, 65536);
	must_refuse(RELAY "workers = auto\n", 6, "[relay] workers: ", "out of range");
}

/* The longest blob must fit as the slabs count: whole extents, pieces. */
static void test_max_blob_clipped(void **state)
{
	(void)state;
	must_load(RELAY "[store]\nengine = memory\nslab_size = 1M\n");
	assert_int_equal(config.max_blob, 16 * EXTENT_SUMS);
	must_load(RELAY "[store]\nengine = memory\nslab_size = 1M\nmax_blob = 1M\n");
	assert_int_equal(config.max_blob, 16 * EXTENT_SUMS);
	must_load(RELAY "[store]\nengine = memory\nslab_size = 1M\nmax_blob = 1K\n");
	assert_int_equal(config.max_blob, 1024);
	must_load(RELAY "[store]\nengine = memory\nslab_size = 2G\n");
	assert_int_equal(config.max_blob, UINT64_C(32768) * EXTENT_SUMS);
	assert_int_equal(config.slab_blobs, 262144);
	must_refuse(RELAY "[store]\nengine = memory\nslab_size = 2G\nmax_blob = 2049M\n", 9,
		    "[store] max_blob: ", "does not fit in slab_size, 2G");
	must_load(RELAY "[store]\nengine = memory\nslab_size = 64T\nmax_blob = 1G\n");
	assert_int_equal(config.max_blob, 1 << 30);
	assert_int_equal(config.slab_blobs, INDEX_MAX_ENTRIES);
	must_load(RELAY "[store]\nengine = memory\nslab_size = 64T\nslab_blobs = 77\n");
	assert_int_equal(config.max_blob, 77 * (uint64_t)PIECE_SIZE);
	assert_int_equal(config.slab_blobs, 77);
	must_load(RELAY "[store]\nengine = memory\nslab_size = 64T\n");
	assert_int_equal(config.max_blob, BLOB_MAX_LENGTH);
	/* what is kept elsewhere passes through */
	must_load(RELAY "[store]\nslab_size = 2G\n");
	assert_int_equal(config.max_blob, BLOB_MAX_LENGTH);
	must_load(RELAY "[store]\nslab_size = 2G\nmax_blob = 3G\n");
	assert_int_equal(config.max_blob, UINT64_C(3) << 30);
	must_load(RELAY "[store]\nengine = memory\nslab_size = 2G\nmax_blob = 2G\n");
	assert_int_equal(config.max_blob, UINT64_C(32768) * EXTENT_SUMS);
}

static void test_ranges(void **state)
{
	char text[4096] = RELAY "[targets]\nallow = ";

	(void)state;
	must_load(RELAY "[targets]\nallow = 10.0.0.0/8, 192.168.1.1 ,fc00::/7,::1,0.0.0.0/0, "
			"10.128.0.0/9\n");
	assert_false(config.targets.allow_special);
	assert_int_equal(config.targets.count, 6);
	assert_int_equal(config.targets.allow[0].bits, 8);
	assert_int_equal(config.targets.allow[0].ip[0], 10);
	assert_int_equal(config.targets.allow[1].bits, 32);
	assert_int_equal(config.targets.allow[2].type, ADDR_IP6);
	assert_int_equal(config.targets.allow[3].bits, 128);
	assert_int_equal(config.targets.allow[4].bits, 0);
	assert_int_equal(config.targets.allow[5].bits, 9);
	assert_int_equal(config.targets.allow[5].ip[1], 128);

	must_load(RELAY "[targets]\nallow = special, 10.0.0.0/8\n");
	assert_true(config.targets.allow_special);
	assert_int_equal(config.targets.count, 1);

	for (int i = 0; i <= POLICY_RANGES; i++)
		sprintf(text + strlen(text), "%s10.0.%d.0/24", i ? "," : "", i);
	must_refuse(text, 7, "[targets] allow: ", "at most 64");
}

static void test_unreadable(void **state)
{
	FILE *err;
	size_t size;

	(void)state;
	free(messages);
	err = open_memstream(&messages, &size);
	assert_int_equal(config_load("/nonexistent/x", &config, err), -ENOENT);
	assert_int_equal(config_load(folder, &config, err), -EIO);
	fclose(err);
	assert_int_equal(message_count(), 2);
}

/* Every key is in the sample, which is itself a configuration, and the one in
 * docs/ is up to date. */
static void test_sample(void **state)
{
	char *sample, *docs;
	size_t size, docs_size;
	FILE *f = open_memstream(&sample, &size), *d = fopen(SAMPLE_FILE, "r");

	(void)state;
	config_print_sample(f);
	fclose(f);
	must_load(sample);
	for (char *line = sample; *line; line = strchr(line, '\n') + 1)
		assert_in_range(strchr(line, '\n') - line, 0, 80);
	assert_int_equal(config.domain_count, 1);
	assert_string_equal(config.domains[0].key_file, "/etc/oncewire/domain-1.key");
	assert_non_null(strstr(sample, "\n#slab_size = auto\n"));
	assert_non_null(strstr(sample, "\n#timeout_ms = 1000\n"));

	/* what it shows are values that the parser takes, apart from one role's or
	 * the other's section */
	for (char *p = sample; (p = strstr(p, "\n#")); p++)
		if (p[2] != ' ' && p[2] != '\n')
			p[1] = ' ';
	*strstr(sample, "[peer edge-1]") = '\0';
	must_load(sample);
	assert_string_equal(config.upstream.key_file, "/etc/oncewire/pair-1.key");
	free(sample);

	assert_non_null(d);
	f = open_memstream(&sample, &size);
	config_print_sample(f);
	fclose(f);
	docs = malloc(size + 2);
	docs_size = fread(docs, 1, size + 1, d);
	fclose(d);
	assert_int_equal(docs_size, size);
	assert_memory_equal(docs, sample, size);
	free(docs);
	free(sample);
}

static int keys_load(void)
{
	size_t size;
	FILE *err;
	int rc;

	free(messages);
	err = open_memstream(&messages, &size);
	rc = config_load_keys(path, &config, err);
	fclose(err);
	return rc;
}

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

/* Names in the test's folder; written with the lines given. */
static const char *key_file(const char *name, const char *text)
{
	static char names[4][96];
	static unsigned int n;
	char *file = names[n++ % 4];

	snprintf(file, sizeof(names[0]), "%s/%s.key", folder, name);
	file_write(file, text, strlen(text), 0600);
	return file;
}

static void keys_must_fail(unsigned int count, const char *where, const char *what)
{
	assert_int_equal(keys_load(), -EINVAL);
	if (message_count() != count || !strstr(messages, where) || !strstr(messages, what))
		fail_msg("expected '%s ... %s' among %u, got: %s", where, what, count, messages);
}

static void test_keys(void **state)
{
	const char *a = key_file("a", HEX "\n"), *b = key_file("b", "7.2 " HEX "\n7.1 " HEX "\n");
	const char *d = key_file("d", "# comment\n16777215.9 " HEX "\n");
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text),
		 "[relay]\nrole = central\nlisten = 192.0.2.1\nport = vdev:x\n"
		 "master_key_file = %s\n[peer x]\nkey_file = %s\n[domain y]\nkey_file = %s\n",
		 a, b, d);
	must_load(text);
	assert_int_equal(keys_load(), 0);
	assert_string_equal(messages, "");
	for (int i = 0; i < 32; i++) {
		assert_int_equal(config.master_key[i], i);
		assert_int_equal(config.peers[0].keys.key[1].key[i], i);
	}
	assert_int_equal(config.peers[0].keys.id, 7);
	assert_int_equal(config.peers[0].keys.count, 2);
	assert_int_equal(key_set_field(&config.domains[0].keys, 0), 0xffffff09);

	chmod(b, 0640);
	keys_must_fail(1, ":7: [peer x] key_file: ", "; run: chmod 0600 ");
	chmod(b, 0600);
	unlink(d);
	keys_must_fail(1, ":9: [domain y] key_file: ", "; make it with: oncewire keygen domain ");
	file_write(d, "1.1 12\n", 7, 0600);
	keys_must_fail(1, ":9: [domain y] key_file: ", "; make one with: oncewire keygen domain ");
	file_write(a, HEX, 61, 0600);
	unlink(b);
	keys_must_fail(3, ":5: [relay] master_key_file: ", "oncewire keygen master ");
	assert_non_null(strstr(messages, "oncewire keygen pair "));
	unlink(a);
	unlink(d);
}

/* Both sections are named. */
static void test_same_id(void **state)
{
	const char *a = key_file("a", HEX), *b = key_file("b", "7.2 " HEX),
		   *c = key_file("c", "7.1 " HEX);
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text),
		 "[relay]\nrole = central\nlisten = 192.0.2.1\nport = vdev:x\n"
		 "master_key_file = %s\n[domain x]\nkey_file = %s\n[domain y]\nkey_file = %s\n",
		 a, b, c);
	must_load(text);
	keys_must_fail(1, ":9: [domain y] key_file: ", "7, as has [domain x]; ");
	snprintf(text, sizeof(text),
		 "[relay]\nrole = central\nlisten = 192.0.2.1\nport = vdev:x\n"
		 "master_key_file = %s\n[peer x]\nkey_file = %s\n[peer y]\nkey_file = %s\n"
		 "[domain z]\nkey_file = %s\n",
		 a, b, c, c);
	must_load(text);
	keys_must_fail(1, ":9: [peer y] key_file: ", "7, as has [peer x]; ");
	unlink(a);
	unlink(b);
	unlink(c);
}

/* What cannot change while the relay runs stays, and is named; the rest does. */
static void test_retain(void **state)
{
	struct config *running = calloc(1, sizeof(*running));
	char *warnings;
	size_t size;
	FILE *err;

	(void)state;
	must_load(RELAY "[upstream]\naddress = 192.0.2.2\nkey_file = /p\n"
			"[targets]\nallow = 10.0.0.0/8\n[domain a]\nkey_file = /a\n");
	*running = config;
	memset(&config, 0, sizeof(config));
	must_load(RELAY "workers = 2\nlog_level = info\n[limits]\nmax_uploads = 3\n"
			"[upstream]\naddress = 192.0.2.3\nkey_file = /q\ntimeout_ms = 77\n"
			"[domain b]\nkey_file = /b\n[domain c]\nkey_file = /c\n");
	err = open_memstream(&warnings, &size);
	config_retain(running, &config, err);
	fclose(err);
	assert_non_null(strstr(warnings, "warning: [relay] workers needs a restart"));
	assert_non_null(strstr(warnings, "warning: [relay] log_level needs"));
	assert_non_null(strstr(warnings, "warning: [limits] max_uploads needs"));
	assert_non_null(strstr(warnings, "warning: [upstream] address needs"));
	assert_null(strstr(warnings, "key_file"));
	assert_null(strstr(warnings, "allow"));
	assert_int_equal(config.workers, 1);
	assert_string_equal(config.log_level, "warning");
	assert_int_equal(config.max_uploads, 1024);
	assert_true(addr_equal(&config.upstream.addr, &running->upstream.addr));
	assert_string_equal(config.upstream.key_file, "/q");
	assert_int_equal(config.upstream_timeout_ms, 77);
	assert_int_equal(config.targets.count, 0);
	assert_int_equal(config.domain_count, 2);
	free(warnings);

	/* the same file: nothing to say */
	must_load(RELAY);
	config_free(running);
	*running = config;
	memset(&config, 0, sizeof(config));
	must_load(RELAY "[upstream]\naddress = 192.0.2.3\nkey_file = /q\n");
	err = open_memstream(&warnings, &size);
	config_retain(running, &config, err);
	fclose(err);
	assert_string_equal(warnings, "warning: [upstream] needs a restart to change; until then "
				      "it stays as it is\n");
	assert_int_equal(config.upstream.addr.type, ADDR_NONE);
	free(warnings);
	config_free(running);
	free(running);
}

static void test_open_warning(void **state)
{
	FILE *real = stderr;
	char *text;
	size_t size;

	(void)state;
	stderr = open_memstream(&text, &size);
	must_load(RELAY "[domain a]\nkey_file = /a\n");
	config_warn_open(&config);
	fflush(stderr);
	assert_int_equal(size, 0);
	must_load(RELAY);
	config_warn_open(&config);
	fclose(stderr);
	stderr = real;
	assert_non_null(strstr(text, "anybody may use it"));
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	free(text);
}

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/conf", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(messages);
	config_free(&config);
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),
					   cmocka_unit_test(test_values),
					   cmocka_unit_test(test_units_and_comments),
					   cmocka_unit_test(test_peers),
					   cmocka_unit_test(test_too_many_peers),
					   cmocka_unit_test(test_domains),
					   cmocka_unit_test(test_bad_domain_values),
					   cmocka_unit_test(test_too_many_domains),
					   cmocka_unit_test(test_bad_values),
					   cmocka_unit_test(test_bad_mandatory),
					   cmocka_unit_test(test_unknown),
					   cmocka_unit_test(test_structure),
					   cmocka_unit_test(test_missing),
					   cmocka_unit_test(test_upstream),
					   cmocka_unit_test(test_store_of_this_host),
					   cmocka_unit_test(test_max_blob_clipped),
					   cmocka_unit_test(test_ranges),
					   cmocka_unit_test(test_unreadable),
					   cmocka_unit_test(test_sample),
					   cmocka_unit_test(test_keys),
					   cmocka_unit_test(test_same_id),
					   cmocka_unit_test(test_retain),
					   cmocka_unit_test(test_open_warning)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
