/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "control/core.h"
#include "control/transfer/possession.h"

struct possession_job {
	struct job job; /* first: a job is this */
	struct control *ctl;
	possession_fn *again;
	struct ask_carried asked;
	bool right;
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

/* Copied, because the blob may go while it is hashed. */
static void chunks_copy(struct possession_job *j, const struct store *s)
{
	const struct blob_name name = ask_blob(&j->asked.ask);
	uint32_t chunk[PROOF_CHUNKS];
	uint32_t n = proof_pick(&j->asked.cold.proof.challenge, name.length, chunk);

	for (uint32_t i = 0; i < n; i++) {
		const struct piece *p = store_find_piece(s, &name, chunk[i] / PIECE_CHUNKS);
		uint32_t len = chunk_length(name.length, chunk[i]);

		memcpy(j->chunks + j->size, piece_chunk(s->slab, p, chunk[i] % PIECE_CHUNKS), len);
		j->size += len;
	}
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
	chunks_copy(j, &ctl->store);
	LIST_INSERT_HEAD(&ctl->possession->jobs, j, link);
	ctl->possession->count++;
	jobs_submit(ctl->hasher, &j->job);
	return true;
}

void possession_fini(struct control *ctl)
{
	while (!LIST_EMPTY(&ctl->possession->jobs))
		job_free(LIST_FIRST(&ctl->possession->jobs));
}
