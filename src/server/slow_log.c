/*
 * See slow_log.h. A ring of entries, each one block of memory: the entry, the array of its arguments,
 * and the bytes that all its views lead to.
 */
#include "server/slow_log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US UINT64_C(1000)
#define NOTE_SIZE 64u /* of "... (123 more bytes)" */

struct slow_log {
    _Atomic uint64_t threshold_us; /* written by slow_log_set_threshold, read by all, relaxed */
    pthread_mutex_t lock;          /* guards everything below */
    struct slow_entry **ring;      /* length_max of them; owned, with their entries */
    uint32_t length_max;
    uint32_t count;
    uint32_t next;    /* where the next entry goes; the newest is before it */
    uint64_t next_id; /* also counts those that were forgotten */
};

struct slow_log *slow_log_new(uint64_t threshold_us, uint32_t length)
{
    struct slow_log *log = calloc(1, sizeof(*log));
    if (log == NULL)
        return NULL;
    (void)pthread_mutex_init(&log->lock, NULL);
    slow_log_set_threshold(log, threshold_us);
    if (slow_log_set_length(log, length) == KVS_OK)
        return log;
    slow_log_free(log);
    return NULL;
}

/* Under the lock. */
static void forget_all(struct slow_log *log)
{
    for (uint32_t i = 0; i < log->length_max; i++) {
        free(log->ring[i]);
        log->ring[i] = NULL;
    }
    log->count = log->next = 0;
}

void slow_log_free(struct slow_log *log)
{
    if (log == NULL)
        return;
    forget_all(log);
    free(log->ring);
    (void)pthread_mutex_destroy(&log->lock);
    free(log);
}

uint64_t slow_log_threshold_us(const struct slow_log *log)
{
    return atomic_load_explicit(&log->threshold_us, memory_order_relaxed);
}

uint64_t slow_log_threshold_ns(const struct slow_log *log)
{
    uint64_t us = slow_log_threshold_us(log);
    return us > UINT64_MAX / NS_PER_US ? UINT64_MAX : us * NS_PER_US;
}

uint32_t slow_log_length_max(struct slow_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    uint32_t length = log->length_max;
    (void)pthread_mutex_unlock(&log->lock);
    return length;
}

void slow_log_set_threshold(struct slow_log *log, uint64_t threshold_us)
{
    atomic_store_explicit(&log->threshold_us, threshold_us, memory_order_relaxed);
}

/* The entry that is `age` before the newest. Under the lock, age < count. */
static struct slow_entry **entry_at(const struct slow_log *log, uint32_t age)
{
    return &log->ring[(log->next + log->length_max - 1 - age) % log->length_max];
}

kvs_status slow_log_set_length(struct slow_log *log, uint32_t length)
{
    if (length > SLOW_LOG_LENGTH_MAX)
        length = SLOW_LOG_LENGTH_MAX;
    struct slow_entry **ring = calloc(length > 0 ? length : 1, sizeof(struct slow_entry *));
    if (ring == NULL)
        return KVS_NO_MEMORY;
    (void)pthread_mutex_lock(&log->lock);
    uint32_t kept = log->count < length ? log->count : length;
    for (uint32_t age = 0; age < kept; age++) {
        struct slow_entry **from = entry_at(log, age);
        ring[kept - 1 - age] = *from;
        *from = NULL;
    }
    if (log->ring != NULL)
        forget_all(log);
    free(log->ring);
    log->ring = ring;
    log->length_max = length;
    log->count = kept;
    log->next = length > 0 ? kept % length : 0;
    (void)pthread_mutex_unlock(&log->lock);
    return KVS_OK;
}

/* ---- entries ------------------------------------------------------------------------------ */

/* Copies text and its terminator to *to, moves *to behind it, and returns where it is now. */
static const char *put_text(char **to, const char *text)
{
    char *start = *to;
    size_t size = strlen(text) + 1;
    memcpy(start, text, size);
    *to += size;
    return start;
}

/* An argument's beginning, and what was cut. */
static struct kvs_bytes put_argument(char **to, struct kvs_bytes argument)
{
    char *start = *to;
    uint64_t kept = argument.len < SLOW_LOG_ARGUMENT_BYTES ? argument.len : SLOW_LOG_ARGUMENT_BYTES;
    if (kept > 0)
        memcpy(start, argument.ptr, kept);
    *to += kept;
    if (argument.len > kept)
        *to += snprintf(*to, NOTE_SIZE, "... (%" PRIu64 " more bytes)", argument.len - kept);
    return (struct kvs_bytes){start, (uint64_t)(*to - start)};
}

static struct slow_entry *copy_entry(const struct slow_entry *from)
{
    uint32_t count = from->argument_count < SLOW_LOG_ARGUMENTS_MAX ? from->argument_count
                                                                   : SLOW_LOG_ARGUMENTS_MAX;
    const char *address = from->client_address != NULL ? from->client_address : "";
    const char *name = from->client_name != NULL ? from->client_name : "";
    size_t texts = strlen(address) + strlen(name) + 2;
    size_t room = (size_t)count * (SLOW_LOG_ARGUMENT_BYTES + NOTE_SIZE);
    struct slow_entry *entry =
        malloc(sizeof(*entry) + count * sizeof(struct kvs_bytes) + room + texts);
    if (entry == NULL)
        return NULL;
    struct kvs_bytes *arguments = (struct kvs_bytes *)(entry + 1);
    char *to = (char *)(arguments + count);
    *entry = *from;
    entry->arguments = arguments;
    entry->argument_count = count;
    entry->client_address = put_text(&to, address);
    entry->client_name = put_text(&to, name);
    for (uint32_t i = 0; i < count; i++)
        arguments[i] = put_argument(&to, from->arguments[i]);
    if (count < from->argument_count) {
        char *start = to;
        to += snprintf(to, NOTE_SIZE, "... (%u more arguments)", from->argument_count - count + 1);
        arguments[count - 1] = (struct kvs_bytes){start, (uint64_t)(to - start)};
    }
    return entry;
}

void slow_log_add(struct slow_log *log, const struct slow_entry *entry)
{
    struct slow_entry *copy = copy_entry(entry);
    if (copy == NULL)
        return;
    (void)pthread_mutex_lock(&log->lock);
    copy->id = log->next_id++;
    if (log->length_max > 0) {
        struct slow_entry *oldest = log->ring[log->next];
        log->ring[log->next] = copy;
        copy = oldest;
        log->next = (log->next + 1) % log->length_max;
        if (log->count < log->length_max)
            log->count++;
    }
    (void)pthread_mutex_unlock(&log->lock);
    free(copy);
}

void slow_log_visit(struct slow_log *log, uint64_t count_max,
                    void (*visit)(void *visit_arg, const struct slow_entry *entry), void *visit_arg)
{
    (void)pthread_mutex_lock(&log->lock);
    for (uint32_t age = 0; age < log->count && age < count_max; age++)
        visit(visit_arg, *entry_at(log, age));
    (void)pthread_mutex_unlock(&log->lock);
}

uint64_t slow_log_length(struct slow_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    uint64_t count = log->count;
    (void)pthread_mutex_unlock(&log->lock);
    return count;
}

void slow_log_reset(struct slow_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    forget_all(log);
    (void)pthread_mutex_unlock(&log->lock);
}
