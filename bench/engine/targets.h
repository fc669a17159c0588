/* What the log engine is to reach beside the other stores. */
#ifndef BENCH_ENGINE_TARGETS_H
#define BENCH_ENGINE_TARGETS_H

#include <stdint.h>

#include <glib.h>

/*
 * Judges each target whose own figure was measured and appends the results (struct target_result)
 * to ret. reopen_keys: the times to open count for 10 million keys only.
 */
void engine_targets_judge(const GPtrArray *series, uint64_t reopen_keys, uint64_t seed,
                          GArray *ret);

#endif
