/*
 * The layout of the public structs, on a 64-bit machine. A frozen struct keeps its size; a growing
 * one keeps the offset of what it had in ABI 1.0. These lines may be added to, never changed.
 */
#include "support/support.h"

#include <kvs/client.h>
#include <kvs/engine.h>
#include <kvs/plugin.h>
#include <kvs/pool.h>
#include <kvs/server.h>

#define FROZEN(type, bytes)     _Static_assert(sizeof(type) == (bytes), #type " is frozen")
#define AT(type, member, bytes) _Static_assert(offsetof(type, member) == (bytes), #type "." #member)

#if UINTPTR_MAX == UINT64_MAX

FROZEN(struct kvs_bytes, 16);
FROZEN(struct kvs_op, 64);
FROZEN(struct kvs_lookup, 24);
FROZEN(struct kvs_job, 32);

AT(struct kvs_error, status, 4);
AT(struct kvs_error, os_errno, 8);
AT(struct kvs_error, cap, 12);
AT(struct kvs_error, msg, 16);

AT(struct kvs_option, type, 4);
AT(struct kvs_option, flags, 8);
AT(struct kvs_option, name, 16);
AT(struct kvs_option, default_value, 24);
AT(struct kvs_option, range, 32);
AT(struct kvs_option, help, 40);

AT(struct kvs_option_value, type, 4);
AT(struct kvs_option_value, i64, 8);
AT(struct kvs_option_value, u64, 16);
AT(struct kvs_option_value, text, 24);

AT(struct kvs_host, abi_major, 4);
AT(struct kvs_host, abi_minor, 8);
AT(struct kvs_host, context, 16);
AT(struct kvs_host, log, 24);
AT(struct kvs_host, log_enabled, 32);
AT(struct kvs_host, config_get, 40);
AT(struct kvs_host, metric_register, 48);
AT(struct kvs_host, metric_add, 56);
AT(struct kvs_host, metric_observe, 64);
AT(struct kvs_host, now_ns, 72);
AT(struct kvs_host, fatal, 80);
AT(struct kvs_host, get_extension, 88);

AT(struct kvs_plugin, magic, 4);
AT(struct kvs_plugin, abi_major, 8);
AT(struct kvs_plugin, abi_minor, 12);
AT(struct kvs_plugin, kind, 16);
AT(struct kvs_plugin, name, 24);
AT(struct kvs_plugin, version, 32);
AT(struct kvs_plugin, description, 40);
AT(struct kvs_plugin, author, 48);
AT(struct kvs_plugin, licence, 56);
AT(struct kvs_plugin, url, 64);
AT(struct kvs_plugin, options, 72);
AT(struct kvs_plugin, option_stride, 80);
AT(struct kvs_plugin, option_count, 84);
AT(struct kvs_plugin, ops, 88);
AT(struct kvs_plugin, get_extension, 96);

AT(struct kvs_engine_config, flags, 4);
AT(struct kvs_engine_config, durability, 8);
AT(struct kvs_engine_config, threads, 12);
AT(struct kvs_engine_config, sync_interval_ms, 16);
AT(struct kvs_engine_config, data_dir, 24);
AT(struct kvs_engine_config, host, 32);
AT(struct kvs_engine_config, progress, 40);
AT(struct kvs_engine_config, progress_arg, 48);

AT(struct kvs_batch, flags, 4);
AT(struct kvs_batch, ops, 8);
AT(struct kvs_batch, op_count, 16);
AT(struct kvs_batch, complete, 24);
AT(struct kvs_batch, arg, 32);
AT(struct kvs_batch, err, 40);
AT(struct kvs_batch, engine_data, 48);

AT(struct kvs_get_many, flags, 4);
AT(struct kvs_get_many, lookups, 8);
AT(struct kvs_get_many, lookup_count, 16);
AT(struct kvs_get_many, visit, 24);
AT(struct kvs_get_many, complete, 32);
AT(struct kvs_get_many, arg, 40);
AT(struct kvs_get_many, err, 48);
AT(struct kvs_get_many, engine_data, 56);

AT(struct kvs_scan, flags, 4);
AT(struct kvs_scan, from, 8);
AT(struct kvs_scan, to, 24);
AT(struct kvs_scan, prefix, 40);
AT(struct kvs_scan, limit, 56);
AT(struct kvs_scan, cursor, 64);
AT(struct kvs_scan, visit, 72);
AT(struct kvs_scan, arg, 80);

