/* The sockets that systemd hands down, as the environment tells of them. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/activation.h"

static void set_environment(pid_t pid, const char *count, const char *names)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%d", (int)pid);
    assert_int_equal(setenv("LISTEN_PID", text, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", count, 1), 0);
    if (names != NULL)
        assert_int_equal(setenv("LISTEN_FDNAMES", names, 1), 0);
}

static void check(const char *const *expected)
{
    struct test_error error;
    g_auto(GStrv) listen = NULL;
    test_error_init(&error);
    assert_status(KVS_OK, activation_take(&listen, &error.error), &error);
    size_t count = 0;
    for (; expected[count] != NULL; count++)
        assert_string_equal(listen[count], expected[count]);
    assert_null(listen[count]);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
}

static void without_variables_there_are_none(void **state)
{
    (void)state;
    check((const char *const[]){NULL});
}

static void ours_are_taken_with_their_names(void **state)
{
    (void)state;
    set_environment(getpid(), "1", NULL);
    check((const char *const[]){"fd:3", NULL});
    set_environment(getpid(), "3", "kvs.socket:tls:other");
    check((const char *const[]){"fd:3", "tls:fd:4", "fd:5", NULL});
    set_environment(getpid(), "2", "tls"); /* fewer names than sockets */
    check((const char *const[]){"tls:fd:3", "fd:4", NULL});
}

static void those_of_another_process_are_not(void **state)
{
    (void)state;
    set_environment(getpid() + 1, "1", NULL);
    check((const char *const[]){NULL});
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const counts[] = {"x", "", "-1", "1000000"};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct test_error error;
        g_auto(GStrv) listen = NULL;
        test_error_init(&error);
        set_environment(getpid(), counts[i], NULL);
        assert_status(KVS_INVALID, activation_take(&listen, &error.error), &error);
        assert_non_null(strstr(error.message, "LISTEN_FDS"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_variables_there_are_none),
        cmocka_unit_test(ours_are_taken_with_their_names),
        cmocka_unit_test(those_of_another_process_are_not),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
