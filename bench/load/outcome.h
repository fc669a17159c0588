/* Writing down what a load came to: for people, as JSON, as CSV. */
#ifndef BENCH_LOAD_OUTCOME_H
#define BENCH_LOAD_OUTCOME_H

#include <stdio.h>

#include "load/generator.h"

#define OUTCOME_FORMAT "kvs-bench-load/1" /* of the JSON */

void outcome_write_text(const struct plan *plan, const struct generator_outcome *outcome,
                        FILE *out);
void outcome_write_json(const struct plan *plan, const struct generator_outcome *outcome,
                        FILE *out);
/* A line of names and a line of values. */
void outcome_write_csv(const struct plan *plan, const struct generator_outcome *outcome, FILE *out);

#endif
