/*
 * See life.h.
 *
 * L1  Before a step is submitted, the model has its state and `begun` its number; so a moment's `most`,
 *     which is read after the machine was copied, bounds what the copy can hold.
 * L2  `durable` and `visible` are raised before a caller could know, and read before the machine is
 *     copied: the copy holds all that they promise.
 */
#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint.h"
#include "engine.h"
#include "store_support.h"

#define DEPTH_MAX 6u /* steps that are on their way at once */

static uint32_t get(const _Atomic uint32_t *number)
{
    return atomic_load_explicit(number, memory_order_seq_cst);
}

static void raise_to(_Atomic uint32_t *number, uint32_t to)
{
    uint32_t now = get(number);
    while (now < to && !atomic_compare_exchange_weak(number, &now, to))
        ;
}

/* ---- opening ------------------------------------------------------------------------------ */

static void host_log(const struct kvs_host *host, uint32_t level, const char *message)
{
    (void)host;
    if (getenv("KVS_TEST_LOG") != NULL)
        (void)fprintf(stderr, "%u %s\n", level, message);
}

static int32_t host_log_enabled(const struct kvs_host *host, uint32_t level)
{
    (void)host;
    (void)level;
    return 1;
}

static kvs_status host_config_get(const struct kvs_host *host, const char *name,
                                  struct kvs_option_value *ret)
{
    const struct life *life = host->context;
    if (strcmp(name, "segment-size") != 0)
        return KVS_MISSING;
    ret->u64 = life->config.segment_bytes;
    return KVS_OK;
}

static uint64_t host_now_ns(const struct kvs_host *host)
{
    struct timespec now;
    (void)host;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void life_host_init(struct life *life, const struct life_config *config)
{
    memset(life, 0, sizeof(*life));
    life->config = *config;
    life->host = (struct kvs_host){
        .size = sizeof(life->host),
        .abi_major = KVS_ABI_MAJOR,
        .context = life,
        .log = host_log,
        .log_enabled = host_log_enabled,
        .config_get = host_config_get,
        .now_ns = host_now_ns,
    };
}

kvs_status life_open_folder(struct life *life, struct disk_sim *machine, const char *folder,
                            uint32_t flags, const struct life_config *config, struct kvs_error *err)
{
    life_host_init(life, config);
    life->machine = machine;
    struct kvs_engine_config engine = {
        .size = sizeof(engine),
        .flags = flags,
        .durability = config->durability,
        .threads = 1,
        .sync_interval_ms = 1,
        .host = &life->host,
    };
    struct kvs_db *db = NULL;
    kvs_status status = engine_open_on(disk_sim_folder(machine, folder), &engine, &db, err);
    if (status == KVS_OK)
        atomic_store(&life->db, db);
    return status;
}

void life_close(struct life *life)
{
    kvs_status status = engine_log_ops.close(atomic_load(&life->db), NULL);
    if (status != KVS_OK && life->config.may_fail)
        life->failed = true;
    else
        assert_int_equal(KVS_OK, status);
    disk_sim_watch(life->machine, NULL, NULL);
}

void life_abandon(struct life *life)
{
    char message[] = "the test has seen enough";
    struct kvs_error error = KVS_ERROR_INIT(message);
    store_fail(atomic_load(&life->db), &error);
    life->config.may_fail = true;
    life_close(life);
}

/* ---- reading ------------------------------------------------------------------------------ */

struct seen {
    uint32_t key;
    uint32_t version;
    bool sound;
};

static int32_t see(void *arg, struct kvs_bytes value)
{
    struct seen *seen = arg;
    uint64_t version = 0;
    seen->sound = value_check(seen->key, value, &version) &&
                  value.len == model_value_bytes(seen->key, (uint32_t)version);
    seen->version = (uint32_t)version;
    return 0;
}

static uint32_t read_version(struct life *life, uint32_t key)
{
    uint8_t name[STORE_KEY_BYTES];
    struct seen seen = {.key = key};
    struct test_error error;
    test_error_init(&error);
    key_of(key, name);
    kvs_status status =
        engine_log_ops.get(atomic_load(&life->db), NULL, (struct kvs_bytes){name, sizeof(name)},
                           see, &seen, &error.error);
    if (status == KVS_NOT_FOUND)
        return 0;
    assert_status(KVS_OK, status, &error);
    if (!seen.sound)
        fail_msg("key %u has a value that nobody wrote (version %u)", key, seen.version);
    return seen.version;
}

static int32_t count_key(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    uint32_t *counts = arg;
    uint64_t number = 0;
    (void)value;
    assert_int_equal(STORE_KEY_BYTES, key.len);
    memcpy(&number, key.ptr, sizeof(number));
    assert_true(number < MODEL_KEYS);
    counts[number]++;
    return 0;
}

static void take_keys(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, "keys") == 0)
        *(uint64_t *)arg = value;
}

