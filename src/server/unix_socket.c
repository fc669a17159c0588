/*
 * See unix_socket.h. The file of a socket outlives a server that was killed, so what is found at the
 * path may be stale. Two servers that start at once must not both find it so:
 *
 * I1  The path is looked at, replaced and removed only by who holds the lock on PATH.lock, from
 *     before the first look until after the removal. The lock's file is removed under the lock, and
 *     who gets a lock checks that its file still has the name.
 * I2  The file never has more permissions than asked for: Linux gives it those of the socket's inode, less
 *     the umask, and what the umask took is added afterwards.
 */
#include "server/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

static kvs_status failed(const char *path, const char *what, int error, struct kvs_error *err)
{
    return kvs_error_set(err, error == EACCES || error == EPERM ? KVS_DENIED : KVS_NETWORK, error,
                         "cannot listen on unix:%s: %s: %s", path, what, strerror(error));
}

/* Others must not be able to put a socket of their own in the place of ours. */
static kvs_status check_folder(const char *path, struct kvs_error *err)
{
    _cleanup_(freep) char *copy = strdup(path);
    struct stat folder;
    if (copy == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    const char *name = dirname(copy);
    if (stat(name, &folder) != 0)
        return failed(path, name, errno, err);
    if ((folder.st_mode & S_IWOTH) != 0 && (folder.st_mode & S_ISVTX) == 0)
        return kvs_error_set(
            err, KVS_DENIED, 0,
            "cannot listen on unix:%s: anybody may replace files in %s; use another "
            "folder, or chmod o-w it",
            path, name);
    return KVS_OK;
}

/* Takes the lock (I1). */
static kvs_status lock(struct unix_socket *file, struct kvs_error *err)
{
    for (;;) {
        struct stat opened;
        struct stat named;
        _cleanup_(closep) int fd =
            open(file->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return failed(file->path, file->lock_path, errno, err);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EINTR)
                continue;
            if (errno != EWOULDBLOCK)
                return failed(file->path, file->lock_path, errno, err);
            return kvs_error_set(
                err, KVS_LOCKED, 0,
                "cannot listen on unix:%s: another kvs-server does; choose another path, "
                "or stop it",
                file->path);
        }
        if (fstat(fd, &opened) != 0)
            return failed(file->path, file->lock_path, errno, err);
        if (lstat(file->lock_path, &named) == 0 && named.st_dev == opened.st_dev &&
            named.st_ino == opened.st_ino) {
            file->lock_fd = take_fd(&fd);
            return KVS_OK;
        }
    }
}

/* True when somebody answers there, or may: only a refusal says that nobody does. */
static bool somebody_listens(const struct address *address)
{
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 || connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0 ||
           errno != ECONNREFUSED;
}

/* Makes the path free, if it is not and may be. */
static kvs_status replace_stale(const struct unix_socket *file, const struct address *address,
                                struct kvs_error *err)
{
    struct stat there;
    if (lstat(file->path, &there) != 0)
        return errno == ENOENT ? KVS_OK : failed(file->path, "looking at it", errno, err);
    if (!S_ISSOCK(there.st_mode))
        return kvs_error_set(
            err, KVS_INVALID, 0,
            "cannot listen on unix:%s: there is a file that is no socket; remove it, "
            "or choose another path",
            file->path);
    if (there.st_uid != geteuid())
        return kvs_error_set(
            err, KVS_DENIED, 0,
            "cannot listen on unix:%s: the socket that is there belongs to user %u; "
            "remove it, or choose another path",
            file->path, there.st_uid);
    if (somebody_listens(address))
        return kvs_error_set(
            err, KVS_LOCKED, 0,
            "cannot listen on unix:%s: another program does; choose another path, or "
            "stop it",
            file->path);
    if (unlink(file->path) != 0)
        return failed(file->path, "removing the stale socket", errno, err);
    return KVS_OK;
}

static kvs_status make(struct unix_socket *file, int fd, const struct address *address,
                       uint32_t mode, struct kvs_error *err)
{
    kvs_status status = replace_stale(file, address, err);
    if (status != KVS_OK)
        return status;
    if (fchmod(fd, (mode_t)mode) != 0 || /* I2 */
        bind(fd, (const struct sockaddr *)&address->storage, address->size) != 0)
        return failed(file->path, "making the socket", errno, err);
    if (chmod(file->path, (mode_t)mode) != 0 || lstat(file->path, &file->made) != 0) {
        int error = errno;
        (void)unlink(file->path);
        return failed(file->path, "giving it its mode", error, err);
    }
    return KVS_OK;
}

static void unlock(struct unix_socket *file)
{
    if (file->lock_fd >= 0) {
        (void)unlink(file->lock_path);
        (void)close(file->lock_fd);
    }
    free(file->path);
    free(file->lock_path);
    *file = (struct unix_socket){.lock_fd = -1};
}

kvs_status unix_socket_bind(struct unix_socket *file, int fd, const struct address *address,
                            uint32_t mode, struct kvs_error *err)
{
    const char *path = address_path(address);
    struct unix_socket made = {.path = strdup(path), .lock_fd = -1};
    if (made.path == NULL || asprintf(&made.lock_path, "%s.lock", path) < 0) {
        free(made.path);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    }
    kvs_status status = check_folder(path, err);
    if (status == KVS_OK)
        status = lock(&made, err);
    if (status == KVS_OK)
        status = make(&made, fd, address, mode, err);
    if (status != KVS_OK)
        unlock(&made);
    else
        *file = made;
    return status;
}

void unix_socket_remove(struct unix_socket *file)
{
    struct stat there;
    if (file->path == NULL)
        return;
    if (lstat(file->path, &there) == 0 && there.st_dev == file->made.st_dev &&
        there.st_ino == file->made.st_ino)
        (void)unlink(file->path);
    unlock(file);
}
