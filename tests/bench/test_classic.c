/* The classic benchmarks' parts: the crowd checks what it gets, floors answer, counters are read. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>

#include "base/cleanup.h"
#include "classic/bare.h"
#include "classic/crowd.h"
#include "classic/served.h"
#include "classic/subjects.h"
#include "harness/netstat.h"

/* The crowd of all tests: a thousand threads take a while to make. */
static struct crowd *crowd;

static int make_crowd(void **state)
{
    (void)state;
    return crowd_new(&crowd, NULL);
}

static int free_crowd(void **state)
{
    (void)state;
    crowd_free(crowd);
    return 0;
}

static void run(uint16_t port, enum wire_command command, uint64_t version, bool constant,
                kvs_status expected)
{
    const struct crowd_task task = {port, command, version, constant};
    _cleanup_(freep) struct histogram *latency = malloc(sizeof(*latency));
    struct crowd_result result = {.wall_ns = 0};
    struct test_error error;
    histogram_init(latency);
    test_error_init(&error);
    assert_status(expected, crowd_run(crowd, &task, latency, &result, &error.error), &error);
    if (expected == KVS_OK) {
        assert_true(result.wall_ns > 0);
        assert_int_equal(latency->count, CROWD_CLIENTS);
        assert_true(latency->max <= result.wall_ns);
    }
}

static void the_crowd_sets_and_finds_its_values(void **state)
{
    (void)state;
    static const char *const pools[] = {"shared-queue", "glib"};
    for (size_t i = 0; i < 2; i++) {
        char *dir = temp_dir_new();
        const char *option = "segment-size=" CLASSIC_SEGMENT_SIZE;
        const struct kvs_server_config config = {
            .pool = pools[i],
            .engine = "log",
            .threads = 2,
            .durability = KVS_DURABILITY_NONE,
            .data_dir = dir,
            .plugin_dirs = test_plugin_dirs()->paths,
            .plugin_dir_count = test_plugin_dirs()->count,
            .engine_options = &option,
            .engine_option_count = 1,
        };
        struct served *served;
        struct test_error error;
        test_error_init(&error);
        assert_status(KVS_OK, served_start(&config, &served, &error.error), &error);
        uint16_t port = served_port(served);
        run(port, WIRE_GET, 1, false, KVS_PROTOCOL); /* nothing is there yet */
        run(port, WIRE_SET, 1, false, KVS_OK);
        run(port, WIRE_GET, 1, false, KVS_OK);
        run(port, WIRE_SET, 2, false, KVS_OK);
        run(port, WIRE_GET, 2, false, KVS_OK);
        run(port, WIRE_GET, 1, false, KVS_CORRUPT); /* that value is gone */
        run(port, WIRE_GET, 2, true, KVS_CORRUPT);
        assert_status(KVS_OK, served_stop(served, &error.error), &error);
        run(port, WIRE_GET, 2, false, KVS_NETWORK);
        temp_dir_free(dir);
    }
}

static void floors_answer(void **state)
{
    (void)state;
    struct test_error error;
    struct bare *bare;
    test_error_init(&error);
    assert_status(KVS_OK, bare_start(CROWD_VALUE_SIZE, &bare, &error.error), &error);
    run(bare_port(bare), WIRE_SET, 1, true, KVS_OK);
    run(bare_port(bare), WIRE_GET, 1, true, KVS_OK);
    run(bare_port(bare), WIRE_GET, 1, false, KVS_CORRUPT);
    bare_stop(bare);
}

static void thread_numbers_go_to_twice_the_cpus(void **state)
{
    (void)state;
    uint32_t threads[CLASSIC_THREADS_MAX];
    assert_int_equal(classic_threads(1, threads), 3);
    assert_int_equal(classic_threads(2, threads), 3);
    assert_int_equal(threads[0], 1);
    assert_int_equal(threads[1], 2);
    assert_int_equal(threads[2], 4);
    assert_int_equal(classic_threads(4, threads), 5);
    assert_int_equal(threads[4], 8);
    assert_true(classic_threads(1000, threads) <= CLASSIC_THREADS_MAX);
}

static void the_kernels_counters_are_found(void **state)
{
    (void)state;
    static const char text[] = "IpExt: TCPSynRetrans\nIpExt: 99\n"
                               "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPSynRetrans\n"
                               "TcpExt: 1 22 3 444\n";
    struct netstat netstat = netstat_parse(text);
    assert_int_equal(netstat.listen_overflows, 22);
    assert_int_equal(netstat.syn_retransmits, 444);
    netstat = netstat_parse("TcpExt: ListenOverflows\n");
    assert_int_equal(netstat.listen_overflows, 0);
    struct netstat before = {.syn_retransmits = 40, .listen_overflows = 2};
    struct netstat after = {.syn_retransmits = 44, .listen_overflows = 2};
    struct netstat between = netstat_between(&before, &after);
    assert_int_equal(between.syn_retransmits, 4);
    assert_int_equal(between.listen_overflows, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crowd_sets_and_finds_its_values),
        cmocka_unit_test(floors_answer),
        cmocka_unit_test(thread_numbers_go_to_twice_the_cpus),
        cmocka_unit_test(the_kernels_counters_are_found),
    };
    return cmocka_run_group_tests(tests, make_crowd, free_crowd);
}
