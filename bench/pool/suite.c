/* See suite.h. Each sample makes a pool of its own (loads.h), so series share nothing. */
#include "pool/suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/series.h"
#include "plugin/files.h"
#include "pool/loads.h"

#define BLOCK        "pool"
#define POINTS_MAX   4u
#define LATENCY_S    0.1 /* a sample of latencies, for the estimate */
#define LOSS_JOBS    500u
#define STUCK_ROUNDS 20u

enum pool_kind {
    POOL_LATENCY,
    POOL_JOBS,
    POOL_BLOCKED,
    POOL_EVENTS,
    POOL_STUCK,
    POOL_LOSS,
};

struct pool_cell {
    const char *name;
    const char *help;
    enum pool_kind kind;
    uint64_t ns;                  /* of a job; of POOL_LATENCY: the pause between two */
    uint32_t number;              /* producers, events at once, or rounds */
    uint64_t needs;               /* KVS_POOL_* */
    uint32_t threads[POINTS_MAX]; /* 0 ends them */
};

/* clang-format off */
static const struct pool_cell cells[] = {
    {"spawn_to_run", "one job after the other: from spawn to its first instruction",
     POOL_LATENCY, 0, 2000, 0, {2}},
    {"spawn_to_run_100us", "a job every 100 us: from spawn to its first instruction",
     POOL_LATENCY, 100000, 500, 0, {2}},
    {"spawn_to_run_asleep", "a job every 20 ms, when everybody sleeps",
     POOL_LATENCY, 20000000, 6, 0, {2}},
    {"jobs_empty_1", "one thread spawns jobs that do nothing", POOL_JOBS, 0, 1, 0, {2}},
    {"jobs_empty_4", "four threads spawn jobs that do nothing", POOL_JOBS, 0, 4, 0, {1, 2, 4}},
    {"jobs_1us_2", "two threads spawn jobs of 1 us", POOL_JOBS, 1000, 2, 0, {1, 2, 4}},
    {"jobs_10us_2", "two threads spawn jobs of 10 us", POOL_JOBS, 10000, 2, 0, {1, 2, 4}},
    {"jobs_blocked", "four threads spawn jobs that sleep 1 ms: more of them than the pool has threads",
     POOL_BLOCKED, 1000000, 4, 0, {1, 2, 4}},
    {"events_1", "a server's way: the idle hook finds one job of 1 us at a time",
     POOL_EVENTS, 1000, 1, KVS_POOL_RUNS_IDLE_HOOK, {1, 2, 4}},
    {"events_64", "a server's way: the idle hook finds 64 jobs of 1 us at a time",
     POOL_EVENTS, 1000, 64, KVS_POOL_RUNS_IDLE_HOOK, {1, 2, 4}},
    {"event_while_stuck", "all other workers are held by a job: until an event is served",
     POOL_STUCK, 0, STUCK_ROUNDS, KVS_POOL_RUNS_IDLE_HOOK, {2}},
    {"lost_thread", "what a job that ends its thread costs more than another",
     POOL_LOSS, 0, LOSS_JOBS, KVS_POOL_SURVIVES_THREAD_EXIT, {2}},
};
/* clang-format on */

struct pool_run {
    const struct pool_config *config;
    const struct pool_cell *cell;
    char *pool; /* owned */
    uint32_t threads;
    struct subject subject; /* while begun */
};

static kvs_status run_begin(void *arg, struct kvs_error *err)
{
    struct pool_run *run = arg;
    return subject_open(&run->subject, run->config->dirs, run->pool, NULL, 0, err);
}

static void run_end(void *arg)
{
    struct pool_run *run = arg;
    subject_close(&run->subject);
}

static void run_free(void *arg)
{
    struct pool_run *run = arg;
    free(run->pool);
    free(run);
}

static void take_latency(struct sample *ret, const struct histogram *latency, double wall_ns)
{
    ret->value = MAX((double)histogram_quantile(latency, 0.5), 1) / 1000;
    ret->ops = latency->count;
    ret->wall_ns = wall_ns;
}

static void take_cost(struct sample *ret, const struct load_cost *cost, uint64_t duration_ns)
{
    ret->value = cost->jobs_per_s;
    ret->wall_ns = (double)duration_ns;
    ret->ops = (uint64_t)(cost->jobs_per_s * ret->wall_ns / (double)NS_PER_S);
    sample_extra_add(ret, "cpu_per_job_ns", cost->cpu_ns);
    sample_extra_add(ret, "wakeups_per_job", cost->wakeups);
    sample_extra_add(ret, "switches_per_job", cost->switches);
}

