/*
 * See copy.h. Called by any thread; LMDB itself adds one for the length of the copy.
 *
 * I1  A file that is not complete and synced never has the name data.mdb.
 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <lmdb.h>

#include "fault.h"

#define COPY_FILE_MODE 0600

/* How much may be written during a checkpoint before writes wait for its end: the map cannot move
   meanwhile, so it is made large enough first. Address space is all that this takes. */
#define CHECKPOINT_HEADROOM_BYTES (UINT64_C(16) << 30)

/* Writes the live data to data.mdb.new in dir_fd, synced. 0 or a code; ret_fd is then open. */
static int copy_to(MDB_env *env, int dir_fd, int *ret_fd)
{
    int fd = openat(dir_fd, STORE_NEW_FILE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, COPY_FILE_MODE);
    if (fd < 0)
        return errno;
    int code = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    if (code == 0)
        code = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
    if (code == MDB_INCOMPATIBLE) {
        /* Some page is neither in use nor free: LMDB cannot compact that, but copy it as it is. */
        code = ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 ? 0 : errno;
        if (code == 0)
            code = mdb_env_copyfd2(env, fd, 0);
    }
    if (code == 0 && fsync(fd) != 0)
        code = errno;
    if (code == 0) {
        *ret_fd = fd;
        return 0;
    }
    (void)close(fd);
    (void)unlinkat(dir_fd, STORE_NEW_FILE, 0);
    return code;
}

static int checkpoint_into(struct kvs_db *db, int dir_fd)
{
    int fd = -1;
    reader_pin(&db->readers);
    int code = db->store.is_lost ? MDB_PANIC : copy_to(db->store.env, dir_fd, &fd);
    reader_unpin(&db->readers);
    if (code != 0)
        return code;
    (void)close(fd);
    if (renameat(dir_fd, STORE_NEW_FILE, dir_fd, STORE_DATA_FILE) != 0)
        return errno;
    return fsync(dir_fd) == 0 ? 0 : errno;
}

static void make_headroom(struct kvs_db *db)
{
    writer_pause(&db->writer);
    if (health_check(&db->health, NULL) == KVS_OK) {
        int code = space_grow_map(&db->space, CHECKPOINT_HEADROOM_BYTES / 2);
        if (code != 0)
            health_log(&db->health, KVS_LOG_INFO,
                       "%s: no address space to spare (%s): writes may wait for the checkpoint",
                       db->store.dir, mdb_strerror(code));
    }
    writer_resume(&db->writer);
}

kvs_status copy_checkpoint(struct kvs_db *db, const char *path, struct kvs_error *err)
{
    char what[KVS_ERROR_MESSAGE_MAX];
    if (!db->store.read_only)
        make_headroom(db);
    int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = dir_fd < 0 ? errno : checkpoint_into(db, dir_fd);
    if (dir_fd >= 0)
        (void)close(dir_fd);
    if (code == 0)
        return KVS_OK;
    (void)snprintf(what, sizeof(what), "cannot write a checkpoint to %s", path);
    return fault_set(err, code, what);
}

/* The leader puts the copy in place. Once it has the name it has to be what is open, or writes
   would go to a file that nobody finds again; so failures after that turn the store read-only. */
static kvs_status change_over(struct kvs_db *db, int new_fd, struct kvs_error *err)
{
    int code = store_rename_new(&db->store);
    if (code != 0) {
        (void)close(new_fd);
        return fault_set(err, code, "cannot put the compacted file in place");
    }
    code = store_sync_dir(&db->store);
    if (code != 0) {
        health_fail(&db->health, code, "a flush of the directory failed");
        (void)fault_set(err, code, "cannot flush the directory");
    }
    reader_pool_drain(&db->readers);
    reader_pool_end_transactions(&db->readers);
    durable_block(&db->durable);
    kvs_status status = store_replace(&db->store, &db->store_config, new_fd, &db->health, err);
    durable_unblock(&db->durable);
    if (status == KVS_OK)
        space_reset(&db->space);
    reader_pool_resume(&db->readers);
    if (status != KVS_OK)
        health_fail(&db->health, MDB_PANIC, "the compacted file cannot be opened");
    return status == KVS_OK ? fault_status(code) : status;
}

kvs_status copy_compact(struct kvs_db *db, struct kvs_error *err)
{
    int new_fd = -1;
    kvs_status status = health_check(&db->health, err);
    if (status != KVS_OK)
        return status;
    writer_pause(&db->writer);
    status = health_check(&db->health, err);
    if (status == KVS_OK) {
        int code = copy_to(db->store.env, db->store.dir_fd, &new_fd);
        status = code == 0 ? change_over(db, new_fd, err)
                           : fault_set(err, code, "cannot copy the live data");
    }
    writer_resume(&db->writer);
    return status;
}
