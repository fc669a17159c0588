/* The report: one HTML file with everything in it, that needs no network and no script. */
#ifndef BENCH_REPORT_REPORT_H
#define BENCH_REPORT_REPORT_H

#include <kvs/types.h>

#include "harness/results.h"

/* KVS_OK, KVS_IO. */
KVS_MUST_USE kvs_status report_write(const struct results *results, const char *path,
                                     struct kvs_error *err);

/* The page's style: a constant. */
extern const char report_style[];

#endif
