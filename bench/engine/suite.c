/* See suite.h. */
#include "engine/suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/cell.h"
#include "harness/folder.h"
#include "harness/zipf.h"

#define FILLS_PER_S   300e3 /* keys written per second: for the estimate only */
#define DRAW_COUNT    (UINT64_C(1) << 20)
#define ZIPF_EXPONENT 0.99

struct engine_suite {
    struct engine_config config;
    const GPtrArray *peers;
    struct data data;        /* of most cells */
    struct data reopen_data; /* of the reopen and memory cells */
    struct data sync_data;   /* of the durable cells */
    GPtrArray *fixtures;     /* of struct fixture *, one per peer; owned */
    uint32_t *draws;         /* of mixed loads; owned */
};

static void fixture_destroy(gpointer data)
{
    fixture_free(data);
}

struct engine_suite *engine_suite_new(const struct engine_config *config, const GPtrArray *peers)
{
    struct engine_suite *suite = g_new0(struct engine_suite, 1);
    suite->config = *config;
    suite->peers = peers;
    suite->data = (struct data){config->seed, config->keys, config->value_size};
    suite->reopen_data = (struct data){config->seed, config->reopen_keys, config->value_size};
    suite->sync_data = (struct data){config->seed, config->sync_keys, config->value_size};
    suite->draws = zipf_draws(config->keys, ZIPF_EXPONENT, config->seed, DRAW_COUNT);
    suite->fixtures = g_ptr_array_new_with_free_func(fixture_destroy);
    for (guint i = 0; i < peers->len; i++)
        g_ptr_array_add(suite->fixtures,
                        fixture_new(g_ptr_array_index(peers, i), &suite->data, config->base_dir));
    return suite;
}

void engine_suite_free(struct engine_suite *suite)
{
    if (suite == NULL)
        return;
    g_ptr_array_free(suite->fixtures, TRUE);
    free(suite->draws);
    free(suite);
}

static bool suits(const struct cell *cell, const struct peer *peer)
{
    return (peer->flags & cell->needs) == cell->needs &&
           (!cell->needs_window || peer->ops->window != NULL) &&
           (!cell->long_keys || peer->key_max >= UINT16_MAX);
}

static bool is_wanted(const struct cell *cell, const struct peer *peer, uint32_t threads,
                      const char *const *patterns)
{
    _cleanup_(freep) char *id =
        g_strdup_printf("%s/%s/t%u/%s", cell->block, cell->name, threads, peer->name);
    if (patterns == NULL || patterns[0] == NULL)
        return true;
    for (size_t i = 0; patterns[i] != NULL; i++) {
        if (series_id_matches(id, patterns[i]))
            return true;
    }
    return false;
}

static const struct data *data_of(const struct engine_suite *suite, const struct cell *cell)
{
    if (cell->sync)
        return &suite->sync_data;
    if (cell->ops == &cells_reopen_ops || cell->ops == &cells_memory_ops)
        return &suite->reopen_data;
    return &suite->data;
}

static struct series *series_of(struct engine_suite *suite, const struct cell *cell, guint peer,
                                uint32_t threads)
{
    struct cell_run *run = g_new0(struct cell_run, 1);
    const struct data *data = data_of(suite, cell);
    double fill_s = (double)data->keys / FILLS_PER_S;
    double slice_s = (double)suite->config.slice_ns / (double)NS_PER_S;
    *run = (struct cell_run){
        .cell = cell,
        .peer = g_ptr_array_index(suite->peers, peer),
        .threads = threads,
        .config = &suite->config,
        .data = data,
        .draws = suite->draws,
        .draw_count = DRAW_COUNT,
    };
    if (cell->shares_fixture) {
        run->fixture = g_ptr_array_index(suite->fixtures, peer);
        fixture_use(run->fixture);
    }
    const struct series_config config = {
        .block = cell->block,
        .cell = cell->name,
        .subject = run->peer->name,
        .threads = threads,
        .help = cell->help,
        .unit = cell->unit,
        .less_is_better = cell->less_is_better,
        .floor = (run->peer->flags & PEER_FLOOR) != 0,
        .begin_s = cell->begin_fills * fill_s,
        .sample_s = cell->slices * slice_s + cell->fills * fill_s,
        .samples_max = cell->samples_max,
        .warm_ups = cell->warm_ups,
        .ops = cell->ops,
        .arg = run,
    };
    return series_new(&config);
}

void engine_suite_add(struct engine_suite *suite, const char *const *patterns, GPtrArray *series)
{
    for (size_t i = 0; i < engine_cell_count; i++) {
        const struct cell *cell = &engine_cells[i];
        for (size_t k = 0; k < CELL_THREADS_MAX && cell->threads[k] != 0; k++) {
            for (guint peer = 0; peer < suite->peers->len; peer++) {
                const struct peer *subject = g_ptr_array_index(suite->peers, peer);
                if (suits(cell, subject) && is_wanted(cell, subject, cell->threads[k], patterns))
                    g_ptr_array_add(series, series_of(suite, cell, peer, cell->threads[k]));
            }
        }
    }
}

void engine_suite_list(FILE *out)
{
    const char *block = "";
    for (size_t i = 0; i < engine_cell_count; i++) {
        const struct cell *cell = &engine_cells[i];
        if (strcmp(cell->block, block) != 0)
            (void)fprintf(out, "%s\n", cell->block);
        block = cell->block;
        _cleanup_(freep) char *threads = g_strdup_printf("t%u", cell->threads[0]);
        for (size_t k = 1; k < CELL_THREADS_MAX && cell->threads[k] != 0; k++) {
            _cleanup_(freep) char *before = threads;
            threads = g_strdup_printf("%s t%u", before, cell->threads[k]);
        }
        (void)fprintf(out, "  %-20s %-10s %s\n", cell->name, threads, cell->help);
    }
}

/* ---- what the kinds of cells share ------------------------------------------------------- */

void cell_run_free(void *arg)
{
    struct cell_run *run = arg;
    cell_store_close(run);
    if (run->fixture != NULL)
        fixture_finish(run->fixture);
    free(run);
}

kvs_status cell_store_open(struct cell_run *run, struct kvs_error *err)
{
    kvs_status status = folder_new(run->config->base_dir, run->peer->name, &run->dir, err);
    if (status == KVS_OK)
        status = fixture_store_open(run->peer, run->data, run->dir, run->cell->sync, run->threads,
                                    &run->store, err);
    if (status != KVS_OK)
        cell_store_close(run);
    return status;
}

void cell_store_close(struct cell_run *run)
{
    if (run->store != NULL)
        (void)run->peer->ops->close(run->store, NULL);
    run->store = NULL;
    folder_free(TAKE(run->dir));
}

void cell_sample_rate(struct sample *sample, const struct load_result *result)
{
    sample->value = result->rate[0];
    sample->ops = result->ops[0];
    sample->wall_ns = result->wall_ns;
}
