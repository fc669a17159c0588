/* The steps that loads are made of. Every value that is read is checked. */
#ifndef BENCH_ENGINE_STEPS_H
#define BENCH_ENGINE_STEPS_H

#include "engine/load.h"

#define STEP_BATCH_SIZE  64u /* writes of step_batch_* */
#define STEP_MANY_SIZE   16u /* keys of step_get_many */
#define STEP_WINDOW_SIZE 32u /* writes of step_window */

/* Reads a random key that is stored, or one that is not. */
uint32_t step_get_hit(struct worker *worker);
uint32_t step_get_miss(struct worker *worker);
/* Reads STEP_MANY_SIZE random keys that are stored with one call. */
uint32_t step_get_many(struct worker *worker);

/* Writes the next key in order of the index; the worker's share of them (next, stride). */
uint32_t step_fill(struct worker *worker);
/* The next STEP_BATCH_SIZE keys in one batch. One thread only. */
uint32_t step_fill_batch(struct worker *worker);

/* Overwrites a random key that is stored. */
uint32_t step_overwrite(struct worker *worker);
/* Overwrites the keys in an order that is no order, each once before any comes again. One thread
   only. */
uint32_t step_overwrite_each(struct worker *worker);
/* STEP_WINDOW_SIZE independent overwrites under way at once. */
uint32_t step_window(struct worker *worker);

/* Reads, or (role->write_percent of the time) overwrites, the next key of load->draws. */
uint32_t step_mixed(struct worker *worker);

#endif
