/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/possession.h"

struct possession_job {
	struct job job; /* first: a job is this */
	struct control *ctl;
	possession_fn *again;
	struct ask_carried asked;
	bool right;
	struct store_read read;
	uint32_t chunk[PROOF_CHUNKS];
	uint32_t size; /* bytes of chunks */
	uint8_t chunks[PROOF_CHUNKS * CHUNK_SIZE];
	LIST_ENTRY(possession_job) link;
};

static void job_free(struct possession_job *j)
{
	LIST_REMOVE(j, link);
	j->ctl->possession->count--;
	free(j);
}

static void proof_run(struct job *job)
{
	struct possession_job *j = (struct possession_job *)job;

	j->right = proof_check(&j->asked.cold.proof, &j->asked.ask.id, j->chunks, j->size);
}

static void proof_done(struct job *job)
{
	struct possession_job *j = (struct possession_job *)job;

	control_clock(j->ctl);
	j->again(j->ctl, &j->asked, j->right ? POSSESSION_PROVEN : POSSESSION_WRONG);
	job_free(j);
}

/* The chunks are a copy: the blob may go while they are hashed. */
static void proof_read(struct store_read *r, int result)
{
	struct possession_job *j = container_of(r, struct possession_job, read);

	if (result == 0) {
		jobs_submit(j->ctl->hasher, &j->job);
		return;
	}
	j->again(j->ctl, &j->asked,
		 result == -ENOENT || result == -EBADMSG ? POSSESSION_ABSENT : POSSESSION_BUSY);
	job_free(j);
}

static void read_prepare(struct possession_job *j)
{
	const uint64_t length = j->asked.ask.length;

	j->read.name = ask_blob(&j->asked.ask);
	j->read.chunk = j->chunk;
	j->read.count = proof_pick(&j->asked.cold.proof.challenge, length, j->chunk);
	j->read.to = j->chunks;
	j->read.stored = false;
	j->read.fn = proof_read;
	for (uint32_t i = 0; i < j->read.count; i++)
		j->size += chunk_length(length, j->chunk[i]);
}

bool possession_verify(struct control *ctl, const struct ask_carried *c, possession_fn *again)
{
	struct possession_job *j;

	if (ctl->possession->count >= POSSESSION_JOBS || (j = malloc(sizeof(*j))) == NULL)
		return false;
	j->job.run = proof_run;
	j->job.done = proof_done;
	j->ctl = ctl;
	j->again = again;
	j->asked = *c;
	j->right = false;
	j->size = 0;
	read_prepare(j);
	LIST_INSERT_HEAD(&ctl->possession->jobs, j, link);
	ctl->possession->count++;
	store_read(&ctl->store, &j->read);
	return true;
}

void possession_fini(struct control *ctl)
{
	while (!LIST_EMPTY(&ctl->possession->jobs))
		job_free(LIST_FIRST(&ctl->possession->jobs));
}
