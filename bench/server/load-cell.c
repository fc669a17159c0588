/* Samples by the load generator (cell.h). */
#include <stdlib.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "load/generator.h"
#include "server/cell.h"

#define OPEN_CONNECTIONS    50u
#define WARM_UP_SHARE       8u             /* of a sample: its eighth goes before */
#define DURATION_MAX_NS     (8 * NS_PER_S) /* of a sample that has no reply yet */
#define SERVING_LIMIT_NS    (20 * NS_PER_S)
#define SERVING_PAUSE_NS    (2 * NS_PER_MS)
#define PRELOAD_CONNECTIONS 4u
#define WAVES               5u
#define WAVE_REQUEST_NS     2500u  /* of a pipeline, for the length of a sample only */
#define ACCEPT_NS           50000u /* of a connection, for the length of a warm-up only */

/* A load for the shelf's server, but for how it is to be put. */
static kvs_status plan_for(const struct server_shelf *shelf, const struct server_config *config,
                           const char *mix, struct plan *ret, struct kvs_error *err)
{
    struct plan plan = {
        .threads = 1,
        .connections = PRELOAD_CONNECTIONS,
        .pipeline = 1,
        .keys = config->keys,
        .value_size = config->value_size,
        .exponent = 0.99,
        .seed = config->seed,
        .pid = shelf->instance.pid,
    };
    _cleanup_(freep) char *target =
        g_strdup_printf("%s://127.0.0.1:%u", shelf->kind->protocol, (unsigned)shelf->instance.port);
    kvs_status status = endpoint_parse(target, false, &plan.endpoint, err);
    if (status == KVS_OK)
        status = plan_mix_parse(mix, &plan.mix, err);
    plan.distribution = plan.mix.distribution;
    if (status == KVS_OK)
        *ret = plan;
    return status;
}

static kvs_status run_plan(const struct plan *plan, struct generator_outcome *outcome,
                           struct kvs_error *err)
{
    kvs_status status = generator_run(plan, outcome, err);
    if (status != KVS_OK)
        return status;
    if (outcome->errors + outcome->wrong > 0)
        return kvs_error_set(err, KVS_IO, 0, "%s: %llu errors, %llu wrong values: %s",
                             plan->endpoint.text, (unsigned long long)outcome->errors,
                             (unsigned long long)outcome->wrong, outcome->error_text);
    if (outcome->misses > 0 && plan->mix.inserts == 0)
        return kvs_error_set(err, KVS_IO, 0, "%s: %llu gets did not find their key",
                             plan->endpoint.text, (unsigned long long)outcome->misses);
    return KVS_OK;
}

/* Waits until the server serves: it may listen, and refuse, while it still opens its store. */
static kvs_status wait_serving(const struct plan *like, struct generator_outcome *outcome,
                               struct kvs_error *err)
{
    const struct timespec pause = {.tv_nsec = SERVING_PAUSE_NS};
    uint64_t end_ns = clock_now_ns() + SERVING_LIMIT_NS;
    struct plan plan = *like;
    plan.connections = 1;
    plan.requests = 1;
    for (;;) {
        *outcome = (struct generator_outcome){0};
        kvs_status status = generator_run(&plan, outcome, err);
        if (status != KVS_OK || outcome->errors == 0)
            return status;
        if (clock_now_ns() > end_ns)
            return kvs_error_set(err, KVS_TIMEOUT, 0, "%s does not serve: %s", plan.endpoint.text,
                                 outcome->error_text);
        (void)nanosleep(&pause, NULL);
    }
}

/* Starts the server and sets all keys. */
static kvs_status start(struct server_shelf *shelf, const struct server_config *config,
                        struct kvs_error *err)
{
    struct plan plan;
    kvs_status status =
        instance_start(shelf->kind, shelf->sync, config->base_dir, &shelf->instance, err);
    if (status == KVS_OK)
        status = plan_for(shelf, config, "get", &plan, err);
    if (status == KVS_OK) {
        _cleanup_(freep) struct generator_outcome *outcome = g_new0(struct generator_outcome, 1);
        status = wait_serving(&plan, outcome, err);
        plan.preload = true;
        plan.requests = PRELOAD_CONNECTIONS;
        if (status == KVS_OK)
            status = run_plan(&plan, outcome, err);
    }
    if (status != KVS_OK)
        instance_stop(&shelf->instance);
    return status;
}

