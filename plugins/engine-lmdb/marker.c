/*
 * See marker.h.
 *
 * A marker that a kill or a power loss finds half written must not look like one from another boot, so
 * it is made beside its place and renamed into it. That of a failed flush is written in place instead:
 * that needs no new file on a disk that is failing, and what is left of it refuses the store as well.
 */
#include "marker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX  64u
#define MARKER_MODE  0600
#define FAILED_TEXT  "a flush failed"

/* Reads a short file up to its first newline. 0 or errno. */
static int read_line(int dir_fd, const char *path, char line[BOOT_ID_MAX])
{
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    line[0] = '\0';
    if (fd < 0)
        return errno;
    ssize_t size = read(fd, line, BOOT_ID_MAX - 1);
    int code = size < 0 ? errno : 0;
    (void)close(fd);
    line[size < 0 ? 0 : size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return code;
}

int marker_look(int dir_fd, enum marker *ret_marker)
{
    char stored[BOOT_ID_MAX];
    char current[BOOT_ID_MAX];
    int code = read_line(dir_fd, MARKER_FILE, stored);
    if (code == ENOENT) {
        *ret_marker = MARKER_NONE;
        return 0;
    }
    if (code != 0)
        return code;
    if (strcmp(stored, FAILED_TEXT) == 0) {
        *ret_marker = MARKER_FAILED;
        return 0;
    }
    bool known = read_line(AT_FDCWD, BOOT_ID_PATH, current) == 0 && current[0] != '\0';
    *ret_marker = known && strcmp(stored, current) == 0 ? MARKER_CURRENT : MARKER_LOST;
    return 0;
}

const char *marker_text(enum marker marker)
{
    switch (marker) {
    case MARKER_LOST:
        return "it was being written with durability none when the machine went down";
    case MARKER_FAILED:
        return "a flush of it failed";
    default:
        return "nothing happened to it";
    }
}

static int write_text(int fd, const char *text)
{
    size_t size = strlen(text);
    ssize_t written = write(fd, text, size);
    if (written < 0)
        return errno;
    if ((size_t)written != size)
        return ENOSPC;
    return fsync(fd) == 0 ? 0 : errno;
}

/* Makes a file of this text, whose name is not durable yet. 0 or errno. */
static int write_file(int dir_fd, const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, MARKER_MODE);
    if (fd < 0)
        return errno;
    int code = write_text(fd, text);
    if (close(fd) != 0 && code == 0)
        code = errno;
    return code;
}

int marker_set(int dir_fd)
{
    char boot_id[BOOT_ID_MAX];
    if (read_line(AT_FDCWD, BOOT_ID_PATH, boot_id) != 0)
        boot_id[0] = '\0';
    int code = write_file(dir_fd, MARKER_NEW_FILE, boot_id);
    if (code == 0 && renameat(dir_fd, MARKER_NEW_FILE, dir_fd, MARKER_FILE) != 0)
        code = errno;
    if (code != 0)
        (void)unlinkat(dir_fd, MARKER_NEW_FILE, 0);
    else if (fsync(dir_fd) != 0)
        code = errno;
    return code;
}

int marker_condemn(int dir_fd)
{
    int code = write_file(dir_fd, MARKER_FILE, FAILED_TEXT);
    if (code == 0 && fsync(dir_fd) != 0)
        code = errno;
    return code;
}

int marker_clear(int dir_fd)
{
    if (unlinkat(dir_fd, MARKER_FILE, 0) != 0)
        return errno == ENOENT ? 0 : errno;
    return fsync(dir_fd) == 0 ? 0 : errno;
}
