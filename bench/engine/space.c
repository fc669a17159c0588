/*
 * Memory, disk and stalls (cell.h: memory, space).
 *
 * memory: a filler's anonymous memory (heap, stacks, anonymous maps: everything that no file
 * backs), full against empty, by the key; caches included, since who has them pays for them.
 *
 * space: one thread overwrites every key five times in a scattered order while another reads at
 * random; then the disk space is looked at, at once and after background work has settled. Every
 * call is timed: the longest is the stall. Readers are timed before as well, alone, so the two
 * 99th percentiles can be compared.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/cell.h"
#include "engine/filler.h"
#include "engine/steps.h"
#include "harness/folder.h"

#define OVERWRITES   5u
#define SETTLE_MS    20000u
#define ALONE_SLICES 2u

static kvs_status memory_sample(void *arg, struct sample *ret, struct histogram *latency,
                                struct kvs_error *err)
{
    (void)latency;
    struct cell_run *run = arg;
    struct filler filler;
    _cleanup_(folder_freep) char *dir = NULL;
    kvs_status status = folder_new(run->config->base_dir, run->peer->name, &dir, err);
    if (status == KVS_OK)
        status =
            filler_start(run->config->filler_arguments, run->peer, run->data, dir, &filler, err);
    if (status == KVS_OK)
        status = filler_stop(&filler, false, err);
    if (status != KVS_OK)
        return status;
    const struct filler_report *report = &filler.report;
    double keys = (double)run->data->keys;
    ret->value = ((double)report->filled_bytes - (double)report->before_bytes) / keys;
    ret->ops = run->data->keys;
    ret->wall_ns = report->fill_s * (double)NS_PER_S;
    sample_extra_add(ret, "peak_bytes_per_key",
                     ((double)report->peak_bytes - (double)report->before_bytes) / keys);
    sample_extra_add(ret, "resident_bytes", (double)report->resident_bytes);
    sample_extra_add(ret, "disk_bytes_per_key", (double)folder_disk_bytes(dir) / keys);
    return KVS_OK;
}

/* ---- overwriting every key five times ----------------------------------------------------- */

static struct load space_load(struct cell_run *run, struct histogram *latency)
{
    return (struct load){
        .peer = run->peer,
        .store = run->store,
        .data = run->data,
        .roles = {{.step = step_get_hit, .threads = 1, .time_all = true, .record = true}},
        .role_count = 1,
        .duration_ns = ALONE_SLICES * run->config->slice_ns,
        .seed = run->config->seed + run->version,
        .version = ++run->version,
        .latency = latency,
    };
}

static kvs_status read_alone(struct cell_run *run, double *ret_p99_ns, struct kvs_error *err)
{
    _cleanup_(freep) struct histogram *latency = g_new(struct histogram, 1);
    struct load_result result;
    histogram_init(latency);
    const struct load load = space_load(run, latency);
    kvs_status status = load_run(&load, &result, err);
    if (status == KVS_OK)
        *ret_p99_ns = (double)histogram_quantile(latency, 0.99);
    return status;
}

/* The latencies go into latency; the longest calls and the rates into ret. */
static kvs_status overwrite_all(struct cell_run *run, struct histogram *latency,
                                struct load_result *ret, struct kvs_error *err)
{
    struct load load = space_load(run, latency);
    load.roles[1] = (struct load_role){.step = step_overwrite_each,
                                       .threads = 1,
                                       .ops = OVERWRITES * run->data->keys,
                                       .time_all = true};
    load.role_count = 2;
    return load_run(&load, ret, err);
}

struct engine_space {
    uint64_t segment_bytes; /* of engines that have segments and say how large they are */
};

static void take_stat(void *arg, const char *name, uint64_t value)
{
    struct engine_space *space = arg;
    if (g_strcmp0(name, "segment_bytes") == 0)
        space->segment_bytes = value;
}

static void sample_take_space(struct cell_run *run, struct sample *ret)
{
    struct engine_space space = {0};
    double live_bytes = (double)run->data->keys * (double)(DATA_KEY_SIZE + run->data->value_size);
    double at_once_bytes = (double)folder_disk_bytes(run->dir);
    (void)usage_settle(SETTLE_MS);
    double settled_bytes = (double)folder_disk_bytes(run->dir);
    if (run->peer->ops->stats != NULL)
        run->peer->ops->stats(run->store, take_stat, &space);
    ret->value = at_once_bytes / live_bytes;
    sample_extra_add(ret, "settled_x_live", settled_bytes / live_bytes);
    sample_extra_add(ret, "disk_bytes", at_once_bytes);
    if (space.segment_bytes > 0) /* else nobody can tell: the target is then not judged */
        sample_extra_add(ret, "beyond_3_segments_x_live",
                         (at_once_bytes - 3.0 * (double)space.segment_bytes) / live_bytes);
}

static kvs_status space_measure(struct cell_run *run, struct sample *ret, struct histogram *latency,
                                struct kvs_error *err)
{
    double alone_ns = 0;
    struct load_result result;
    kvs_status status = fixture_fill(run->peer, run->store, run->data, err);
    if (status != KVS_OK)
        return status;
    (void)usage_settle(SETTLE_MS);
    status = read_alone(run, &alone_ns, err);
    if (status == KVS_OK)
        status = overwrite_all(run, latency, &result, err);
    if (status != KVS_OK)
        return status;
    double during_ns = (double)histogram_quantile(latency, 0.99);
    ret->ops = result.ops[1];
    ret->wall_ns = result.wall_ns;
    sample_take_space(run, ret);
    sample_extra_add(ret, "get_p99_alone_ns", alone_ns);
    sample_extra_add(ret, "get_p99_during_ns", during_ns);
    sample_extra_add(ret, "get_p99_ratio", during_ns / alone_ns);
    sample_extra_add(ret, "get_stall_ns", result.max_ns[0]);
    sample_extra_add(ret, "set_stall_ns", result.max_ns[1]);
    sample_extra_add(ret, "overwrites_per_s", result.rate[1]);
    return KVS_OK;
}

static kvs_status space_sample(void *arg, struct sample *ret, struct histogram *latency,
                               struct kvs_error *err)
{
    struct cell_run *run = arg;
    kvs_status status = cell_store_open(run, err);
    if (status == KVS_OK)
        status = space_measure(run, ret, latency, err);
    cell_store_close(run);
    return status;
}

const struct series_ops cells_memory_ops = {
    .sample = memory_sample,
    .free = cell_run_free,
};

const struct series_ops cells_space_ops = {
    .sample = space_sample,
    .free = cell_run_free,
};
