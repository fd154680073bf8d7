/* SPDX-License-Identifier: BSD-3-Clause
 * Receivers that end in the middle of a file, and those that go on with it; over loopback.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/lib/clock.h"
#include "client/lib/name.h"
#include "client/lib/part.h"
#include "client_world.h"
#include "wire/frame.h"

#define CHUNKS ((MEGABYTES_3 + CHUNK_SIZE - 1) / CHUNK_SIZE)
#define MOST (CHUNKS + CHUNKS / 4) /* that are sent, with what is asked for twice */

/* ---- parts ---- */

static const struct part_of of = {
	.id = {{1, 2, 3}}, .length = 100 * CHUNK_SIZE + 7, .rule = RULE_SHA256};
static char directory[64];
static struct inbox inbox;

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/var/tmp/oncewire-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	return inbox_open(&inbox, directory, false);
}

static int teardown(void **state)
{
	(void)state;
	inbox_close(&inbox);
	directory_count(directory, true);
	return rmdir(directory);
}

static void chunk_write(struct part *p, uint32_t chunk)
{
	static const char bytes[CHUNK_SIZE];
	struct iovec iov = {(void *)bytes, chunk_length(of.length, chunk)};

	assert_int_equal(part_write(p, &iov, 1, (uint64_t)chunk * CHUNK_SIZE), 0);
	assert_int_equal(part_note(p, chunk, 1), 0);
}

/* One with chunks 0, 9 and the last one, that nobody has open. */
static void part_left(void)
{
	struct part p;

	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_false(p.begun);
	assert_int_equal(part_clear(&p, 5), 0);
	chunk_write(&p, 0);
	chunk_write(&p, 9);
	chunk_write(&p, 100);
	part_leave(&inbox, &p);
	assert_int_equal(directory_count(directory, false), 2);
}

static bool has(const struct part *p, uint32_t chunk)
{
	return p->have[chunk / 8] >> chunk % 8 & 1;
}

static void test_goes_on(void **state)
{
	char taken[NAME_BYTES + 1];
	struct part p;

	(void)state;
	part_left();
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_true(p.begun);
	assert_int_equal(p.attempt, 5);
	for (uint32_t i = 0; i <= 100; i++)
		assert_int_equal(has(&p, i), i == 0 || i == 9 || i == 100);
	assert_int_equal(part_publish(&inbox, &p, "a", taken), 0);
	assert_int_equal(directory_count(directory, false), 1);
}

/* Nothing was written to it: it is of no use. */
static void test_nothing_is_not_left(void **state)
{
	struct part p;

	(void)state;
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	part_leave(&inbox, &p);
	assert_int_equal(directory_count(directory, false), 0);
	part_left();
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_int_equal(part_clear(&p, 6), 0);
	assert_false(p.begun);
	assert_false(has(&p, 9));
	part_discard(&inbox, &p);
	assert_int_equal(directory_count(directory, false), 0);
}

/* Two at once have a file each. */
static void test_in_use(void **state)
{
	struct part p, q;

	(void)state;
	part_left();
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_int_equal(part_open_kept(&inbox, &q, &of), 0);
	assert_true(p.begun);
	assert_false(q.begun);
	assert_string_not_equal(p.name, q.name);
	parts_sweep(&inbox);
	assert_int_equal(directory_count(directory, false), 4);
	part_discard(&inbox, &p);
	part_discard(&inbox, &q);
	assert_int_equal(directory_count(directory, false), 0);
}

/* Of the part that is left, or of the one that would be made. */
static void path_of(char *path, size_t size, const char *suffix)
{
	struct part p;

	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	snprintf(path, size, "%s/%s%s", directory, p.name, suffix);
	part_leave(&inbox, &p);
}

static void assert_begins_anew(void)
{
	struct part p;

	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_false(p.begun);
	for (uint32_t i = 0; i <= 100; i++)
		assert_false(has(&p, i));
	part_discard(&inbox, &p);
}

/* Whatever somebody did to the files: what is said to be here is, or nothing is. */
static void test_damaged(void **state)
{
	char path[160], byte = 1;
	int fd;

	(void)state;
	for (unsigned int how = 0; how < 6; how++) {
		part_left();
		path_of(path, sizeof(path), how == 0 ? "" : ".have");
		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		if (how == 0)
			assert_int_equal(ftruncate(fd, 9 * CHUNK_SIZE), 0);
		else if (how == 1)
			assert_int_equal(ftruncate(fd, 10), 0);
		else if (how == 2)
			assert_int_equal(pwrite(fd, &byte, 1, 0), 1); /* the magic */
		else if (how == 3)
			assert_int_equal(pwrite(fd, &byte, 1, 20), 1); /* the identifier */
		else if (how == 4)
			assert_int_equal(pwrite(fd, "\xff", 1, 64 + 12), 1); /* chunks beyond */
		else
			assert_int_equal(ftruncate(fd, 5000), 0);
		close(fd);
		assert_begins_anew();
		assert_int_equal(directory_count(directory, false), 0);
	}
}