static kvs_status run_sample(void *arg, struct sample *ret, struct histogram *latency,
                             struct kvs_error *err)
{
    struct pool_run *run = arg;
    const struct pool_cell *cell = run->cell;
    const uint64_t slice_ns = run->config->slice_ns;
    struct load_cost cost;
    double loss_ns;
    uint64_t begin_ns = clock_now_ns();
    (void)err;
    switch (cell->kind) {
    case POOL_LATENCY:
        load_latency(&run->subject, run->threads, cell->ns, cell->number, latency);
        break;
    case POOL_STUCK:
        load_stuck(&run->subject, run->threads, cell->number, latency);
        break;
    case POOL_LOSS:
        loss_ns = load_loss(&run->subject, run->threads, cell->number);
        ret->value = MAX(loss_ns, 1) / 1000; /* one may come out a little below the other */
        ret->wall_ns = (double)(clock_now_ns() - begin_ns);
        return KVS_OK;
    case POOL_JOBS:
    case POOL_BLOCKED:
        cost = load_throughput(&run->subject, run->threads, cell->number, cell->ns,
                               cell->kind == POOL_BLOCKED, slice_ns);
        take_cost(ret, &cost, slice_ns);
        sample_extra_add(ret, "fairness", cost.fairness);
        return KVS_OK;
    case POOL_EVENTS:
        cost = load_events(&run->subject, run->threads, cell->number, cell->ns, slice_ns);
        take_cost(ret, &cost, slice_ns);
        return KVS_OK;
    }
    take_latency(ret, latency, (double)(clock_now_ns() - begin_ns));
    return KVS_OK;
}

static const struct series_ops run_ops = {run_begin, run_sample, run_end, run_free};

static bool is_rate(const struct pool_cell *cell)
{
    return cell->kind == POOL_JOBS || cell->kind == POOL_BLOCKED || cell->kind == POOL_EVENTS;
}

static bool is_wanted(const char *const *patterns, const char *id)
{
    for (size_t i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        if (series_id_matches(id, patterns[i]))
            return true;
    }
    return patterns == NULL;
}

static void add_series(const struct pool_config *config, const char *const *patterns,
                       const struct pool_cell *cell, const char *pool, uint32_t threads,
                       GPtrArray *series)
{
    bool rate = is_rate(cell);
    _cleanup_(freep) char *id = g_strdup_printf("%s/%s/t%u/%s", BLOCK, cell->name, threads, pool);
    if (!is_wanted(patterns, id))
        return;
    struct pool_run *run = g_new0(struct pool_run, 1);
    *run = (struct pool_run){
        .config = config, .cell = cell, .pool = g_strdup(pool), .threads = threads};
    const struct series_config series_config = {
        .block = BLOCK,
        .cell = cell->name,
        .subject = pool,
        .threads = threads,
        .help = cell->help,
        .unit = rate ? "jobs/s" : "us",
        .less_is_better = !rate,
        .sample_s = 0.05 + (rate ? (double)config->slice_ns / (double)NS_PER_S : LATENCY_S),
        .ops = &run_ops,
        .arg = run,
    };
    g_ptr_array_add(series, series_new(&series_config));
}

/* Adds the cells of one pool. */
static kvs_status add_pool(const struct pool_config *config, const char *const *patterns,
                           const char *pool, GPtrArray *series, struct kvs_error *err)
{
    struct subject subject;
    kvs_status status = subject_open(&subject, config->dirs, pool, NULL, 0, err);
    if (status != KVS_OK)
        return status;
    for (size_t i = 0; i < G_N_ELEMENTS(cells); i++) {
        if (!subject_can(&subject, cells[i].needs))
            continue;
        for (size_t t = 0; t < POINTS_MAX && cells[i].threads[t] != 0; t++)
            add_series(config, patterns, &cells[i], pool, cells[i].threads[t], series);
    }
    subject_close(&subject);
    return KVS_OK;
}

/* The series come pool by pool; the tables and charts want them cell by cell. */
static gint compare_cells(gconstpointer a, gconstpointer b)
{
    const struct series *left = *(const struct series *const *)a;
    const struct series *right = *(const struct series *const *)b;
    const struct pool_run *left_run = left->config.arg;
    const struct pool_run *right_run = right->config.arg;
    return (left_run->cell > right_run->cell) - (left_run->cell < right_run->cell);
}

kvs_status pool_suite_add(const struct pool_config *config, const char *const *patterns,
                          GPtrArray *series, struct kvs_error *err)
{
    struct plugin_files files;
    kvs_status status = plugin_files_find(config->dirs, KVS_PLUGIN_POOL, &files);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "cannot list the pool plugins");
    GPtrArray *own = g_ptr_array_new();
    for (size_t i = 0; i < files.count && status == KVS_OK; i++)
        status = add_pool(config, patterns, files.items[i].name, own, err);
    g_ptr_array_sort(own, compare_cells);
    for (guint i = 0; i < own->len; i++)
        g_ptr_array_add(series, g_ptr_array_index(own, i));
    g_ptr_array_free(own, TRUE);
    plugin_files_deinit(&files);
    return status;
}

void pool_suite_list(FILE *out)
{
    (void)fprintf(out, BLOCK "\n");
    for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
        (void)fprintf(out, "  %-24s %s\n", cells[i].name, cells[i].help);
}
