/* Choosing what the new store is to have: of each key the newest version. See repair.h. */
#include <stdlib.h>

#include "repair_internal.h"

#define LOSSES_MIN 64u

static int compare_u64(uint64_t one, uint64_t two)
{
    return (one > two) - (one < two);
}

/* By key; newest first; of a record and its copy a sound one first. */
static int by_key(const void *a, const void *b)
{
    const struct repair_entry *one = a;
    const struct repair_entry *two = b;
    int order = compare_u64(one->hash, two->hash);
    if (order == 0)
        order = compare_u64(one->check, two->check);
    if (order == 0)
        order = compare_u64(two->sequence, one->sequence);
    if (order == 0)
        order = compare_u64(one->flags & REPAIR_LOST, two->flags & REPAIR_LOST);
    return order;
}

static int by_place(const void *a, const void *b)
{
    const struct repair_entry *one = a;
    const struct repair_entry *two = b;
    int order = compare_u64(one->file, two->file);
    return order != 0 ? order : compare_u64(one->offset, two->offset);
}

static int losses_by_place(const void *a, const void *b)
{
    return by_place(&((const struct repair_loss *)a)->entry,
                    &((const struct repair_loss *)b)->entry);
}

static bool is_same_key(const struct repair_entry *one, const struct repair_entry *two)
{
    return one->hash == two->hash && one->check == two->check;
}

/* NULL: no memory. */
static struct repair_loss *add_loss(struct repair *repair)
{
    if (repair->loss_count == repair->loss_cap) {
        uint64_t cap = repair->loss_cap == 0 ? LOSSES_MIN : 2 * repair->loss_cap;
        struct repair_loss *losses = realloc(repair->losses, cap * sizeof(losses[0]));
        if (losses == NULL)
            return NULL;
        repair->losses = losses;
        repair->loss_cap = cap;
    }
    struct repair_loss *loss = &repair->losses[repair->loss_count++];
    *loss = (struct repair_loss){.has_older = false};
    return loss;
}

/* A tombstone that a sound footer tells of is as good as a sound one. */
static bool counts(const struct repair_entry *entry)
{
    return (entry->flags & REPAIR_LOST) == 0 ||
           (entry->flags & (REPAIR_TOMBSTONE | REPAIR_GUESS)) == REPAIR_TOMBSTONE;
}

/* What is wrong with guesses behind the version that counts is reported too: it may be another key's. */
static bool report_guesses(struct repair *repair, const struct repair_entry *versions,
                           uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if ((versions[i].flags & REPAIR_GUESS) == 0)
            continue;
        struct repair_loss *loss = add_loss(repair);
        if (loss == NULL)
            return false;
        loss->entry = versions[i];
        loss->is_newer_sound = true;
    }
    return true;
}

/* Chooses among the versions of one key. *ret_winner: the one to have, or NULL. False: no memory. */
static bool choose(struct repair *repair, const struct repair_entry *versions, uint64_t count,
                   const struct repair_entry **ret_winner)
{
    uint64_t first = 0;
    uint64_t loss = repair->loss_count; /* of the newest version */
    *ret_winner = NULL;
    while (first < count && !counts(&versions[first])) {
        /* Behind the newest one only guesses matter. */
        if (first == 0 || (versions[first].flags & REPAIR_GUESS) != 0) {
            struct repair_loss *added = add_loss(repair);
            if (added == NULL)
                return false;
            added->entry = versions[first];
        }
        first++;
    }
    if (first == count)
        return true;
    const struct repair_entry *sound = &versions[first];
    bool is_set = (sound->flags & REPAIR_TOMBSTONE) == 0;
    if (first > 0 && is_set) {
        repair->losses[loss].older = *sound;
        repair->losses[loss].has_older = true;
    }
    if (is_set && (first == 0 || repair->keep_older))
        *ret_winner = sound;
    return report_guesses(repair, versions + first, count - first);
}

kvs_status repair_choose(struct repair *repair, struct kvs_error *err)
{
    struct repair_entry *entries = repair->entries;
    uint64_t kept = 0;
    if (repair->entry_count == 0)
        return KVS_OK;
    qsort(entries, repair->entry_count, sizeof(entries[0]), by_key);
    for (uint64_t at = 0; at < repair->entry_count;) {
        uint64_t end = at + 1;
        const struct repair_entry *winner;
        while (end < repair->entry_count && is_same_key(&entries[at], &entries[end]))
            end++;
        if (!choose(repair, &entries[at], end - at, &winner))
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for what is lost");
        if (winner != NULL)
            entries[kept++] = *winner;
        at = end;
    }
    repair->entry_count = kept;
    if (kept > 0)
        qsort(entries, kept, sizeof(entries[0]), by_place);
    if (repair->loss_count > 0)
        qsort(repair->losses, repair->loss_count, sizeof(repair->losses[0]), losses_by_place);
    return KVS_OK;
}
