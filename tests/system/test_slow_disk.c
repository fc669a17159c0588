/*
 * Writes that wait for the disk hold no thread: with two threads and 500 connections that write, gets on
 * another one are answered while the disk does nothing at all, and are as quick as always while each
 * flush takes 200 ms. And a server that waits for such a disk can be ended. The disk is slowed down by slow_flush.c, whose path is the program's argument.
 */
#include "system/matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/wire.h"
#include "system/limits.h"

#define WRITERS      500u
#define DESCRIPTORS  (WRITERS + 200u)
#define GETS_STUCK   2000u
#define GETS_MAX     200000u
#define GET_NS       (1500 * NS_PER_MS) /* how long gets go on beside slow flushes */
#define FLUSH_MS     200u
#define REPLY_OK     "+OK\r\n"
#define REPLY_OK_MAX 5u

static const char *slow_flush;

struct slow_disk {
    struct server_process server;
    char *data_dir;
    char *control_dir;
    char control[256];
};

/* "stuck", a number of milliseconds, or "" for a disk as it is. The file is there whole or not at all. */
static void tell_disk(const struct slow_disk *disk, const char *what)
{
    char whole[sizeof(disk->control) + 8];
    if (*what == '\0') {
        assert_true(unlink(disk->control) == 0 || errno == ENOENT);
        return;
    }
    (void)snprintf(whole, sizeof(whole), "%s.new", disk->control);
    int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, what, strlen(what)), strlen(what));
    (void)close(fd);
    assert_int_equal(rename(whole, disk->control), 0);
}

static void start(struct slow_disk *disk, const struct pair *pair)
{
    char preload[512];
    char control[512];
    char *log = NULL;
    disk->data_dir = temp_dir_new();
    disk->control_dir = temp_dir_new();
    (void)snprintf(disk->control, sizeof(disk->control), "%s/flush", disk->control_dir);
    (void)snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", slow_flush);
    (void)snprintf(control, sizeof(control), "KVS_TEST_FLUSH=%s", disk->control);
    const char *const argv[] = {"/usr/bin/env", preload,       control,      program_server(),
                                "--addr",       "127.0.0.1:0", "--data-dir", disk->data_dir,
                                "--pool",       pair->pool,    "--threads",  "2",
                                "--sync",       "always",      NULL};
    if (!server_process_start_argv(&disk->server, argv, &log, NULL))
        fail_msg("kvs-server did not start: %s", log);
}

static void stop(struct slow_disk *disk)
{
    server_process_stop(&disk->server);
    temp_dir_free(disk->data_dir);
    temp_dir_free(disk->control_dir);
}

static void send_set(int fd, unsigned i)
{
    char request[64];
    int size = snprintf(request, sizeof(request), "set key%u value\r\n", i);
    assert_true(send_all(fd, request, (size_t)size));
}

static void expect_ok(int fd)
{
    char reply[REPLY_OK_MAX];
    size_t have = 0;
    while (have < sizeof(reply)) {
        ssize_t now = recv(fd, reply + have, sizeof(reply) - have, 0);
        if (now <= 0)
            fail_msg("a writer's connection ended");
        have += (size_t)now;
    }
    assert_memory_equal(reply, REPLY_OK, sizeof(reply));
}

/* One get, whose value is there. Returns how long it took. */
static uint64_t get(int fd)
{
    static const char expected[] = "$4\r\nwell\r\n";
    char reply[sizeof(expected) - 1];
    uint64_t begun_ns = clock_now_ns();
    assert_true(send_all(fd, "get read\r\n", 10));
    size_t have = 0;
    while (have < sizeof(reply)) {
        ssize_t now = recv(fd, reply + have, sizeof(reply) - have, 0);
        if (now <= 0)
            fail_msg("the reader's connection ended");
        have += (size_t)now;
    }
    assert_memory_equal(reply, expected, sizeof(reply));
    return clock_now_ns() - begun_ns;
}

static void connect_all(const struct slow_disk *disk, int *writers, int *ret_reader)
{
    *ret_reader = connect_to(disk->server.port);
    assert_true(send_all(*ret_reader, "set read well\r\n", 15));
    expect_ok(*ret_reader);
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i] = connect_to(disk->server.port);
}

