/* SPDX-License-Identifier: BSD-3-Clause
 * oncewire store verify, export, import.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/progress.h"
#include "client/cli/store.h"
#include "wire/ident.h"

#define PIECE (1 << 18) /* bytes at a time */
#define QUESTION_MAX 512

static uint64_t number_of(json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

/* ---- verify ---- */

static void damage_tell(char **argv, json_t *blob, bool json, struct progress *p)
{
	const char *domain = json_string_value(json_object_get(blob, "domain"));

	progress_end(p);
	if (json)
		json_print(json_pack("{s:O}", "damaged", blob));
	else
		complain(argv, "damaged, and put aside: %s, %" PRIu64 " bytes, domain %s",
			 json_string_value(json_object_get(blob, "id")), number_of(blob, "bytes"),
			 domain != NULL ? domain : "-");
}

static int verified_tell(json_t *sum, bool json)
{
	const uint64_t damaged = number_of(sum, "damaged");

	if (json)
		json_print(json_pack("{s:O}", "verified", sum));
	else
		printf("verified %" PRIu64 " blobs, %" PRIu64 " bytes: %" PRIu64 " damaged\n",
		       number_of(sum, "blobs"), number_of(sum, "bytes"), damaged);
	return damaged > 0 ? EXIT_UNWELL : EXIT_DONE;
}

/* One line of the relay's. True: it was the last. */
static bool verify_line(char **argv, json_t *line, const struct store_options *o,
			struct progress *p, bool draws, int *status)
{
	json_t *damaged = json_object_get(line, "damaged"),
	       *sum = json_object_get(line, "verified");

	if (sum != NULL) {
		progress_end(p);
		*status = verified_tell(sum, o->json);
		return true;
	}
	if (damaged != NULL)
		damage_tell(argv, damaged, o->json, p);
	else if (number_of(line, "from_blobs") > 0)
		fprintf(stderr,
			"going on after %" PRIu64 " blobs that were verified already; --anew "
			"begins with the first\n",
			number_of(line, "from_blobs"));
	else if (draws && json_object_get(line, "of_bytes") != NULL)
		progress_draw(p, PROGRESS_VERIFYING, number_of(line, "bytes"),
			      number_of(line, "of_bytes"));
	return false;
}

int store_verify(char **argv, struct admin_link *l, const struct store_options *o)
{
	const volatile sig_atomic_t *stop = stop_on_signals();
	struct progress progress;
	const bool draws = progress_begin(&progress) && !o->json;
	int status = admin_ask(argv, l, STORE_SECONDS,
			       o->anew ? "store verify anew\n" : "store verify\n");
	bool over = status != EXIT_DONE;
	json_t *line;

	while (!over && (line = admin_line(argv, l, &status)) != NULL) {
		over = verify_line(argv, line, o, &progress, draws, &status);
		json_decref(line);
	}
	progress_end(&progress);
	if (!over && *stop != 0) {
		complain(argv, "interrupted; the same command goes on where it was");
		status = EXIT_FAILED;
	}
	admin_end(l);
	return status;
}

/* ---- export ---- */

/* A file that gets its name when it is whole. */
struct draft {
	char name[PATH_MAX];
	int fd;
};

static int draft_open(struct draft *d, const char *path)
{
	const mode_t mask = umask(0);

	umask(mask);
	if (snprintf(d->name, sizeof(d->name), "%s.XXXXXX", path) >= (int)sizeof(d->name))
		return -ENAMETOOLONG;
	d->fd = mkstemp(d->name);
	if (d->fd < 0)
		return -errno;
	return fchmod(d->fd, 0666 & ~mask) == 0 ? 0 : -errno;
}

/* Nothing that is there is overwritten. */
static int draft_name(struct draft *d, const char *path)
{
	return fsync(d->fd) == 0 && link(d->name, path) == 0 ? 0 : -errno;
}

static void draft_end(struct draft *d)
{
	if (d->fd < 0)
		return;
	unlink(d->name);
	close(d->fd);
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* All of the blob, into the file, while it is hashed. Returns an exit status. */
static int bytes_fetch(char **argv, struct admin_link *l, uint64_t length, int fd,
		       struct ident_state *hash)
{
	const volatile sig_atomic_t *stop = stop_on_signals();
	struct progress progress;
	const bool draws = progress_begin(&progress);
	uint8_t *piece = malloc(PIECE);
	uint64_t done = 0;
	int err = piece != NULL ? 0 : -ENOMEM;

	while (err == 0 && done < length && *stop == 0) {
		const uint64_t left = length - done;
		const size_t n = fread(piece, 1, left < PIECE ? (size_t)left : PIECE, l->stream);

		if (n == 0)
			break;
		ident_update(hash, piece, n);
		err = write_all(fd, piece, n);
		done += n;
		if (draws)
			progress_draw(&progress, PROGRESS_EXPORTING, done, length);
	}
	free(piece);
	progress_end(&progress);
	if (err == 0 && done == length)
		return EXIT_DONE;
	if (err < 0)
		complain(argv, "cannot write: %s", strerror(-err));
	else if (*stop != 0)
		complain(argv, "interrupted");
	else
		complain(argv,
			 "the relay broke off after %" PRIu64 " of %" PRIu64
			 " bytes; its log says why",
			 done, length);
	return EXIT_FAILED;
}

static bool hash_right(struct ident_state *hash, const char *id)
{
	struct ident computed, wanted;

	ident_final(hash, &computed);
	return ident_from_hex(id, &wanted) == 0 && ident_equal(&computed, &wanted);
}

/* The answer's head is read; its bytes follow. */
static int export_save(char **argv, struct admin_link *l, json_t *blob, const char *path)
{
	const char *id = json_string_value(json_object_get(blob, "id"));
	const char *rule = json_string_value(json_object_get(blob, "rule"));
	struct ident_state *hash = ident_begin(rule_from_name(rule != NULL ? rule : ""));
	struct draft draft = {.fd = -1};
	int status = EXIT_FAILED, err = hash != NULL ? draft_open(&draft, path) : -ENOMEM;

	if (err == 0)
		status = bytes_fetch(argv, l, number_of(blob, "bytes"), draft.fd, hash);
	if (status == EXIT_DONE && !hash_right(hash, id != NULL ? id : "")) {
		complain(argv, "what came is not %s; nothing was written", id);
		status = EXIT_FAILED;
	} else if (status == EXIT_DONE) {
		err = draft_name(&draft, path);
	}
	if (err < 0) {
		complain(argv, "cannot write %s: %s", path, strerror(-err));
		status = EXIT_FAILED;
	}
	draft_end(&draft);
	ident_free(hash);
	return status;
}

int store_export(char **argv, struct admin_link *l, const struct store_options *o, const char *id,
		 const char *path)
{
	char question[QUESTION_MAX];
	int status;
	json_t *blob = store_find(argv, l, o, id, &status), *head;

	if (blob == NULL)
		return status;
	store_question(question, sizeof(question), "export", blob);
	json_decref(blob);
	if (access(path, F_OK) == 0) {
		complain(argv, "%s is there already; nothing is overwritten", path);
		return EXIT_FAILED;
	}
	status = admin_ask(argv, l, STORE_SECONDS, question);
	head = status == EXIT_DONE ? admin_line(argv, l, &status) : NULL;
	if (head != NULL) {
		blob = json_object_get(head, "export");
		status = export_save(argv, l, blob, path);
		if (status == EXIT_DONE && o->json) {
			json_object_set_new(blob, "path", json_text(path));
			json_print(json_incref(blob));
		} else if (status == EXIT_DONE) {
			printf("exported %s, %" PRIu64 " bytes, to %s\n", id,
			       number_of(blob, "bytes"), path);
		}
		json_decref(head);
	}
	admin_end(l);
	return status;
}

/* ---- import ---- */

/* The relay may answer before it has all, and hang up: then that counts. */
static int bytes_give(struct admin_link *l, int fd, uint64_t length)
{
	struct progress progress;
	const bool draws = progress_begin(&progress);
	uint8_t *piece = malloc(PIECE);
	uint64_t done = 0;
	int err = piece != NULL ? 0 : -ENOMEM;

	while (err == 0 && done < length) {
		const uint64_t left = length - done;
		const ssize_t n = read(fd, piece, left < PIECE ? (size_t)left : PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n == 0 ? -ENODATA : -errno;
			break;
		}
		for (ssize_t at = 0; at < n;) {
			const ssize_t sent =
				send(fileno(l->stream), piece + at, (size_t)(n - at), MSG_NOSIGNAL);

			if (sent < 0 && errno != EINTR) {
				done = length;
				break;
			}
			at += sent > 0 ? sent : 0;
		}
		done += done < length ? (uint64_t)n : 0;
		if (draws)
			progress_draw(&progress, PROGRESS_IMPORTING, done, length);
	}
	free(piece);
	progress_end(&progress);
	return err;
}

static int import_tell(json_t *answer, const char *id, uint64_t bytes, bool json)
{
	const bool stored = json_is_true(json_object_get(answer, "stored"));

	if (json)
		json_print(json_pack("{s:s, s:I, s:b}", "id", id, "bytes", (json_int_t)bytes,
				     "stored", stored));
	else
		printf("%s %s, %" PRIu64 " bytes\n", stored ? "stored" : "was there already:", id,
		       bytes);
	return EXIT_DONE;
}

static int import_open(char **argv, struct admin_link *l, const struct store_options *o,
		       const char *path, int fd)
{
	const int rule = o->rule != NULL ? rule_from_name(o->rule) : OW_SHA256;
	char question[QUESTION_MAX], id[OW_ID_MAX];
	uint64_t bytes;
	json_t *answer;
	int status, ret = ow_identify(path, rule, id, &bytes);

	if (ret != OW_OK) {
		complain(argv, "cannot read %s: %s", path,
			 ret == OW_FAILED && errno != EINVAL ? strerror(errno)
			 : ret == OW_FAILED		     ? "not a regular file"
							     : ow_strerror(ret));
		return exit_status(ret);
	}
	snprintf(question, sizeof(question), "store import %s %s %s %" PRIu64 "\n",
		 o->domain != NULL ? o->domain : "-", rule_name((uint8_t)rule), id, bytes);
	status = admin_ask(argv, l, STORE_SECONDS, question);
	if (status != EXIT_DONE)
		return status;
	ret = bytes_give(l, fd, bytes);
	if (ret < 0) {
		complain(argv, "cannot read %s: %s", path,
			 ret == -ENODATA ? "it became shorter" : strerror(-ret));
		return EXIT_FAILED;
	}
	answer = admin_line(argv, l, &status);
	if (answer == NULL)
		return status;
	status = import_tell(answer, id, bytes, o->json);
	json_decref(answer);
	return status;
}

int store_import(char **argv, struct admin_link *l, const struct store_options *o, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), status;

	if (fd < 0) {
		complain(argv, "cannot read %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	status = import_open(argv, l, o, path, fd);
	admin_end(l);
	close(fd);
	return status;
}