AT(struct kvs_engine_ops, capabilities, 8);
AT(struct kvs_engine_ops, key_max, 16);
AT(struct kvs_engine_ops, value_max, 24);
AT(struct kvs_engine_ops, batch_bytes_max, 32);
AT(struct kvs_engine_ops, batch_ops_max, 40);
AT(struct kvs_engine_ops, open, 48);
AT(struct kvs_engine_ops, close, 56);
AT(struct kvs_engine_ops, get, 64);
AT(struct kvs_engine_ops, set, 72);
AT(struct kvs_engine_ops, remove, 80);
AT(struct kvs_engine_ops, submit, 88);
AT(struct kvs_engine_ops, get_many, 96);
AT(struct kvs_engine_ops, scan, 104);
AT(struct kvs_engine_ops, sync, 112);
AT(struct kvs_engine_ops, thread_attach, 120);
AT(struct kvs_engine_ops, thread_detach, 128);
AT(struct kvs_engine_ops, stats, 136);
AT(struct kvs_engine_ops, checkpoint, 144);
AT(struct kvs_engine_ops, compact, 152);
AT(struct kvs_engine_ops, verify, 160);
AT(struct kvs_engine_ops, repair, 168);
AT(struct kvs_engine_ops, reconfigure, 176);

AT(struct kvs_pool_config, threads, 4);
AT(struct kvs_pool_config, queue_limit, 8);
AT(struct kvs_pool_config, stack_size, 16);
AT(struct kvs_pool_config, thread_name, 24);
AT(struct kvs_pool_config, host, 32);
AT(struct kvs_pool_config, arg, 40);
AT(struct kvs_pool_config, thread_start, 48);
AT(struct kvs_pool_config, thread_stop, 56);
AT(struct kvs_pool_config, job_lost, 64);
AT(struct kvs_pool_config, idle, 72);
AT(struct kvs_pool_config, wake_idle, 80);

AT(struct kvs_pool_stats, threads, 4);
AT(struct kvs_pool_stats, threads_started, 8);
AT(struct kvs_pool_stats, jobs_spawned, 32);
AT(struct kvs_pool_stats, wakeups, 88);

AT(struct kvs_pool_ops, capabilities, 8);
AT(struct kvs_pool_ops, create, 16);
AT(struct kvs_pool_ops, spawn, 24);
AT(struct kvs_pool_ops, shutdown, 32);
AT(struct kvs_pool_ops, destroy, 40);
AT(struct kvs_pool_ops, spawn_batch, 48);
AT(struct kvs_pool_ops, stats, 56);
AT(struct kvs_pool_ops, resize, 64);

/* What the lines above left out. */
AT(struct kvs_error, size, 0);

AT(struct kvs_option, size, 0);
AT(struct kvs_option, reserved, 12);

AT(struct kvs_option_value, size, 0);

AT(struct kvs_host, size, 0);
AT(struct kvs_host, reserved, 12);

AT(struct kvs_plugin, size, 0);
AT(struct kvs_plugin, reserved, 20);

AT(struct kvs_engine_config, size, 0);

AT(struct kvs_op, kind, 0);
AT(struct kvs_op, condition, 4);
AT(struct kvs_op, key, 8);
AT(struct kvs_op, value, 24);
AT(struct kvs_op, expected, 40);
AT(struct kvs_op, status, 56);
AT(struct kvs_op, reserved, 60);

AT(struct kvs_batch, size, 0);

AT(struct kvs_lookup, key, 0);
AT(struct kvs_lookup, status, 16);
AT(struct kvs_lookup, reserved, 20);

AT(struct kvs_get_many, size, 0);

AT(struct kvs_scan, size, 0);

AT(struct kvs_engine_ops, size, 0);
AT(struct kvs_engine_ops, reserved, 4);

AT(struct kvs_job, run, 0);
AT(struct kvs_job, drop, 8);
AT(struct kvs_job, arg, 16);
AT(struct kvs_job, prio, 24);
AT(struct kvs_job, flags, 28);

AT(struct kvs_pool_config, size, 0);

