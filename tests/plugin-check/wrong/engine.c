/*
 * The engines of the shelf of wrong plugins. Without a switch: a right one, a sorted array behind a
 * lock, with every optional operation that is of interest. Each WRONG_... breaks one rule.
 */
#include <fcntl.h>
#include <unistd.h>

#include "items.h"

#define OPS_MAX 200u

#ifdef WRONG_STOP_STATUS
#define STOPPED KVS_OK
#else
#define STOPPED KVS_STOPPED
#endif

#ifndef WRONG_NAME
#error "WRONG_NAME is the name of the plugin, as in its file's name"
#endif

/* ---- open and close ------------------------------------------------------------------------------ */

#ifdef WRONG_LEAKS_THREAD
static void *sleep_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        (void)pause();
    return NULL;
}
#endif

static void misbehave_at_open(void)
{
#ifdef WRONG_LEAKS_DESCRIPTOR
    (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
#endif
#ifdef WRONG_LEAKS_THREAD
    pthread_t thread;
    (void)pthread_create(&thread, NULL, sleep_for_ever, NULL);
#endif
#ifdef WRONG_LEAKS_MEMORY
    char *memory = malloc(100);
    if (memory != NULL)
        memory[0] = 1;
    __asm__ volatile("" : : "r"(memory) : "memory"); /* or the compiler takes it out */
#endif
}

static kvs_status wrong_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                             struct kvs_error *err)
{
    struct kvs_option_value level = {.size = sizeof(level)};
    int is_refused = (config->flags & KVS_OPEN_CREATE) == 0 && !can_load(config->data_dir);
#ifdef WRONG_OPENS_NOTHING
    is_refused = 0;
#endif
    if (is_refused)
        return kvs_error_set(err, KVS_MISSING, 0, "there is no store of before");
    if (config->host->config_get(config->host, "level", &level) != KVS_OK)
        return kvs_error_set(err, KVS_INTERNAL, 0, "the option level has no value");
#ifdef WRONG_OPTION_LIES
    if (level.u64 == 1)
        return kvs_error_set(err, KVS_INVALID, 0, "level is at least 2");
#endif
    struct kvs_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a store");
    pthread_mutex_init(&db->lock, NULL);
    db->read_only = (config->flags & KVS_OPEN_READ_ONLY) != 0;
    misbehave_at_open();
#ifdef WRONG_SAVES_AT_CLOSE
    (void)snprintf(db->dir, sizeof(db->dir), "%s", config->data_dir);
    load(db);
#endif
    *ret_db = db;
    return KVS_OK;
}

static kvs_status wrong_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)err;
    if (db == NULL)
        return KVS_OK;
#ifdef WRONG_SAVES_AT_CLOSE
    save(db);
#endif
    while (db->count > 0)
        take(db, db->count - 1);
    free(db->items);
    pthread_mutex_destroy(&db->lock);
    free(db);
    return KVS_OK;
}

/* ---- one key -------------------------------------------------------------------------------------- */

static kvs_status wrong_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                            kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    int found;
    kvs_status status = KVS_NOT_FOUND;
    (void)tls;
    (void)err;
    pthread_mutex_lock(&db->lock);
    size_t at = find(db, key, &found);
#ifdef WRONG_GET_WITHOUT_VISIT
    (void)visit;
    (void)arg;
    (void)at;
    status = found ? KVS_OK : KVS_NOT_FOUND;
#else
    if (found)
        status = visit(arg, db->items[at].value) == 0 ? KVS_OK : STOPPED;
#endif
    pthread_mutex_unlock(&db->lock);
    return status;
}

static kvs_status check_write(const struct kvs_db *db, struct kvs_bytes key, struct kvs_bytes value,
                              struct kvs_error *err)
{
    if (db->read_only)
        return kvs_error_set(err, KVS_READ_ONLY, 0, "the store is read-only");
    if (key.len == 0) {
#ifdef WRONG_MESSAGE_TOO_LONG
        if (err != NULL && err->msg != NULL)
            strcpy(err->msg, "a key has at least 1 byte");
        return KVS_INVALID;
#endif
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    }
#ifdef WRONG_NO_LIMITS
    return KVS_OK;
#endif
#ifdef WRONG_CRASHES_AT_LIMIT
    if (value.len == VALUE_MAX)
        abort();
#endif
#ifdef WRONG_HANGS_AT_LIMIT
    while (value.len == VALUE_MAX)
        (void)pause();
#endif
    if (key.len > KEY_MAX || value.len > VALUE_MAX) {
        return kvs_error_set(err, KVS_TOO_LARGE, 0, "a key has at most %u bytes and a value %u",
                             KEY_MAX, VALUE_MAX);
    }
    return KVS_OK;
}

static kvs_status wrong_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                            struct kvs_bytes value, struct kvs_error *err)
{
    (void)tls;
    kvs_status status = check_write(db, key, value, err);
    if (status != KVS_OK)
        return status;
    pthread_mutex_lock(&db->lock);
    put(db, key, value);
    pthread_mutex_unlock(&db->lock);
    return KVS_OK;
}

