/* The cells on the store that all cells of a peer share (cell.h: filled, shadow). */
#include "engine/cell.h"
#include "engine/steps.h"

#define SHADOW_SLICES 4u

static kvs_status filled_begin(void *arg, struct kvs_error *err)
{
    struct cell_run *run = arg;
    return fixture_open(run->fixture, err);
}

static struct load load_of(struct cell_run *run, struct histogram *latency)
{
    struct fixture *fixture = run->fixture;
    uint64_t version = ++fixture->version;
    return (struct load){
        .peer = run->peer,
        .store = fixture->store,
        .data = run->data,
        .roles = {{.step = run->cell->step,
                   .threads = run->threads,
                   .write_percent = run->cell->write_percent,
                   .record = true}},
        .role_count = 1,
        .duration_ns = run->config->slice_ns,
        .seed = run->config->seed + version,
        .version = version,
        .draws = run->draws,
        .draw_count = run->draw_count,
        .latency = latency,
    };
}

static kvs_status filled_sample(void *arg, struct sample *ret, struct histogram *latency,
                                struct kvs_error *err)
{
    struct cell_run *run = arg;
    struct load_result result;
    const struct load load = load_of(run, latency);
    kvs_status status = load_run(&load, &result, err);
    if (status == KVS_OK)
        cell_sample_rate(ret, &result);
    return status;
}

/* First alone, then beside a writer: a pair in each sample. Longer than others, since what the engine does in
   the background for each so many writes is to be in it. */
static kvs_status shadow_sample(void *arg, struct sample *ret, struct histogram *latency,
                                struct kvs_error *err)
{
    struct cell_run *run = arg;
    struct load_result alone;
    struct load_result beside;
    struct load load = load_of(run, NULL);
    load.duration_ns *= SHADOW_SLICES;
    kvs_status status = load_run(&load, &alone, err);
    if (status != KVS_OK)
        return status;
    load = load_of(run, latency);
    load.duration_ns *= SHADOW_SLICES;
    load.roles[1] = (struct load_role){.step = step_overwrite, .threads = 1};
    load.role_count = 2;
    status = load_run(&load, &beside, err);
    if (status != KVS_OK)
        return status;
    cell_sample_rate(ret, &beside);
    sample_extra_add(ret, "alone_per_s", alone.rate[0]);
    sample_extra_add(ret, "share_of_alone", beside.rate[0] / alone.rate[0]);
    sample_extra_add(ret, "writes_per_s", beside.rate[1]);
    return KVS_OK;
}

const struct series_ops cells_filled_ops = {
    .begin = filled_begin,
    .sample = filled_sample,
    .free = cell_run_free,
};

const struct series_ops cells_shadow_ops = {
    .begin = filled_begin,
    .sample = shadow_sample,
    .free = cell_run_free,
};
