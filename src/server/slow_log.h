/*
 * The requests that took long: the newest ones, with the beginnings of their arguments. Only slow
 * requests come here, so a lock around it costs nobody anything.
 *
 * All calls are safe from any thread.
 */
#ifndef SERVER_SLOW_LOG_H
#define SERVER_SLOW_LOG_H

#include <stdint.h>

#include "command/hooks.h"

#define SLOW_LOG_DEFAULT_US     10000u
#define SLOW_LOG_DEFAULT_LENGTH 128u
#define SLOW_LOG_LENGTH_MAX     65536u
#define SLOW_LOG_ARGUMENTS_MAX  32u  /* of one entry; the last one says how many were left out */
#define SLOW_LOG_ARGUMENT_BYTES 128u /* of one argument; what is longer ends in how much was cut */

struct slow_log;

/* threshold_us: requests that take at least so long are kept; UINT64_MAX: none. length: how many,
   0: none. NULL: out of memory. */
struct slow_log *slow_log_new(uint64_t threshold_us, uint32_t length);
/* NULL is fine. */
void slow_log_free(struct slow_log *log);

/* Nanoseconds from which slow_log_add is to be called. Relaxed: a new value is seen soon. */
uint64_t slow_log_threshold_ns(const struct slow_log *log);
uint64_t slow_log_threshold_us(const struct slow_log *log);
uint32_t slow_log_length_max(struct slow_log *log);

/* Change them while the log is in use. A shorter length forgets the oldest. KVS_NO_MEMORY: as it was. */
void slow_log_set_threshold(struct slow_log *log, uint64_t threshold_us);
KVS_MUST_USE kvs_status slow_log_set_length(struct slow_log *log, uint32_t length);

/* Keeps an entry: everything but its id is taken from `entry` and copied. Without memory it is left
   out. */
void slow_log_add(struct slow_log *log, const struct slow_entry *entry);

/* As the hooks of command/hooks.h. */
void slow_log_visit(struct slow_log *log, uint64_t count_max,
                    void (*visit)(void *visit_arg, const struct slow_entry *entry),
                    void *visit_arg);
uint64_t slow_log_length(struct slow_log *log);
void slow_log_reset(struct slow_log *log);

#endif
