/* SPDX-License-Identifier: BSD-3-Clause
 * What the worker's stages took (dataplane/stage.h), where it was compiled to tell.
 */
#ifndef BENCH_WORKER_STAGES_H
#define BENCH_WORKER_STAGES_H

#include <jansson.h>

void stages_clear(void);
/* Cycles of each since then, without those of telling; null: it does not tell. */
json_t *stages_json(void);

#endif