/* A name that somebody else has is not ours to write to. */
static void test_planted(void **state)
{
	char path[160], other[160];
	struct part p;
	struct stat st;

	(void)state;
	path_of(path, sizeof(path), "");
	snprintf(other, sizeof(other), "%s/other", directory);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_int_equal(stat(other, &st), -1);
	part_discard(&inbox, &p);
	assert_int_equal(unlink(path), 0);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(link(other, path), 0);
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	chunk_write(&p, 0);
	part_discard(&inbox, &p);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(directory_count(directory, false), 2);
}

/* One that others may read is not gone on with for who wants that of nobody. */
static void test_private(void **state)
{
	struct part p;
	struct inbox private;

	(void)state;
	umask(022);
	part_left();
	assert_int_equal(inbox_open(&private, directory, true), 0);
	assert_int_equal(part_open_kept(&private, &p, &of), 0);
	assert_false(p.begun);
	part_discard(&private, &p);
	inbox_close(&private);
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	assert_true(p.begun);
	part_discard(&inbox, &p);
}

static void test_old_ones_go(void **state)
{
	struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char path[160];

	(void)state;
	part_left();
	path_of(path, sizeof(path), "");
	parts_sweep(&inbox);
	assert_int_equal(directory_count(directory, false), 2);
	assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
	parts_sweep(&inbox);
	assert_int_equal(directory_count(directory, false), 0);
	/* one whose end was between its two files */
	part_left();
	assert_int_equal(unlink(path), 0);
	parts_sweep(&inbox);
	assert_int_equal(directory_count(directory, false), 0);
}

static void test_many_go(void **state)
{
	struct part_of each = of;
	struct part p;

	(void)state;
	for (unsigned int i = 0; i < PARTS_KEPT + 5; i++) {
		each.id.b[1] = (uint8_t)i;
		assert_int_equal(part_open_kept(&inbox, &p, &each), 0);
		chunk_write(&p, 0);
		part_leave(&inbox, &p);
	}
	parts_sweep(&inbox);
	assert_int_equal(directory_count(directory, false), 2 * PARTS_KEPT);
}

/* Where there are no locks nothing is kept, and nothing left behind. */
static bool no_locks;

int flock(int fd, int how)
{
	if (no_locks) {
		errno = ENOLCK;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, how);
}

static void test_no_locks(void **state)
{
	struct part p;

	(void)state;
	no_locks = true;
	assert_int_equal(part_open_kept(&inbox, &p, &of), 0);
	no_locks = false;
	assert_int_equal(part_clear(&p, 5), 0);
	chunk_write(&p, 0);
	assert_false(p.begun);
	part_leave(&inbox, &p);
	assert_int_equal(directory_count(directory, false), 0);
}

/* ---- receivers ---- */

static uint32_t wanted; /* chunks that were sent */

static bool served(const struct world *w)
{
	return w->relay->served >= wanted;
}

/* The relay sends so many chunks, and then none until the next call. */
static void serve(struct world *w, uint32_t chunks)
{
	wanted = w->relay->serves_most = chunks;
	world_until(w, served);
	/* all is read, here and there */
	for (int i = 0; i < 100; i++) {
		ow_receiver_process(w->receiver);
		relay_run(w->relay);
	}
}

/* Ends where it is, as if it had been killed: what has come is noted as it comes. */
static void receiver_end(struct world *w)
{
	ow_receiver_close(w->receiver);
	w->receiver = NULL;
	assert_int_equal(w->files, 0);
}

static void receiver_replace(struct world *w)
{
	receiver_end(w);
	world_receive(w, 0, false);
}

static void assert_went_on(struct world *w)
{
	assert_int_equal(w->files, 1);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(directory_count(w->directory, false), 1);
	assert_true(w->kept_bytes > 0 && w->kept_bytes < MEGABYTES_3);
	assert_true(w->relay->served <= MOST);
	assert_int_equal(w->warnings, 0);
}

static void test_hit(void **state)
{
	struct world *w = *state;

	relay_store(w->relay, w->data, MEGABYTES_3);
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 25000);
	for (unsigned int ends = 1; ends <= 2; ends++) {
		serve(w, ends * CHUNKS / 3);
		receiver_replace(w);
	}
	w->relay->serves_most = 0;
	assert_int_equal(world_run(w, false), OW_OK);
	assert_went_on(w);
}

