/* The servers that the suite starts, and what is asked of kvs beside Redis. */
#include "fake.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "base/cleanup.h"
#include "harness/target.h"
#include "server/instance.h"
#include "server/suite.h"
#include "support/program.h"

static bool is_gone(void *arg)
{
    const pid_t *pid = arg;
    return kill(*pid, 0) != 0;
}

static void servers_start_in_every_mode_and_leave_nothing(void **state)
{
    (void)state;
    char *dir = temp_dir_new();
    for (size_t i = 0; i < instance_kind_count; i++) {
        const struct instance_kind *kind = &instance_kinds[i];
        _cleanup_(freep) char *program = instance_program(kind);
        if (program == NULL) {
            print_message("no %s here\n", kind->program);
            continue;
        }
        for (uint32_t sync = 0; sync < (kind->durable ? INSTANCE_SYNC_COUNT : 1); sync++) {
            struct instance instance;
            struct test_error error;
            test_error_init(&error);
            assert_status(
                KVS_OK,
                instance_start(kind, (enum instance_sync)sync, dir, &instance, &error.error),
                &error);
            int fd = connect_to(instance.port);
            assert_true(fd >= 0);
            (void)close(fd);
            pid_t pid = instance.pid;
            _cleanup_(freep) char *folder = g_strdup(instance.dir);
            instance_stop(&instance);
            wait_until(is_gone, &pid);
            assert_false(g_file_test(folder, G_FILE_TEST_EXISTS));
        }
    }
    temp_dir_free(dir);
}

static void servers_that_do_not_start_say_why(void **state)
{
    (void)state;
    static const struct instance_kind missing = {"x", "no-such-server", "resp", false, true};
    static const struct instance_kind ending = {"x", "false", "resp", false, true};
    char *dir = temp_dir_new();
    struct instance instance;
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_MISSING,
                  instance_start(&missing, INSTANCE_NONE, dir, &instance, &error.error), &error);
    assert_status(KVS_IO, instance_start(&ending, INSTANCE_NONE, dir, &instance, &error.error),
                  &error);
    assert_non_null(strstr(error.message, "ended at once"));
    temp_dir_free(dir);
}

static struct series *measured(GPtrArray *all, struct fake *fake, const char *cell,
                               const char *subject, double rate, double p99_ns)
{
    const struct series_config config = {.block = "server:none",
                                         .cell = cell,
                                         .subject = subject,
                                         .threads = 50,
                                         .parameter = "connections",
                                         .unit = "requests/s",
                                         .ops = &fake_ops,
                                         .arg = fake};
    struct series *series = series_new(&config);
    for (uint32_t i = 0; i < 3; i++) {
        fake_sample_add(series, 0, i, rate);
        g_array_index(series->samples, struct sample, i).p99_ns = p99_ns;
    }
    g_ptr_array_add(all, series);
    return series;
}

static void pipelines_must_beat_redis_by_more(void **state)
{
    (void)state;
    static const struct {
        const char *cell;
        double rate;
        double p99_ns;
        enum target_state rate_state;
        enum target_state p99_state;
    } cases[] = {{"set_p1_none", 100, 1000, TARGET_REACHED, TARGET_REACHED},
                 {"get_p1_none", 99, 1001, TARGET_MISSED, TARGET_MISSED},
                 {"set_p16_none", 250, 900, TARGET_REACHED, TARGET_REACHED},
                 {"get_p16_none", 249, 900, TARGET_MISSED, TARGET_REACHED},
                 {"set_p64_none", 299, 900, TARGET_MISSED, TARGET_REACHED}};
    struct fake fake = {0};
    const struct server_config config = {.base_dir = "/nonexistent"};
    struct server_suite *suite = server_suite_new(&config);
    GPtrArray *all = g_ptr_array_new();
    GArray *results = g_array_new(FALSE, FALSE, sizeof(struct target_result));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        (void)measured(all, &fake, cases[i].cell, "kvs-log", cases[i].rate, cases[i].p99_ns);
        (void)measured(all, &fake, cases[i].cell, "redis", 100, 1000);
    }
    (void)measured(all, &fake, "open_p99_none", "kvs-log", 5, 5); /* has no target */
    (void)measured(all, &fake, "open_p99_none", "redis", 1, 1);
    server_suite_judge(suite, all, 1, results);
    assert_int_equal(results->len, 2 * G_N_ELEMENTS(cases));
    for (guint i = 0; i < results->len; i++) {
        const struct target_result *result = &g_array_index(results, struct target_result, i);
        assert_int_equal(result->state,
                         i % 2 == 0 ? cases[i / 2].rate_state : cases[i / 2].p99_state);
    }
    const struct series *first = g_ptr_array_index(all, 0);
    assert_string_equal(first->id, "set_p1_none/c50/kvs-log");
    g_array_free(results, TRUE);
    for (guint i = 0; i < all->len; i++)
        series_free(g_ptr_array_index(all, i));
    g_ptr_array_free(all, TRUE);
    server_suite_free(suite);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_start_in_every_mode_and_leave_nothing),
        cmocka_unit_test(servers_that_do_not_start_say_why),
        cmocka_unit_test(pipelines_must_beat_redis_by_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
