/* See monitor.h. Everything is read when it is asked for; nothing is kept. */
#include "server/monitor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/version.h>

#include "command/command.h"
#include "server/metrics_text.h"

#define LABEL_SIZE 256u

#define COMMANDS_NAME "command_duration_seconds"
#define COMMANDS_HELP                                                                              \
    "Time from the arrival of a request to its answer; what arrives together is answered "         \
    "together."
#define WAIT_NAME "queue_wait_seconds"
#define WAIT_HELP "Time from a connection's readiness to its turn on a thread of the pool."

/* What is at a place of command_metrics.h. */
static void command_label(const struct monitor *monitor, uint32_t place, char label[LABEL_SIZE])
{
    const char *protocol = "native";
    const char *name = "invalid";
    if (place >= COMMAND_METRICS_NATIVE) {
        protocol = "redis";
        name = monitor->resp_commands->commands[place - COMMAND_METRICS_NATIVE]->name;
    } else if (command_find(place) != NULL) {
        name = command_find(place)->name;
    }
    (void)snprintf(label, LABEL_SIZE, "protocol=\"%s\",command=\"%s\"", protocol, name);
}

static void show_commands(const struct monitor *monitor, struct metrics_text *text,
                          const struct command_metrics *metrics)
{
    metrics_text_histogram_head(text, COMMANDS_NAME, COMMANDS_HELP);
    for (uint32_t i = 0; i < COMMAND_METRICS_MAX; i++) {
        const struct latency *latency = atomic_load(&metrics->by_command[i]);
        char label[LABEL_SIZE];
        if (latency == NULL)
            continue;
        command_label(monitor, i, label);
        metrics_text_histogram(text, COMMANDS_NAME, label, latency);
    }
}

static kvs_status figures(void *arg, struct buffer *out)
{
    struct monitor *monitor = arg;
    struct metrics_text text = {.out = out, .status = KVS_OK};
    char labels[LABEL_SIZE];
    (void)snprintf(labels, sizeof(labels), "version=\"%s\",engine=\"%s\",pool=\"%s\"", KVS_VERSION,
                   monitor->engine_name, monitor->pool_name);
    metrics_text_info(&text, "build_info", "What runs here.", labels);
    server_stats_visit(monitor->stats, metrics_text_figure, &text);

    struct command_metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL)
        return KVS_NO_MEMORY;
    workers_measure(monitor->stats->workers, metrics);
    show_commands(monitor, &text, metrics);
    metrics_text_histogram_head(&text, WAIT_NAME, WAIT_HELP);
    metrics_text_histogram(&text, WAIT_NAME, "", &metrics->queue_wait);
    command_metrics_deinit(metrics);
    free(metrics);
    return text.status;
}

static bool ready(void *arg, char *text, size_t text_size)
{
    const struct server_state *state = ((const struct monitor *)arg)->state;
    switch (atomic_load_explicit(&state->phase, memory_order_relaxed)) {
    case SERVER_READY:
        (void)snprintf(text, text_size, "ready");
        return true;
    case SERVER_LOADING:
        server_state_format_loading(((struct monitor *)arg)->state, text, text_size);
        return false;
    default:
        (void)snprintf(text, text_size, "stopping");
        return false;
    }
}

static bool healthy(void *arg, char *text, size_t text_size)
{
    const struct server_state *state = ((const struct monitor *)arg)->state;
    bool failed = atomic_load_explicit(&state->engine_failed, memory_order_relaxed) != 0;
    (void)snprintf(text, text_size, failed ? "the engine gave up; see the log" : "ok");
    return !failed;
}

struct metrics_source monitor_source(struct monitor *monitor)
{
    return (struct metrics_source){
        .figures = figures,
        .ready = ready,
        .healthy = healthy,
        .arg = monitor,
    };
}
