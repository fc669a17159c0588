/* See tree.h. */
#include "system/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/support.h"

#define CHUNK ((size_t)1 << 20)

/* Not against enemies: any change of a byte changes it. */
static uint64_t hash_of_file(const char *path)
{
    uint64_t hash = 14695981039346656037u;
    uint64_t *chunk = malloc(CHUNK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (;;) {
        memset(chunk, 0, CHUNK);
        ssize_t size = read(fd, chunk, CHUNK);
        assert_true(size >= 0);
        if (size == 0)
            break;
        for (size_t i = 0; i * sizeof(*chunk) < (size_t)size; i++)
            hash = (hash ^ chunk[i]) * 1099511628211u;
    }
    (void)close(fd);
    free(chunk);
    return hash;
}

static void describe_one(const char *path, const struct stat *info, FILE *out)
{
    (void)fprintf(out, "%s mode %o size %" PRIu64 " changed %lld.%09ld", path, info->st_mode,
                  (uint64_t)info->st_size, (long long)info->st_mtim.tv_sec, info->st_mtim.tv_nsec);
    if (S_ISREG(info->st_mode))
        (void)fprintf(out, " hash %016" PRIx64, hash_of_file(path));
    (void)fprintf(out, "\n");
}

static void describe(const char *path, FILE *out)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        (void)fprintf(out, "missing\n");
        return;
    }
    describe_one(path, &info, out);
    if (!S_ISDIR(info.st_mode))
        return;
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            char *child = path_join(path, name);
            describe(child, out);
            free(child);
        }
        free(entries[i]);
    }
    free(entries);
}

char *tree_describe(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    describe(path, out);
    (void)fclose(out);
    return text;
}

void tree_expect_untouched(const char *path, char *before)
{
    char *after = tree_describe(path);
    assert_string_equal(after, before);
    free(after);
    free(before);
}
