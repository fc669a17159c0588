/* See store_support.h. */
#include "store_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the host ------------------------------------------------------------------------------- */

static void note_line(void *arg, uint32_t level, const char *message)
{
    struct test_store *store = arg;
    if (getenv("KVS_TEST_LOG") != NULL)
        (void)fprintf(stderr, "%u %s\n", level, message);
    if (level > KVS_LOG_WARN)
        return;
    (void)pthread_mutex_lock(&store->lock);
    size_t used = strlen(store->logged);
    (void)snprintf(store->logged + used, sizeof(store->logged) - used, "%s\n", message);
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- opening -------------------------------------------------------------------------------- */

kvs_status test_store_open(struct test_store *store, const char *path, struct disk *disk,
                           uint32_t durability, uint32_t flags, struct test_error *error)
{
    memset(store, 0, sizeof(*store));
    (void)pthread_mutex_init(&store->lock, NULL);
    stub_host_init(&store->stub, STORE_TEST_SEGMENT, note_line, store);
    struct kvs_engine_config config = {
        .size = sizeof(config),
        .flags = flags,
        .durability = durability,
        .threads = 2,
        .sync_interval_ms = 5,
        .data_dir = path,
        .host = &store->stub.host,
    };
    if (error != NULL)
        test_error_init(error);
    struct kvs_error *err = error != NULL ? &error->error : NULL;
    kvs_status status = disk != NULL ? engine_open_on(disk, &config, &store->db, err)
                                     : engine_log_ops.open(&config, &store->db, err);
    if (status != KVS_OK)
        (void)pthread_mutex_destroy(&store->lock);
    return status;
}

void must_open_store(struct test_store *store, const char *path, uint32_t durability)
{
    struct test_error error;
    assert_status(KVS_OK, test_store_open(store, path, NULL, durability, KVS_OPEN_CREATE, &error),
                  &error);
}

kvs_status test_store_close(struct test_store *store)
{
    kvs_status status = engine_log_ops.close(store->db, NULL);
    (void)pthread_mutex_destroy(&store->lock);
    return status;
}

void must_close_store(struct test_store *store)
{
    assert_int_equal(KVS_OK, test_store_close(store));
}

bool test_store_logged(struct test_store *store, const char *part)
{
    (void)pthread_mutex_lock(&store->lock);
    bool found = strstr(store->logged, part) != NULL;
    (void)pthread_mutex_unlock(&store->lock);
    return found;
}

bool test_store_keeper_is_idle(void *store)
{
    struct kvs_db *db = ((struct test_store *)store)->db;
    (void)pthread_mutex_lock(&db->keeper_lock);
    bool idle = db->spare != NULL && db->complete.done == db->complete.pushed &&
                db->dropped.done == db->retiring;
    (void)pthread_mutex_unlock(&db->keeper_lock);
    return idle;
}

struct wanted_stat {
    const char *name;
    uint64_t value;
    bool found;
};

static void take_stat(void *arg, const char *name, uint64_t value)
{
    struct wanted_stat *wanted = arg;
    if (strcmp(name, wanted->name) == 0) {
        wanted->value = value;
        wanted->found = true;
    }
}

uint64_t test_store_stat(struct test_store *store, const char *name)
{
    struct wanted_stat wanted = {.name = name};
    engine_log_ops.stats(store->db, take_stat, &wanted);
    if (!wanted.found)
        abort();
    return wanted.value;
}

/* ---- values --------------------------------------------------------------------------------- */

void key_of(uint64_t number, uint8_t key[STORE_KEY_BYTES])
{
    for (unsigned i = 0; i < STORE_KEY_BYTES; i++)
        key[i] = (uint8_t)(number >> 8 * i);
}

static uint64_t sum_of(const uint8_t *bytes, uint64_t count)
{
    uint64_t sum = UINT64_C(0xCBF29CE484222325);
    for (uint64_t i = 0; i < count; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001B3);
    return sum;
}

/* Layout: key, version, filler, checksum of all before it. */
void value_make(uint64_t key, uint64_t version, uint8_t *value, uint64_t bytes)
{
    memset(value, (int)(version * 7 + key), bytes);
    memcpy(value, &key, sizeof(key));
    memcpy(value + 8, &version, sizeof(version));
    uint64_t sum = sum_of(value, bytes - 8);
    memcpy(value + bytes - 8, &sum, sizeof(sum));
}

bool value_check(uint64_t key, struct kvs_bytes value, uint64_t *ret_version)
{
    const uint8_t *from = value.ptr;
    uint64_t found[2];
    uint64_t sum;
    if (value.len < STORE_VALUE_LEAST)
        return false;
    memcpy(found, from, sizeof(found));
    memcpy(&sum, from + value.len - 8, sizeof(sum));
    *ret_version = found[1];
    return found[0] == key && sum == sum_of(from, value.len - 8);
}

kvs_status put(struct test_store *store, uint64_t key, uint64_t version, uint64_t bytes)
{
    uint8_t name[STORE_KEY_BYTES];
    uint8_t *value = malloc(bytes);
    if (value == NULL)
        abort();
    key_of(key, name);
    value_make(key, version, value, bytes);
    kvs_status status = engine_log_ops.set(store->db, NULL, (struct kvs_bytes){name, sizeof(name)},
                                           (struct kvs_bytes){value, bytes}, NULL);
    free(value);
    return status;
}

kvs_status del(struct test_store *store, uint64_t key)
{
    uint8_t name[STORE_KEY_BYTES];
    key_of(key, name);
    return engine_log_ops.remove(store->db, NULL, (struct kvs_bytes){name, sizeof(name)}, NULL);
}

struct seen {
    uint64_t key;
    uint64_t version;
    bool sound;
};

static int32_t see(void *arg, struct kvs_bytes value)
{
    struct seen *seen = arg;
    seen->sound = value_check(seen->key, value, &seen->version);
    return 0;
}

kvs_status look(struct test_store *store, uint64_t key, uint64_t *ret_version)
{
    uint8_t name[STORE_KEY_BYTES];
    struct seen seen = {.key = key};
    key_of(key, name);
    kvs_status status = engine_log_ops.get(store->db, NULL, (struct kvs_bytes){name, sizeof(name)},
                                           see, &seen, NULL);
    if (status != KVS_OK)
        return status;
    *ret_version = seen.version;
    return seen.sound ? KVS_OK : KVS_INTERNAL;
}

uint64_t version_of(struct test_store *store, uint64_t key)
{
    uint64_t version = 0;
    kvs_status status = look(store, key, &version);
    if (status != KVS_OK && status != KVS_NOT_FOUND)
        fail_msg("key %llu: %s", (unsigned long long)key, kvs_status_text(status));
    return status == KVS_OK ? version : 0;
}

/* ---- batches -------------------------------------------------------------------------------- */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    kvs_status status;
};

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct waiting *waiting = arg;
    (void)batch;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->status = status;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->lock);
}

