/* See pending.h. A chained hash table; a chain has the newer records in front, so that the first
   match is the newest. */
#include "pending.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN ((uint64_t)64)

void pending_deinit(struct pending_table *table)
{
    for (uint64_t i = 0; i < table->bucket_count; i++) {
        while (table->buckets[i] != NULL) {
            struct pending_record *record = table->buckets[i];
            table->buckets[i] = record->chain;
            free(record);
        }
    }
    while (table->spares != NULL) {
        struct pending_record *record = table->spares;
        table->spares = record->next;
        free(record);
    }
    free(table->buckets);
    memset(table, 0, sizeof(*table));
}

static struct pending_record **bucket_of(const struct pending_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

/* Moves every chain, oldest record first, so that newer ones end in front again. */
static void rehash(struct pending_table *table, struct pending_record **old, uint64_t old_count)
{
    for (uint64_t i = 0; i < old_count; i++) {
        struct pending_record *reversed = NULL;
        while (old[i] != NULL) {
            struct pending_record *record = old[i];
            old[i] = record->chain;
            record->chain = reversed;
            reversed = record;
        }
        while (reversed != NULL) {
            struct pending_record *record = reversed;
            reversed = record->chain;
            struct pending_record **bucket = bucket_of(table, record->placed.hash);
            record->chain = *bucket;
            *bucket = record;
        }
    }
}

static bool grow(struct pending_table *table)
{
    uint64_t count = table->bucket_count == 0 ? BUCKETS_MIN : table->bucket_count * 2;
    struct pending_record **buckets = calloc(count, sizeof(struct pending_record *));
    if (buckets == NULL)
        return table->bucket_count > 0; /* longer chains are slower, not wrong */
    struct pending_record **old = table->buckets;
    uint64_t old_count = table->bucket_count;
    table->buckets = buckets;
    table->bucket_count = count;
    rehash(table, old, old_count);
    free(old);
    return true;
}

struct pending_record *pending_add(struct pending_table *table, uint64_t hash,
                                   const struct kvs_op *op)
{
    if (table->count >= table->bucket_count && !grow(table))
        return NULL;
    struct pending_record *record = table->spares;
    if (record != NULL)
        table->spares = record->next;
    else
        record = malloc(sizeof(*record));
    if (record == NULL)
        return NULL;
    struct pending_record **bucket = bucket_of(table, hash);
    *record = (struct pending_record){.chain = *bucket, .placed = {.op = op, .hash = hash}};
    *bucket = record;
    table->count++;
    return record;
}

const struct pending_record *pending_find(const struct pending_table *table, uint64_t hash,
                                          struct kvs_bytes key)
{
    if (table->count == 0)
        return NULL;
    for (const struct pending_record *record = *bucket_of(table, hash); record != NULL;
         record = record->chain) {
        const struct placed *placed = &record->placed;
        if (placed->hash == hash && placed->op->key.len == key.len &&
            memcmp(placed->op->key.ptr, key.ptr, key.len) == 0)
            return record;
    }
    return NULL;
}

void pending_remove(struct pending_table *table, struct pending_record *record)
{
    struct pending_record **at = bucket_of(table, record->placed.hash);
    while (*at != record)
        at = &(*at)->chain;
    *at = record->chain;
    table->count--;
    record->next = table->spares;
    table->spares = record;
}
