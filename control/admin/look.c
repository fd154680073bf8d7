/* SPDX-License-Identifier: BSD-3-Clause
 * store ls, stat, rm.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/admin/task.h"
#include "control/base/base.h"
#include "control/base/log.h"
#include "control/core.h"

/* ---- ls ---- */

struct listing {
	struct task task; /* first */
	struct store_list list;
	uint32_t domain;
};

/* Where the next page begins: of RAM the descriptor, of an engine the last blob. */
static json_t *mark_json(const struct control *ctl, const struct store_list *l)
{
	char text[32 + IDENT_HEX_MAX], hex[IDENT_HEX_MAX];

	if (!l->more)
		return json_null();
	if (ctl->store.kept)
		snprintf(text, sizeof(text), "%u:%u:%s", l->after.domain, l->after.rule,
			 ident_hex(&l->after.id, hex));
	else
		snprintf(text, sizeof(text), "%u", l->cursor);
	return json_string(text);
}

static int mark_parse(const struct control *ctl, const char *text, struct store_list *l)
{
	char hex[IDENT_HEX_MAX], end;

	if (!ctl->store.kept)
		return sscanf(text, "%" SCNu32 "%c", &l->cursor, &end) == 1 ? 0 : -EINVAL;
	l->behind = true;
	if (sscanf(text, "%" SCNu32 ":%" SCNu8 ":%64[0-9a-f]%c", &l->after.domain, &l->after.rule,
		   hex, &end) != 3)
		return -EINVAL;
	return ident_from_hex(hex, &l->after.id);
}

static void listed(struct store_list *list, int result)
{
	struct listing *l = container_of(list, struct listing, list);
	const struct control *ctl = l->task.ctl;
	json_t *blobs;

	if (!task_back(&l->task))
		return;
	if (result < 0) {
		task_answer(&l->task, store_error(ctl));
		return;
	}
	blobs = json_array();
	for (uint32_t i = 0; i < list->count; i++)
		json_array_append_new(blobs, blob_json(ctl, &list->entry[i]));
	task_answer(&l->task,
		    json_pack("{s:o, s:o}", "blobs", blobs, "next", mark_json(ctl, list)));
}

json_t *store_ls(struct control *ctl, struct admin_client *client, int argc, char **argv)
{
	struct store_list at = {.fn = listed};
	struct listing *l;
	uint32_t domain = 0;
	const bool all = strcmp(argv[0], "*") == 0;
	char end;

	if (!all && domain_of(ctl, argv[0], &domain) < 0)
		return admin_error("this relay has no domain \"%s\"", argv[0]);
	if (sscanf(argv[1], "%" SCNu32 "%c", &at.most, &end) != 1 || at.most == 0 ||
	    at.most > STORE_PAGE)
		return admin_error("\"%s\" is not a number from 1 to %u", argv[1], STORE_PAGE);
	if (argc > 2 && mark_parse(ctl, argv[2], &at) < 0)
		return admin_error("\"%s\" is not where a page ended", argv[2]);
	l = task_begin(ctl, client, sizeof(*l), task_free, (struct admin_task){0});
	if (l == NULL)
		return NULL;
	l->list = at;
	l->domain = domain;
	l->list.domain = all ? NULL : &l->domain;
	task_out(&l->task);
	store_list(&ctl->store, &l->list);
	return NULL;
}

/* ---- stat ---- */

/* One domain and rule after the other, as far as they are asked for. */
struct lookup {
	struct task task; /* first */
	struct store_stat stat;
	bool all_domains, all_rules;
	uint32_t domain; /* how many of the configured ones were looked at */
	json_t *found;
};

static void lookup_end(struct task *t)
{
	json_decref(((struct lookup *)t)->found);
	task_free(t);
}

/* How much of it is in RAM. */
static uint32_t pieces_here(const struct store *s, const struct blob_name *name)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < piece_count(name->length); i++)
		n += store_find_piece(s, name, i) != NULL;
	return n;
}

/* When it is too old, Unix seconds; 0: never. */
static uint64_t blob_expires(const struct control *ctl, const struct engine_entry *e)
{
	const struct domain *d = keyring_domain(relay_keyring(ctl->relay), e->name.domain);
	uint32_t keep = ctl->config->keep_seconds;

	if (d != NULL && d->keep_seconds > 0 && (keep == 0 || d->keep_seconds < keep))
		keep = d->keep_seconds;
	return keep > 0 ? e->stored / 1000000 + keep : 0;
}

