/* One run of kvs-bench, from its options to its results. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "options.h"

/*
 * Lists, fills or measures, as the options say. argc and argv are for the record and for starting
 * the program again. KVS_OK; KVS_INVALID and others with a message when it could not begin;
 * KVS_IO also when something that was measured failed (that is in the results).
 */
KVS_MUST_USE kvs_status run(const struct options *options, int argc, char **argv,
                            struct kvs_error *err);

#endif
