/* Choosing what a writer does next, and saying it in either protocol. Aborts without memory. */
#ifndef TESTS_CRASH_REQUESTS_H
#define TESTS_CRASH_REQUESTS_H

#include <stdint.h>

#include "base/buffer.h"
#include "crash/ledger.h"

/* A change, or a batch of some, of keys below ledger->key_limit. */
struct ledger_step request_choose(struct ledger *ledger, uint32_t writer, unsigned *seed);

/* Appends the writer's step: one change as SET or DEL, a batch as MSET or MULTI. Returns the lines
   of its replies. */
uint32_t request_put_resp(struct buffer *out, uint32_t writer, const struct ledger_step *step);
/* The same as one batch of the native protocol. Returns the number of replies. */
uint32_t request_put_native(struct buffer *out, uint32_t writer, const struct ledger_step *step);

#endif
