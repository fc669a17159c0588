/*
 * See history.h. The search of Wing and Gong with Lowe's memory: calls and returns are a list in the
 * order of time. The search takes any call that comes before the first return as the next operation to
 * take effect, lifts it and its return out of the list, and goes on from the front; where nothing fits
 * it puts the last one back and tries the next. A configuration (what has taken effect, and the value)
 * that was met before is not searched again, which keeps it from being exponential in practice.
 */
#include "linearizability/history.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64u

/* A call or a return, in the list. */
struct event {
    uint64_t time_ns;
    size_t operation;
    struct event *match; /* of a call: its return; of a return: NULL */
    struct event *next;
    struct event *previous;
};

/* What has taken effect, and the value then. */
struct configuration {
    uint64_t hash;
    uint32_t value;
    uint64_t taken[];
};

struct search {
    const struct operation *operations;
    size_t count;
    struct event *events;
    struct event head;
    size_t words;
    uint64_t *taken;
    /* Configurations that were met: open addressing, at most half full. */
    struct configuration **met;
    size_t met_capacity;
    size_t met_count;
};

/* Lets the operation take effect on *value. False: it cannot have seen what it saw. */
static bool take_effect(const struct operation *operation, uint32_t *value)
{
    bool known = operation->returned_ns != TIME_NEVER_NS;
    uint32_t before = *value;
    bool applies = true;
    uint32_t seen = 0;
    switch (operation->kind) {
    case OPERATION_GET:
        return !known || operation->seen == before;
    case OPERATION_SET:
        *value = operation->value;
        return true;
    case OPERATION_REMOVE:
        seen = before != VALUE_ABSENT;
        *value = VALUE_ABSENT;
        return !known || operation->seen == seen;
    case OPERATION_EXCHANGE:
        *value = operation->value;
        return !known || operation->seen == before;
    case OPERATION_SET_ABSENT:
        applies = before == VALUE_ABSENT;
        break;
    case OPERATION_COMPARE_SET:
    default:
        applies = before == operation->expected;
        break;
    }
    if (applies)
        *value = operation->value;
    return !known || operation->seen == (uint32_t)applies;
}

/* ---- configurations ----------------------------------------------------------------------- */

static uint64_t hash_of(const struct search *search, uint32_t value)
{
    uint64_t hash = value;
    for (size_t i = 0; i < search->words; i++) {
        hash = (hash ^ search->taken[i]) * 0x9E3779B97F4A7C15ull;
        hash ^= hash >> 29;
    }
    return hash;
}

static void met_insert(struct configuration **table, size_t capacity, struct configuration *entry)
{
    size_t slot = entry->hash & (capacity - 1);
    while (table[slot] != NULL)
        slot = (slot + 1) & (capacity - 1);
    table[slot] = entry;
}

static void met_grow(struct search *search)
{
    size_t capacity = search->met_capacity == 0 ? 1024 : 2 * search->met_capacity;
    struct configuration **table = calloc(capacity, sizeof(struct configuration *));
    assert(table != NULL);
    for (size_t i = 0; i < search->met_capacity; i++) {
        if (search->met[i] != NULL)
            met_insert(table, capacity, search->met[i]);
    }
    free(search->met);
    search->met = table;
    search->met_capacity = capacity;
}

/* Notes the configuration. False: it was met before. */
static bool meet(struct search *search, uint32_t value)
{
    size_t bytes = search->words * sizeof(uint64_t);
    uint64_t hash = hash_of(search, value);
    if (2 * search->met_count >= search->met_capacity)
        met_grow(search);
    for (size_t slot = hash & (search->met_capacity - 1); search->met[slot] != NULL;
         slot = (slot + 1) & (search->met_capacity - 1)) {
        const struct configuration *entry = search->met[slot];
        if (entry->hash == hash && entry->value == value &&
            memcmp(entry->taken, search->taken, bytes) == 0)
            return false;
    }
    struct configuration *entry = malloc(sizeof(*entry) + bytes);
    assert(entry != NULL);
    entry->hash = hash;
    entry->value = value;
    memcpy(entry->taken, search->taken, bytes);
    met_insert(search->met, search->met_capacity, entry);
    search->met_count++;
    return true;
}

static void flip(struct search *search, size_t operation)
{
    search->taken[operation / WORD_BITS] ^= UINT64_C(1) << (operation % WORD_BITS);
}

