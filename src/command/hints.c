/* See hints.h. A key has one slot, by its hash; whoever comes last has it. */
#include "command/hints.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define SLOTS 64u

struct slot {
    pthread_mutex_t lock; /* guards the rest */
    uint64_t count;       /* of hints that were here */
    uint64_t number;      /* of the one that is; 0: none */
    uint32_t key_len;
    uint8_t key[HINT_BYTES_MAX];
    struct hint hint;
};

struct hints {
    struct slot slots[SLOTS];
};

struct hints *hints_new(void)
{
    struct hints *hints = calloc(1, sizeof(*hints));
    for (unsigned i = 0; hints != NULL && i < SLOTS; i++)
        (void)pthread_mutex_init(&hints->slots[i].lock, NULL);
    return hints;
}

void hints_free(struct hints *hints)
{
    for (unsigned i = 0; hints != NULL && i < SLOTS; i++)
        (void)pthread_mutex_destroy(&hints->slots[i].lock);
    free(hints);
}

static struct slot *slot_of(struct hints *hints, struct kvs_bytes key)
{
    const uint8_t *at = key.ptr;
    uint32_t hash = 2166136261u; /* FNV-1a: who makes keys meet only loses hints */
    for (uint64_t i = 0; i < key.len; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return &hints->slots[(hash >> 16 ^ hash) % SLOTS];
}

static bool is_about(const struct slot *slot, struct kvs_bytes key)
{
    return slot->number != 0 && bytes_equal(bytes_of(slot->key, slot->key_len), key);
}

uint64_t hints_put(struct hints *hints, struct kvs_bytes key, const struct kvs_bytes *stored)
{
    if (key.len > HINT_BYTES_MAX || (stored != NULL && stored->len > HINT_BYTES_MAX))
        return 0;
    struct slot *slot = slot_of(hints, key);
    (void)pthread_mutex_lock(&slot->lock);
    uint64_t number = slot->number = ++slot->count;
    slot->key_len = (uint32_t)key.len;
    memcpy(slot->key, key.ptr, key.len);
    slot->hint.present = stored != NULL;
    slot->hint.len = stored != NULL ? (uint32_t)stored->len : 0;
    if (slot->hint.len > 0)
        memcpy(slot->hint.stored, stored->ptr, slot->hint.len);
    (void)pthread_mutex_unlock(&slot->lock);
    return number;
}

void hints_take_back(struct hints *hints, struct kvs_bytes key, uint64_t number)
{
    struct slot *slot = slot_of(hints, key);
    (void)pthread_mutex_lock(&slot->lock);
    if (slot->number == number)
        slot->number = 0;
    (void)pthread_mutex_unlock(&slot->lock);
}

bool hints_find(struct hints *hints, struct kvs_bytes key, struct hint *ret)
{
    if (key.len > HINT_BYTES_MAX)
        return false;
    struct slot *slot = slot_of(hints, key);
    (void)pthread_mutex_lock(&slot->lock);
    bool found = is_about(slot, key);
    if (found)
        *ret = slot->hint;
    (void)pthread_mutex_unlock(&slot->lock);
    return found;
}
