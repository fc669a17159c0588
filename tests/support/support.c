/* See support.h. */
#include "support/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define POLL_PAUSE_NS     1000000L
#define WAIT_MS           30000u
#define PATIENCE_MAX      100u
#define PLUGIN_DIRS_MAX   32u
#define FTW_OPEN_DIRS_MAX 16

void test_error_init(struct test_error *error)
{
    memset(error, 0, sizeof(*error));
    error->error.size = (uint32_t)sizeof(error->error);
    error->error.cap = (uint32_t)sizeof(error->message);
    error->error.msg = error->message;
}

char *path_join(const char *dir, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        abort();
    return path;
}

char *temp_dir_new(void)
{
    const char *base = getenv("TMPDIR");
    char *path = path_join(base != NULL ? base : "/tmp", "kvs-test-XXXXXX");
    if (mkdtemp(path) == NULL) {
        perror(path);
        abort();
    }
    return path;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void temp_dir_free(char *path)
{
    if (path == NULL)
        return;
    (void)nftw(path, remove_one, FTW_OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS);
    free(path);
}

uint64_t dir_disk_bytes(const char *path)
{
    uint64_t bytes = 0;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(info.st_mode)) {
            char *child = path_join(path, entry->d_name);
            bytes += dir_disk_bytes(child);
            free(child);
        } else if (S_ISREG(info.st_mode)) {
            bytes += (uint64_t)info.st_blocks * 512;
        }
    }
    (void)closedir(dir);
    return bytes;
}

uint32_t support_wait_ms(void)
{
    const char *patience = getenv("KVS_TEST_PATIENCE");
    unsigned long times = patience != NULL ? strtoul(patience, NULL, 10) : 1;
    return WAIT_MS * (uint32_t)(times > 0 && times <= PATIENCE_MAX ? times : 1);
}

void wait_until_at(bool (*condition)(void *arg), void *arg, const char *what, const char *file,
                   int line)
{
    uint64_t deadline = clock_now_ns() + support_wait_ms() * NS_PER_MS;
    while (!condition(arg)) {
        if (clock_now_ns() > deadline) {
            print_error("%s did not come true within %u ms\n", what, support_wait_ms());
            _fail(file, line);
        }
        struct timespec pause = {0, POLL_PAUSE_NS};
        (void)nanosleep(&pause, NULL);
    }
}

const struct plugin_dirs *test_plugin_dirs(void)
{
    static char *text;
    static const char *paths[PLUGIN_DIRS_MAX];
    static struct plugin_dirs dirs;
    if (text != NULL)
        return &dirs;
    const char *from = getenv("KVS_TEST_PLUGIN_DIRS");
    if (from == NULL) {
        print_error("KVS_TEST_PLUGIN_DIRS is not set: run this through 'meson test'\n");
        abort();
    }
    text = strdup(from);
    char *rest = text;
    for (char *path = strsep(&rest, ":"); path != NULL; path = strsep(&rest, ":")) {
        if (*path != '\0' && dirs.count < PLUGIN_DIRS_MAX)
            paths[dirs.count++] = path;
    }
    dirs.paths = paths;
    return &dirs;
}

unsigned test_thread_count(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL)
        return 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            count++;
    }
    (void)closedir(dir);
    return count;
}

void assert_status_at(kvs_status expected, kvs_status actual, const struct test_error *error,
                      const char *what, const char *file, int line)
{
    if (expected == actual)
        return;
    print_error("%s gave %d (%s), expected %d (%s)%s%s\n", what, actual, kvs_status_text(actual),
                expected, kvs_status_text(expected), error != NULL ? ": " : "",
                error != NULL ? error->message : "");
    _fail(file, line);
}
