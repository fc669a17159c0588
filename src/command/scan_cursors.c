/*
 * See scan_cursors.h. A slot is one walk: its last two keys, under two numbers in a row. A number is
 * SLOT + SCAN_CURSORS_MAX * (count of the numbers that were given), from a random start, so that
 * numbers from before a restart, and those of a walk that was forgotten, are not taken for others.
 */
#include "command/scan_cursors.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"

#define NUMBER_BITS 52u /* a number fits a double: there are clients in JavaScript */

struct place {
    uint64_t number; /* 0: none */
    uint8_t *key;    /* owned */
    uint64_t key_len;
};

struct slot {
    struct place now;
    struct place before;
    uint64_t used; /* when: a count */
};

struct scan_cursors {
    pthread_mutex_t lock; /* guards all below */
    uint64_t count;       /* of numbers that were given */
    uint64_t uses;
    struct slot slots[SCAN_CURSORS_MAX];
};

struct scan_cursors *scan_cursors_new(void)
{
    struct scan_cursors *cursors = calloc(1, sizeof(*cursors));
    if (cursors == NULL)
        return NULL;
    (void)pthread_mutex_init(&cursors->lock, NULL);
    (void)getrandom(&cursors->count, sizeof(cursors->count), 0);
    return cursors;
}

void scan_cursors_free(struct scan_cursors *cursors)
{
    if (cursors == NULL)
        return;
    for (uint32_t i = 0; i < SCAN_CURSORS_MAX; i++) {
        free(cursors->slots[i].now.key);
        free(cursors->slots[i].before.key);
    }
    (void)pthread_mutex_destroy(&cursors->lock);
    free(cursors);
}

static uint64_t next_number(struct scan_cursors *cursors, uint64_t slot)
{
    uint64_t mask = (UINT64_C(1) << NUMBER_BITS) / SCAN_CURSORS_MAX - 1;
    cursors->count++;
    if ((cursors->count & mask) == 0)
        cursors->count++;
    return (cursors->count & mask) * SCAN_CURSORS_MAX + slot;
}

static uint64_t oldest_slot(const struct scan_cursors *cursors)
{
    uint64_t oldest = 0;
    for (uint64_t i = 1; i < SCAN_CURSORS_MAX; i++) {
        if (cursors->slots[i].used < cursors->slots[oldest].used)
            oldest = i;
    }
    return oldest;
}

static void forget(struct place *place)
{
    free(place->key);
    *place = (struct place){0};
}

uint64_t scan_cursors_put(struct scan_cursors *cursors, uint64_t before, struct kvs_bytes key)
{
    uint8_t *copy = malloc(key.len + 1);
    if (copy == NULL)
        return 0;
    if (key.len > 0)
        memcpy(copy, key.ptr, key.len);
    (void)pthread_mutex_lock(&cursors->lock);
    uint64_t index = before % SCAN_CURSORS_MAX;
    struct slot *slot = &cursors->slots[index];
    if (before != 0 && slot->now.number == before) {
        forget(&slot->before);
        slot->before = slot->now;
    } else { /* a new walk, or one that was asked again and so goes on twice */
        index = oldest_slot(cursors);
        slot = &cursors->slots[index];
        forget(&slot->before);
        forget(&slot->now);
    }
    uint64_t number = next_number(cursors, index);
    slot->now = (struct place){number, copy, key.len};
    slot->used = ++cursors->uses;
    (void)pthread_mutex_unlock(&cursors->lock);
    return number;
}

bool scan_cursors_find(struct scan_cursors *cursors, uint64_t number,
                       void (*show)(void *arg, struct kvs_bytes key), void *arg)
{
    (void)pthread_mutex_lock(&cursors->lock);
    struct slot *slot = &cursors->slots[number % SCAN_CURSORS_MAX];
    const struct place *place = slot->now.number == number      ? &slot->now
                                : slot->before.number == number ? &slot->before
                                                                : NULL;
    bool found = number != 0 && place != NULL;
    if (found) {
        slot->used = ++cursors->uses;
        show(arg, bytes_of(place->key, place->key_len));
    }
    (void)pthread_mutex_unlock(&cursors->lock);
    return found;
}
