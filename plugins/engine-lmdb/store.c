/*
 * See store.h.
 *
 * I1  data.mdb is never half made: a new one is written and synced under another name and renamed,
 *     so an empty or short data.mdb is damage, not a first run that was cut off.
 * I2  data.mdb is flocked from before LMDB opens it until after LMDB closed it (exclusively for
 *     writing), so that no second engine opens it, neither in another process nor in this one: LMDB
 *     has only fcntl locks, on lock.mdb, which a second open in one process silently drops, and
 *     who then finds them free makes lock.mdb anew under the feet of the first.
 * I3  A read-only store is opened without LMDB's lock file, because LMDB would write to it. That is
 *     sound because nobody writes the data meanwhile (I2).
 */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "marker.h"

#define STORE_FILE_MODE 0600

static void on_assert(MDB_env *env, const char *message)
{
    /* LMDB prints the message and aborts after this returns; the log should have it too. */
    const struct health *health = mdb_env_get_userctx(env);
    health_log(health, KVS_LOG_ERROR, "%s: %s", health->dir, message);
}

int store_sync_dir(const struct store *store)
{
    return fsync(store->dir_fd) == 0 ? 0 : errno;
}

uint64_t store_used_bytes(const struct store *store)
{
    MDB_envinfo info;
    (void)mdb_env_info(store->env, &info);
    return ((uint64_t)info.me_last_pgno + 1) * store->page_bytes;
}

static kvs_status set_failure(struct kvs_error *err, int code, const char *verb,
                              const struct store *store)
{
    char what[KVS_ERROR_MESSAGE_MAX];
    (void)snprintf(what, sizeof(what), "cannot %s the LMDB store in %s", verb, store->dir);
    return fault_set(err, code, what);
}

/* Writes an empty environment to path and syncs it. 0 or a code. */
static int write_empty(const char *path, uint64_t map_bytes)
{
    MDB_env *env;
    int code = mdb_env_create(&env);
    if (code != 0)
        return code;
    code = mdb_env_set_mapsize(env, map_bytes);
    if (code == 0)
        code = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK, STORE_FILE_MODE);
    if (code == 0)
        code = mdb_env_sync(env, 1);
    mdb_env_close(env);
    return code;
}

/* Makes data.mdb, durable when it returns (I1). 0 or a code. */
static int make(const struct store *store, uint64_t map_bytes)
{
    char *path;
    if (asprintf(&path, "%s/%s", store->dir, STORE_NEW_FILE) < 0)
        return ENOMEM;
    int code = write_empty(path, map_bytes);
    free(path);
    if (code == 0)
        code = store_rename_new(store);
    if (code == 0)
        code = store_sync_dir(store);
    if (code != 0)
        (void)unlinkat(store->dir_fd, STORE_NEW_FILE, 0);
    return code;
}

/* Refuses what may not be on the disk as it was written. */
static kvs_status check_marker(const struct store *store, const struct store_config *config,
                               struct kvs_error *err)
{
    enum marker marker;
    int code = marker_look(store->dir_fd, &marker);
    if (code != 0)
        return set_failure(err, code, "read the file " MARKER_FILE " of", store);
    if (marker == MARKER_NONE || marker == MARKER_CURRENT || config->trust_unsynced)
        return KVS_OK;
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         "%s/%s may be damaged: %s; restore it from a checkpoint, or verify it and "
                         "then open it with trust-unsynced=yes",
                         store->dir, STORE_DATA_FILE, marker_text(marker));
}

/* Files in the making, which a kill has left. Only the one who may write here knows that nobody makes them. */
static void remove_unfinished(const struct store *store)
{
    (void)unlinkat(store->dir_fd, STORE_NEW_FILE, 0);
    (void)unlinkat(store->dir_fd, MARKER_NEW_FILE, 0);
}