AT(struct kvs_pool_stats, size, 0);
AT(struct kvs_pool_stats, threads_lost, 16);
AT(struct kvs_pool_stats, threads_replaced, 24);
AT(struct kvs_pool_stats, jobs_refused, 40);
AT(struct kvs_pool_stats, jobs_run, 48);
AT(struct kvs_pool_stats, jobs_dropped, 56);
AT(struct kvs_pool_stats, jobs_lost, 64);
AT(struct kvs_pool_stats, jobs_queued, 72);
AT(struct kvs_pool_stats, jobs_running, 80);

AT(struct kvs_pool_ops, size, 0);
AT(struct kvs_pool_ops, reserved, 4);

AT(struct kvs_bytes, ptr, 0);
AT(struct kvs_bytes, len, 8);

AT(struct kvs_client_config, size, 0);
AT(struct kvs_client_config, reserved, 4);
AT(struct kvs_client_config, address, 8);
AT(struct kvs_client_config, connect_timeout_ms, 16);
AT(struct kvs_client_config, request_timeout_ms, 24);
AT(struct kvs_client_config, password, 32);

AT(struct kvs_server_config, size, 0);
AT(struct kvs_server_config, backlog, 4);
AT(struct kvs_server_config, address, 8);
AT(struct kvs_server_config, engine, 16);
AT(struct kvs_server_config, pool, 24);
AT(struct kvs_server_config, threads, 32);
AT(struct kvs_server_config, durability, 36);
AT(struct kvs_server_config, sync_interval_ms, 40);
AT(struct kvs_server_config, data_dir, 48);
AT(struct kvs_server_config, plugin_dirs, 56);
AT(struct kvs_server_config, plugin_dir_count, 64);
AT(struct kvs_server_config, engine_option_count, 68);
AT(struct kvs_server_config, engine_options, 72);
AT(struct kvs_server_config, pool_options, 80);
AT(struct kvs_server_config, pool_option_count, 88);
AT(struct kvs_server_config, log_level, 92);
AT(struct kvs_server_config, log, 96);
AT(struct kvs_server_config, log_arg, 104);
AT(struct kvs_server_config, key_max, 112);
AT(struct kvs_server_config, value_max, 120);
AT(struct kvs_server_config, drain_timeout_ms, 128);
/* What comes behind has not been released yet; the kept description (tests/abi) has it. */

#endif

static void no_stats(struct kvs_pool *pool, struct kvs_pool_stats *stats)
{
    (void)pool;
    (void)stats;
}

/* A table of an older minor, or one with a hole, does not "have" the operation. */
static void has_respects_size_and_null(void **state)
{
    (void)state;
    struct kvs_pool_ops ops = {.size = sizeof(ops)};
    assert_false(KVS_HAS(&ops, struct kvs_pool_ops, stats));
    ops.stats = no_stats;
    assert_true(KVS_HAS(&ops, struct kvs_pool_ops, stats));
    ops.size = offsetof(struct kvs_pool_ops, stats) + 4;
    assert_false(KVS_HAS(&ops, struct kvs_pool_ops, stats));
}

static void error_set_respects_the_callers_buffer(void **state)
{
    (void)state;
    char message[8] = "xxxxxxx";
    struct kvs_error error = KVS_ERROR_INIT(message);
    error.cap = 4;
    assert_int_equal(kvs_error_set(&error, KVS_IO, 5, "%s", "abcdefgh"), KVS_IO);
    assert_string_equal(message, "abc");
    assert_int_equal(message[4], 'x');
    assert_int_equal(error.status, KVS_IO);
    assert_int_equal(error.os_errno, 5);
    assert_int_equal(kvs_error_set(NULL, KVS_IO, 5, "nobody asks"), KVS_IO);
    /* Of ABI 1.0, however much longer the struct is by now. */
    error.size = offsetof(struct kvs_error, msg) + sizeof(error.msg);
    assert_int_equal(kvs_error_set(&error, KVS_BUSY, 0, "xy"), KVS_BUSY);
    assert_string_equal(message, "xy");
    error.size--;
    assert_int_equal(kvs_error_set(&error, KVS_IO, 0, "no"), KVS_IO);
    assert_string_equal(message, "xy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_respects_size_and_null),
        cmocka_unit_test(error_set_respects_the_callers_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
