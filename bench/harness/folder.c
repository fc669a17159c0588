/* See folder.h. All walks are fts, physical: a symbolic link is never followed. */
#include "harness/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#include "base/cleanup.h"

static kvs_status fault(struct kvs_error *err, const char *what, const char *path)
{
    int code = errno;
    return kvs_error_set(err, code == ENOSPC ? KVS_NO_SPACE : KVS_IO, code, "cannot %s %s: %s",
                         what, path, g_strerror(code));
}

kvs_status folder_new(const char *base, const char *prefix, char **ret_path, struct kvs_error *err)
{
    _cleanup_(freep) char *path = g_strdup_printf("%s/%s-XXXXXX", base, prefix);
    if (mkdtemp(path) == NULL)
        return fault(err, "make a folder in", base);
    *ret_path = TAKE(path);
    return KVS_OK;
}

/* Begins a walk; NULL: the folder cannot be walked. */
static FTS *walk_begin(const char *path)
{
    char *roots[] = {(char *)(uintptr_t)path, NULL};
    return fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
}

void folder_free(char *path)
{
    FTS *walk = path != NULL ? walk_begin(path) : NULL;
    if (walk != NULL) {
        for (FTSENT *entry = fts_read(walk); entry != NULL; entry = fts_read(walk)) {
            if (entry->fts_info == FTS_DP)
                (void)rmdir(entry->fts_accpath);
            else if (entry->fts_info != FTS_D)
                (void)unlink(entry->fts_accpath);
        }
        (void)fts_close(walk);
    }
    free(path);
}

void folder_freep(char **path)
{
    folder_free(*path);
}

uint64_t folder_disk_bytes(const char *path)
{
    uint64_t bytes = 0;
    FTS *walk = walk_begin(path);
    if (walk == NULL)
        return 0;
    for (FTSENT *entry = fts_read(walk); entry != NULL; entry = fts_read(walk)) {
        if (entry->fts_info == FTS_F)
            bytes += (uint64_t)entry->fts_statp->st_blocks * 512;
    }
    (void)fts_close(walk);
    return bytes;
}

/* Copies [begin, end) from one file to the other; false with errno. */
static bool copy_range(int from, int to, off_t begin, off_t end)
{
    off_t from_at = begin;
    off_t to_at = begin;
    while (from_at < end) {
        ssize_t copied = copy_file_range(from, &from_at, to, &to_at, (size_t)(end - from_at), 0);
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied <= 0)
            return false;
    }
    return true;
}

/* Copies the parts of a file that hold data. */
static bool copy_data(int from, int to, off_t size)
{
    if (ftruncate(to, size) != 0)
        return false;
    for (off_t end = 0; end < size;) {
        off_t begin = lseek(from, end, SEEK_DATA);
        if (begin < 0)
            return errno == ENXIO; /* nothing but a hole is left */
        end = lseek(from, begin, SEEK_HOLE);
        if (end < 0 || !copy_range(from, to, begin, end))
            return false;
    }
    return true;
}

static kvs_status copy_file(const char *from, const char *to, const struct stat *info,
                            struct kvs_error *err)
{
    _cleanup_(closep) int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0)
        return fault(err, "open", from);
    _cleanup_(closep) int target =
        open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, info->st_mode & 0777);
    if (target < 0)
        return fault(err, "make", to);
    return copy_data(source, target, info->st_size) ? KVS_OK : fault(err, "copy", from);
}

kvs_status folder_copy(const char *from, const char *to, struct kvs_error *err)
{
    size_t prefix = strlen(from);
    kvs_status status = KVS_OK;
    FTS *walk = walk_begin(from);
    if (walk == NULL)
        return fault(err, "read", from);
    for (FTSENT *entry = fts_read(walk); entry != NULL && status == KVS_OK;
         entry = fts_read(walk)) {
        _cleanup_(freep) char *path = g_strdup_printf("%s%s", to, entry->fts_path + prefix);
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR || entry->fts_info == FTS_DNR) {
            errno = entry->fts_errno;
            status = fault(err, "read", entry->fts_path);
        } else if (entry->fts_info == FTS_D && entry->fts_level > 0 && mkdir(path, 0700) != 0) {
            status = fault(err, "make", path);
        } else if (entry->fts_info == FTS_F) {
            status = copy_file(entry->fts_accpath, path, entry->fts_statp, err);
        }
    }
    (void)fts_close(walk);
    return status;
}
