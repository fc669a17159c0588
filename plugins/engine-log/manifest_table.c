/* The manifest's segments in memory: an array in the order of their numbers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "manifest_internal.h"

void manifest_table_deinit(struct manifest_table *table)
{
    free(table->segments);
    *table = (struct manifest_table){0};
}

static bool manifest_table_room(struct manifest_table *table, uint32_t count)
{
    if (count <= table->capacity)
        return true;
    uint32_t capacity = table->capacity < 16 ? 16 : table->capacity;
    while (capacity < count)
        capacity += capacity / 2;
    void *segments = realloc(table->segments, capacity * sizeof(*table->segments));
    if (segments == NULL)
        return false;
    table->segments = segments;
    table->capacity = capacity;
    return true;
}

bool manifest_table_copy(struct manifest_table *to, const struct manifest_table *from)
{
    if (!manifest_table_room(to, from->count))
        return false;
    if (from->count > 0)
        memcpy(to->segments, from->segments, from->count * sizeof(*from->segments));
    to->count = from->count;
    return true;
}

/* Where the number is, or would be. */
static uint32_t manifest_table_search(const struct manifest_table *table, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->segments[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool manifest_table_has(const struct manifest_table *table, uint32_t at, uint32_t number)
{
    return at < table->count && table->segments[at].number == number;
}

bool manifest_table_put(struct manifest_table *table, const struct manifest_segment *segment)
{
    uint32_t at = manifest_table_search(table, segment->number);
    if (!manifest_table_has(table, at, segment->number)) {
        if (!manifest_table_room(table, table->count + 1))
            return false;
        memmove(&table->segments[at + 1], &table->segments[at],
                (table->count - at) * sizeof(*table->segments));
        table->count++;
    }
    table->segments[at] = *segment;
    return true;
}

void manifest_table_remove(struct manifest_table *table, uint32_t number)
{
    uint32_t at = manifest_table_search(table, number);
    if (!manifest_table_has(table, at, number))
        return;
    table->count--;
    memmove(&table->segments[at], &table->segments[at + 1],
            (table->count - at) * sizeof(*table->segments));
}

const struct manifest_segment *manifest_table_find(const struct manifest_table *table,
                                                   uint32_t number)
{
    uint32_t at = manifest_table_search(table, number);
    return manifest_table_has(table, at, number) ? &table->segments[at] : NULL;
}
