/* See run.h. */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "classic/classic.h"
#include "engine/filler.h"
#include "engine/suite.h"
#include "engine/targets.h"
#include "harness/folder.h"
#include "harness/results.h"
#include "harness/runner.h"
#include "peers/peers.h"
#include "pool/suite.h"
#include "report/report.h"
#include "server/suite.h"

#define SYNC_KEYS          10000u
#define CLASSIC_ITERATIONS 3u      /* in a sample */
#define SERVER_KEYS        100000u /* unless --full */
#define SETTLE_MS          3000u
#define REFERENCE_DEFAULT  "kvs-log"

/* All that a run holds; parts that were not made are NULL. */
struct bench {
    const struct options *options;
    struct plugin_dirs dirs;
    GPtrArray *peers;
    char *base_dir; /* a folder of this run's own, with all stores in it */
    GPtrArray *filler_arguments;
    struct engine_suite *suite;
    struct classic_suite *classic;
    struct server_suite *server;
    struct pool_config pool;
    struct baseline *baseline;
    struct results results;
};

static void bench_deinit(struct bench *bench)
{
    results_deinit(&bench->results); /* its series use the suite */
    engine_suite_free(bench->suite);
    classic_suite_free(bench->classic);
    server_suite_free(bench->server);
    if (bench->peers != NULL)
        g_ptr_array_free(bench->peers, TRUE);
    if (bench->filler_arguments != NULL)
        g_ptr_array_free(bench->filler_arguments, TRUE);
    baseline_free(bench->baseline);
    folder_free(bench->base_dir);
    plugin_dirs_deinit(&bench->dirs);
}

static guint text_count(char **texts)
{
    return texts != NULL ? g_strv_length(texts) : 0;
}

static kvs_status find_peers(struct bench *bench, struct kvs_error *err)
{
    const struct options *options = bench->options;
    kvs_status status = plugin_dirs_init(&bench->dirs, (const char *const *)options->plugin_dirs,
                                         text_count(options->plugin_dirs));
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "cannot tell where the plugins are");
    const struct peers_config config = {
        .dirs = &bench->dirs,
        .engine_options = (const char *const *)options->engine_options,
        .engine_option_count = text_count(options->engine_options),
        .names = options->peers,
    };
    return peers_find(&config, &bench->peers, err);
}

static const struct peer *bench_peer(const struct bench *bench, const char *name)
{
    for (guint i = 0; i < bench->peers->len; i++) {
        const struct peer *peer = g_ptr_array_index(bench->peers, i);
        if (strcmp(peer->name, name) == 0)
            return peer;
    }
    return NULL;
}

static void list(const struct bench *bench)
{
    (void)printf("Cells (kvs-bench measures each for every subject that can do it):\n");
    engine_suite_list(stdout);
    classic_suite_list(stdout);
    server_suite_list(stdout);
    pool_suite_list(stdout);
    (void)printf("\nSubjects:\n");
    for (guint i = 0; i < bench->peers->len; i++) {
        const struct peer *peer = g_ptr_array_index(bench->peers, i);
        (void)printf("  %-10s %-8s %s\n", peer->name, peer->version, peer->settings);
    }
}

/* How to start this program again so that it finds the same peers. */
static void make_filler_arguments(struct bench *bench)
{
    GPtrArray *arguments = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(arguments, g_file_read_link("/proc/self/exe", NULL));
    for (guint i = 0; i < text_count(bench->options->plugin_dirs); i++)
        g_ptr_array_add(arguments,
                        g_strdup_printf("--plugin-dir=%s", bench->options->plugin_dirs[i]));
    for (guint i = 0; i < text_count(bench->options->engine_options); i++)
        g_ptr_array_add(arguments,
                        g_strdup_printf("--engine-opt=%s", bench->options->engine_options[i]));
    g_ptr_array_add(arguments, NULL);
    bench->filler_arguments = arguments;
}

