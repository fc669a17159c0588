/* While the store is being opened: what is answered, what must wait, and how it ends. */
#include "server/fixture.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct world {
    struct fixture fixture;
    char *dir;
    char *gate; /* the engine's open returns once this file exists */
    _Atomic uint32_t ready_count;
};

static void note_ready(void *arg)
{
    struct world *world = arg;
    atomic_fetch_add(&world->ready_count, 1);
}

static void start(struct world *world, const char *pool, const char *further_option)
{
    memset(world, 0, sizeof(*world));
    world->dir = temp_dir_new();
    world->gate = path_join(world->dir, "gate");
    char option[4096];
    (void)snprintf(option, sizeof(option), "open-gate=%s", world->gate);
    const char *options[] = {option, further_option};
    struct kvs_server_config config = {
        .engine = "test",
        .pool = pool,
        .threads = 2,
        .engine_options = options,
        .engine_option_count = further_option != NULL ? 2 : 1,
        .flags = KVS_SERVER_OPEN_LATE,
        .ready = note_ready,
        .ready_arg = world,
    };
    fixture_start_config(&world->fixture, &config);
}

static void open_gate(const struct world *world)
{
    int fd = open(world->gate, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void end(struct world *world)
{
    free(world->gate);
    temp_dir_free(world->dir);
}

static bool is_ready(void *arg)
{
    struct world *world = arg;
    return atomic_load(&world->ready_count) > 0;
}

static void what_needs_no_store_is_answered(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct world world;
        start(&world, *pool, NULL);
        int fd = connect_to(world.fixture.port);
        send_request(fd, 1, REQUEST_PING, NULL, "hello");
        expect_reply(fd, 1, KVS_OK, "hello");
        send_request(fd, 2, REQUEST_HELLO, NULL, NULL);
        expect_reply(fd, 2, KVS_OK, NULL);
        send_request(fd, 3, REQUEST_STATS, NULL, NULL);
        expect_reply(fd, 3, KVS_OK, NULL);
        assert_int_equal(atomic_load(&world.ready_count), 0);

        open_gate(&world);
        wait_until(is_ready, &world);
        send_request(fd, 4, REQUEST_SET, "key", "value");
        expect_reply(fd, 4, KVS_OK, "");
        send_request(fd, 5, REQUEST_GET, "key", NULL);
        expect_reply(fd, 5, KVS_OK, "value");
        assert_int_equal(atomic_load(&world.ready_count), 1);
        (void)close(fd);
        fixture_stop(&world.fixture);
        end(&world);
    }
}

static void what_needs_it_is_told_how_far_it_is(void **state)
{
    (void)state;
    struct world world;
    start(&world, "shared-queue", NULL);
    int fd = connect_to(world.fixture.port);
    static const char text[] = "the store is being opened: 25 % done; try again";
    struct received reply;
    /* The engine tells its progress when it gets that far. */
    do {
        send_request(fd, 1, REQUEST_GET, "key", NULL);
        assert_true(receive_reply(fd, &reply));
        assert_int_equal(reply.head.status, KVS_LOADING);
        free(reply.body);
        send_request(fd, 2, REQUEST_SET, "key", "value");
        assert_true(receive_reply(fd, &reply));
        assert_int_equal(reply.head.status, KVS_LOADING);
        bool told = strcmp(reply.body, text) == 0;
        free(reply.body);
        if (told)
            break;
    } while (true);
    send_request(fd, 3, REQUEST_REMOVE, "key", NULL);
    expect_reply(fd, 3, KVS_LOADING, text);
    open_gate(&world);
    wait_until(is_ready, &world);
    (void)close(fd);
    fixture_stop(&world.fixture);
    end(&world);
}

static void a_stop_meanwhile_waits_for_the_store(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct world world;
        start(&world, *pool, NULL);
        kvs_server_stop(world.fixture.server);
        open_gate(&world);
        fixture_stop(&world.fixture);
        end(&world);
    }
}

static void a_store_that_cannot_be_opened_ends_the_server(void **state)
{
    (void)state;
    struct world world;
    start(&world, "shared-queue", "fail=yes");
    open_gate(&world);
    assert_int_equal(pthread_join(world.fixture.thread, NULL), 0);
    assert_int_equal(world.fixture.run_status, KVS_CORRUPT);
    assert_int_equal(atomic_load(&world.ready_count), 0);
    kvs_server_free(world.fixture.server);
    temp_dir_free(world.fixture.data_dir);
    end(&world);
}

static void a_server_that_never_ran_can_be_freed(void **state)
{
    (void)state;
    struct test_error error;
    struct kvs_server *server;
    char *dir = temp_dir_new();
    test_error_init(&error);
    struct kvs_server_config config = {
        .size = (uint32_t)sizeof(config),
        .address = "127.0.0.1:0",
        .engine = "test",
        .data_dir = dir,
        .plugin_dirs = test_plugin_dirs()->paths,
        .plugin_dir_count = test_plugin_dirs()->count,
        .flags = KVS_SERVER_OPEN_LATE,
        .log_level = KVS_LOG_ERROR,
    };
    assert_status(KVS_OK, kvs_server_new(&config, &server, &error.error), &error);
    kvs_server_free(server);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_needs_no_store_is_answered),
        cmocka_unit_test(what_needs_it_is_told_how_far_it_is),
        cmocka_unit_test(a_stop_meanwhile_waits_for_the_store),
        cmocka_unit_test(a_store_that_cannot_be_opened_ends_the_server),
        cmocka_unit_test(a_server_that_never_ran_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