void life_read_all(struct life *life, struct model_state *ret_state)
{
    struct kvs_db *db = atomic_load(&life->db);
    uint32_t counts[MODEL_KEYS] = {0};
    uint64_t keys = 0;
    struct kvs_scan scan = {.size = sizeof(scan), .visit = count_key, .arg = counts};
    for (uint32_t key = 0; key < MODEL_KEYS; key++)
        ret_state->versions[key] = read_version(life, key);
    assert_int_equal(KVS_OK, engine_log_ops.scan(db, NULL, &scan, NULL));
    assert_int_equal(0, scan.cursor);
    engine_log_ops.stats(db, take_keys, &keys);
    for (uint32_t key = 0; key < MODEL_KEYS; key++) {
        assert_int_equal(ret_state->versions[key] != 0, counts[key]);
        keys -= counts[key];
    }
    assert_int_equal(0, keys);
}

/* ---- moments ------------------------------------------------------------------------------ */

/* Keeps the machine. From the watch, or between steps; with keep the one of the two that may be called. */
static void keep_moment(struct life *life, uint64_t nth, struct disk_sim *keep(struct disk_sim *))
{
    const struct kvs_db *db = atomic_load(&life->db);
    struct moment *moment = &life->moments[life->moment_count++];
    moment->nth = nth;
    moment->durable = get(&life->durable); /* L2 */
    moment->visible = get(&life->visible);
    moment->durable_sequence = atomic_load(&db->durable_sequence);
    moment->copy_state = get(&life->copy_state);
    moment->machine = keep(life->machine);
    moment->most = get(&life->begun); /* L1 */
    moment->copy_least = get(&life->copy_least);
    moment->copy_most = moment->copy_state == LIFE_COPY_DONE ? get(&life->copy_most) : moment->most;
}

static bool is_chosen(const struct life *life, uint64_t nth)
{
    struct sim_random random = sim_random_of(life->cut_seed ^ nth << 20);
    return life->moment_count < LIFE_MOMENTS_MAX &&
           sim_random_below(&random, life->cut_chance) == 0;
}

static void watch(void *arg, struct disk_sim *sim, uint64_t nth)
{
    struct life *life = arg;
    (void)sim;
    if (is_chosen(life, nth))
        keep_moment(life, nth, disk_sim_keep);
}

uint32_t life_durable_at(const struct life *life, const struct moment *moment)
{
    uint32_t step = moment->durable;
    uint64_t records = moment->durable_sequence + 1 - life->first_sequence;
    while (step < moment->most && life->model->records[step + 1] <= records)
        step++;
    return step;
}

/* ---- steps -------------------------------------------------------------------------------- */

struct under_way {
    struct model_step step;
    struct life *life;
    struct kvs_batch batch;
    struct kvs_op ops[MODEL_OPS];
    uint8_t keys[MODEL_OPS][STORE_KEY_BYTES];
    uint8_t *values[2 * MODEL_OPS]; /* to be set, and expected */
    struct test_error error;
    pthread_mutex_t lock;
    pthread_cond_t done;
    kvs_status status; /* under the lock until it is not KVS_PENDING */
};