kvs_status server_shelf_open(struct server_shelf *shelf, const struct server_config *config,
                             struct kvs_error *err)
{
    struct kvs_error error = KVS_ERROR_INIT(shelf->message);
    if (shelf->instance.pid == 0 && shelf->status == KVS_OK)
        shelf->status = start(shelf, config, &error);
    if (shelf->status != KVS_OK)
        return kvs_error_set(err, shelf->status, 0, "%s", shelf->message);
    return KVS_OK;
}

/* What the generator and the server used, beside the figure. */
static void add_extras(const struct server_run *run, const struct generator_outcome *outcome,
                       struct sample *ret)
{
    const struct process_usage *server = &outcome->server;
    double requests = outcome->replies > 0 ? (double)outcome->replies : 1;
    ret->helpers = (struct usage){
        .user_ns = server->cpu_ns,
        .voluntary_switches = server->voluntary_switches,
        .involuntary_switches = server->involuntary_switches,
        .written_bytes = server->written_bytes,
    };
    sample_extra_add(ret, "server_cpu_per_request_ns", (double)server->cpu_ns / requests);
    sample_extra_add(ret, "server_switches_per_request",
                     (double)(server->voluntary_switches + server->involuntary_switches) /
                         requests);
    sample_extra_add(ret, "server_cpu_share", (double)server->cpu_ns / outcome->wall_ns);
    sample_extra_add(ret, "generator_cpu_share", outcome->busiest_share);
    if (run->cell->kind == CELL_OPEN) {
        sample_extra_add(ret, "reached_share", outcome->requests_per_s / run->point);
        sample_extra_add(ret, "lag_p99_ns", (double)histogram_quantile(&outcome->lag, 0.99));
    }
    ret->note = outcome->overloaded        ? "overloaded: the rate was not reached"
                : outcome->generator_bound ? "the load generator was the limit"
                                           : NULL;
}

kvs_status server_load_sample(void *arg, struct sample *ret, struct histogram *latency,
                              struct kvs_error *err)
{
    struct server_run *run = arg;
    const struct server_config *config = run->config;
    struct plan plan;
    kvs_status status = plan_for(run->shelf, config, run->cell->mix, &plan, err);
    if (status != KVS_OK)
        return status;
    bool open = run->cell->kind == CELL_OPEN;
    plan.connections = open ? OPEN_CONNECTIONS : run->point;
    plan.rate = open ? run->point : 0;
    plan.pipeline = run->cell->pipeline;
    /* All connections send at once: a sample is some of these waves, the warm-up one. Before that a
       server accepts: connect() does not wait for it, so what it has not taken yet, and whose first
       request was dropped and is sent again, must not be counted as the cost of a few requests. */
    uint64_t wave_ns = open ? 0 : (uint64_t)plan.connections * plan.pipeline * WAVE_REQUEST_NS;
    plan.duration_ns = MAX(config->slice_ns, WAVES * wave_ns);
    uint64_t accept_ns = open ? 0 : (uint64_t)plan.connections * ACCEPT_NS;
    plan.warm_up_ns = MAX(config->slice_ns / WARM_UP_SHARE, accept_ns + wave_ns);
    _cleanup_(freep) struct generator_outcome *outcome = g_new0(struct generator_outcome, 1);
    status = run_plan(&plan, outcome, err);
    for (; status == KVS_OK && outcome->replies == 0 && plan.duration_ns < DURATION_MAX_NS;
         plan.duration_ns *= 4)
        status = run_plan(&plan, outcome, err); /* a slow moment, or a slow machine */
    if (status == KVS_OK && outcome->replies == 0)
        status = kvs_error_set(err, KVS_TIMEOUT, 0, "%s answered nothing in %.1f s",
                               plan.endpoint.text, (double)plan.duration_ns / (double)NS_PER_S);
    if (status != KVS_OK)
        return status;
    ret->ops = outcome->replies;
    ret->wall_ns = outcome->wall_ns;
    ret->value =
        open ? (double)histogram_quantile(&outcome->latency, 0.99) / 1000 : outcome->requests_per_s;
    add_extras(run, outcome, ret);
    histogram_add(latency, &outcome->latency);
    return KVS_OK;
}
