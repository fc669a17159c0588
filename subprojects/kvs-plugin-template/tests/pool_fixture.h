/*
 * A pool with hooks that count, and the helpers that all tests of it share.
 */
#ifndef TESTS_POOL_FIXTURE_H
#define TESTS_POOL_FIXTURE_H

#include "host.h"

#include <stdatomic.h>

#define THREADS 3

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* One pool, and what its jobs and hooks count. */
struct fixture {
    const struct kvs_pool_ops *ops;
    struct test_host host;
    struct kvs_pool_config config; /* a test may change it before create() */
    struct kvs_pool *pool;
    unsigned threads_before;

    _Atomic uint64_t run;
    _Atomic uint64_t dropped;
    _Atomic uint64_t lost;
    _Atomic uint64_t started; /* threads, by hook */
    _Atomic uint64_t stopped;
    _Atomic bool open; /* lets the jobs of block() go */
    _Atomic uint64_t blocked;
    _Atomic uint64_t run_when_opened;
};

/* For cmocka: makes the fixture, without a pool; destroys the pool, and checks that no thread of it
   is left and that each had both hooks. */
int setup(void **state);
int teardown(void **state);

/* Makes the pool, or fails the test. */
void create(struct fixture *fixture);

/* Shuts the pool down, and checks that its figures add up. */
void shut_down(struct fixture *fixture, uint32_t mode);

struct kvs_pool_stats stats_of(struct fixture *fixture);
void assert_adds_up(struct fixture *fixture);

/* A job whose drop counts. Its prio tells job_lost that it is whole. */
struct kvs_job job_of(void (*run)(void *arg), void *arg);
kvs_status spawn(struct fixture *fixture, void (*run)(void *arg));

/* Jobs, with the fixture as their argument: one counts, one waits until open is set, one sets it. */
void count_run(void *arg);
void wait_for_gate(void *arg);
void open_gate(void *arg);

/* Occupies every thread of the pool until open is set; and the condition that it waits for. */
void block(struct fixture *fixture);
bool all_blocked(void *arg);

#endif
