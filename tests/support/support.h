/*
 * What tests share: temporary folders, waiting for a condition, the plugin folders of this build.
 * Include it instead of cmocka.h, which needs its four headers in front.
 */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kvs/types.h>

#include "plugin/loader.h"

/* How long tests wait for something before they fail: 30 s, or KVS_TEST_PATIENCE (a number) times as long, which
   tools/sanitize sets. */
uint32_t support_wait_ms(void);

/* An error with room for a message: struct test_error e = test_error_init(); f(..., &e.error). */
struct test_error {
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};
void test_error_init(struct test_error *error);

/* Makes an empty folder of its own under TMPDIR (or /tmp). The path is malloced. */
char *temp_dir_new(void);
/* Removes the folder with all that is in it, and frees path. NULL is fine. */
void temp_dir_free(char *path);
/* Bytes of all regular files below path, as allocated on disk. */
uint64_t dir_disk_bytes(const char *path);
/* "dir/name", malloced. */
char *path_join(const char *dir, const char *name);

/* Calls condition(arg) until it is true, pausing shortly in between; fails the test after
   support_wait_ms(). */
#define wait_until(condition, arg) wait_until_at((condition), (arg), #condition, __FILE__, __LINE__)
void wait_until_at(bool (*condition)(void *arg), void *arg, const char *what, const char *file,
                   int line);

/* The plugin folders of this build (from KVS_TEST_PLUGIN_DIRS). Lives as long as the process. */
const struct plugin_dirs *test_plugin_dirs(void);

/* The number of threads of this process, from /proc/self/task. */
unsigned test_thread_count(void);

/* Checks a status; on failure prints it with the error's message. */
#define assert_status(expected, actual, test_error_ptr)                                            \
    assert_status_at((expected), (actual), (test_error_ptr), #actual, __FILE__, __LINE__)
void assert_status_at(kvs_status expected, kvs_status actual, const struct test_error *error,
                      const char *what, const char *file, int line);

#endif
