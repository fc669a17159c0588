/* An engine that says it cannot go on: the server logs why, stops in order, and fails. */
#include "server/fixture.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static _Atomic bool was_logged;

static void log_line(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    if (level == KVS_LOG_ERROR && strstr(message, "the test engine has had enough") != NULL)
        atomic_store(&was_logged, true);
}

static void the_server_stops_in_order_and_fails(void **state)
{
    (void)state;
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct fixture fixture;
        struct kvs_server_config config = {
            .engine = "test", .pool = *pool, .threads = 2, .log = log_line};
        char reply[64];
        atomic_store(&was_logged, false);
        fixture_start_config(&fixture, &config);
        int fd = connect_to(fixture.port);
        assert_true(send_all(fd, "GET fatal\r\n", 11));
        /* This one is answered still: the engine answers with errors until it is closed. */
        assert_true(receive_all(fd, reply, 1));
        assert_int_equal(reply[0], '-');
        assert_int_equal(pthread_join(fixture.thread, NULL), 0);
        assert_int_equal(fixture.run_status, KVS_IO);
        assert_true(atomic_load(&was_logged));
        (void)close(fd);
        kvs_server_free(fixture.server);
        temp_dir_free(fixture.data_dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_stops_in_order_and_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
