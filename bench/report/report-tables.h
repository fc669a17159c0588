/* The report's tables, as HTML. Each writes nothing when it has nothing to say. */
#ifndef BENCH_REPORT_TABLES_H
#define BENCH_REPORT_TABLES_H

#include <glib.h>

#include "harness/results.h"
#include "report/chart.h"

void table_of_failures(GString *out, const struct results *results);
void table_of_targets(GString *out, const struct results *results);
void table_of_changes(GString *out, const struct results *results);
/* All figures of a cell, folded: rates, latencies, and what was used for them. */
void table_of_cell(GString *out, const struct chart_cell *cell);
void table_of_machine(GString *out, const struct results *results);

#endif
