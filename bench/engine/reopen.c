/*
 * Opening a store that holds everything (cell.h: reopen), timed until the first get has answered;
 * with the files in the page cache, as after a restart of the program.
 *
 * A filler makes the store, and is let go (clean) or killed with SIGKILL. A clean store is opened
 * and closed again and again. Of a killed one each sample opens a fresh copy, since opening mends
 * it. After the time was taken, keys all over the store are read: nothing acknowledged may be lost.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/cell.h"
#include "engine/filler.h"
#include "engine/steps.h"
#include "harness/folder.h"

#define CHECKED_KEYS 20000u

static kvs_status reopen_begin(void *arg, struct kvs_error *err)
{
    struct cell_run *run = arg;
    struct filler filler;
    kvs_status status = folder_new(run->config->base_dir, run->peer->name, &run->dir, err);
    if (status == KVS_OK)
        status = filler_start(run->config->filler_arguments, run->peer, run->data, run->dir,
                              &filler, err);
    if (status == KVS_OK)
        status = filler_stop(&filler, run->cell->killed, err);
    return status;
}

static kvs_status get_first(struct cell_run *run, struct kvs_error *err)
{
    const struct load load = {
        .peer = run->peer,
        .store = run->store,
        .data = run->data,
        .roles = {{.step = step_get_hit, .threads = 1, .ops = 1}},
        .role_count = 1,
        .seed = run->config->seed,
    };
    struct load_result result;
    return load_run(&load, &result, err);
}

static kvs_status check_keys(struct cell_run *run, struct kvs_error *err)
{
    struct load load = {
        .peer = run->peer,
        .store = run->store,
        .data = run->data,
        .roles = {{.step = step_get_hit, .threads = 1, .ops = CHECKED_KEYS}},
        .role_count = 1,
        .seed = run->config->seed + 1 + run->version++,
    };
    struct load_result result;
    return load_run(&load, &result, err);
}

static kvs_status open_timed(struct cell_run *run, const char *dir, struct sample *ret,
                             struct kvs_error *err)
{
    uint64_t begin_ns = clock_now_ns();
    kvs_status status = fixture_store_open(run->peer, run->data, dir, false, 1, &run->store, err);
    double opened_ns = (double)(clock_now_ns() - begin_ns);
    if (status == KVS_OK)
        status = get_first(run, err);
    ret->ops = 1;
    ret->wall_ns = (double)(clock_now_ns() - begin_ns);
    ret->value = ret->wall_ns / (double)NS_PER_MS;
    sample_extra_add(ret, "open_ns", opened_ns);
    if (status == KVS_OK)
        status = check_keys(run, err);
    if (run->store != NULL) {
        kvs_status closed = run->peer->ops->close(run->store, err);
        status = status == KVS_OK ? closed : status;
    }
    run->store = NULL;
    return status;
}

static kvs_status reopen_sample(void *arg, struct sample *ret, struct histogram *latency,
                                struct kvs_error *err)
{
    (void)latency;
    struct cell_run *run = arg;
    if (!run->cell->killed)
        return open_timed(run, run->dir, ret, err);
    _cleanup_(folder_freep) char *copy = NULL;
    kvs_status status = folder_new(run->config->base_dir, run->peer->name, &copy, err);
    if (status == KVS_OK)
        status = folder_copy(run->dir, copy, err);
    return status == KVS_OK ? open_timed(run, copy, ret, err) : status;
}

static void reopen_end(void *arg)
{
    cell_store_close(arg);
}

const struct series_ops cells_reopen_ops = {
    .begin = reopen_begin,
    .sample = reopen_sample,
    .end = reopen_end,
    .free = cell_run_free,
};
