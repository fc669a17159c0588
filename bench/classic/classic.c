/*
 * See classic.h. All series of one benchmark are a block: their servers run side by side, idle but
 * for the one that is measured, and are measured in turn, so that each can be compared with the
 * floor of the same round. The crowd is made for the first series that begins and goes with the
 * last.
 */
#include "classic/classic.h"

#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>
#include <kvs/plugin.h>

#include "base/cleanup.h"
#include "classic/bare.h"
#include "classic/crowd.h"
#include "classic/served.h"
#include "classic/subjects.h"
#include "harness/folder.h"
#include "harness/machine.h"
#include "harness/netstat.h"
#include "harness/series.h"
#include "harness/target.h"

#define ITERATION_S 0.075 /* for the estimate */
#define BEGIN_S     0.05

struct classic_suite {
    struct classic_config config;
    struct crowd *crowd; /* NULL: not made yet */
    uint32_t users;      /* series that have yet to finish */
    char *null_dir;      /* where kvs-engine-null.so is; owned */
    GPtrArray *texts;    /* of the targets; owned */
    GPtrArray *targets;  /* of struct target *: the results point to them; owned */
};

/* One series: a benchmark, a subject, a number of threads. */
struct classic_run {
    struct classic_suite *suite;
    const struct classic_benchmark *benchmark;
    const struct classic_subject *subject;
    uint32_t threads;

    /* While it has begun. */
    struct served *served;
    struct bare *bare;
    char *dir;
    uint64_t version; /* of the values that the store holds */
};

static struct crowd_task task_of(struct classic_run *run, enum wire_command command)
{
    return (struct crowd_task){
        .port = run->bare != NULL ? bare_port(run->bare) : served_port(run->served),
        .command = command,
        .version = command == WIRE_SET ? ++run->version : run->version,
        .constant = run->subject->constant,
    };
}

static void run_end(void *arg)
{
    struct classic_run *run = arg;
    (void)served_stop(TAKE(run->served), NULL);
    bare_stop(TAKE(run->bare));
    folder_free(TAKE(run->dir));
}

static kvs_status start_server(struct classic_run *run, struct kvs_error *err)
{
    const struct classic_suite *suite = run->suite;
    const struct plugin_dirs *dirs = suite->config.dirs;
    const bool floor = run->subject->durability == 0;
    const bool log = !floor && strcmp(run->benchmark->engine, "log") == 0;
    const char *segment_option = "segment-size=" CLASSIC_SEGMENT_SIZE;
    _cleanup_(freep) const char **paths = g_new(const char *, dirs->count + 1);
    memcpy(paths, dirs->paths, dirs->count * sizeof(paths[0]));
    paths[dirs->count] = suite->null_dir;
    kvs_status status = folder_new(suite->config.base_dir, "classic", &run->dir, err);
    if (status != KVS_OK)
        return status;
    const struct kvs_server_config config = {
        .engine = floor ? "null" : run->benchmark->engine,
        .pool = run->benchmark->pool,
        .threads = run->threads,
        .durability = floor ? KVS_DURABILITY_NONE : run->subject->durability,
        .data_dir = run->dir,
        .plugin_dirs = paths,
        .plugin_dir_count = dirs->count + 1,
        .engine_options = &segment_option,
        .engine_option_count = log,
    };
    return served_start(&config, &run->served, err);
}

static kvs_status run_begin(void *arg, struct kvs_error *err)
{
    struct classic_run *run = arg;
    struct classic_suite *suite = run->suite;
    struct crowd_result result;
    kvs_status status = KVS_OK;
    if (suite->crowd == NULL)
        status = crowd_new(&suite->crowd, err);
    if (status == KVS_OK)
        status = run->subject->bare ? bare_start(CROWD_VALUE_SIZE, &run->bare, err)
                                    : start_server(run, err);
    if (status == KVS_OK) { /* all keys are there before anything is timed */
        const struct crowd_task task = task_of(run, WIRE_SET);
        status = crowd_run(suite->crowd, &task, NULL, &result, err);
    }
    if (status != KVS_OK)
        run_end(run);
    return status;
}