/* Sees to it that there is a data.mdb, and that it may be opened. */
static kvs_status find_or_make(const struct store *store, const struct store_config *config,
                               struct kvs_error *err)
{
    struct stat info;
    if (fstatat(store->dir_fd, STORE_DATA_FILE, &info, 0) == 0) {
        if (info.st_size > 0)
            return check_marker(store, config, err);
        return kvs_error_set(err, KVS_CORRUPT, 0, "%s/%s is empty; restore it from a checkpoint",
                             store->dir, STORE_DATA_FILE);
    }
    if (errno != ENOENT)
        return set_failure(err, errno, "look for", store);
    if (!config->create || config->read_only)
        return kvs_error_set(err, KVS_MISSING, 0, "there is no LMDB store in %s", store->dir);
    int code = marker_clear(store->dir_fd); /* what it was about is gone */
    remove_unfinished(store);
    if (code == 0)
        code = make(store, config->map_bytes);
    return code == 0 ? KVS_OK : set_failure(err, code, "make", store);
}

/* Opens data.mdb beside LMDB and locks it (I2). */
static kvs_status lock_data(struct store *store, struct kvs_error *err)
{
    int flags = (store->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
    store->data_fd = openat(store->dir_fd, STORE_DATA_FILE, flags);
    if (store->data_fd < 0)
        return set_failure(err, errno, "open", store);
    if (flock(store->data_fd, (store->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
        return KVS_OK;
    if (errno != EWOULDBLOCK)
        return set_failure(err, errno, "lock", store);
    return kvs_error_set(err, KVS_LOCKED, 0, "%s/%s is open elsewhere; close it there first",
                         store->dir, STORE_DATA_FILE);
}

/* Refuses a file that another program laid out differently, and takes the handle of the data. */
static kvs_status open_database(struct store *store, struct kvs_error *err)
{
    MDB_txn *txn;
    MDB_stat stat;
    unsigned flags = 0;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return set_failure(err, code, "read", store);
    code = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (code == 0)
        code = mdb_dbi_flags(txn, store->dbi, &flags);
    if (code == 0)
        code = mdb_stat(txn, store->dbi, &stat);
    mdb_txn_abort(txn);
    if (code != 0)
        return set_failure(err, code, "read", store);
    if (flags != 0)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "%s/%s was made by another program (database flags %#x)", store->dir,
                             STORE_DATA_FILE, flags);
    store->page_bytes = stat.ms_psize;
    return KVS_OK;
}

/*
 * A file that ends before its last page would raise SIGBUS when that is read. A store that may be
 * written is made long enough again: what was there reads as damage then, not as a crash.
 */
static kvs_status check_size(struct store *store, const struct health *health,
                             struct kvs_error *err)
{
    struct stat info;
    if (fstat(store->data_fd, &info) != 0)
        return set_failure(err, errno, "look at", store);
    uint64_t used_bytes = store_used_bytes(store);
    store->file_bytes = (uint64_t)info.st_size;
    if (store->file_bytes >= used_bytes)
        return KVS_OK;
    if (store->read_only)
        return kvs_error_set(err, KVS_CORRUPT, 0,
                             "%s/%s was cut off: it has %llu bytes and should have %llu; restore "
                             "it from a checkpoint",
                             store->dir, STORE_DATA_FILE, (unsigned long long)info.st_size,
                             (unsigned long long)used_bytes);
    health_log(health, KVS_LOG_WARN, "%s/%s is %llu bytes short; what was there is lost",
               store->dir, STORE_DATA_FILE, (unsigned long long)(used_bytes - store->file_bytes));
    if (ftruncate(store->data_fd, (off_t)used_bytes) != 0)
        return set_failure(err, errno, "lengthen", store);
    store->file_bytes = used_bytes;
    return KVS_OK;
}

/* Creates and opens the environment handle. 0 or a code; there is then none. */
static int open_env(struct store *store, const struct store_config *config,
                    const struct health *health)
{
    unsigned flags = MDB_NOTLS | (config->read_only ? MDB_RDONLY | MDB_NOLOCK : config->sync_flags);
    union {
        const void *in;
        void *out; /* LMDB takes no const, and changes nothing behind it */
    } context = {.in = health};
    int code = mdb_env_create(&store->env);
    if (code != 0)
        return code;
    (void)mdb_env_set_userctx(store->env, context.out);
    (void)mdb_env_set_assert(store->env, on_assert);
    code = mdb_env_set_mapsize(store->env, config->map_bytes);
    if (code == 0)
        code = mdb_env_set_maxreaders(store->env, config->max_readers);
    if (code == 0)
        code = mdb_env_open(store->env, store->dir, flags, STORE_FILE_MODE);
    if (code != 0) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    return code;
}

static void take_limits(struct store *store, const struct store_config *config)
{
    MDB_envinfo info;
    unsigned max_readers = config->max_readers;
    if (!config->read_only) {
        (void)mdb_reader_check(store->env, NULL);
        (void)mdb_env_get_maxreaders(store->env, &max_readers);
    }
    (void)mdb_env_info(store->env, &info);
    store->map_bytes = info.me_mapsize;
    store->max_readers = max_readers;
}

/* Opens what data_fd is. On failure there is no environment. */
static kvs_status open_locked(struct store *store, const struct store_config *config,
                              const struct health *health, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    int code = open_env(store, config, health);
    if (code != 0)
        return set_failure(err, code, "open", store);
    if (mdb_env_get_maxkeysize(store->env) != STORE_KEY_MAX)
        status = kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                               "liblmdb was built for keys of up to %d bytes; this plugin needs %u",
                               mdb_env_get_maxkeysize(store->env), STORE_KEY_MAX);
    if (status == KVS_OK)
        status = open_database(store, err);
    if (status == KVS_OK)
        status = check_size(store, health, err);
    if (status != KVS_OK) {
        mdb_env_close(store->env);
        store->env = NULL;
        return status;
    }
    take_limits(store, config);
    return KVS_OK;
}

kvs_status store_open(struct store *store, const struct store_config *config,
                      const struct health *health, struct kvs_error *err)
{
    struct store opened = {
        .dir = strdup(config->dir), .dir_fd = -1, .data_fd = -1, .read_only = config->read_only};
    if (opened.dir == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to open a store");
    kvs_status status;
    opened.dir_fd = open(config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened.dir_fd < 0)
        status = set_failure(err, errno, "open", &opened);
    else
        status = find_or_make(&opened, config, err);
    if (status == KVS_OK)
        status = lock_data(&opened, err);
    if (status == KVS_OK && !opened.read_only)
        remove_unfinished(&opened);
    if (status == KVS_OK)
        status = open_locked(&opened, config, health, err);
    if (status == KVS_OK)
        *store = opened;
    else
        store_close(&opened);
    return status;
}

int store_rename_new(const struct store *store)
{
    if (renameat(store->dir_fd, STORE_NEW_FILE, store->dir_fd, STORE_DATA_FILE) != 0)
        return errno;
    return 0;
}

kvs_status store_replace(struct store *store, const struct store_config *config, int new_fd,
                         const struct health *health, struct kvs_error *err)
{
    mdb_env_close(store->env);
    store->env = NULL;
    (void)close(store->data_fd);
    store->data_fd = new_fd;
    kvs_status status = open_locked(store, config, health, err);
    store->is_lost = status != KVS_OK;
    return status;
}

kvs_status store_reopen_read_only(struct store *store, const struct store_config *config,
                                  const struct health *health, struct kvs_error *err)
{
    struct store_config read_only = *config;
    read_only.read_only = true;
    mdb_env_close(store->env);
    store->env = NULL;
    int code = open_env(store, &read_only, health);
    kvs_status status =
        code == 0 ? open_database(store, err) : set_failure(err, code, "open", store);
    store->is_lost = status != KVS_OK;
    return status;
}

void store_close(struct store *store)
{
    if (store->dir == NULL)
        return;
    if (store->env != NULL)
        mdb_env_close(store->env);
    if (store->data_fd >= 0)
        (void)close(store->data_fd);
    if (store->dir_fd >= 0)
        (void)close(store->dir_fd);
    free(store->dir);
    *store = (struct store){.dir_fd = -1, .data_fd = -1};
}
