/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <sodium.h>

#include "control/admin/reload.h"
#include "control/base/log.h"
#include "control/core.h"
#include "control/transfer/transfer.h"

static int config_read(const char *path, struct config *next, FILE *err)
{
	int ret = config_load(path, next, err);

	if (ret < 0)
		return ret;
	ret = config_load_keys(path, next, err);
	if (ret < 0)
		config_free(next);
	return ret;
}

/* Another role is another relay. */
static bool role_kept(const struct control *ctl, const struct config *next, FILE *err)
{
	if (next->role == ctl->config->role)
		return true;
	fprintf(err, "[relay] role cannot change while the relay runs; restart it\n");
	return false;
}

static struct keyring *keyring_make(struct control *ctl, const struct config *next, FILE *err)
{
	struct keyring *k = NULL;
	int ret = keyring_build(ctl, next, &k);

	if (ret == -ENOSPC)
		fprintf(err,
			"removed domains, of which transfers are under way, leave no place for the "
			"new ones; reload again when these are over\n");
	else if (ret < 0)
		fprintf(err, "no memory for the domains' keys; free some, then reload again\n");
	return k;
}

static bool config_replace(struct control *ctl, struct config *next, FILE *err)
{
	struct keyring *k;

	if (config_read(ctl->reload->path, next, err) < 0)
		return false;
	if (!role_kept(ctl, next, err))
		goto refuse;
	config_retain(ctl->config, next, err);
	k = keyring_make(ctl, next, err);
	if (k == NULL)
		goto refuse;
	/* workers take a peer's new key before anything is sent with it */
	keyring_publish(ctl, k);
	peers_update(ctl, next);
	sweep_start(ctl);
	config_free(ctl->reload->config);
	*ctl->reload->config = *next;
	control_limits(ctl);
	sodium_memzero(next, sizeof(*next)); /* what it owned is the running one's now */
	return true;
refuse:
	config_free(next);
	return false;
}

static void result_say(const struct reload *r)
{
	if (r->failed)
		log_line(LOG_ERR, "not reloaded, everything stays as it was:");
	else
		log_line(LOG_NOTICE, "reloaded %s", r->path);
	if (r->messages != NULL)
		log_text(r->failed ? LOG_ERR : LOG_WARNING, r->messages);
	if (!r->failed)
		config_warn_open(r->config);
}

bool reload_run(struct control *ctl)
{
	struct config *next = calloc(1, sizeof(*next));
	struct reload *r = ctl->reload;
	size_t size = 0;
	FILE *err;

	free(r->messages);
	r->messages = NULL;
	err = open_memstream(&r->messages, &size);
	r->failed = next == NULL || err == NULL || !config_replace(ctl, next, err);
	if (err != NULL)
		fclose(err);
	free(next);
	r->count++;
	r->time = ctl->wall_us / 1000000;
	result_say(r);
	return !r->failed;
}

static void hangup(evutil_socket_t fd, short what, void *arg)
{
	struct control *ctl = arg;

	(void)fd;
	(void)what;
	control_clock(ctl);
	reload_run(ctl);
}

int reload_open(struct control *ctl, const char *path, struct config *running)
{
	struct reload *r = ctl->reload;

	r->path = path;
	r->config = running;
	r->hangup = evsignal_new(ctl->base, SIGHUP, hangup, ctl);
	return r->hangup != NULL && event_add(r->hangup, NULL) == 0 ? 0 : -ENOMEM;
}

void reload_close(struct control *ctl)
{
	if (ctl->reload->hangup != NULL)
		event_free(ctl->reload->hangup);
	free(ctl->reload->messages);
}

json_t *reload_status(const struct control *ctl)
{
	const struct reload *r = ctl->reload;
	json_t *o = json_object();

	json_object_set_new(o, "count", json_integer((json_int_t)r->count));
	if (r->count == 0)
		return o;
	json_object_set_new(o, "time", json_integer((json_int_t)r->time));
	json_object_set_new(o, "ok", json_boolean(!r->failed));
	if (r->messages != NULL && r->messages[0] != '\0')
		json_object_set_new(o, "messages", json_string(r->messages));
	return o;
}