static kvs_status wrong_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                               struct kvs_error *err)
{
    int found;
    (void)tls;
    kvs_status status = check_write(db, key, (struct kvs_bytes){NULL, 0}, err);
    if (status != KVS_OK)
        return status;
    pthread_mutex_lock(&db->lock);
    size_t at = find(db, key, &found);
    if (found)
        take(db, at);
    pthread_mutex_unlock(&db->lock);
#ifdef WRONG_REMOVE_STATUS
    return KVS_OK;
#else
    return found ? KVS_OK : KVS_NOT_FOUND;
#endif
}

/* ---- batches; the lock is held -------------------------------------------------------------------- */

static int condition_holds(const struct kvs_db *db, const struct kvs_op *op)
{
#ifdef WRONG_CONDITION_IGNORED
    (void)db;
    (void)op;
    return 1;
#else
    int found;
    size_t at = find(db, op->key, &found);
    if (op->condition == KVS_IF_ABSENT)
        return !found;
    if (op->condition == KVS_IF_PRESENT)
        return found;
    if (op->condition == KVS_IF_EQUAL)
        return found && compare(db->items[at].value, op->expected) == 0;
    return 1;
#endif
}

static kvs_status apply(struct kvs_db *db, const struct kvs_op *op, struct kvs_error *err)
{
    int found;
    kvs_status status = check_write(
        db, op->key, op->kind == KVS_OP_SET ? op->value : (struct kvs_bytes){NULL, 0}, err);
    if (status != KVS_OK)
        return status;
    if (!condition_holds(db, op))
        return KVS_CONDITION_FAILED;
    size_t at = find(db, op->key, &found);
    if (op->kind == KVS_OP_SET)
        put(db, op->key, op->value);
    else if (op->kind == KVS_OP_REMOVE && found)
        take(db, at);
    return op->kind == KVS_OP_REMOVE && !found ? KVS_NOT_FOUND : KVS_OK;
}

/* All operations on a copy of the store, which then takes its place or is thrown away. */
static kvs_status apply_all(struct kvs_db *db, struct kvs_batch *batch)
{
    struct kvs_db trial = {.read_only = db->read_only};
    kvs_status status = KVS_OK;
    for (size_t i = 0; i < db->count; i++)
        put(&trial, db->items[i].key, db->items[i].value);
    for (uint64_t i = 0; i < batch->op_count; i++) {
#ifdef WRONG_BATCH_BACKWARDS
        struct kvs_op *op = &batch->ops[batch->op_count - 1 - i];
#else
        struct kvs_op *op = &batch->ops[i];
#endif
        op->status = apply(&trial, op, batch->err);
        if (op->status == KVS_CONDITION_FAILED)
            status = KVS_CONDITION_FAILED;
    }
    for (uint64_t i = 0; i < batch->op_count; i++) {
        if (batch->ops[i].status < 0)
            status = batch->ops[i].status;
    }
    int keep = status == KVS_OK || (batch->flags & KVS_BATCH_ALL_OR_NONE) == 0;
#ifdef WRONG_HALF_A_BATCH
    keep = 1;
#endif
    if (keep) {
        struct item *items = db->items;
        size_t count = db->count;
        db->items = trial.items;
        db->count = trial.count;
        db->cap = trial.cap;
        trial.items = items;
        trial.count = count;
    }
    while (trial.count > 0)
        take(&trial, trial.count - 1);
    free(trial.items);
    return (batch->flags & KVS_BATCH_ALL_OR_NONE) != 0 ? status : KVS_OK;
}

static kvs_status wrong_submit(struct kvs_db *db, struct kvs_tls *tls, struct kvs_batch *batch)
{
    (void)tls;
    if (db->read_only)
        return kvs_error_set(batch->err, KVS_READ_ONLY, 0, "the store is read-only");
    if (batch->op_count > OPS_MAX)
        return kvs_error_set(batch->err, KVS_TOO_LARGE, 0, "a batch has at most %u operations",
                             OPS_MAX);
    pthread_mutex_lock(&db->lock);
    kvs_status status = apply_all(db, batch);
    pthread_mutex_unlock(&db->lock);
#if defined(WRONG_COMPLETES_NEVER)
    (void)status;
    return KVS_PENDING;
#elif defined(WRONG_COMPLETES_UNASKED)
    batch->complete(batch->arg, batch, status);
    return status;
#elif defined(WRONG_COMPLETES_TWICE)
    batch->complete(batch->arg, batch, status);
    batch->complete(batch->arg, batch, status);
    return KVS_PENDING;
#else /* it may run before the call returns */
    batch->complete(batch->arg, batch, status);
    return KVS_PENDING;
#endif
}

/* ---- many keys --------------------------------------------------------------------------------------- */

static kvs_status wrong_get_many(struct kvs_db *db, struct kvs_tls *tls,
                                 struct kvs_get_many *request)
{
    kvs_status status = KVS_OK;
    (void)tls;
    pthread_mutex_lock(&db->lock);
    for (uint64_t i = 0; i < request->lookup_count && status == KVS_OK; i++) {
        int found;
        size_t at = find(db, request->lookups[i].key, &found);
        request->lookups[i].status = found ? KVS_OK : KVS_NOT_FOUND;
#ifdef WRONG_GET_MANY_SKIPS
        if (i % 10 == 8)
            continue;
#endif
#ifdef WRONG_GET_WITHOUT_VISIT
        continue;
#endif
        if (found && request->visit(request->arg, i, db->items[at].value) != 0)
            status = KVS_STOPPED;
    }
    pthread_mutex_unlock(&db->lock);
    return status;
}

