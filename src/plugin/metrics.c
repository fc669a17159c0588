/*
 * See metrics.h. A table of fixed capacity whose entries are written once, under the lock, before
 * count is raised past them; from then on only their figures change.
 *
 * I1  An entry below count is complete: kind, name and help never change again.
 * I2  count only grows. It is raised with release and read with acquire, so whoever sees an id
 *     below count sees its entry.
 *
 * Each figure is exact on its own; those of one histogram may be a few observations apart while
 * others observe. An entry has a cache line of its own, so that two hot metrics do not disturb each
 * other.
 */
#include "plugin/metrics.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CACHE_LINE 64

struct metric {
    /* Written by any thread, relaxed: figures order nothing else. */
    alignas(CACHE_LINE) _Atomic uint64_t value; /* sum of the deltas, or of what was observed */
    _Atomic uint64_t count;                     /* observations */
    _Atomic uint64_t max;                       /* largest observation */

    /* Constant once the entry lies below metrics.count (I1). */
    uint32_t kind;
    char *name; /* owned */
    char *help; /* owned */
};

struct metrics {
    struct metric items[METRICS_MAX];
    _Atomic uint32_t count; /* written under lock, release; read by all, acquire (I2) */
    pthread_mutex_t lock;   /* orders registrations */
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = aligned_alloc(CACHE_LINE, sizeof(*metrics));
    if (metrics == NULL)
        return NULL;
    memset(metrics, 0, sizeof(*metrics));
    (void)pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    for (uint32_t i = 0; i < metrics->count; i++) {
        free(metrics->items[i].name);
        free(metrics->items[i].help);
    }
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static bool metric_name_valid(const char *name)
{
    if (name == NULL)
        return false;
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return name[size] == '\0' && size >= 1 && size <= METRIC_NAME_MAX;
}

/* Under the lock. */
static kvs_status register_locked(struct metrics *metrics, uint32_t kind, const char *name,
                                  const char *help, uint32_t *ret_id)
{
    uint32_t count = atomic_load_explicit(&metrics->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(metrics->items[i].name, name) != 0)
            continue;
        if (metrics->items[i].kind != kind)
            return KVS_INVALID;
        *ret_id = i;
        return KVS_OK;
    }
    if (count == METRICS_MAX)
        return KVS_BUSY;
    _cleanup_(freep) char *name_copy = strdup(name);
    _cleanup_(freep) char *help_copy = strdup(help);
    if (name_copy == NULL || help_copy == NULL)
        return KVS_NO_MEMORY;
    struct metric *metric = &metrics->items[count];
    metric->kind = kind;
    metric->name = TAKE(name_copy);
    metric->help = TAKE(help_copy);
    atomic_store_explicit(&metrics->count, count + 1, memory_order_release);
    *ret_id = count;
    return KVS_OK;
}

kvs_status metrics_register(struct metrics *metrics, uint32_t kind, const char *name,
                            const char *help, uint32_t *ret_id)
{
    if (kind < KVS_METRIC_COUNTER || kind > KVS_METRIC_HISTOGRAM || !metric_name_valid(name) ||
        help == NULL)
        return KVS_INVALID;
    (void)pthread_mutex_lock(&metrics->lock);
    kvs_status status = register_locked(metrics, kind, name, help, ret_id);
    (void)pthread_mutex_unlock(&metrics->lock);
    return status;
}

/* The metric of this number, or NULL. */
static struct metric *metric_at(struct metrics *metrics, uint32_t id)
{
    if (id >= atomic_load_explicit(&metrics->count, memory_order_acquire))
        return NULL;
    return &metrics->items[id];
}

void metrics_add(struct metrics *metrics, uint32_t id, int64_t delta)
{
    struct metric *metric = metric_at(metrics, id);
    if (metric == NULL || metric->kind == KVS_METRIC_HISTOGRAM ||
        (metric->kind == KVS_METRIC_COUNTER && delta < 0))
        return;
    atomic_fetch_add_explicit(&metric->value, (uint64_t)delta, memory_order_relaxed);
}

void metrics_observe(struct metrics *metrics, uint32_t id, uint64_t value)
{
    struct metric *metric = metric_at(metrics, id);
    if (metric == NULL || metric->kind != KVS_METRIC_HISTOGRAM)
        return;
    atomic_fetch_add_explicit(&metric->value, value, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->count, 1, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&metric->max, memory_order_relaxed);
    while (max < value &&
           !atomic_compare_exchange_weak_explicit(&metric->max, &max, value, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

static void visit_histogram(struct metric *metric, kvs_stat_fn visit, void *arg)
{
    const struct {
        const char *suffix;
        _Atomic uint64_t *figure;
    } parts[] = {{"count", &metric->count}, {"sum", &metric->value}, {"max", &metric->max}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char name[METRIC_NAME_MAX + sizeof("_count")];
        (void)snprintf(name, sizeof(name), "%s_%s", metric->name, parts[i].suffix);
        visit(arg, name, atomic_load_explicit(parts[i].figure, memory_order_relaxed));
    }
}

void metrics_visit(struct metrics *metrics, kvs_stat_fn visit, void *arg)
{
    uint32_t count = atomic_load_explicit(&metrics->count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct metric *metric = &metrics->items[i];
        if (metric->kind == KVS_METRIC_HISTOGRAM) {
            visit_histogram(metric, visit, arg);
            continue;
        }
        uint64_t value = atomic_load_explicit(&metric->value, memory_order_relaxed);
        if (metric->kind == KVS_METRIC_GAUGE && value > (uint64_t)INT64_MAX)
            value = 0;
        visit(arg, metric->name, value);
    }
}
