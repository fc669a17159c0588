/*
 * The classic engine comparison (cell.h: classic): 100 writes and 1000 reads of random keys and
 * values of up to 100,000 bytes, from a fixed seed. Each sample writes into a new store; the reads
 * are of a store that was written once. All bytes are drawn before anything is timed.
 *
 * Keys have 1 to 500 bytes, since LMDB takes no longer ones; the long variant has keys of up to
 * 65,535 bytes, the most that kvs-server takes.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/cell.h"

#define CLASSIC_WRITES    100u
#define CLASSIC_READS     1000u
#define CLASSIC_VALUE_MAX 100000u
#define CLASSIC_KEY_MAX   500u
#define CLASSIC_LONG_MAX  65535u

/* The records, in one piece of memory. */
struct classic {
    uint8_t *bytes; /* owned */
    struct peer_item items[CLASSIC_WRITES];
};

/* Random bytes; the first eight are the record's number, so that keys of that length differ. */
static struct kvs_bytes draw_bytes(struct random *random, uint64_t size_max, uint64_t number,
                                   uint8_t **at)
{
    struct kvs_bytes bytes = bytes_of(*at, 1 + random_below(random, size_max));
    for (uint64_t i = 0; i < bytes.len; i++)
        (*at)[i] = i < 8 ? (uint8_t)(number >> (8 * i)) : (uint8_t)random_next(random);
    *at += bytes.len;
    return bytes;
}

static void classic_init(struct classic *classic, const struct cell_run *run)
{
    uint64_t key_max = run->cell->long_keys ? CLASSIC_LONG_MAX : CLASSIC_KEY_MAX;
    struct random random;
    random_init(&random, run->config->seed);
    classic->bytes = g_malloc(CLASSIC_WRITES * (key_max + CLASSIC_VALUE_MAX));
    uint8_t *at = classic->bytes;
    for (uint32_t i = 0; i < CLASSIC_WRITES; i++) {
        classic->items[i].key = draw_bytes(&random, key_max, i + 1, &at);
        classic->items[i].value = draw_bytes(&random, CLASSIC_VALUE_MAX, i + 1, &at);
    }
}

static void classic_deinit(struct classic *classic)
{
    free(classic->bytes);
}

/* A thread's state in the store, where the peer has such. */
static kvs_status thread_begin(struct cell_run *run, struct peer_thread **ret_thread,
                               struct kvs_error *err)
{
    *ret_thread = NULL;
    return run->peer->ops->thread_begin != NULL
               ? run->peer->ops->thread_begin(run->store, ret_thread, err)
               : KVS_OK;
}

static void thread_end(struct cell_run *run, struct peer_thread *thread)
{
    if (thread != NULL)
        run->peer->ops->thread_end(run->store, thread);
}

static void sample_set(struct sample *sample, uint64_t ops, uint64_t begin_ns)
{
    sample->ops = ops;
    sample->wall_ns = (double)(clock_now_ns() - begin_ns);
    sample->value = (double)ops * (double)NS_PER_S / sample->wall_ns;
}

static kvs_status write_all(struct cell_run *run, const struct classic *classic,
                            struct sample *sample, struct kvs_error *err)
{
    struct peer_thread *thread;
    kvs_status status = thread_begin(run, &thread, err);
    uint64_t begin_ns = clock_now_ns();
    for (uint32_t i = 0; i < CLASSIC_WRITES && status == KVS_OK; i++)
        status = run->peer->ops->set(run->store, thread, classic->items[i].key,
                                     classic->items[i].value, err);
    if (sample != NULL)
        sample_set(sample, CLASSIC_WRITES, begin_ns);
    thread_end(run, thread);
    return status;
}

static kvs_status read_many(struct cell_run *run, const struct classic *classic,
                            struct sample *sample, struct kvs_error *err)
{
    struct peer_thread *thread;
    struct random random;
    _cleanup_(freep) uint8_t *data = g_malloc(CLASSIC_VALUE_MAX);
    random_init(&random, run->config->seed + run->version++);
    kvs_status status = thread_begin(run, &thread, err);
    uint64_t begin_ns = clock_now_ns();
    for (uint32_t i = 0; i < CLASSIC_READS && status == KVS_OK; i++) {
        const struct peer_item *item = &classic->items[random_below(&random, CLASSIC_WRITES)];
        struct peer_value value = {.data = data, .cap = CLASSIC_VALUE_MAX};
        status = run->peer->ops->get(run->store, thread, item->key, &value, err);
        if (status == KVS_OK && !bytes_equal(bytes_of(data, value.len), item->value))
            status = kvs_error_set(err, KVS_CORRUPT, 0, "get gave another value than was set");
    }
    sample_set(sample, CLASSIC_READS, begin_ns);
    thread_end(run, thread);
    return status;
}

static kvs_status write_sample(void *arg, struct sample *ret, struct histogram *latency,
                               struct kvs_error *err)
{
    (void)latency;
    struct cell_run *run = arg;
    _cleanup_(classic_deinit) struct classic classic;
    classic_init(&classic, run);
    kvs_status status = cell_store_open(run, err);
    if (status == KVS_OK)
        status = write_all(run, &classic, ret, err);
    cell_store_close(run);
    return status;
}

static kvs_status read_begin(void *arg, struct kvs_error *err)
{
    struct cell_run *run = arg;
    _cleanup_(classic_deinit) struct classic classic;
    classic_init(&classic, run);
    kvs_status status = cell_store_open(run, err);
    return status == KVS_OK ? write_all(run, &classic, NULL, err) : status;
}

static kvs_status read_sample(void *arg, struct sample *ret, struct histogram *latency,
                              struct kvs_error *err)
{
    (void)latency;
    _cleanup_(classic_deinit) struct classic classic;
    classic_init(&classic, arg);
    return read_many(arg, &classic, ret, err);
}

static void read_end(void *arg)
{
    cell_store_close(arg);
}

const struct series_ops cells_classic_write_ops = {
    .sample = write_sample,
    .free = cell_run_free,
};

const struct series_ops cells_classic_read_ops = {
    .begin = read_begin,
    .sample = read_sample,
    .end = read_end,
    .free = cell_run_free,
};
