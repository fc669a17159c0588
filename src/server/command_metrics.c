/* See command_metrics.h. */
#include "server/command_metrics.h"

#include <stdlib.h>

/* The histogram of a place, made when there is none; NULL: no memory. */
static struct latency *histogram_at(struct command_metrics *metrics, uint32_t place)
{
    struct latency *latency =
        atomic_load_explicit(&metrics->by_command[place], memory_order_relaxed);
    if (latency == NULL) {
        latency = calloc(1, sizeof(*latency));
        atomic_store_explicit(&metrics->by_command[place], latency, memory_order_release);
    }
    return latency;
}

uint32_t command_metrics_noted(const struct command_metrics *metrics)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < metrics->noted_count; i++)
        count += metrics->noted[i].times;
    return count;
}

void command_metrics_record(struct command_metrics *metrics, uint64_t ns)
{
    for (uint32_t i = 0; i < metrics->noted_count; i++) {
        struct latency *latency = histogram_at(metrics, metrics->noted[i].place);
        if (latency != NULL)
            latency_record(latency, ns, metrics->noted[i].times);
    }
    metrics->noted_count = 0;
}

void command_metrics_add(struct command_metrics *to, const struct command_metrics *from)
{
    for (uint32_t i = 0; i < COMMAND_METRICS_MAX; i++) {
        const struct latency *latency =
            atomic_load_explicit(&from->by_command[i], memory_order_acquire);
        struct latency *sum = latency != NULL ? histogram_at(to, i) : NULL;
        if (sum != NULL)
            latency_add(sum, latency);
    }
    latency_add(&to->queue_wait, &from->queue_wait);
}

void command_metrics_deinit(struct command_metrics *metrics)
{
    for (uint32_t i = 0; i < COMMAND_METRICS_MAX; i++) {
        free(atomic_load_explicit(&metrics->by_command[i], memory_order_relaxed));
        atomic_store_explicit(&metrics->by_command[i], NULL, memory_order_relaxed);
    }
}
