/*
 * A storage engine that keeps everything in memory: the five mandatory operations over a hash table
 * behind a lock. It shows what every engine has to do; what it does not do (keep anything after it
 * is closed) it does not claim either: KVS_ENGINE_DURABLE is not among its capabilities.
 *
 * Threads. The host calls get, set and remove from any of its threads at once. One lock guards the
 * table: gets share it, writes have it alone. So the host need not serialise the writers, which
 * KVS_ENGINE_CONCURRENT_WRITERS tells it.
 *
 * Memory. An entry is one allocation: its header, the key, the value. The table is a set of entries
 * that are equal when their keys are. A key or value that the host hands in dies when the call
 * returns, so it is copied; what a visitor is shown lies in the entry, so the lock is held until
 * the visitor has returned.
 *
 * I1  table, and every entry in it, is only touched with lock held (for writing: alone).
 * I2  bytes_used is the sum of entry_size() over the table. Guarded as the table.
 *
 * A failing malloc gives KVS_NO_MEMORY. GHashTable itself ends the process when it cannot grow:
 * fine here, but an engine for production would bring a table of its own.
 */
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>

#define KEY_MAX   (UINT64_C(1) << 16)
#define VALUE_MAX (UINT64_C(1) << 26)

struct entry {
    struct kvs_bytes key; /* first, so that an entry and a key are compared by the same function */
    struct kvs_bytes value;
    unsigned char bytes[]; /* the key, then the value */
};

struct kvs_db {
    /* Constant after open. */
    const struct kvs_host *host;
    uint64_t memory_max; /* bytes; 0: no limit */
    uint32_t entries_metric;
    int read_only;

    pthread_rwlock_t lock;
    GHashTable *table;   /* of struct entry, guarded by lock (I1) */
    uint64_t bytes_used; /* guarded by lock (I2) */
};

/* ---- entries ------------------------------------------------------------------------------ */

/* FNV-1a. An engine that faces the world would take a keyed hash, against chosen collisions. */
static guint key_hash(gconstpointer key)
{
    const struct kvs_bytes *bytes = key;
    const unsigned char *at = bytes->ptr;
    guint hash = 2166136261u;
    for (uint64_t i = 0; i < bytes->len; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

static gboolean key_equal(gconstpointer left, gconstpointer right)
{
    const struct kvs_bytes *a = left;
    const struct kvs_bytes *b = right;
    return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

/* Bytes that an entry with this key and value takes. */
static uint64_t entry_size(struct kvs_bytes key, struct kvs_bytes value)
{
    return sizeof(struct entry) + key.len + value.len;
}

static struct entry *entry_new(struct kvs_bytes key, struct kvs_bytes value)
{
    struct entry *entry = malloc(entry_size(key, value));
    if (entry == NULL)
        return NULL;
    memcpy(entry->bytes, key.ptr, key.len);
    if (value.len > 0) /* an empty view may have a NULL pointer */
        memcpy(entry->bytes + key.len, value.ptr, value.len);
    entry->key = (struct kvs_bytes){entry->bytes, key.len};
    entry->value = (struct kvs_bytes){entry->bytes + key.len, value.len};
    return entry;
}

/* ---- operations --------------------------------------------------------------------------- */

/* Frees a store, also one that is only half made. */
static void db_free(struct kvs_db *db)
{
    if (db->table != NULL)
        g_hash_table_destroy(db->table);
    pthread_rwlock_destroy(&db->lock);
    free(db);
}

static kvs_status memory_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                              struct kvs_error *err)
{
    const struct kvs_host *host = config->host;
    if ((config->flags & KVS_OPEN_CREATE) == 0)
        return kvs_error_set(err, KVS_MISSING, 0,
                             "the memory engine has no store from before; open it with "
                             "KVS_OPEN_CREATE");
    struct kvs_db *db = calloc(1, sizeof(*db));
    if (db == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a store");
    db->host = host;
    db->read_only = (config->flags & KVS_OPEN_READ_ONLY) != 0;
    pthread_rwlock_init(&db->lock, NULL);
    db->table = g_hash_table_new_full(key_hash, key_equal, free, NULL);

    /* The host has checked the option's type and range before it called us. */
    struct kvs_option_value memory_max = {.size = sizeof(memory_max)};
    kvs_status status = host->config_get(host, "memory-max", &memory_max);
    if (status == KVS_OK)
        status = host->metric_register(host, KVS_METRIC_GAUGE, "memory_entries",
                                       "keys in the memory engine", &db->entries_metric);
    if (status != KVS_OK) {
        db_free(db);
        return kvs_error_set(err, status, 0, "the memory engine's host refused: %s",
                             kvs_status_text(status));
    }
    db->memory_max = memory_max.u64;
    host->log(host, KVS_LOG_WARN, "everything is in memory: nothing is kept when the server stops");
    *ret_db = db;
    return KVS_OK;
}

static kvs_status memory_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)err;
    if (db != NULL)
        db_free(db);
    return KVS_OK;
}

static kvs_status memory_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    kvs_status status = KVS_NOT_FOUND;
    (void)tls; /* nothing per thread here: thread_attach is absent, so this is always NULL */
    (void)err;
    pthread_rwlock_rdlock(&db->lock);
    const struct entry *entry = g_hash_table_lookup(db->table, &key);
    if (entry != NULL)
        status = visit(arg, entry->value) == 0 ? KVS_OK : KVS_STOPPED;
    pthread_rwlock_unlock(&db->lock);
    return status;
}