static int is_shown(const struct kvs_scan *scan, struct kvs_bytes key)
{
#ifdef WRONG_SCAN_RANGE
    const int end = 1; /* to is shown as well */
#else
    const int end = 0;
#endif
    if (compare(key, scan->from) < 0 || (scan->to.len > 0 && compare(key, scan->to) >= end))
        return 0;
    return key.len >= scan->prefix.len &&
           (scan->prefix.len == 0 || memcmp(key.ptr, scan->prefix.ptr, scan->prefix.len) == 0);
}

static kvs_status wrong_scan(struct kvs_db *db, struct kvs_tls *tls, struct kvs_scan *scan,
                             struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    uint64_t shown = 0;
    (void)tls;
    (void)err;
    scan->cursor = 0;
    pthread_mutex_lock(&db->lock);
    for (size_t i = 0; i < db->count && status == KVS_OK; i++) {
#ifdef WRONG_SCAN_FORWARD
        size_t at = i;
#else
        size_t at = (scan->flags & KVS_SCAN_REVERSE) != 0 ? db->count - 1 - i : i;
#endif
        struct kvs_bytes value = db->items[at].value;
        if (!is_shown(scan, db->items[at].key))
            continue;
        if (scan->limit != 0 && shown == scan->limit) {
            scan->cursor = 1;
            break;
        }
#ifdef WRONG_SCAN_MISSES
        if (shown++ == 50)
            continue;
#else
        shown++;
#endif
#ifndef WRONG_SCAN_VALUES
        if ((scan->flags & KVS_SCAN_KEYS_ONLY) != 0)
            value.len = 0;
#endif
        if (scan->visit(scan->arg, db->items[at].key, value) != 0)
            status = KVS_STOPPED;
        scan->cursor = status == KVS_STOPPED;
    }
    pthread_mutex_unlock(&db->lock);
    return status;
}

static void wrong_stats(struct kvs_db *db, kvs_stat_fn visit, void *arg)
{
    pthread_mutex_lock(&db->lock);
    uint64_t keys = db->count;
    pthread_mutex_unlock(&db->lock);
#ifdef WRONG_STATS
    keys += keys > 10;
#endif
    visit(arg, "keys", keys);
}

/* ---- what the host reads ------------------------------------------------------------------------------ */

static const struct kvs_engine_ops operations = {
    .size = sizeof(struct kvs_engine_ops),
    .capabilities = KVS_ENGINE_HAS_SUBMIT | KVS_ENGINE_HAS_GET_MANY | KVS_ENGINE_HAS_SCAN |
                    KVS_ENGINE_HAS_STATS | KVS_ENGINE_ORDERED | KVS_ENGINE_SNAPSHOT_SCAN |
                    KVS_ENGINE_CONCURRENT_WRITERS | KVS_ENGINE_BATCH_ATOMIC
#if defined(WRONG_NOT_DURABLE) || defined(WRONG_SAVES_AT_CLOSE)
                    | KVS_ENGINE_DURABLE
#endif
    ,
    .key_max = KEY_MAX,
    .value_max = VALUE_MAX,
    .batch_bytes_max = OPS_MAX * (uint64_t)(KEY_MAX + VALUE_MAX),
    .batch_ops_max = OPS_MAX,
    .open = wrong_open,
    .close = wrong_close,
    .get = wrong_get,
    .set = wrong_set,
    .remove = wrong_remove,
    .submit = wrong_submit,
    .get_many = wrong_get_many,
    .scan = wrong_scan,
    .stats = wrong_stats,
};

static const struct kvs_option options[] = {
    {
        .size = sizeof(struct kvs_option),
        .type = KVS_OPTION_U64,
#ifdef WRONG_RELOADABLE
        .flags = KVS_OPTION_RELOADABLE,
#endif
        .name = "level",
        .default_value = "3",
        .range = "1..9",
        .help = "means nothing",
    },
};

static const struct kvs_plugin plugin = {
    .size = sizeof(struct kvs_plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_ENGINE,
    .name = WRONG_NAME,
    .version = "1",
    .description = "an engine for the tests of kvs-plugin-check",
    .options = options,
    .option_stride = sizeof(struct kvs_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .ops = &operations,
};

#ifdef WRONG_TWO_SYMBOLS
KVS_EXPORT int wrong_symbol(void);
int wrong_symbol(void)
{
    return 1;
}
#endif

#ifdef WRONG_LOUD_LOAD
static void *leave(void *arg)
{
    (void)pause();
    return arg;
}

__attribute__((constructor)) static void start_thread(void)
{
    pthread_t thread;
    (void)pthread_create(&thread, NULL, leave, NULL);
}
#endif

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const list[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return list;
}
