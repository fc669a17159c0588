/* See secret.h. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

static kvs_status cannot_read(const char *path, const char *what, int error, struct kvs_error *err)
{
    kvs_status status = error == ENOENT ? KVS_MISSING : error == EACCES ? KVS_DENIED : KVS_IO;
    return kvs_error_set(err, status, error, "cannot read %s %s: %s", what, path, strerror(error));
}

/* Opens the file and checks that it is private. */
static kvs_status open_private(const char *path, const char *what, int *ret_fd, size_t *ret_size,
                               struct kvs_error *err)
{
    struct stat file;
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &file) != 0)
        return cannot_read(path, what, errno, err);
    if (!S_ISREG(file.st_mode))
        return kvs_error_set(err, KVS_INVALID, 0, "%s %s is no regular file", what, path);
    if (file.st_uid != geteuid() && file.st_uid != 0)
        return kvs_error_set(err, KVS_DENIED, 0,
                             "%s %s belongs to user %u, who could change it: chown it to the "
                             "server's user or to root",
                             what, path, file.st_uid);
    if ((file.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return kvs_error_set(
            err, KVS_DENIED, 0,
            "%s %s is open to others (mode %03o): chmod it to 600, or to 640 for a "
            "group that may know it",
            what, path, file.st_mode & 0777);
    if (file.st_size > SECRET_FILE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "%s %s has more than %u bytes: is it the right one?", what, path,
                             SECRET_FILE_MAX);
    *ret_fd = take_fd(&fd);
    *ret_size = (size_t)file.st_size;
    return KVS_OK;
}

kvs_status secret_file_check(const char *path, const char *what, struct kvs_error *err)
{
    int fd = -1;
    size_t size;
    kvs_status status = open_private(path, what, &fd, &size, err);
    if (status == KVS_OK)
        (void)close(fd);
    return status;
}

kvs_status secret_file_read(const char *path, const char *what, char **ret_content,
                            size_t *ret_size, struct kvs_error *err)
{
    _cleanup_(closep) int fd = -1;
    size_t size = 0;
    kvs_status status = open_private(path, what, &fd, &size, err);
    if (status != KVS_OK)
        return status;
    char *content = calloc(1, size + 1);
    if (content == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    /* A regular file is read whole; what is written to it meanwhile is somebody else's mistake. */
    ssize_t got = pread(fd, content, size, 0);
    if (got < 0) {
        int error = errno;
        secret_free(content, size);
        return cannot_read(path, what, error, err);
    }
    *ret_content = content;
    *ret_size = (size_t)got;
    return KVS_OK;
}

void secret_free(char *content, size_t size)
{
    if (content != NULL)
        explicit_bzero(content, size);
    free(content);
}

bool secret_equal(const void *a, const void *b, size_t size)
{
    const uint8_t *left = a;
    const uint8_t *right = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference |= left[i] ^ right[i];
        /* The compiler must not find out that the rest does not matter any more. */
        __asm__ volatile("" : "+r"(difference));
    }
    return difference == 0;
}

bool secret_next_line(struct kvs_bytes *text, struct kvs_bytes *ret_line)
{
    if (text->len == 0)
        return false;
    const char *begin = text->ptr;
    const char *end = memchr(begin, '\n', text->len);
    uint64_t size = end != NULL ? (uint64_t)(end - begin) : text->len;
    uint64_t consumed = end != NULL ? size + 1 : size;
    *text = bytes_of(begin + consumed, text->len - consumed);
    if (size > 0 && begin[size - 1] == '\r')
        size--;
    *ret_line = bytes_of(begin, size);
    return true;
}

kvs_status secret_password_read(const char *path, const char *variable, char **ret_password,
                                struct kvs_error *err)
{
    const char *given = getenv(variable);
    *ret_password = NULL;
    if (path == NULL && given == NULL)
        return KVS_OK;
    char *content = NULL;
    size_t size = 0;
    struct kvs_bytes line = {NULL, 0};
    if (path != NULL) {
        kvs_status status = secret_file_read(path, "the password file", &content, &size, err);
        if (status != KVS_OK)
            return status;
        struct kvs_bytes rest = {content, size};
        (void)secret_next_line(&rest, &line);
        given = content;
    } else {
        line.len = strlen(given);
    }
    *ret_password = strndup(given, line.len);
    secret_free(content, size);
    return *ret_password != NULL ? KVS_OK : kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
}
