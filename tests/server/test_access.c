/* Passwords, and who needs one. */
#include "support/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "server/access.h"

#define LOG_MAX 4096u

static char logged[LOG_MAX];
static unsigned logged_lines;

static void keep_log(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    (void)level;
    logged_lines++;
    (void)snprintf(logged, sizeof(logged), "%s", message);
}

static char *password_file(const char *folder, const char *content)
{
    char *path = path_join(folder, "passwords");
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
    return path;
}

/* ---- passwords ---------------------------------------------------------------------------- */

static bool accepts(const struct passwords *passwords, const char *password)
{
    return passwords_accept(passwords, bytes_of_text(password));
}

static void each_password_is_good_and_nothing_else(void **state)
{
    (void)state;
    struct passwords passwords;
    struct test_error error;
    char *folder = temp_dir_new();
    char *path = password_file(folder, "old one\n\nnew one\r\n #3\nlast");
    test_error_init(&error);
    assert_status(KVS_OK, passwords_init(&passwords, "from outside", path, &error.error), &error);
    assert_int_equal(passwords.count, 5);
    assert_true(accepts(&passwords, "from outside"));
    assert_true(accepts(&passwords, "old one"));
    assert_true(accepts(&passwords, "new one"));
    assert_true(accepts(&passwords, " #3"));
    assert_true(accepts(&passwords, "last"));
    static const char *const wrong[] = {"",        "o",         "old on", "old one ", "old onf",
                                        "Old one", "new one\r", "#3",     "last\n",   "old one\n"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(accepts(&passwords, wrong[i]));
    assert_false(passwords_accept(&passwords, bytes_of("last", 5))); /* with its zero */
    assert_false(passwords_accept(&passwords, bytes_of(NULL, 0)));
    free(path);
    temp_dir_free(folder);
}

/* What is kept is a digest under a key of its own, not what was given. */
static void passwords_are_not_kept(void **state)
{
    (void)state;
    static const char secret[] = "a-password-of-more-than-16-bytes";
    struct passwords one;
    struct passwords two;
    assert_int_equal(passwords_init(&one, secret, NULL, NULL), KVS_OK);
    assert_int_equal(passwords_init(&two, secret, NULL, NULL), KVS_OK);
    assert_null(memmem(&one, sizeof(one), secret, 8));
    assert_memory_not_equal(one.digests[0], two.digests[0], PASSWORD_DIGEST);
    assert_true(accepts(&one, secret));
}

static void check_refused(const char *password, const char *content, const char *reason)
{
    struct passwords passwords;
    struct test_error error;
    char *folder = temp_dir_new();
    char *path = content != NULL ? password_file(folder, content) : NULL;
    test_error_init(&error);
    assert_status(KVS_INVALID, passwords_init(&passwords, password, path, &error.error), &error);
    if (strstr(error.message, reason) == NULL)
        fail_msg("'%s' does not say '%s'", error.message, reason);
    free(path);
    temp_dir_free(folder);
}

static void senseless_passwords_are_refused(void **state)
{
    (void)state;
    char line[PASSWORD_MAX + 2];
    char many[(PASSWORDS_MAX + 1) * 2 + 1];
    check_refused("", NULL, "is empty");
    check_refused(NULL, "", "is empty");
    check_refused(NULL, "\n\n", "is empty");
    memset(line, 'x', sizeof(line));
    line[PASSWORD_MAX + 1] = '\0';
    check_refused(line, NULL, "at most 512 bytes");
    check_refused(NULL, line, "at most 512 bytes");
    for (size_t i = 0; i < sizeof(many) - 1; i++)
        many[i] = i % 2 == 0 ? 'x' : '\n';
    many[sizeof(many) - 1] = '\0';
    check_refused(NULL, many, "more than 64");
    struct passwords passwords;
    line[PASSWORD_MAX] = '\0';
    assert_int_equal(passwords_init(&passwords, line, NULL, NULL), KVS_OK);
    assert_true(accepts(&passwords, line));
}

/* ---- the policy --------------------------------------------------------------------------- */

/* What starting a server with this would say; the listeners are not opened. */
static kvs_status check_at(const struct access_config *config, const char *const *listen,
                           struct test_error *error)
{
    struct access access;
    struct log log;
    struct listeners listeners = {0};
    uint32_t count = 0;
    while (listen[count] != NULL)
        count++;
    test_error_init(error);
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    assert_int_equal(listeners_init(&listeners, NULL, listen, count, NULL), KVS_OK);
    kvs_status status = access_init(&access, config, &log, &error->error);
    if (status == KVS_OK)
        status = access_check(&access, config, &listeners, &error->error);
    access_deinit(&access);
    access_deinit(&access);
    listeners_deinit(&listeners);
    return status;
}

#define AT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void only_the_reachable_need_a_password(void **state)
{
    (void)state;
    const struct access_config none = {0};
    const struct access_config password = {.password = "x"};
    const struct access_config no_auth = {.no_auth = true};
    const struct access_config certificates = {.client_certificates = true};
    struct test_error error;
    const char *const *local = AT("127.0.0.1:1", "[::1]:1", "unix:/s", "tls:127.0.0.1:2", "fd:3");
    const char *const *open = AT("127.0.0.1:1", "0.0.0.0:7");
    assert_status(KVS_OK, check_at(&none, local, &error), &error);
    assert_status(KVS_DENIED, check_at(&none, open, &error), &error);
    assert_non_null(strstr(error.message, "0.0.0.0:7"));
    assert_non_null(strstr(error.message, "--password-file"));
    assert_non_null(strstr(error.message, "--no-auth"));
    assert_status(KVS_OK, check_at(&password, open, &error), &error);
    assert_status(KVS_OK, check_at(&no_auth, open, &error), &error);
    assert_status(KVS_DENIED, check_at(&certificates, open, &error), &error);
    assert_status(KVS_DENIED, check_at(&none, AT("tls:[::]:1"), &error), &error);
    assert_status(KVS_OK, check_at(&certificates, AT("tls:[::]:1"), &error), &error);
    const struct access_config both = {.password = "x", .no_auth = true};
    assert_status(KVS_INVALID, check_at(&both, local, &error), &error);
}

static void unix_sockets_may_be_trusted(void **state)
{
    (void)state;
    struct log log;
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    for (unsigned trusted = 0; trusted < 2; trusted++) {
        struct access access;
        struct listener tcp;
        struct listener socket;
        const struct access_config config = {.password = "x", .socket_no_auth = trusted == 1};
        assert_int_equal(listener_parse("127.0.0.1:1", &tcp, NULL), KVS_OK);
        assert_int_equal(listener_parse("unix:/s", &socket, NULL), KVS_OK);
        assert_int_equal(access_init(&access, &config, &log, NULL), KVS_OK);
        assert_true(access_needed_at(&access, &tcp));
        assert_int_equal(access_needed_at(&access, &socket), trusted == 0);
        struct access_config other = {.password = "x", .socket_no_auth = trusted == 0};
        struct listeners none = {0};
        assert_int_equal(access_reload(&access, &other, &none, NULL), KVS_OK);
        assert_int_equal(access_needed_at(&access, &socket), trusted != 0);
        access_deinit(&access);
    }
}

/* ---- while it serves ---------------------------------------------------------------------- */

static enum authentication log_in(struct access *access, const char *user, const char *password)
{
    return access_authenticate(access, bytes_of_text(user), bytes_of_text(password));
}

static void passwords_can_be_changed(void **state)
{
    (void)state;
    struct access access;
    struct log log;
    struct listeners listeners = {0};
    struct test_error error;
    struct access_config config = {.password = "one"};
    test_error_init(&error);
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    assert_int_equal(listeners_init(&listeners, NULL, AT("0.0.0.0:1"), 1, NULL), KVS_OK);
    assert_int_equal(access_init(&access, &config, &log, NULL), KVS_OK);
    assert_int_equal(log_in(&access, "default", "one"), AUTHENTICATED);
    assert_int_equal(log_in(&access, "default", "two"), AUTHENTICATION_WRONG);
    assert_int_equal(log_in(&access, "admin", "one"), AUTHENTICATION_WRONG);
    config.password = "two";
    assert_int_equal(access_reload(&access, &config, &listeners, NULL), KVS_OK);
    assert_int_equal(log_in(&access, "default", "one"), AUTHENTICATION_WRONG);
    assert_int_equal(log_in(&access, "default", "two"), AUTHENTICATED);
    /* What would open the server to everybody, or is wrong, changes nothing. */
    config.password = NULL;
    assert_status(KVS_DENIED, access_reload(&access, &config, &listeners, &error.error), &error);
    config.password = "";
    assert_status(KVS_INVALID, access_reload(&access, &config, &listeners, &error.error), &error);
    assert_int_equal(log_in(&access, "default", "two"), AUTHENTICATED);
    assert_true(access_needs_password(&access));
    config = (struct access_config){.no_auth = true};
    assert_int_equal(access_reload(&access, &config, &listeners, NULL), KVS_OK);
    assert_int_equal(log_in(&access, "default", "two"), AUTHENTICATION_NOT_SET);
    assert_false(access_needs_password(&access));
    listeners_deinit(&listeners);
    access_deinit(&access);
}

static void failures_are_counted_and_logged_sparingly(void **state)
{
    (void)state;
    struct access access;
    struct log log;
    const struct access_config config = {.password = "one"};
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    assert_int_equal(access_init(&access, &config, &log, NULL), KVS_OK);
    logged_lines = 0;
    for (uint32_t attempt = 1; attempt < ACCESS_ATTEMPTS_MAX; attempt++)
        assert_false(access_note_failure(&access, attempt, "10.0.0.7:1234"));
    assert_true(access_note_failure(&access, ACCESS_ATTEMPTS_MAX, "10.0.0.7:1234"));
    assert_int_equal(access.failures, ACCESS_ATTEMPTS_MAX);
    assert_true(logged_lines >= 1);
    assert_non_null(strstr(logged, "10.0.0.7:1234"));
    for (unsigned i = 0; i < 1000; i++)
        (void)access_note_failure(&access, 1, "10.0.0.7:1234");
    assert_true(logged_lines < 100);
    access_deinit(&access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_password_is_good_and_nothing_else),
        cmocka_unit_test(passwords_are_not_kept),
        cmocka_unit_test(senseless_passwords_are_refused),
        cmocka_unit_test(only_the_reachable_need_a_password),
        cmocka_unit_test(unix_sockets_may_be_trusted),
        cmocka_unit_test(passwords_can_be_changed),
        cmocka_unit_test(failures_are_counted_and_logged_sparingly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