static void lookup_found(struct lookup *l)
{
	const struct control *ctl = l->task.ctl;
	const struct engine_entry *e = &l->stat.entry;
	const uint64_t expires = blob_expires(ctl, e);
	json_t *o = blob_json(ctl, e);

	json_object_set_new(o, "pieces", json_integer(piece_count(e->name.length)));
	json_object_set_new(o, "pieces_in_memory",
			    json_integer(pieces_here(&ctl->store, &e->name)));
	json_object_set_new(o, "expires",
			    expires > 0 ? json_integer((json_int_t)expires) : json_null());
	json_array_append_new(l->found, o);
}

/* False: that was all. */
static bool lookup_next(struct lookup *l)
{
	const struct config *c = l->task.ctl->config;
	struct blob_name *name = &l->stat.entry.name;

	if (l->all_rules && name->rule + 1 < RULE_COUNT) {
		name->rule++;
		return true;
	}
	if (!l->all_domains || l->domain >= c->domain_count)
		return false;
	name->domain = c->domains[l->domain++].keys.id;
	if (l->all_rules)
		name->rule = RULE_SHA256;
	return true;
}

static void looked_up(struct store_stat *stat, int result)
{
	struct lookup *l = container_of(stat, struct lookup, stat);

	if (!task_back(&l->task))
		return;
	if (result == 0)
		lookup_found(l);
	if (result == -EIO) {
		task_answer(&l->task, store_error(l->task.ctl));
	} else if (lookup_next(l)) {
		task_out(&l->task);
		store_stat(&l->task.ctl->store, stat);
	} else {
		task_answer(&l->task, json_pack("{s:O}", "blobs", l->found));
	}
}

json_t *store_stat_command(struct control *ctl, struct admin_client *client, int argc, char **argv)
{
	const bool all_domains = strcmp(argv[0], "*") == 0, all_rules = strcmp(argv[1], "*") == 0;
	char *words[3] = {all_domains ? "-" : argv[0],
			  all_rules ? (char *)rule_name(RULE_SHA256) : argv[1], argv[2]};
	struct blob_name name;
	json_t *wrong = blob_parse(ctl, words, &name);
	struct lookup *l;

	(void)argc;
	if (wrong != NULL)
		return wrong;
	l = task_begin(ctl, client, sizeof(*l), lookup_end, (struct admin_task){0});
	if (l == NULL)
		return NULL;
	l->stat = (struct store_stat){.entry.name = name, .fn = looked_up};
	l->all_domains = all_domains;
	l->all_rules = all_rules;
	l->found = json_array();
	task_out(&l->task);
	store_stat(&ctl->store, &l->stat);
	return NULL;
}

/* ---- rm ---- */

struct removing {
	struct task task; /* first */
	struct store_stat stat;
	struct store_removal removal;
};

static json_t *absent(void)
{
	return admin_error("the store has no such blob");
}

static void removed(struct store_removal *removal, int result)
{
	struct removing *r = container_of(removal, struct removing, removal);
	const struct control *ctl = r->task.ctl;
	char hex[IDENT_HEX_MAX];

	if (result == 0)
		log_line(LOG_NOTICE, "removed a blob of %" PRIu64 " bytes, %s, by command",
			 removal->name.length, ident_hex(&removal->name.id, hex));
	if (!task_back(&r->task))
		return;
	if (result == 0)
		task_answer(&r->task,
			    json_pack("{s:o}", "removed", blob_json(ctl, &r->stat.entry)));
	else
		task_answer(&r->task, result == -ENOENT ? absent() : store_error(ctl));
}

static void removing_found(struct store_stat *stat, int result)
{
	struct removing *r = container_of(stat, struct removing, stat);

	if (!task_back(&r->task))
		return;
	if (result == 0) {
		r->removal = (struct store_removal){.name = stat->entry.name, .fn = removed};
		result = store_remove(&r->task.ctl->store, &r->removal);
	}
	if (result == 0)
		task_out(&r->task);
	else if (result == -ENOENT)
		task_answer(&r->task, absent());
	else
		task_answer(&r->task, result == -ENOMEM ? NULL : store_error(r->task.ctl));
}

json_t *store_rm(struct control *ctl, struct admin_client *client, int argc, char **argv)
{
	struct blob_name name;
	json_t *wrong = blob_parse(ctl, argv, &name);
	struct removing *r;

	(void)argc;
	if (wrong != NULL)
		return wrong;
	r = task_begin(ctl, client, sizeof(*r), task_free, (struct admin_task){0});
	if (r == NULL)
		return NULL;
	r->stat = (struct store_stat){.entry.name = name, .fn = removing_found};
	task_out(&r->task);
	store_stat(&ctl->store, &r->stat);
	return NULL;
}