static void close_all(const int *writers, int reader)
{
    for (unsigned i = 0; i < WRITERS; i++)
        (void)close(writers[i]);
    (void)close(reader);
}

/* No write can be answered, and every get is. */
static void a_stuck_disk_stops_no_gets(const struct pair *pair)
{
    struct slow_disk disk;
    int writers[WRITERS];
    int reader;
    char byte;
    if (built_with_sanitizer() || !raise_descriptor_limit(DESCRIPTORS))
        return;
    start(&disk, pair);
    connect_all(&disk, writers, &reader);
    tell_disk(&disk, "stuck");
    for (unsigned i = 0; i < WRITERS; i++)
        send_set(writers[i], i);
    for (unsigned i = 0; i < GETS_STUCK; i++)
        (void)get(reader);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(recv(writers[i], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
    }
    tell_disk(&disk, "");
    for (unsigned i = 0; i < WRITERS; i++)
        expect_ok(writers[i]);
    close_all(writers, reader);
    stop(&disk);
}

struct writing {
    int *writers;
    _Atomic bool over;
    unsigned rounds;
};

static void *write_on(void *arg)
{
    struct writing *writing = arg;
    while (!atomic_load(&writing->over)) {
        for (unsigned i = 0; i < WRITERS; i++)
            send_set(writing->writers[i], i);
        for (unsigned i = 0; i < WRITERS; i++)
            expect_ok(writing->writers[i]);
        writing->rounds++;
    }
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* How long gets take is told, and not judged but by whether they waited for flushes. */
static void slow_flushes_delay_no_gets(const struct pair *pair)
{
    struct slow_disk disk;
    int writers[WRITERS];
    int reader;
    pthread_t thread;
    if (built_with_sanitizer() || !raise_descriptor_limit(DESCRIPTORS))
        return;
    uint64_t *times = malloc(GETS_MAX * sizeof(*times));
    size_t count = 0;
    start(&disk, pair);
    connect_all(&disk, writers, &reader);
    struct writing writing = {.writers = writers};
    char flush_ms[16];
    (void)snprintf(flush_ms, sizeof(flush_ms), "%u", FLUSH_MS);
    tell_disk(&disk, flush_ms);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    uint64_t until_ns = clock_now_ns() + GET_NS;
    while (clock_now_ns() < until_ns && count < GETS_MAX)
        times[count++] = get(reader);
    atomic_store(&writing.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    tell_disk(&disk, "");

    qsort(times, count, sizeof(*times), compare_times);
    uint64_t p99_ns = times[count * 99 / 100];
    print_message("%zu gets beside %u rounds of %u writes: p50 %.3f ms, p99 %.3f ms\n", count,
                  writing.rounds, WRITERS, (double)times[count / 2] / 1e6, (double)p99_ns / 1e6);
    if (p99_ns >= FLUSH_MS * NS_PER_MS)
        fail_msg("gets wait for flushes");
    free(times);
    close_all(writers, reader);
    stop(&disk);
}

static bool says_it_stops(void *arg)
{
    const struct slow_disk *disk = arg;
    char *log = server_process_log(&disk->server);
    bool found = strstr(log, " stopping\n") != NULL;
    free(log);
    return found;
}

/* One SIGINT stops it in order, which waits for the disk; with the next one it waits no more. */
static void a_second_interrupt_waits_for_no_disk(const struct pair *pair)
{
    struct slow_disk disk;
    if (built_with_sanitizer())
        return; /* as above: it wants to be loaded first */
    start(&disk, pair);
    int fd = connect_to(disk.server.port);
    tell_disk(&disk, "stuck");
    send_set(fd, 0);
    assert_int_equal(kill(disk.server.pid, SIGINT), 0);
    wait_until(says_it_stops, &disk);
    assert_int_equal(server_process_end(&disk.server, SIGINT), 128 + SIGINT);
    (void)close(fd);
    temp_dir_free(disk.data_dir);
    temp_dir_free(disk.control_dir);
}

int main(int argc, char **argv)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(a_stuck_disk_stops_no_gets, MATRIX_POOLS),
        MATRIX_TEST(slow_flushes_delay_no_gets, MATRIX_ONCE),
        MATRIX_TEST(a_second_interrupt_waits_for_no_disk, MATRIX_ONCE),
    };
    if (argc != 2)
        return 2;
    slow_flush = argv[1];
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
