/* See metrics_text.h. Bounds of histograms are powers of two: one for LATENCY_STEPS buckets. */
#include "server/metrics_text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define LINE_SIZE 512u
#define NAME_SIZE 160u

static const struct known {
    const char *name;
    const char *type;
    const char *help;
} known[] = {
    {"uptime_ms", "gauge", "Milliseconds since the start."},
    {"connections", "gauge", "Open client connections."},
    {"connections_accepted", "counter", "Client connections accepted."},
    {"accept_pauses", "counter", "Times that accepting paused for want of descriptors."},
    {"wrong_passwords", "counter", "Wrong passwords that clients gave."},
    {"tls_handshakes", "counter", "TLS handshakes that came to an end."},
    {"tls_failures", "counter", "TLS handshakes that failed."},
    {"login_timeouts", "counter", "Clients cut off that did not log in in time."},
    {"clients_refused", "counter", "Clients refused because of the limit on their number."},
    {"replies_refused", "counter", "Replies over the limit, answered with an error."},
    {"idle_timeouts", "counter", "Clients cut off that sent no request for too long."},
    {"request_timeouts", "counter", "Clients cut off that did not finish a request in time."},
    {"reader_timeouts", "counter", "Clients cut off that did not take their replies in time."},
    {"requests", "counter", "Requests answered."},
    {"errors", "counter", "Requests answered with an error."},
    {"received_bytes", "counter", "Bytes received from clients."},
    {"sent_bytes", "counter", "Bytes sent to clients."},
    {"expired_keys", "counter", "Keys removed because their time was over."},
    {"expiring_keys", "gauge", "Keys that will expire, as the sweeper's last walk left them."},
    {"sweep_keys", "counter", "Keys that the sweeper looked at."},
    {"sweep_passes", "counter", "Walks of the sweeper over the whole store."},
    {"pool_queue_wait_p50_ns", "gauge", "Median wait of connections for a thread since the start."},
    {"pool_queue_wait_p99_ns", "gauge", "99 of 100 connections waited less for a thread."},
    {"pool_threads", "gauge", "Threads of the pool."},
    {"pool_threads_started", "counter", "Threads that the pool started."},
    {"pool_threads_lost", "counter", "Threads that a job ended."},
    {"pool_threads_replaced", "counter", "Lost threads that the pool replaced."},
    {"pool_jobs_spawned", "counter", "Jobs that the pool accepted."},
    {"pool_jobs_refused", "counter", "Jobs that the pool refused."},
    {"pool_jobs_run", "counter", "Jobs that ran to their end."},
    {"pool_jobs_dropped", "counter", "Jobs that were dropped unrun."},
    {"pool_jobs_lost", "counter", "Jobs that ended their thread."},
    {"pool_jobs_queued", "gauge", "Jobs that wait for a thread."},
    {"pool_jobs_running", "gauge", "Jobs that run."},
    {"pool_wakeups", "counter", "Times that the pool woke a thread."},
    {"engine_keys", "gauge", "Keys in the store."},
    {"engine_read_only", "gauge", "1 when the engine takes no writes."},
};

static void append(struct metrics_text *text, const char *line)
{
    if (text->status == KVS_OK)
        text->status = buffer_append(text->out, line, strlen(line));
}

/* "kvs_" and the name, with what the format does not allow replaced. */
static void full_name(char to[NAME_SIZE], const char *name)
{
    (void)snprintf(to, NAME_SIZE, "kvs_%s", name);
    for (char *at = to; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at))
            *at = '_';
    }
}

static const struct known *find_known(const char *name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    }
    return NULL;
}

void metrics_text_figure(void *arg, const char *name, uint64_t value)
{
    struct metrics_text *text = arg;
    char full[NAME_SIZE];
    char line[LINE_SIZE];
    const struct known *figure = find_known(name);
    full_name(full, name);
    const char *suffix = figure != NULL && strcmp(figure->type, "counter") == 0 ? "_total" : "";
    if (figure != NULL) {
        (void)snprintf(line, sizeof(line), "# HELP %s%s %s\n# TYPE %s%s %s\n", full, suffix,
                       figure->help, full, suffix, figure->type);
        append(text, line);
    }
    (void)snprintf(line, sizeof(line), "%s%s %" PRIu64 "\n", full, suffix, value);
    append(text, line);
}

void metrics_text_info(struct metrics_text *text, const char *name, const char *help,
                       const char *labels)
{
    char line[LINE_SIZE];
    (void)snprintf(line, sizeof(line), "# HELP kvs_%s %s\n# TYPE kvs_%s gauge\nkvs_%s{%s} 1\n",
                   name, help, name, name, labels);
    append(text, line);
}

void metrics_text_histogram_head(struct metrics_text *text, const char *name, const char *help)
{
    char line[LINE_SIZE];
    (void)snprintf(line, sizeof(line), "# HELP kvs_%s %s\n# TYPE kvs_%s histogram\n", name, help,
                   name);
    append(text, line);
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

void metrics_text_histogram(struct metrics_text *text, const char *name, const char *label,
                            const struct latency *latency)
{
    char line[LINE_SIZE];
    const char *comma = *label != '\0' ? "," : "";
    uint64_t count = 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        count += atomic_load_explicit(&latency->counts[i], memory_order_relaxed);
        if (i % LATENCY_STEPS != LATENCY_STEPS - 1 || i == LATENCY_BUCKETS - 1)
            continue;
        (void)snprintf(line, sizeof(line), "kvs_%s_bucket{%s%sle=\"%.9g\"} %" PRIu64 "\n", name,
                       label, comma, seconds(latency_bound_ns(i)), count);
        append(text, line);
    }
    (void)snprintf(line, sizeof(line), "kvs_%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, label,
                   comma, count);
    append(text, line);
    char braced[NAME_SIZE] = "";
    if (*label != '\0')
        (void)snprintf(braced, sizeof(braced), "{%s}", label);
    uint64_t sum_ns = atomic_load_explicit(&latency->sum_ns, memory_order_relaxed);
    (void)snprintf(line, sizeof(line),
                   "kvs_%s_sum%s %" PRIu64 ".%09" PRIu64 "\nkvs_%s_count%s %" PRIu64 "\n", name,
                   braced, sum_ns / NS_PER_S, sum_ns % NS_PER_S, name, braced, count);
    append(text, line);
}