/* Puts entry in place of the one with its key; the lock is held. On KVS_OK the table owns it. */
static kvs_status set_locked(struct kvs_db *db, struct entry *entry, struct kvs_error *err)
{
    const struct entry *old = g_hash_table_lookup(db->table, &entry->key);
    uint64_t size = entry_size(entry->key, entry->value);
    uint64_t old_size = old != NULL ? entry_size(old->key, old->value) : 0;
    uint64_t used = db->bytes_used - old_size + size;
    if (db->memory_max != 0 && used > db->memory_max)
        return kvs_error_set(
            err, KVS_NO_SPACE, 0, "%llu of %llu bytes are in use; remove keys or raise memory-max",
            (unsigned long long)db->bytes_used, (unsigned long long)db->memory_max);
    g_hash_table_add(db->table, entry); /* frees the old one */
    db->bytes_used = used;
    if (old == NULL)
        db->host->metric_add(db->host, db->entries_metric, 1);
    return KVS_OK;
}

/* What every write is checked for. KVS_OK, or why it is refused. */
static kvs_status check_write(const struct kvs_db *db, struct kvs_bytes key, struct kvs_bytes value,
                              struct kvs_error *err)
{
    if (db->read_only)
        return kvs_error_set(err, KVS_READ_ONLY, 0, "the store was opened read-only");
    if (key.len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    if (key.len > KEY_MAX || value.len > VALUE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a key has at most %llu bytes and a value %llu; store less",
                             (unsigned long long)KEY_MAX, (unsigned long long)VALUE_MAX);
    return KVS_OK;
}

static kvs_status memory_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                             struct kvs_bytes value, struct kvs_error *err)
{
    (void)tls;
    kvs_status status = check_write(db, key, value, err);
    if (status != KVS_OK)
        return status;
    struct entry *entry = entry_new(key, value); /* copied before the lock is taken */
    if (entry == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a value of %llu bytes",
                             (unsigned long long)value.len);
    pthread_rwlock_wrlock(&db->lock);
    status = set_locked(db, entry, err);
    pthread_rwlock_unlock(&db->lock);
    if (status != KVS_OK)
        free(entry);
    return status;
}

static kvs_status memory_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                                struct kvs_error *err)
{
    (void)tls;
    kvs_status status = check_write(db, key, (struct kvs_bytes){NULL, 0}, err);
    if (status != KVS_OK)
        return status;
    pthread_rwlock_wrlock(&db->lock);
    const struct entry *entry = g_hash_table_lookup(db->table, &key);
    if (entry == NULL) {
        status = KVS_NOT_FOUND;
    } else {
        db->bytes_used -= entry_size(entry->key, entry->value);
        g_hash_table_remove(db->table, &key);
        db->host->metric_add(db->host, db->entries_metric, -1);
    }
    pthread_rwlock_unlock(&db->lock);
    return status;
}

/* ---- what the host reads ------------------------------------------------------------------ */

/* Everything that is not set is zero, and so absent: submit, get_many, scan, ... */
static const struct kvs_engine_ops operations = {
    .size = sizeof(struct kvs_engine_ops),
    .capabilities = KVS_ENGINE_CONCURRENT_WRITERS,
    .key_max = KEY_MAX,
    .value_max = VALUE_MAX,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .set = memory_set,
    .remove = memory_remove,
};

static const struct kvs_option options[] = {
    {
        .size = sizeof(struct kvs_option),
        .type = KVS_OPTION_BYTES,
        .name = "memory-max",
        .default_value = "0",
        .help = "bytes that keys and values may take together; 0: no limit",
    },
};

static const struct kvs_plugin plugin = {
    .size = sizeof(struct kvs_plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_ENGINE,
    .name = "memory", /* the file is kvs-engine-memory.so */
    .version = "0.1.0",
    .description = "Keeps everything in memory (a template for engines)",
    .author = "The kvs authors",
    .licence = "MIT",
    .options = options,
    .option_stride = sizeof(struct kvs_option),
    .option_count = sizeof(options) / sizeof(options[0]),
    .ops = &operations,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const list[] = {&plugin, NULL};
    (void)host_major;
    (void)host_minor;
    return list;
}
