/*
 * See read_group.h. An engine shows what it found in any order and tells only at the end what it did
 * not find.
 *
 * I1  A value is shown from the engine's memory when all lookups before it were shown; every other is
 *     copied, to be shown when the group is finished. So with the usual engine, which goes through the
 *     lookups in order, nothing is copied as long as all keys exist.
 * I2  What was shown is never shown again, and always a first part of the lookups.
 * I3  Something is always shown: what is copied first is copied whatever its size, and with it all
 *     before it can be shown at the end.
 * I4  What the engine showed counts only if the lookup's status, which may be known only at the end,
 *     agrees: a disk may fail under a value while it is shown.
 */
#include "server/read_group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define SPILLED_MAX ((size_t)262144) /* bytes; beyond them a group that can stop drops values */

struct read_group *read_group_new(void)
{
    struct read_group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return NULL;
    group->capacity = READ_GROUP_MAX;
    group->lookups = malloc(READ_GROUP_MAX * sizeof(*group->lookups));
    group->entries = malloc(READ_GROUP_MAX * sizeof(*group->entries));
    if (group->lookups == NULL || group->entries == NULL) {
        read_group_free(group);
        return NULL;
    }
    read_group_reset(group);
    return group;
}

void read_group_free(struct read_group *group)
{
    if (group == NULL)
        return;
    free(group->lookups);
    free(group->entries);
    buffer_deinit(&group->spilled);
    free(group);
}

void read_group_reset(struct read_group *group)
{
    memset(&group->request, 0, sizeof(group->request));
    group->request.size = (uint32_t)sizeof(group->request);
    group->request.lookups = group->lookups;
    group->request.err = &group->error;
    group->shown = group->faults = 0;
    group->stopped = group->can_stop = group->broken = false;
    group->status = KVS_OK;
    group->message[0] = '\0';
    group->error = (struct kvs_error)KVS_ERROR_INIT(group->message);
    if (group->spilled.cap > 0)
        buffer_deinit(&group->spilled);
}

static bool grow(struct read_group *group)
{
    uint64_t capacity = group->capacity * 2;
    struct kvs_lookup *lookups = realloc(group->lookups, capacity * sizeof(*lookups));
    if (lookups == NULL)
        return false;
    group->request.lookups = group->lookups = lookups;
    struct read_entry *entries = realloc(group->entries, capacity * sizeof(*entries));
    if (entries == NULL)
        return false;
    group->entries = entries;
    group->capacity = capacity;
    return true;
}

bool read_group_push(struct read_group *group, struct kvs_bytes key, uint64_t tag,
                     uint64_t input_end)
{
    uint64_t index = group->request.lookup_count;
    if (index == group->capacity && !grow(group))
        return false;
    group->lookups[index] = (struct kvs_lookup){.key = key};
    group->entries[index] = (struct read_entry){.tag = tag, .input_end = input_end};
    group->request.lookup_count = index + 1;
    return true;
}

static void show(struct read_group *group, const struct read_result *result)
{
    assert(result->index == group->shown);
    group->entries[group->shown].mark = group->mark(group->show_arg);
    group->shown++; /* I2 */
    group->faults += result->status < 0;
    if (!group->show(group->show_arg, result) && group->can_stop)
        group->stopped = true;
}

/* I1: keeps a value for later. */
static int32_t spill(struct read_group *group, uint64_t index, struct kvs_bytes value)
{
    struct read_entry *entry = &group->entries[index];
    size_t start = buffer_size(&group->spilled);
    if (group->can_stop && start > SPILLED_MAX) {
        entry->is_dropped = true; /* I3 */
        return 0;
    }
    if (buffer_append(&group->spilled, value.ptr, value.len) != KVS_OK) {
        group->lookups[index].status = KVS_NO_MEMORY;
        return 0;
    }
    entry->spilled_start = start;
    entry->spilled_size = value.len;
    entry->is_spilled = true;
    return 0;
}

static int32_t visit(void *arg, uint64_t index, struct kvs_bytes value)
{
    struct read_group *group = arg;
    if (index != group->shown)
        return spill(group, index, value);
    struct read_result result = {
        .index = index, .tag = group->entries[index].tag, .status = KVS_OK, .value = value};
    show(group, &result);
    return group->stopped;
}

static void complete(void *arg, struct kvs_get_many *request, kvs_status status)
{
    struct read_group *group = arg;
    (void)request;
    group->status = status;
    group->complete(group->complete_arg);
}

kvs_status read_group_submit(struct read_group *group, struct store *store, struct kvs_tls *tls)
{
    assert(group->request.lookup_count > 0);
    group->request.visit = visit;
    group->request.complete = complete;
    group->request.arg = group;
    kvs_status status = store_get_many(store, tls, &group->request);
    if (status == KVS_PENDING)
        return KVS_PENDING;
    group->status = status;
    read_group_finish(group);
    return KVS_OK;
}

/* What a lookup came to that the engine did not show, or that does not count. */
static struct read_result result_of(const struct read_group *group, uint64_t index)
{
    const struct read_entry *entry = &group->entries[index];
    struct read_result result = {.index = index, .tag = entry->tag};
    result.status = group->lookups[index].status;
    if (entry->is_spilled && result.status >= 0) {
        result.value =
            bytes_of(buffer_content(&group->spilled) + entry->spilled_start, entry->spilled_size);
        result.status = KVS_OK;
    } else if (group->status < 0) {
        result.status = group->status;
    } else if (result.status == KVS_OK) {
        result.status = KVS_INTERNAL;
        result.message = "the engine found the key but showed no value: a bug of the engine";
    }
    /* The message is that of the first fault, which need not be this one's. */
    if (result.status < 0 && result.message == NULL && result.status == group->error.status)
        result.message = group->message;
    return result;
}

static void show_next(struct read_group *group)
{
    struct read_result result = result_of(group, group->shown);
    show(group, &result);
}

/* I4 */
static void take_back_faults(struct read_group *group)
{
    uint64_t first = 0;
    while (first < group->shown && group->lookups[first].status >= 0)
        first++;
    if (first == group->shown)
        return;
    group->take_back(group->show_arg, group->entries[first].mark);
    group->shown = first;
    if (group->can_stop) {
        show_next(group);
        group->stopped = true;
        return;
    }
    group->fault = result_of(group, first);
    group->faults++;
    group->shown = group->request.lookup_count;
    group->broken = true;
}

void read_group_finish(struct read_group *group)
{
    take_back_faults(group);
    /* A stopped engine did not come to the last ones, and which these are is not known. */
    while (!group->stopped && group->shown < group->request.lookup_count &&
           !group->entries[group->shown].is_dropped)
        show_next(group);
}
