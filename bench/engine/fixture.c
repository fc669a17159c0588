/* See fixture.h. */
#include "engine/fixture.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/load.h"
#include "engine/steps.h"
#include "harness/folder.h"

#define FIXTURE_THREADS 2u

kvs_status fixture_store_open(const struct peer *peer, const struct data *data, const char *dir,
                              bool sync, uint32_t threads, struct peer_store **ret_store,
                              struct kvs_error *err)
{
    const struct peer_config config = {
        .dir = dir,
        .sync = sync,
        .keys = data->keys,
        .value_size = data->value_size,
        .threads = threads,
    };
    return peer->ops->open(peer, &config, ret_store, err);
}

kvs_status fixture_fill(const struct peer *peer, struct peer_store *store, const struct data *data,
                        struct kvs_error *err)
{
    const struct load load = {
        .peer = peer,
        .store = store,
        .data = data,
        .roles = {{.step = step_fill_batch, .threads = 1, .ops = data->keys}},
        .role_count = 1,
    };
    struct load_result result;
    return load_run(&load, &result, err);
}

struct fixture *fixture_new(const struct peer *peer, const struct data *data, const char *base_dir)
{
    struct fixture *fixture = g_new0(struct fixture, 1);
    fixture->peer = peer;
    fixture->data = data;
    fixture->base_dir = base_dir;
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    if (fixture->store != NULL)
        (void)fixture->peer->ops->close(fixture->store, NULL);
    fixture->store = NULL;
    folder_free(TAKE(fixture->dir));
}

void fixture_free(struct fixture *fixture)
{
    if (fixture == NULL)
        return;
    fixture_close(fixture);
    free(fixture);
}

void fixture_use(struct fixture *fixture)
{
    fixture->users++;
}

kvs_status fixture_open(struct fixture *fixture, struct kvs_error *err)
{
    if (fixture->store != NULL)
        return KVS_OK;
    kvs_status status = folder_new(fixture->base_dir, fixture->peer->name, &fixture->dir, err);
    if (status == KVS_OK)
        status = fixture_store_open(fixture->peer, fixture->data, fixture->dir, false,
                                    FIXTURE_THREADS, &fixture->store, err);
    if (status == KVS_OK)
        status = fixture_fill(fixture->peer, fixture->store, fixture->data, err);
    if (status != KVS_OK)
        fixture_close(fixture);
    return status;
}

void fixture_finish(struct fixture *fixture)
{
    if (--fixture->users == 0)
        fixture_close(fixture);
}