/* The benchmarks of whole servers, in this process and as processes of their own, and of pools. */
static kvs_status make_servers(struct bench *bench, struct kvs_error *err)
{
    const struct options *options = bench->options;
    const char *const *patterns = (const char *const *)options->patterns;
    const struct classic_config classic = {
        .base_dir = bench->base_dir,
        .dirs = &bench->dirs,
        .iterations = CLASSIC_ITERATIONS,
    };
    const struct server_config server = {
        .base_dir = bench->base_dir,
        .seed = options->seed,
        .keys = options->full ? options->keys : MIN(options->keys, SERVER_KEYS),
        .value_size = (uint32_t)options->value_size,
        .slice_ns = options->slice_ms * NS_PER_MS,
        .full = options->full,
    };
    bench->classic = classic_suite_new(&classic);
    classic_suite_add(bench->classic, patterns, bench->results.series);
    bench->server = server_suite_new(&server);
    server_suite_add(bench->server, patterns, bench->results.series);
    bench->pool = (struct pool_config){&bench->dirs, options->slice_ms * NS_PER_MS};
    return pool_suite_add(&bench->pool, patterns, bench->results.series, err);
}

static kvs_status make_suite(struct bench *bench, struct kvs_error *err)
{
    const struct options *options = bench->options;
    kvs_status status = folder_new(options->dir, "kvs-bench", &bench->base_dir, err);
    if (status != KVS_OK)
        return status;
    make_filler_arguments(bench);
    const struct engine_config config = {
        .seed = options->seed,
        .keys = options->keys,
        .reopen_keys = options->reopen_keys,
        .sync_keys = SYNC_KEYS,
        .value_size = (uint32_t)options->value_size,
        .slice_ns = options->slice_ms * NS_PER_MS,
        .base_dir = bench->base_dir,
        .filler_arguments = (const char *const *)bench->filler_arguments->pdata,
    };
    bench->suite = engine_suite_new(&config, bench->peers);
    engine_suite_add(bench->suite, (const char *const *)options->patterns, bench->results.series);
    if (options->peers == NULL)
        status = make_servers(bench, err);
    if (status != KVS_OK)
        return status;
    if (bench->results.series->len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "nothing matches; see kvs-bench --list");
    return KVS_OK;
}

static void note_number(struct results *results, const char *name, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    results_note_add(results, name, text);
}

static void note_settings(struct bench *bench)
{
    struct results *results = &bench->results;
    results->seed = bench->options->seed;
    note_number(results, "keys", bench->options->keys);
    note_number(results, "reopen_keys", bench->options->reopen_keys);
    note_number(results, "value_size", bench->options->value_size);
    for (guint i = 0; i < bench->peers->len; i++) {
        const struct peer *peer = g_ptr_array_index(bench->peers, i);
        _cleanup_(freep) char *text = g_strdup_printf("%s; %s", peer->version, peer->settings);
        results_note_add(results, peer->name, text);
    }
    const char *wanted = bench->options->reference;
    const struct peer *reference = bench_peer(bench, wanted != NULL ? wanted : REFERENCE_DEFAULT);
    if (reference == NULL && wanted == NULL && bench->peers->len > 1)
        reference = g_ptr_array_index(bench->peers, 0);
    results->reference = reference != NULL ? reference->name : NULL;
}

static kvs_status measure(struct bench *bench, struct kvs_error *err)
{
    const struct options *options = bench->options;
    const struct runner_config config = {
        .seed = options->seed,
        .precision = options->precision,
        .samples_min = (uint32_t)options->samples_min,
        .samples_max = RUNNER_SAMPLES_MAX,
        .series_s = options->series_s,
        .settle_ms = SETTLE_MS,
        .threshold = options->threshold,
        .baseline = bench->baseline,
        .progress = options->quiet ? NULL : stderr,
    };
    if (!options->quiet)
        (void)fprintf(stderr, "%u series, seed %llu, stores in %s\n", bench->results.series->len,
                      (unsigned long long)options->seed, bench->base_dir);
    kvs_status status = runner_run(bench->results.series, &config, err);
    engine_targets_judge(bench->results.series, options->reopen_keys, options->seed,
                         bench->results.targets);
    if (bench->classic != NULL)
        classic_suite_judge(bench->classic, bench->results.series, options->seed,
                            bench->results.targets);
    if (bench->server != NULL)
        server_suite_judge(bench->server, bench->results.series, options->seed,
                           bench->results.targets);
    return status;
}

