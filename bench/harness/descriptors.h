/* The process's limit of open files. */
#ifndef BENCH_HARNESS_DESCRIPTORS_H
#define BENCH_HARNESS_DESCRIPTORS_H

#include <stdint.h>

#include <kvs/types.h>

/* Raises the soft limit to at least needed. KVS_OK; KVS_INVALID: the hard limit is lower. */
KVS_MUST_USE kvs_status descriptors_allow(uint64_t needed, struct kvs_error *err);

#endif
