/*
 * See data_dir.h. The marker is written before the engine makes its first file, so there are never
 * data whose engine is unknown; it is written to a temporary name, synced, renamed, and the folder
 * is synced, so it is whole or not there. The lock is flock(): the kernel drops it when the process
 * dies.
 */
#include "server/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/store_marker.h"

static kvs_status io_failed(const char *what, const char *path, int error, struct kvs_error *err)
{
    kvs_status status = error == EACCES || error == EPERM || error == EROFS ? KVS_DENIED
                        : error == ENOSPC || error == EDQUOT                ? KVS_NO_SPACE
                        : error == ENOTDIR                                  ? KVS_INVALID
                                                                            : KVS_IO;
    return kvs_error_set(err, status, error, "cannot %s data directory %s: %s", what, path,
                         strerror(error));
}

static char *member(const struct data_dir *dir, const char *name)
{
    return g_build_filename(dir->path, name, NULL);
}

/* ---- opening ------------------------------------------------------------------------------ */

/* Says who has the lock, as far as the lock file tells. */
static kvs_status locked(const struct data_dir *dir, int fd, struct kvs_error *err)
{
    char owner[32] = "";
    ssize_t size = pread(fd, owner, sizeof(owner) - 1, 0);
    owner[size > 0 ? size : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    return kvs_error_set(err, KVS_LOCKED, 0,
                         "data directory %s is used by another server (process %s); stop it, or "
                         "choose another --data-dir",
                         dir->path, owner[0] != '\0' ? owner : "unknown");
}

static kvs_status take_lock(struct data_dir *dir, struct kvs_error *err)
{
    g_autofree char *path = member(dir, STORE_LOCK_NAME);
    _cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return io_failed("write to", dir->path, errno, err);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? locked(dir, fd, err)
                                    : io_failed("lock", dir->path, errno, err);
    dir->lock_fd = take_fd(&fd);
    return KVS_OK;
}

/* Says in the lock file who has it. Only information for people: failing to write it is no reason
   not to start. */
static void note_owner(const struct data_dir *dir)
{
    char text[32];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(dir->lock_fd, 0) != 0 || pwrite(dir->lock_fd, text, (size_t)size, 0) != size)
        (void)0;
}

/* A directory without a marker must be empty: we do not mix our files with somebody else's. */
static kvs_status check_empty(const struct data_dir *dir, struct kvs_error *err)
{
    static const char *const ours[] = {
        ".",         "..", STORE_LOCK_NAME, STORE_MARKER_NAME, STORE_MARKER_TEMP, STORE_PLAIN_NAME,
        "lost+found"};
    DIR *list = opendir(dir->path);
    if (list == NULL)
        return io_failed("read", dir->path, errno, err);
    kvs_status status = KVS_OK;
    for (struct dirent *entry = readdir(list); entry != NULL && status == KVS_OK;
         entry = readdir(list)) {
        bool known = false;
        for (size_t i = 0; i < G_N_ELEMENTS(ours); i++)
            known = known || strcmp(entry->d_name, ours[i]) == 0;
        if (!known)
            status = kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                                   "directory %s holds files that kvs did not make (%s); choose an "
                                   "empty or new --data-dir",
                                   dir->path, entry->d_name);
    }
    (void)closedir(list);
    return status;
}

/* KVS_CORRUPT for what is left of a copy that was cut off. */
static kvs_status check_complete(const char *path, struct kvs_error *err)
{
    g_autofree char *incomplete = g_build_filename(path, STORE_INCOMPLETE_NAME, NULL);
    if (access(incomplete, F_OK) != 0)
        return KVS_OK;
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         "directory %s holds a copy of a store (a checkpoint or a repair) that was "
                         "not finished: remove it, and make it again",
                         path);
}

static kvs_status read_marker(struct data_dir *dir, struct kvs_error *err)
{
    g_autofree char *path = member(dir, STORE_MARKER_NAME);
    g_autoptr(GKeyFile) marker = g_key_file_new();
    g_autoptr(GError) error = NULL;
    if (!g_key_file_load_from_file(marker, path, G_KEY_FILE_NONE, &error)) {
        if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            dir->is_new = true;
            kvs_status status = check_complete(dir->path, err);
            return status == KVS_OK ? check_empty(dir, err) : status;
        }
        if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
            return io_failed("read", dir->path, EACCES, err);
        return kvs_error_set(err, KVS_CORRUPT, 0,
                             "cannot read %s: %s; it should hold the lines [store], format=1 and "
                             "engine=NAME; salvage the store with --repair and --engine",
                             path, error->message);
    }
    int format = g_key_file_get_integer(marker, STORE_MARKER_GROUP, "format", NULL);
    if (format > STORE_MARKER_FORMAT)
        return kvs_error_set(
            err, KVS_INCOMPATIBLE, 0,
            "data directory %s has format %d, this kvs knows formats up to %d; use "
            "a newer kvs-server",
            dir->path, format, STORE_MARKER_FORMAT);
    g_autofree char *engine = g_key_file_get_string(marker, STORE_MARKER_GROUP, "engine", NULL);
    if (format < 1 || engine == NULL || engine[0] == '\0' || strlen(engine) >= sizeof(dir->engine))
        return kvs_error_set(err, KVS_CORRUPT, 0,
                             "%s names no engine; it should hold the lines [store], format=1 and "
                             "engine=NAME; salvage the store with --repair and --engine",
                             path);
    g_strlcpy(dir->engine, engine, sizeof(dir->engine));
    return KVS_OK;
}

