/*
 * Tests of the real programs over the plugins of this build: each test is run for every engine,
 * every pool, every pair of both, or once. What kvs knows and this build has not is said to be
 * skipped.
 */
#ifndef TESTS_SYSTEM_MATRIX_H
#define TESTS_SYSTEM_MATRIX_H

#include "support/program.h"

struct pair {
    const char *engine;
    const char *pool;
};

enum matrix_over {
    MATRIX_PAIRS,
    MATRIX_ENGINES, /* with the default pool */
    MATRIX_POOLS,   /* with the default engine */
    MATRIX_ONCE,    /* with both defaults */
};

struct matrix_test {
    const char *name;
    void (*run)(const struct pair *pair);
    enum matrix_over over;
};

#define MATRIX_TEST(function, over)                                                                \
    {                                                                                              \
#function, function, over                                                                  \
    }

/* Runs the tests, each with its pairs; with KVS_TEST_FILTER ("*idle*lmdb*") those that match.
   Returns main's exit status. */
int matrix_run(const struct matrix_test *tests, size_t count);

/* Every engine that this build's server lists; NULL-terminated. */
const char *const *matrix_engines(void);

/* Starts kvs-server on this pair with further arguments (NULL-terminated; may be NULL); fails the
   test with the server's log if it does not start. The engine makes its files small, which saves
   most of a test's time: pair_start_plain leaves them as they are by default. */
void pair_start(struct server_process *server, const struct pair *pair, const char *data_dir,
                const char *const *arguments);
void pair_start_plain(struct server_process *server, const struct pair *pair, const char *data_dir,
                      const char *const *arguments);

#endif
