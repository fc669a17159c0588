/* Numbers as people type them on kvs-bench's command line. */
#ifndef BENCH_HARNESS_NUMBER_H
#define BENCH_HARNESS_NUMBER_H

#include <stdint.h>

#include <kvs/types.h>

/* Reads the number of option --name, with k for thousands and m for millions behind it; text NULL
   (not given) leaves ret as it is. KVS_OK, or KVS_INVALID with a message that says what is possible. */
KVS_MUST_USE kvs_status number_read(const char *name, const char *text, uint64_t min, uint64_t max,
                                    uint64_t *ret, struct kvs_error *err);

#endif