kvs_status put_batch(struct test_store *store, const uint64_t *keys, unsigned count,
                     uint64_t version, uint64_t bytes)
{
    uint8_t names[STORE_BATCH_MAX][STORE_KEY_BYTES];
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, KVS_PENDING};
    struct kvs_op ops[STORE_BATCH_MAX];
    uint8_t *values = malloc(count * bytes);
    if (values == NULL || count > STORE_BATCH_MAX)
        abort();
    for (unsigned i = 0; i < count; i++) {
        key_of(keys[i], names[i]);
        value_make(keys[i], version, values + i * bytes, bytes);
        ops[i] = (struct kvs_op){.kind = KVS_OP_SET,
                                 .key = {names[i], STORE_KEY_BYTES},
                                 .value = {values + i * bytes, bytes}};
    }
    struct kvs_batch batch = {.size = sizeof(batch),
                              .ops = ops,
                              .op_count = count,
                              .complete = on_complete,
                              .arg = &waiting};
    kvs_status status = engine_log_ops.submit(store->db, NULL, &batch);
    if (status == KVS_PENDING) {
        (void)pthread_mutex_lock(&waiting.lock);
        while (waiting.status == KVS_PENDING)
            (void)pthread_cond_wait(&waiting.changed, &waiting.lock);
        status = waiting.status;
        (void)pthread_mutex_unlock(&waiting.lock);
    }
    free(values);
    return status;
}

kvs_status put_pair(struct test_store *store, uint64_t first, uint64_t version, uint64_t bytes)
{
    const uint64_t keys[2] = {first, first + 1};
    return put_batch(store, keys, 2, version, bytes);
}

uint64_t dice_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* ---- folders -------------------------------------------------------------------------------- */

static void each_file(const char *path, void (*visit)(void *arg, const char *name), void *arg)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            visit(arg, entry->d_name);
    (void)closedir(folder);
}

static void remove_file(void *arg, const char *name)
{
    char *path = path_join(arg, name);
    assert_int_equal(0, unlink(path));
    free(path);
}

void empty_folder(const char *path)
{
    char *copy = strdup(path);
    assert_non_null(copy);
    each_file(path, remove_file, copy);
    free(copy);
}

struct copying {
    const char *from;
    const char *to;
};

static void copy_file(void *arg, const char *name)
{
    const struct copying *copying = arg;
    static char block[1 << 16];
    char *from = path_join(copying->from, name);
    char *to = path_join(copying->to, name);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    free(from);
    free(to);
    assert_true(in >= 0 && out >= 0);
    ssize_t got;
    while ((got = read(in, block, sizeof(block))) > 0)
        assert_int_equal(got, write(out, block, (size_t)got));
    assert_int_equal(0, got);
    (void)close(in);
    (void)close(out);
}

void copy_folder(const char *from, const char *to)
{
    struct copying copying = {from, to};
    empty_folder(to);
    each_file(from, copy_file, &copying);
}

struct counting {
    const char *suffix;
    unsigned count;
};

static void count_file(void *arg, const char *name)
{
    struct counting *counting = arg;
    size_t size = strlen(counting->suffix);
    size_t length = strlen(name);
    if (length >= size && strcmp(name + length - size, counting->suffix) == 0)
        counting->count++;
}

unsigned count_files(const char *path, const char *suffix)
{
    struct counting counting = {.suffix = suffix};
    each_file(path, count_file, &counting);
    return counting.count;
}
