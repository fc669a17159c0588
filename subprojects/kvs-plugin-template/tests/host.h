/*
 * A host for tests: loads a plugin from the build folder, and offers it the services of kvs_host.
 * A plugin that works with this and with the contracts in kvs's headers works in the server.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

/* cmocka wants these four in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include <kvs/engine.h>
#include <kvs/plugin.h>
#include <kvs/pool.h>

/* The first descriptor of PLUGIN_DIR/file; fails the test if there is none. */
const struct kvs_plugin *load_plugin(const char *file);

struct test_host {
    struct kvs_host services;
    const struct kvs_option_value *values; /* what config_get gives, with their names */
    const char *const *names;
    uint32_t value_count;
    int64_t metric; /* the sum of all metric_add */
};

/* Without values every option is 0. */
void test_host_init(struct test_host *host);

/* Calls condition(arg) until it is true; fails the test after 30 seconds. */
void wait_until(bool (*condition)(void *arg), void *arg);

/* The number of threads of this process. */
unsigned thread_count(void);

#endif