/* ---- the list ----------------------------------------------------------------------------- */

/* By time; at one moment calls come first, so that the two may overlap. */
static int compare_events(const void *a, const void *b)
{
    const struct event *one = a;
    const struct event *other = b;
    if (one->time_ns != other->time_ns)
        return one->time_ns < other->time_ns ? -1 : 1;
    return (one->match == NULL) - (other->match == NULL);
}

static void unlink_event(struct event *event)
{
    event->previous->next = event->next;
    if (event->next != NULL)
        event->next->previous = event->previous;
}

static void relink_event(struct event *event)
{
    event->previous->next = event;
    if (event->next != NULL)
        event->next->previous = event;
}

/* The list of all calls and returns; while sorting, match only tells the two apart. */
static void make_list(struct search *search)
{
    struct event is_call; /* only its address counts */
    size_t count = 2 * search->count;
    struct event **calls = calloc(search->count, sizeof(struct event *));
    assert(calls != NULL);
    for (size_t i = 0; i < search->count; i++) {
        search->events[2 * i] = (struct event){
            .time_ns = search->operations[i].called_ns, .operation = i, .match = &is_call};
        search->events[2 * i + 1] =
            (struct event){.time_ns = search->operations[i].returned_ns, .operation = i};
    }
    qsort(search->events, count, sizeof(struct event), compare_events);
    struct event *previous = &search->head;
    for (size_t i = 0; i < count; i++) {
        struct event *event = &search->events[i];
        if (event->match != NULL)
            calls[event->operation] = event;
        else
            calls[event->operation]->match = event;
        event->previous = previous;
        previous->next = event;
        previous = event;
    }
    free(calls);
}

/* ---- the search --------------------------------------------------------------------------- */

static bool search_run(struct search *search)
{
    struct step {
        struct event *call;
        uint32_t value; /* before it */
    } *stack = calloc(search->count + 1, sizeof(struct step));
    assert(stack != NULL);
    size_t depth = 0;
    uint32_t value = VALUE_ABSENT;
    struct event *at = search->head.next;
    /* Nothing left, or only what need not have happened. */
    bool found = false;
    for (;;) {
        if (at == NULL || (at->match == NULL && at->time_ns == TIME_NEVER_NS)) {
            found = true;
            break;
        }
        if (at->match != NULL) {
            uint32_t after = value;
            flip(search, at->operation);
            if (take_effect(&search->operations[at->operation], &after) && meet(search, after)) {
                stack[depth++] = (struct step){at, value};
                value = after;
                unlink_event(at->match);
                unlink_event(at);
                at = search->head.next;
                continue;
            }
            flip(search, at->operation);
            at = at->next;
            continue;
        }
        /* A return whose operation has not taken effect: the last choice was wrong. */
        if (depth == 0)
            break;
        struct step last = stack[--depth];
        value = last.value;
        flip(search, last.call->operation);
        relink_event(last.call);
        relink_event(last.call->match);
        at = last.call->next;
    }
    free(stack);
    return found;
}

bool history_is_linearizable(const struct operation *operations, size_t count)
{
    struct search search = {
        .operations = operations,
        .count = count,
        .events = calloc(2 * count + 1, sizeof(struct event)),
        .words = (count + WORD_BITS - 1) / WORD_BITS,
    };
    search.taken = calloc(search.words + 1, sizeof(uint64_t));
    assert(search.events != NULL && search.taken != NULL);
    if (count > 0)
        make_list(&search);
    bool found = search_run(&search);
    for (size_t i = 0; i < search.met_capacity; i++)
        free(search.met[i]);
    free(search.met);
    free(search.taken);
    free(search.events);
    return found;
}

void operation_format(const struct operation *operation, char *text, size_t text_size)
{
    static const char *const names[] = {"get",        "set",      "remove",
                                        "set-absent", "exchange", "compare-set"};
    bool known = operation->returned_ns != TIME_NEVER_NS;
    (void)snprintf(text, text_size,
                   "%" PRIu64 " .. %" PRIu64 "  %s value %" PRIu32 " expected %" PRIu32
                   " saw %" PRIu32 "%s",
                   operation->called_ns, known ? operation->returned_ns : 0, names[operation->kind],
                   operation->value, operation->expected, operation->seen,
                   known ? "" : " (nobody knows whether it happened)");
}