/* Reads what is at dir->path without touching it. Nothing there is fine. */
static kvs_status look(struct data_dir *dir, struct kvs_error *err)
{
    struct stat info;
    if (stat(dir->path, &info) != 0)
        return errno == ENOENT ? KVS_OK : io_failed("read", dir->path, errno, err);
    if (!S_ISDIR(info.st_mode))
        return io_failed("use", dir->path, ENOTDIR, err);
    return read_marker(dir, err);
}

kvs_status data_dir_peek(const char *path, char ret_engine[DATA_DIR_ENGINE_MAX],
                         struct kvs_error *err)
{
    if (path[0] == '\0')
        return kvs_error_set(err, KVS_INVALID, 0, "the data directory has an empty name");
    struct data_dir dir = {.path = g_canonicalize_filename(path, NULL), .lock_fd = -1};
    kvs_status status = look(&dir, err);
    if (status == KVS_OK)
        g_strlcpy(ret_engine, dir.engine, DATA_DIR_ENGINE_MAX);
    data_dir_close(&dir);
    return status;
}

kvs_status data_dir_open(struct data_dir *dir, const char *path, struct kvs_error *err)
{
    char engine[DATA_DIR_ENGINE_MAX];
    *dir = (struct data_dir){.lock_fd = -1};
    kvs_status status = data_dir_peek(path, engine, err);
    if (status != KVS_OK)
        return status;
    if (g_mkdir_with_parents(path, 0700) != 0)
        return io_failed("make", path, errno, err);
    dir->path = g_canonicalize_filename(path, NULL);
    status = take_lock(dir, err);
    if (status == KVS_OK)
        status = read_marker(dir, err); /* again: now nobody can change it */
    if (status != KVS_OK)
        data_dir_close(dir);
    return status;
}

/* Opens the lock file without changing a store that has one. -1 with errno. */
static int open_lock_as_guest(const char *path, bool *ret_made)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    *ret_made = fd >= 0;
    return fd;
}

/* Where nothing can be written nobody can serve it either: then there is no lock to take. */
static kvs_status take_lock_as_guest(struct data_dir *dir, struct kvs_error *err)
{
    g_autofree char *path = member(dir, STORE_LOCK_NAME);
    dir->is_guest = true;
    dir->lock_fd = open_lock_as_guest(path, &dir->made_lock);
    if (dir->lock_fd < 0)
        return errno == EROFS ? KVS_OK : io_failed("lock", dir->path, errno, err);
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return KVS_OK;
    dir->made_lock = false;
    return errno == EWOULDBLOCK ? locked(dir, dir->lock_fd, err)
                                : io_failed("lock", dir->path, errno, err);
}

static kvs_status read_marker_as_guest(struct data_dir *dir, bool engine_is_known,
                                       struct kvs_error *err)
{
    g_autofree char *marker = member(dir, STORE_MARKER_NAME);
    if (access(marker, F_OK) == 0) {
        kvs_status status = read_marker(dir, err);
        return status == KVS_CORRUPT && engine_is_known ? KVS_OK : status;
    }
    kvs_status status = check_complete(dir->path, err);
    if (status != KVS_OK || engine_is_known)
        return status;
    return kvs_error_set(err, KVS_MISSING, ENOENT,
                         "there is no kvs store in %s; name its directory with --data-dir",
                         dir->path);
}

kvs_status data_dir_open_stopped(struct data_dir *dir, const char *path, bool engine_is_known,
                                 struct kvs_error *err)
{
    struct stat info;
    *dir = (struct data_dir){.lock_fd = -1};
    if (stat(path, &info) != 0)
        return kvs_error_set(err, KVS_MISSING, errno,
                             "there is no kvs store in %s (%s); name its directory with --data-dir",
                             path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return io_failed("use", path, ENOTDIR, err);
    dir->path = g_canonicalize_filename(path, NULL);
    kvs_status status = read_marker_as_guest(dir, engine_is_known, err);
    if (status == KVS_OK)
        status = take_lock_as_guest(dir, err);
    if (status == KVS_OK)
        status =
            read_marker_as_guest(dir, engine_is_known, err); /* again: now nobody can change it */
    if (status != KVS_OK)
        data_dir_close(dir);
    return status;
}

/* ---- claiming ----------------------------------------------------------------------------- */

static int sync_folder(const char *path)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) != 0 ? errno : 0;
}

