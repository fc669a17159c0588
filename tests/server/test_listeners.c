/* All listening sockets of a server together. */
#include "support/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/listeners.h"

static void init(struct listeners *listeners, const char *first, const char *const *others,
                 uint32_t count)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, listeners_init(listeners, first, others, count, &error.error), &error);
}

static void the_first_comes_first(void **state)
{
    (void)state;
    static const char *const others[] = {"tls:[::1]:4001", "unix:/run/s", "fd:7"};
    struct listeners listeners;
    char text[256];
    init(&listeners, "127.0.0.1:4000", others, 3);
    assert_int_equal(listeners.count, 4);
    listeners_format(&listeners, text, sizeof(text));
    assert_string_equal(text, "127.0.0.1:4000, tls:[::1]:4001, unix:/run/s, fd:7");
    for (uint32_t i = 0; i < listeners.count; i++)
        assert_int_equal(listeners.items[i].fd, -1);
    listeners_deinit(&listeners);

    init(&listeners, NULL, others, 2);
    listeners_format(&listeners, text, sizeof(text));
    assert_string_equal(text, "tls:[::1]:4001, unix:/run/s");
    listeners_deinit(&listeners);
    listeners_deinit(&listeners);
}

static void without_any_there_is_the_default(void **state)
{
    (void)state;
    struct listeners listeners;
    char text[64];
    init(&listeners, NULL, NULL, 0);
    listeners_format(&listeners, text, sizeof(text));
    assert_string_equal(text, ADDRESS_DEFAULT);
    listeners_deinit(&listeners);
}

static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    static const char *const others[] = {"127.0.0.1:4001"};
    struct listeners listeners;
    char text[64];
    init(&listeners, "127.0.0.1:4000", others, 1);
    for (size_t size = 1; size < sizeof(text); size++) {
        memset(text, 'x', sizeof(text));
        listeners_format(&listeners, text, size);
        assert_true(strlen(text) < size);
        assert_int_equal(strncmp("127.0.0.1:4000, 127.0.0.1:4001", text, strlen(text)), 0);
        assert_int_equal(text[size], 'x');
    }
    listeners_deinit(&listeners);
}

static void a_wrong_one_is_named_wherever_it_stands(void **state)
{
    (void)state;
    static const char *const others[] = {"127.0.0.1:4001", "nowhere", "127.0.0.1:4002"};
    static const char *const wrong[] = {"here", "nowhere"};
    for (uint32_t i = 0; i < 2; i++) {
        struct listeners listeners;
        struct test_error error;
        test_error_init(&error);
        assert_status(KVS_INVALID,
                      listeners_init(&listeners, i == 0 ? wrong[0] : "127.0.0.1:4000", others, 3,
                                     &error.error),
                      &error);
        assert_non_null(strstr(error.message, wrong[i]));
        listeners_deinit(&listeners);
    }
}

static void all_of_them_take_connections(void **state)
{
    (void)state;
    char *folder = temp_dir_new();
    char *path = path_join(folder, "s");
    char unix_text[256];
    (void)snprintf(unix_text, sizeof(unix_text), "unix:%s", path);
    const char *const others[] = {"127.0.0.1:0", "127.0.0.1:0"};
    struct listeners listeners;
    struct test_error error;
    struct stat info;
    test_error_init(&error);
    init(&listeners, unix_text, others, 2);
    assert_int_equal(listeners_port(&listeners), 0);
    assert_status(KVS_OK, listeners_open(&listeners, 0640, &error.error), &error);
    assert_status(KVS_OK, listeners_listen(&listeners, 16, &error.error), &error);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    /* The real ports, and that of the first one that has any. */
    assert_int_equal(listeners.items[0].port, 0);
    assert_true(listeners.items[1].port != 0 && listeners.items[2].port != 0);
    assert_int_equal(listeners_port(&listeners), listeners.items[1].port);
    for (uint32_t i = 1; i < 3; i++)
        (void)close(connect_to(listeners.items[i].port));
    listeners_close(&listeners);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(listeners.items[i].fd, -1);
    assert_int_equal(stat(path, &info), -1);
    listeners_deinit(&listeners);
    free(path);
    temp_dir_free(folder);
}

static void the_first_failure_counts(void **state)
{
    (void)state;
    struct listeners held;
    struct listeners listeners;
    struct test_error error;
    char taken[64];
    test_error_init(&error);
    init(&held, "127.0.0.1:0", NULL, 0);
    assert_status(KVS_OK, listeners_open(&held, 0600, &error.error), &error);
    assert_status(KVS_OK, listeners_listen(&held, 1, &error.error), &error);
    listeners_format(&held, taken, sizeof(taken));
    const char *const others[] = {taken, "127.0.0.1:0"};
    init(&listeners, "127.0.0.1:0", others, 2);
    assert_status(KVS_NETWORK, listeners_open(&listeners, 0600, &error.error), &error);
    assert_non_null(strstr(error.message, taken));
    assert_true(listeners.items[0].fd >= 0);
    assert_int_equal(listeners.items[2].fd, -1); /* nobody tried */
    listeners_deinit(&listeners);
    listeners_deinit(&held);
    listeners_deinit(&(struct listeners){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_comes_first),
        cmocka_unit_test(without_any_there_is_the_default),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(a_wrong_one_is_named_wherever_it_stands),
        cmocka_unit_test(all_of_them_take_connections),
        cmocka_unit_test(the_first_failure_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