static kvs_status run_sample(void *arg, struct sample *ret, struct histogram *latency,
                             struct kvs_error *err)
{
    struct classic_run *run = arg;
    const uint32_t iterations = run->suite->config.iterations;
    struct netstat before = netstat_now();
    uint64_t wall_ns = 0;
    uint64_t longest_ns = 0;
    uint64_t retransmits = 0;
    for (uint32_t i = 0; i < iterations; i++) {
        struct crowd_result result;
        const struct crowd_task task = task_of(run, run->benchmark->command);
        kvs_status status = crowd_run(run->suite->crowd, &task, latency, &result, err);
        if (status != KVS_OK)
            return status;
        wall_ns += result.wall_ns;
        longest_ns = MAX(longest_ns, result.wall_ns);
        retransmits += result.retransmits;
    }
    struct netstat after = netstat_now();
    struct netstat between = netstat_between(&before, &after);
    ret->ops = (uint64_t)iterations * CROWD_CLIENTS;
    ret->wall_ns = (double)wall_ns;
    ret->value = (double)ret->ops * 1e9 / ret->wall_ns;
    sample_extra_add(ret, "iteration_ns", (double)wall_ns / iterations);
    sample_extra_add(ret, "longest_iteration_ns", (double)longest_ns);
    sample_extra_add(ret, "own_retransmits", (double)retransmits);
    sample_extra_add(ret, "machine_syn_retransmits", (double)between.syn_retransmits);
    sample_extra_add(ret, "machine_listen_overflows", (double)between.listen_overflows);
    return KVS_OK;
}

static void run_free(void *arg)
{
    struct classic_run *run = arg;
    struct classic_suite *suite = run->suite;
    run_end(run);
    free(run);
    if (--suite->users == 0)
        crowd_free(TAKE(suite->crowd));
}

static const struct series_ops run_ops = {run_begin, run_sample, run_end, run_free};

/* ---- the suite ------------------------------------------------------------------------------ */

struct classic_suite *classic_suite_new(const struct classic_config *config)
{
    struct classic_suite *suite = g_new0(struct classic_suite, 1);
    _cleanup_(freep) char *program = g_file_read_link("/proc/self/exe", NULL);
    _cleanup_(freep) char *folder = g_path_get_dirname(program != NULL ? program : ".");
    suite->config = *config;
    suite->null_dir = g_build_filename(folder, "null-engine", NULL);
    suite->texts = g_ptr_array_new_with_free_func(g_free);
    suite->targets = g_ptr_array_new_with_free_func(g_free);
    return suite;
}

void classic_suite_free(struct classic_suite *suite)
{
    if (suite == NULL)
        return;
    crowd_free(suite->crowd);
    g_ptr_array_free(suite->texts, TRUE);
    g_ptr_array_free(suite->targets, TRUE);
    free(suite->null_dir);
    free(suite);
}

static void add_series(struct classic_suite *suite, const char *const *patterns,
                       const struct classic_benchmark *benchmark,
                       const struct classic_subject *subject, uint32_t threads, GPtrArray *series)
{
    _cleanup_(freep) char *block = g_strdup_printf("%s:%s", CLASSIC_BLOCK, benchmark->name);
    _cleanup_(freep) char *id =
        g_strdup_printf("%s/%s/t%u/%s", CLASSIC_BLOCK, benchmark->name, threads, subject->name);
    bool wanted = patterns == NULL;
    for (size_t i = 0; !wanted && patterns[i] != NULL; i++)
        wanted = series_id_matches(id, patterns[i]);
    if (!wanted)
        return;
    struct classic_run *run = g_new0(struct classic_run, 1);
    *run = (struct classic_run){
        .suite = suite, .benchmark = benchmark, .subject = subject, .threads = threads};
    suite->users++;
    const struct series_config config = {
        .block = block,
        .cell = benchmark->name,
        .subject = subject->name,
        .threads = threads,
        .help = benchmark->help,
        .unit = "requests/s",
        .floor = subject->constant,
        .begin_s = BEGIN_S + ITERATION_S,
        .sample_s = ITERATION_S * suite->config.iterations,
        .warm_ups = 1,
        .ops = &run_ops,
        .arg = run,
    };
    g_ptr_array_add(series, series_new(&config));
}

