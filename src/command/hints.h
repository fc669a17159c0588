/*
 * What keys will probably hold once the writes under way are on the disk.
 *
 * Where writes wait for the disk, a key that many count up would get one step per flush: each reads what
 * is durable, and all but the first find that changed. So a transaction says here what it is about
 * to write, and the next one on the same key reads that instead, as a guess. The engine decides: the
 * guess is the condition of the commit, so a wrong one fails there, and a right one is answered
 * no earlier than what it rests on is durable (KVS_IF_EQUAL in engine.h).
 *
 * Few and small: keys and values of up to HINT_BYTES_MAX; a hint may be lost at any time. Thread-safe,
 * and never held for long.
 */
#ifndef COMMAND_HINTS_H
#define COMMAND_HINTS_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#define HINT_BYTES_MAX 128u

struct hints;

/* What a hint says. */
struct hint {
    bool present;
    uint32_t len;
    uint8_t stored[HINT_BYTES_MAX]; /* len bytes, as in the engine (value.h) */
};

/* NULL: out of memory; then there are none. */
struct hints *hints_new(void);
/* NULL is fine. */
void hints_free(struct hints *hints);

/* Says what is about to be written; stored NULL: the key is removed. A number to take it back with; 0: too
   large, nothing was said. */
uint64_t hints_put(struct hints *hints, struct kvs_bytes key, const struct kvs_bytes *stored);

/* Takes it back, unless another one came since. */
void hints_take_back(struct hints *hints, struct kvs_bytes key, uint64_t number);

/* False: nothing is known about the key. */
bool hints_find(struct hints *hints, struct kvs_bytes key, struct hint *ret);

#endif
