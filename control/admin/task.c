/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/admin/task.h"
#include "control/core.h"

/* ---- their life ---- */

static void task_gone(struct admin_task *link)
{
	struct task *t = (struct task *)link;

	t->client = NULL;
	if (!t->busy)
		t->end(t);
}

void *task_begin(struct control *ctl, struct admin_client *client, size_t size,
		 void (*end)(struct task *t), struct admin_task link)
{
	struct task *t = calloc(1, size);

	if (t == NULL)
		return NULL;
	t->link = link;
	t->link.gone = task_gone;
	t->ctl = ctl;
	t->client = client;
	t->end = end;
	LIST_INSERT_HEAD(&ctl->tasks->all, t, all);
	admin_later(client, &t->link);
	return t;
}

void task_free(struct task *t)
{
	LIST_REMOVE(t, all);
	free(t);
}

void task_answer(struct task *t, json_t *answer)
{
	admin_answer(t->client, answer);
	t->client = NULL;
	t->end(t);
}

bool task_back(struct task *t)
{
	t->busy = false;
	if (t->client != NULL)
		return true;
	t->end(t);
	return false;
}

void piece_prepare(struct store_read *r, const struct blob_name *name, uint32_t piece,
		   uint32_t chunk[PIECE_CHUNKS], uint8_t *to)
{
	*r = (struct store_read){
		.name = *name,
		.chunk = chunk,
		.count = chunk_count(piece_length(name->length, piece)),
		.to = to,
	};
	for (uint32_t i = 0; i < r->count; i++)
		chunk[i] = piece * PIECE_CHUNKS + i;
}

void tasks_fini(struct control *ctl)
{
	struct task *t, *next;

	for (t = LIST_FIRST(&ctl->tasks->all); t != NULL; t = next) {
		next = LIST_NEXT(t, all);
		t->end(t);
	}
}

/* ---- what is meant ---- */

int domain_of(const struct control *ctl, const char *text, uint32_t *domain)
{
	*domain = 0;
	if (strcmp(text, "-") == 0)
		return 0;
	for (uint32_t i = 0; i < ctl->config->domain_count; i++) {
		if (strcmp(ctl->config->domains[i].name, text) != 0)
			continue;
		*domain = ctl->config->domains[i].keys.id;
		return 0;
	}
	return -ENOENT;
}

/* One that is not configured any more has its number, while its blobs are there. */
static json_t *domain_json(const struct control *ctl, uint32_t domain)
{
	char text[16];

	if (domain == 0)
		return json_null();
	for (uint32_t i = 0; i < ctl->config->domain_count; i++)
		if (ctl->config->domains[i].keys.id == domain)
			return json_string(ctl->config->domains[i].name);
	snprintf(text, sizeof(text), "#%u", domain);
	return json_string(text);
}

json_t *blob_json(const struct control *ctl, const struct engine_entry *e)
{
	char hex[IDENT_HEX_MAX];

	return json_pack("{s:s, s:s, s:I, s:o, s:I}", "id", ident_hex(&e->name.id, hex), "rule",
			 rule_name(e->name.rule), "bytes", (json_int_t)e->name.length, "domain",
			 domain_json(ctl, e->name.domain), "stored",
			 (json_int_t)(e->stored / 1000000));
}

json_t *blob_parse(const struct control *ctl, char **argv, struct blob_name *name)
{
	*name = (struct blob_name){.rule = rule_from_name(argv[1])};
	if (domain_of(ctl, argv[0], &name->domain) < 0)
		return admin_error("this relay has no domain \"%s\"", argv[0]);
	if (name->rule == 0)
		return admin_error("\"%s\" is not a rule; choose sha256 or xxh3", argv[1]);
	if (ident_from_hex(argv[2], &name->id) < 0)
		return admin_error("\"%s\" is not an identifier: 64 hexadecimal digits", argv[2]);
	return NULL;
}

json_t *store_error(const struct control *ctl)
{
	const struct store *s = &ctl->store;

	return admin_error("the store in %s does not work: %s", s->config.path,
			   s->failed ? s->why : "see the relay's log");
}

/* ---- the command ---- */

static const struct {
	const char *name;
	store_command *run;
	int least, most; /* words behind the name */
} store_commands[] = {
	{"ls", store_ls, 2, 3},		{"stat", store_stat_command, 3, 3},
	{"rm", store_rm, 3, 3},		{"verify", store_verify, 0, 1},
	{"export", store_export, 3, 3}, {"import", store_import, 4, 4},
};

json_t *control_store(void *ctl, struct admin_client *client, int argc, char **argv)
{
	for (unsigned int i = 0; argc > 1 && i < RTE_DIM(store_commands); i++) {
		if (strcmp(store_commands[i].name, argv[1]) != 0)
			continue;
		if (argc - 2 < store_commands[i].least || argc - 2 > store_commands[i].most)
			return admin_error("store %s: the words are wrong", argv[1]);
		return store_commands[i].run(ctl, client, argc - 2, argv + 2);
	}
	return admin_error("store: ls, stat, rm, verify, export or import");
}