static struct kvs_bytes make_value(uint8_t **place, uint32_t key, uint32_t version)
{
    uint32_t bytes = model_value_bytes(key, version);
    *place = sim_alloc(bytes);
    value_make(key, version, *place, bytes);
    return (struct kvs_bytes){*place, bytes};
}

/* What an answer promises. */
static void note_answer(struct life *life, const struct model_step *step, kvs_status status)
{
    if (status < 0)
        return;
    raise_to(&life->visible, step->rests_on);
    if (life->config.durability == KVS_DURABILITY_ALWAYS ||
        ((step->flags & KVS_BATCH_DURABLE) != 0 && step->writes))
        raise_to(&life->durable, step->rests_on);
}

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct under_way *way = arg;
    (void)batch;
    note_answer(way->life, &way->step, status);
    (void)pthread_mutex_lock(&way->lock);
    way->status = status;
    (void)pthread_cond_signal(&way->done);
    (void)pthread_mutex_unlock(&way->lock);
}

static void submit(struct life *life, struct under_way *way)
{
    const struct model_step *step = &way->step;
    way->life = life;
    way->status = KVS_PENDING;
    (void)pthread_mutex_init(&way->lock, NULL);
    (void)pthread_cond_init(&way->done, NULL);
    test_error_init(&way->error);
    memset(way->values, 0, sizeof(way->values));
    for (uint32_t i = 0; i < step->count; i++) {
        const struct model_op *op = &step->ops[i];
        key_of(op->key, way->keys[i]);
        way->ops[i] = (struct kvs_op){
            .kind = op->kind, .condition = op->condition, .key = {way->keys[i], STORE_KEY_BYTES}};
        if (op->kind == KVS_OP_SET)
            way->ops[i].value = make_value(&way->values[i], op->key, step->version);
        if (op->condition == KVS_IF_EQUAL)
            way->ops[i].expected = make_value(&way->values[MODEL_OPS + i], op->key, op->expected);
    }
    way->batch = (struct kvs_batch){.size = sizeof(way->batch),
                                    .flags = step->flags,
                                    .ops = way->ops,
                                    .op_count = step->count,
                                    .complete = on_complete,
                                    .arg = way,
                                    .err = &way->error.error};
    kvs_status status = engine_log_ops.submit(atomic_load(&life->db), NULL, &way->batch);
    if (status != KVS_PENDING)
        on_complete(way, &way->batch, status);
}

/* Waits for a step, and checks how it ended. */
static void await(struct life *life, struct under_way *way)
{
    (void)pthread_mutex_lock(&way->lock);
    while (way->status == KVS_PENDING)
        (void)pthread_cond_wait(&way->done, &way->lock);
    (void)pthread_mutex_unlock(&way->lock);
    for (uint32_t i = 0; i < 2 * MODEL_OPS; i++)
        free(way->values[i]);
    (void)pthread_cond_destroy(&way->done);
    (void)pthread_mutex_destroy(&way->lock);
    if (way->status < 0 && life->config.may_fail) {
        life->failed = true;
        return;
    }
    assert_status(way->step.status, way->status, &way->error);
    for (uint32_t i = 0; i < way->step.count; i++)
        assert_int_equal(way->step.ops[i].status, way->ops[i].status);
}

/* Looks at a key: what is seen is in a state that may be there, and must never be lost with ALWAYS. */
static void look_at(struct life *life, uint32_t key)
{
    uint32_t least = get(&life->visible);
    uint32_t version = read_version(life, key);
    uint32_t most = get(&life->begun);
    uint32_t state = model_find_version(life->model, key, version, least, most);
    if (state == UINT32_MAX)
        fail_msg("key %u is read as version %u, which it is in no state from %u to %u", key,
                 version, least, most);
    raise_to(&life->visible, state);
    if (life->config.durability == KVS_DURABILITY_ALWAYS)
        raise_to(&life->durable, state);
}

