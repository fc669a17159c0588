/* The cells on a store of their own (cell.h: fill, durable). */
#include "engine/cell.h"
#include "engine/steps.h"

/* All keys into a new store; making and closing it is not timed. */
static kvs_status fill_sample(void *arg, struct sample *ret, struct histogram *latency,
                              struct kvs_error *err)
{
    struct cell_run *run = arg;
    struct load_result result;
    kvs_status status = cell_store_open(run, err);
    if (status != KVS_OK)
        return status;
    const struct load load = {
        .peer = run->peer,
        .store = run->store,
        .data = run->data,
        .roles = {{.step = run->cell->step, .threads = 1, .ops = run->data->keys, .record = true}},
        .role_count = 1,
        .latency = latency,
    };
    status = load_run(&load, &result, err);
    cell_store_close(run);
    if (status == KVS_OK)
        cell_sample_rate(ret, &result);
    return status;
}

static kvs_status durable_begin(void *arg, struct kvs_error *err)
{
    return cell_store_open(arg, err);
}

/* Two slices of synced writes: a sync takes long, and there must be enough of them. */
static kvs_status durable_sample(void *arg, struct sample *ret, struct histogram *latency,
                                 struct kvs_error *err)
{
    struct cell_run *run = arg;
    struct load_result result;
    const struct load load = {
        .peer = run->peer,
        .store = run->store,
        .data = run->data,
        .roles =
            {{.step = run->cell->step, .threads = run->threads, .time_all = true, .record = true}},
        .role_count = 1,
        .duration_ns = 2 * run->config->slice_ns,
        .seed = run->config->seed + run->version,
        .version = run->version,
        .latency = latency,
    };
    run->version++;
    kvs_status status = load_run(&load, &result, err);
    if (status == KVS_OK)
        cell_sample_rate(ret, &result);
    return status;
}

static void durable_end(void *arg)
{
    cell_store_close(arg);
}

const struct series_ops cells_fill_ops = {
    .sample = fill_sample,
    .free = cell_run_free,
};

const struct series_ops cells_durable_ops = {
    .begin = durable_begin,
    .sample = durable_sample,
    .end = durable_end,
    .free = cell_run_free,
};