void classic_suite_add(struct classic_suite *suite, const char *const *patterns, GPtrArray *series)
{
    uint32_t threads[CLASSIC_THREADS_MAX];
    size_t thread_count = classic_threads(machine_cpus(), threads);
    for (size_t b = 0; b < classic_benchmark_count; b++) {
        const struct classic_benchmark *benchmark = &classic_benchmarks[b];
        if (!classic_plugins_exist(benchmark, suite->config.dirs))
            continue;
        for (size_t s = 0; s < classic_subject_count; s++) {
            for (size_t t = 0; t < thread_count; t++) {
                if (classic_subjects[s].bare && threads[t] != 1)
                    continue;
                add_series(suite, patterns, benchmark, &classic_subjects[s], threads[t], series);
            }
        }
    }
}

void classic_suite_list(FILE *out)
{
    (void)fprintf(out, CLASSIC_BLOCK "\n");
    for (size_t b = 0; b < classic_benchmark_count; b++)
        (void)fprintf(out, "  %-24s %s\n", classic_benchmarks[b].name, classic_benchmarks[b].help);
}

/* ---- targets -------------------------------------------------------------------------------- */

/* The series of a benchmark and subject with the best median; NULL: none was measured. */
static const struct series *best_of(const GPtrArray *all, const char *cell, const char *subject)
{
    const struct series *best = NULL;
    double best_median = 0;
    for (guint i = 0; i < all->len; i++) {
        const struct series *series = g_ptr_array_index(all, i);
        if (strcmp(series->config.cell, cell) != 0 ||
            strcmp(series->config.subject, subject) != 0 || series->samples->len == 0)
            continue;
        _cleanup_(freep) double *values = series_values(series, NULL);
        double median = statistics_median(values, series->samples->len);
        if (best == NULL || median > best_median) {
            best = series;
            best_median = median;
        }
    }
    return best;
}

static struct target *target_add(struct classic_suite *suite, char *text)
{
    struct target *target = g_new0(struct target, 1);
    target->text = text;
    target->at_most = true;
    g_ptr_array_add(suite->texts, text);
    g_ptr_array_add(suite->targets, target);
    return target;
}

static void judge_floor(struct classic_suite *suite, const struct classic_benchmark *benchmark,
                        const struct classic_subject *subject, const GPtrArray *series,
                        uint64_t seed, GArray *ret)
{
    const struct series *own = best_of(series, benchmark->name, subject->name);
    const struct series *floor = best_of(series, benchmark->name, CLASSIC_FLOOR);
    if (own == NULL || floor == NULL || strcmp(benchmark->engine, "log") != 0)
        return;
    struct target *target = target_add(
        suite, g_strdup_printf("%s, sync %s (t%u): time over the floor's (t%u)", benchmark->name,
                               subject->name, own->config.threads, floor->config.threads));
    target->numerator = floor->id; /* its rate over ours is our time over its */
    target->denominator = own->id;
    target->limit = subject->limit;
    target->unit = "x";
    struct target_result result = target_judge(target, series, seed);
    g_array_append_val(ret, result);
}

/* No connection of the benchmark may have sent its SYN twice. */
static void judge_retransmits(struct classic_suite *suite,
                              const struct classic_benchmark *benchmark, const GPtrArray *all,
                              GArray *ret)
{
    double sum = 0;
    size_t samples = 0;
    for (guint i = 0; i < all->len; i++) {
        const struct series *series = g_ptr_array_index(all, i);
        if (strcmp(series->config.cell, benchmark->name) != 0)
            continue;
        _cleanup_(freep) double *values = series_values(series, "own_retransmits");
        for (guint k = 0; k < series->samples->len; k++, samples++)
            sum += values[k];
    }
    if (samples == 0)
        return;
    struct target *target =
        target_add(suite, g_strdup_printf("%s: retransmitted segments", benchmark->name));
    target->unit = "";
    const struct target_result result = {
        .target = target,
        .state = sum == 0 ? TARGET_REACHED : TARGET_MISSED,
        .measured = {.value = sum, .interval = {sum, sum}, .count = samples},
    };
    g_array_append_val(ret, result);
}

void classic_suite_judge(struct classic_suite *suite, const GPtrArray *series, uint64_t seed,
                         GArray *ret)
{
    for (size_t b = 0; b < classic_benchmark_count; b++) {
        for (size_t s = 0; s < classic_subject_count; s++) {
            if (classic_subjects[s].limit > 0)
                judge_floor(suite, &classic_benchmarks[b], &classic_subjects[s], series, seed, ret);
        }
        judge_retransmits(suite, &classic_benchmarks[b], series, ret);
    }
}