static kvs_status make_folder(const char *path, struct kvs_error *err)
{
    if (g_mkdir_with_parents(path, 0777) == 0)
        return KVS_OK;
    int code = errno;
    return kvs_error_set(err, KVS_IO, code, "cannot make the folder %s: %s", path,
                         g_strerror(code));
}

static kvs_status write_results(struct bench *bench, struct kvs_error *err)
{
    const struct options *options = bench->options;
    _cleanup_(freep) char *json = g_build_filename(options->out, "results.json", NULL);
    _cleanup_(freep) char *csv = g_build_filename(options->out, "results.csv", NULL);
    _cleanup_(freep) char *page = g_build_filename(options->out, "results.md", NULL);
    _cleanup_(freep) char *html = g_build_filename(options->out, "report.html", NULL);
    kvs_status status = make_folder(options->out, err);
    if (status == KVS_OK)
        status = results_write_json(&bench->results, json, err);
    if (status == KVS_OK)
        status = results_write_csv(&bench->results, csv, err);
    if (status == KVS_OK)
        status = results_write_markdown(&bench->results, page, err);
    if (status == KVS_OK)
        status = report_write(&bench->results, html, err);
    if (status == KVS_OK && options->save != NULL) {
        _cleanup_(freep) char *name = g_strdup_printf("%s.json", options->save);
        _cleanup_(freep) char *path = g_build_filename(options->baselines, name, NULL);
        status = make_folder(options->baselines, err);
        if (status == KVS_OK)
            status = results_write_json(&bench->results, path, err);
    }
    results_print(&bench->results, stdout);
    (void)printf("report: %s (figures: results.json, .csv, .md beside it)\n", html);
    return status;
}

static kvs_status any_failure(const struct bench *bench, struct kvs_error *err)
{
    guint failed = 0;
    for (guint i = 0; i < bench->results.series->len; i++) {
        const struct series *series = g_ptr_array_index(bench->results.series, i);
        failed += series->failure != NULL;
    }
    return failed == 0 ? KVS_OK : kvs_error_set(err, KVS_IO, 0, "%u series failed", failed);
}

static kvs_status fill(const struct bench *bench)
{
    const struct options *options = bench->options;
    const struct data data = {options->seed, options->keys, (uint32_t)options->value_size};
    const struct peer *peer = g_ptr_array_index(bench->peers, 0);
    return filler_main(peer, &data, options->fill) == EXIT_SUCCESS ? KVS_OK : KVS_IO;
}

kvs_status run(const struct options *options, int argc, char **argv, struct kvs_error *err)
{
    _cleanup_(bench_deinit) struct bench bench = {.options = options};
    kvs_status status = find_peers(&bench, err);
    if (status != KVS_OK)
        return status;
    if (options->list) {
        list(&bench);
        return KVS_OK;
    }
    if (options->fill != NULL)
        return fill(&bench);
    if (options->compare != NULL)
        status = baseline_load(options->baselines, options->compare, &bench.baseline, err);
    if (status != KVS_OK)
        return status;
    results_init(&bench.results, options->dir, argc, argv);
    status = make_suite(&bench, err);
    if (status != KVS_OK)
        return status;
    note_settings(&bench);
    status = measure(&bench, err);
    if (status == KVS_OK)
        status = write_results(&bench, err);
    return status == KVS_OK ? any_failure(&bench, err) : status;
}