/* What was still uploaded is stored meanwhile. */
static void test_miss(void **state)
{
	struct world *w = *state;

	w->relay->streams = true;
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 25000);
	serve(w, CHUNKS / 2);
	receiver_replace(w);
	w->relay->serves_most = 0;
	assert_int_equal(world_run(w, false), OW_OK);
	assert_went_on(w);
	assert_int_equal(w->relay->gone, 0);
}

/* Of another attempt nothing is of use. */
static void test_another_attempt(void **state)
{
	struct world *w = *state;

	w->relay->streams = true;
	w->relay->stops_at = 1500;
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 25000);
	serve(w, 1000);
	w->relay->attempt ^= 64;
	receiver_replace(w);
	w->relay->serves_most = 0;
	assert_int_equal(world_run(w, false), OW_OK);
	assert_int_equal(w->kept_bytes, 0);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(directory_count(w->directory, false), 1);
}

/* Spoils a byte of the only part in the folder. */
static void part_spoil(const struct world *w)
{
	struct part_of this = {.length = MEGABYTES_3, .rule = RULE_SHA256};
	struct ident_state *hash = ident_begin(RULE_SHA256);
	char path[160];
	struct inbox in;
	struct part p;
	int fd;

	ident_update(hash, w->data, MEGABYTES_3);
	ident_final(hash, &this.id);
	ident_free(hash);
	assert_int_equal(inbox_open(&in, w->directory, false), 0);
	assert_int_equal(part_open_kept(&in, &p, &this), 0);
	assert_true(p.begun && p.have[0] == 0xff);
	snprintf(path, sizeof(path), "%s/%s", w->directory, p.name);
	part_leave(&in, &p);
	inbox_close(&in);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "what is not in it", 17, 5000), 17);
	close(fd);
}

/* What was kept is damaged: all of it is pulled once more, and nobody is blamed. */
static void test_damaged_bytes(void **state)
{
	struct world *w = *state;

	relay_store(w->relay, w->data, MEGABYTES_3);
	world_receive(w, 0, false);
	world_send(w, MEGABYTES_3, 25000);
	serve(w, CHUNKS / 2);
	receiver_end(w);
	w->relay->serves_most = 0;
	part_spoil(w);
	world_receive(w, 0, false);
	assert_int_equal(world_run(w, false), OW_OK);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_int_equal(directory_count(w->directory, false), 1);
	assert_int_equal(w->kept_bytes, 0);
	assert_int_equal(w->warnings, 0);
}

/* ---- sources ---- */

static uint8_t first_transfer[TRANSFER_SIZE];

static bool second_offered(const struct world *w)
{
	return memcmp(w->relay->transfer, first_transfer, TRANSFER_SIZE) != 0 &&
	       w->relay->receipt == RECEIPT_PROGRESS;
}

/* Ended in the middle, and started again: what its target has is not sent twice. */
static void source_replace(struct world *w, uint32_t count)
{
	relay_store(w->relay, w->data, MEGABYTES_3);
	world_receive(w, count, false);
	world_send(w, MEGABYTES_3, 25000);
	serve(w, CHUNKS / 2);
	memcpy(first_transfer, w->relay->transfer, TRANSFER_SIZE);
	ow_sender_close(w->sender);
	world_send(w, MEGABYTES_3, 25000);
	world_until(w, second_offered);
	assert_int_equal(w->files, 0);
	w->relay->serves_most = 0;
	assert_int_equal(world_run(w, false), OW_OK);
	file_check(w->path, w->data, MEGABYTES_3);
	assert_true(w->relay->served <= MOST);
	assert_int_equal(w->warnings, 0);
}

/* Two sources, as far as can be told: each has its file. */
static void test_twin(void **state)
{
	struct world *w = *state;
	char second[128];

	source_replace(w, 0);
	assert_int_equal(w->files, 2);
	assert_int_equal(directory_count(w->directory, false), 2);
	snprintf(second, sizeof(second), "%s/report (1).pdf", w->directory);
	assert_string_equal(w->path, second);
	assert_string_equal(world_result(w).target_name, "report (1).pdf");
}

/* There is room for one file: it is both of theirs. */
static void test_twin_of_the_last(void **state)
{
	struct world *w = *state;

	source_replace(w, 1);
	assert_int_equal(w->files, 1);
	assert_int_equal(directory_count(w->directory, false), 1);
	assert_string_equal(world_result(w).target_name, "");
}

#define PART(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PART(test_goes_on),
		PART(test_nothing_is_not_left),
		PART(test_in_use),
		PART(test_damaged),
		PART(test_planted),
		PART(test_private),
		PART(test_old_ones_go),
		PART(test_many_go),
		PART(test_no_locks),
		TEST(test_hit),
		TEST(test_miss),
		TEST(test_another_attempt),
		TEST(test_damaged_bytes),
		TEST(test_twin),
		TEST(test_twin_of_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
