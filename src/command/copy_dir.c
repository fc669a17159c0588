/* See copy_dir.h. */
#include "command/copy_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/store_marker.h"

#define DIRECTORY_MODE 0700
#define FILE_MODE      0600

static kvs_status failed(const char *what, const char *path, int error, struct kvs_error *err)
{
    kvs_status status = error == EACCES || error == EPERM || error == EROFS ? KVS_DENIED
                        : error == ENOSPC || error == EDQUOT                ? KVS_NO_SPACE
                        : error == ENOTDIR || error == ENAMETOOLONG         ? KVS_INVALID
                        : error == ENOMEM                                   ? KVS_NO_MEMORY
                                                                            : KVS_IO;
    return kvs_error_set(err, status, error, "cannot %s directory %s: %s", what, path,
                         strerror(error));
}

static void deinit(struct copy_dir *dir)
{
    if (dir->lock_fd >= 0)
        (void)close(dir->lock_fd);
    if (dir->fd >= 0)
        (void)close(dir->fd);
    free(dir->path);
    *dir = (struct copy_dir){.fd = -1, .lock_fd = -1};
}

/* ---- making ------------------------------------------------------------------------------- */

/* Syncs the directory that has the entry path. Gives errno. */
static int sync_parent(const char *path)
{
    _cleanup_(freep) char *parent = strdup(path);
    if (parent == NULL)
        return ENOMEM;
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent ? 1 : 0] = '\0';
    _cleanup_(closep) int fd =
        open(slash != NULL ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) != 0 ? errno : 0;
}

/* One directory, durably; one that is there is fine. Gives errno. */
static int make_one(const char *path, bool *ret_made)
{
    *ret_made = mkdir(path, DIRECTORY_MODE) == 0;
    if (*ret_made)
        return sync_parent(path);
    return errno == EEXIST ? 0 : errno;
}

/* path has no slash at its end. Gives errno. */
static int make_with_parents(char *path, bool *ret_made)
{
    int error = 0;
    for (char *at = path + 1; *at != '\0' && error == 0; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        bool made;
        struct stat info;
        error = stat(path, &info) == 0 ? 0 : make_one(path, &made);
        *at = '/';
    }
    return error == 0 ? make_one(path, ret_made) : error;
}

/* ---- looking ------------------------------------------------------------------------------ */

/* True for what an empty directory may hold. */
static bool is_nothing(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0 ||
           strcmp(name, STORE_LOCK_NAME) == 0;
}

static kvs_status not_empty(const struct copy_dir *dir, const char *name, struct kvs_error *err)
{
    if (strcmp(name, STORE_INCOMPLETE_NAME) == 0)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "directory %s holds a copy that was not finished: remove it, or name "
                             "another directory",
                             dir->path);
    if (strcmp(name, STORE_MARKER_NAME) == 0 || strcmp(name, STORE_PLAIN_NAME) == 0)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "directory %s holds a store already: name an empty or a new one",
                             dir->path);
    return kvs_error_set(err, KVS_INVALID, 0,
                         "directory %s is not empty (%s): name an empty or a new one", dir->path,
                         name);
}

/* except: a further name that may be there, or NULL. KVS_OK when it is empty but for it. */
static kvs_status check_empty(const struct copy_dir *dir, const char *except, struct kvs_error *err)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (list == NULL) {
        int error = errno;
        if (fd >= 0)
            (void)close(fd);
        return failed("read", dir->path, error, err);
    }
    kvs_status status = KVS_OK;
    for (const struct dirent *entry = readdir(list); entry != NULL && status == KVS_OK;
         entry = readdir(list))
        if (!is_nothing(entry->d_name) && (except == NULL || strcmp(entry->d_name, except) != 0))
            status = not_empty(dir, entry->d_name, err);
    (void)closedir(list);
    return status;
}

/* ---- marking ------------------------------------------------------------------------------ */

static kvs_status take_lock(struct copy_dir *dir, struct kvs_error *err)
{
    dir->lock_fd =
        openat(dir->fd, STORE_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (dir->lock_fd < 0)
        return failed("write to", dir->path, errno, err);
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return KVS_OK;
    if (errno != EWOULDBLOCK)
        return failed("lock", dir->path, errno, err);
    return kvs_error_set(err, KVS_LOCKED, 0, "directory %s is used by another process", dir->path);
}

/* Gives errno. */
static int write_synced(int fd, const char *content)
{
    size_t size = strlen(content);
    ssize_t written = write(fd, content, size);
    if (written < 0)
        return errno;
    if ((size_t)written != size)
        return ENOSPC;
    return fsync(fd) == 0 ? 0 : errno;
}

static kvs_status mark_incomplete(struct copy_dir *dir, const char *engine, struct kvs_error *err)
{
    char content[256];
    int size =
        snprintf(content, sizeof(content), STORE_MARKER_CONTENT, STORE_MARKER_FORMAT, engine);
    if (size < 0 || (size_t)size >= sizeof(content))
        return kvs_error_set(err, KVS_INVALID, 0, "the engine's name is too long: %s", engine);
    _cleanup_(closep) int fd =
        openat(dir->fd, STORE_INCOMPLETE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
               FILE_MODE);
    int error = fd < 0 ? errno : write_synced(fd, content);
    if (error == 0 && fsync(dir->fd) != 0)
        error = errno;
    return error == 0 ? KVS_OK : failed("write to", dir->path, error, err);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static kvs_status begin(struct copy_dir *dir, const char *engine, struct kvs_error *err)
{
    size_t size = strlen(dir->path);
    while (size > 1 && dir->path[size - 1] == '/')
        dir->path[--size] = '\0';
    if (size == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "the directory for the copy has no name");
    int error = make_with_parents(dir->path, &dir->made);
    if (error != 0)
        return failed("make", dir->path, error, err);
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return failed("open", dir->path, errno, err);
    kvs_status status = check_empty(dir, NULL, err); /* before anything is made in it */
    if (status != KVS_OK)
        return status;
    status = take_lock(dir, err);
    if (status == KVS_OK)
        status = check_empty(dir, NULL, err); /* again: now nobody else begins */
    if (status == KVS_OK)
        status = mark_incomplete(dir, engine, err);
    if (status != KVS_OK && status != KVS_LOCKED)
        copy_dir_abandon(dir);
    return status;
}

kvs_status copy_dir_begin(struct copy_dir *dir, const char *path, const char *engine,
                          struct kvs_error *err)
{
    *dir = (struct copy_dir){.path = strdup(path), .fd = -1, .lock_fd = -1};
    if (dir->path == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    kvs_status status = begin(dir, engine, err);
    if (status != KVS_OK)
        deinit(dir);
    return status;
}

kvs_status copy_dir_finish(struct copy_dir *dir, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    if (renameat(dir->fd, STORE_INCOMPLETE_NAME, dir->fd, STORE_MARKER_NAME) != 0)
        status = failed("complete", dir->path, errno, err);
    else if (fsync(dir->fd) != 0) {
        status = failed("sync", dir->path, errno, err);
        (void)renameat(dir->fd, STORE_MARKER_NAME, dir->fd, STORE_INCOMPLETE_NAME);
    }
    deinit(dir);
    return status;
}

void copy_dir_abandon(struct copy_dir *dir)
{
    if (dir->fd >= 0 && check_empty(dir, STORE_INCOMPLETE_NAME, NULL) == KVS_OK) {
        (void)unlinkat(dir->fd, STORE_INCOMPLETE_NAME, 0);
        (void)unlinkat(dir->fd, STORE_LOCK_NAME, 0);
        if (dir->made)
            (void)rmdir(dir->path);
    }
    deinit(dir);
}