/* ---- the rest of what is done to a store -------------------------------------------------- */

static void expect_done(struct life *life, kvs_status status)
{
    if (status != KVS_OK && life->config.may_fail)
        life->failed = true;
    else
        assert_int_equal(KVS_OK, status);
}

static void sync_all(struct life *life)
{
    uint32_t visible = get(&life->visible);
    expect_done(life, engine_log_ops.sync(atomic_load(&life->db), NULL));
    if (!life->failed)
        raise_to(&life->durable, visible);
}

static void copy_store(struct life *life, uint64_t name)
{
    if (get(&life->copy_state) != LIFE_COPY_NONE)
        return;
    (void)snprintf(life->copy_folder, sizeof(life->copy_folder), "copy%04x",
                   (unsigned)(name & 0xffff));
    struct disk *to = disk_sim_folder(life->machine, life->copy_folder);
    atomic_store(&life->copy_least, get(&life->visible));
    atomic_store(&life->copy_state, LIFE_COPY_BEGUN);
    expect_done(life, checkpoint_write_to(atomic_load(&life->db), to, NULL));
    atomic_store(&life->copy_most, get(&life->begun));
    if (!life->failed)
        atomic_store(&life->copy_state, LIFE_COPY_DONE);
    disk_close(to);
}

static void do_something_else(struct life *life, struct sim_random *random)
{
    for (uint64_t looks = sim_random_below(random, 4); looks > 0; looks--)
        look_at(life, (uint32_t)sim_random_below(random, MODEL_KEYS));
    uint64_t what = sim_random_below(random, 64);
    if (what < 3)
        sync_all(life);
    else if (what == 3)
        expect_done(life, engine_log_ops.compact(atomic_load(&life->db), NULL));
    else if (what == 4)
        copy_store(life, sim_random_next(random));
}

/* Keeps the machine as it is between two steps, which matters where no step syncs. */
static void keep_between(struct life *life, struct sim_random *random)
{
    if (sim_random_below(random, life->cut_chance) != 0)
        return;
    disk_sim_watch(life->machine, NULL, NULL);
    if (life->moment_count < LIFE_MOMENTS_MAX)
        keep_moment(life, UINT64_MAX, disk_sim_kill);
    disk_sim_watch(life->machine, watch, life);
}

void life_run(struct life *life, struct model *model, struct sim_random *random, uint32_t steps)
{
    struct under_way *ways = sim_alloc(DEPTH_MAX * sizeof(*ways));
    struct kvs_db *db = atomic_load(&life->db);
    life->model = model;
    life->first_sequence = db->sequence;
    life->cut_seed = sim_random_next(random);
    life->cut_chance = 4 + (uint32_t)sim_random_below(random, 40);
    disk_sim_watch(life->machine, watch, life);
    while (model->steps < steps && !life->failed) {
        uint32_t count =
            life->config.one_by_one ? 1 : 1 + (uint32_t)sim_random_below(random, DEPTH_MAX);
        for (uint32_t i = 0; i < count && model->steps < steps; i++) {
            model_draw(model, random, &ways[i].step);
            atomic_store(&life->begun, model->steps); /* L1 */
            submit(life, &ways[i]);
            if (sim_random_below(random, 4) == 0)
                look_at(life, (uint32_t)sim_random_below(random, MODEL_KEYS));
            if (model->steps == steps)
                count = i + 1;
        }
        for (uint32_t i = 0; i < count; i++)
            await(life, &ways[i]);
        keep_between(life, random);
        if (!life->failed)
            do_something_else(life, random);
    }
    free(ways);
    if (life->failed) { /* nothing is changed any more that a moment would be kept at */
        disk_sim_watch(life->machine, NULL, NULL);
        keep_moment(life, UINT64_MAX, disk_sim_kill);
    }
    if (!life->failed)
        assert_int_equal(life->first_sequence + model->records[model->steps], db->sequence);
}