/* Writes content to the file at path and syncs it. Returns errno. */
static int write_synced(const char *path, const char *content)
{
    _cleanup_(closep) int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno;
    size_t size = strlen(content);
    ssize_t written = write(fd, content, size);
    if (written < 0)
        return errno;
    if ((size_t)written != size)
        return ENOSPC;
    return fsync(fd) != 0 ? errno : 0;
}

kvs_status data_dir_check_engine(const char *path, const char *made_by, const char *engine,
                                 struct kvs_error *err)
{
    if (made_by[0] == '\0' || strcmp(made_by, engine) == 0)
        return KVS_OK;
    return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                         "data directory %s was made by engine %s, not %s; start with --engine %s "
                         "or choose another --data-dir",
                         path, made_by, engine, made_by);
}

/* Writes the marker, whole or not at all. */
static kvs_status write_marker(const struct data_dir *dir, const char *engine,
                               struct kvs_error *err)
{
    g_autofree char *content = g_strdup_printf(STORE_MARKER_CONTENT, STORE_MARKER_FORMAT, engine);
    g_autofree char *path = member(dir, STORE_MARKER_NAME);
    g_autofree char *temp = member(dir, STORE_MARKER_TEMP);
    int error = write_synced(temp, content);
    if (error == 0 && rename(temp, path) != 0)
        error = errno;
    if (error == 0)
        error = sync_folder(dir->path);
    if (error != 0) {
        (void)unlink(temp);
        return io_failed("write to", dir->path, error, err);
    }
    return KVS_OK;
}

/* Without the file the store is only walked over once more. */
static void begin_plain(const struct data_dir *dir)
{
    g_autofree char *path = member(dir, STORE_PLAIN_NAME);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        (void)close(fd);
}

bool data_dir_is_plain(const struct data_dir *dir)
{
    g_autofree char *path = member(dir, STORE_PLAIN_NAME);
    return access(path, F_OK) == 0;
}

/*
 * A flush that failed is not tried again: the kernel would call it done though a power loss may still bring the
 * name back, and then keys that have expired. (File systems that keep a journal of names take no more writes
 * when that fails, so a restart does not hide it either.)
 */
kvs_status data_dir_end_plain(struct data_dir *dir, struct kvs_error *err)
{
    g_autofree char *path = member(dir, STORE_PLAIN_NAME);
    if (dir->is_end_in_doubt)
        return kvs_error_set(
            err, KVS_IO, EIO,
            "cannot write to data directory %s: a flush of it failed before; check "
            "the disk, then restart",
            dir->path);
    _cleanup_(closep) int fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (unlink(path) != 0 && errno != ENOENT))
        return io_failed("write to", dir->path, errno, err);
    if (fsync(fd) == 0)
        return KVS_OK;
    dir->is_end_in_doubt = true;
    return io_failed("write to", dir->path, errno, err);
}

/* A run that was killed may have taken kvs.plain away without that being durable. Nobody takes it away again,
   so it is made durable here, before anything is set that expires. */
static kvs_status settle_plain(const struct data_dir *dir, struct kvs_error *err)
{
    int error = data_dir_is_plain(dir) ? 0 : sync_folder(dir->path);
    return error == 0 ? KVS_OK : io_failed("write to", dir->path, error, err);
}

kvs_status data_dir_claim(struct data_dir *dir, const char *engine, struct kvs_error *err)
{
    kvs_status status = data_dir_check_engine(dir->path, dir->engine, engine, err);
    if (status == KVS_OK && dir->engine[0] == '\0')
        status = write_marker(dir, engine, err);
    else if (status == KVS_OK)
        status = settle_plain(dir, err);
    if (status != KVS_OK)
        return status;
    if (dir->is_new && dir->engine[0] == '\0')
        begin_plain(dir);
    g_strlcpy(dir->engine, engine, sizeof(dir->engine));
    note_owner(dir);
    return KVS_OK;
}

void data_dir_unclaim(struct data_dir *dir)
{
    if (!dir->is_new || dir->engine[0] == '\0' || check_empty(dir, NULL) != KVS_OK)
        return; /* what the engine left behind stays known as its own */
    g_autofree char *path = member(dir, STORE_MARKER_NAME);
    g_autofree char *plain = member(dir, STORE_PLAIN_NAME);
    (void)unlink(plain);
    (void)unlink(path);
    (void)sync_folder(dir->path);
    dir->engine[0] = '\0';
}

void data_dir_close(struct data_dir *dir)
{
    if (dir->path == NULL)
        return;
    if (dir->made_lock) {
        g_autofree char *lock = member(dir, STORE_LOCK_NAME);
        (void)unlink(lock);
    }
    if (dir->lock_fd >= 0)
        (void)close(dir->lock_fd);
    g_free(dir->path);
    dir->path = NULL;
    dir->lock_fd = -1;
    dir->made_lock = false;
}
