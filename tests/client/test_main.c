/* kvs-client as a program: usage, exit statuses, servers that are not there or say no. */
#include "support/support.h"

#include <string.h>

#include <kvs/version.h>

#include "base/bytes.h"
#include "client/client_program.h"
#include "client/fake_server.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

static void help_and_version_go_to_stdout(void **state)
{
    (void)state;
    client_check(WORDS("-V"), 0, "kvs-client " KVS_VERSION "\n", "");
    client_check(WORDS("--version"), 0, "kvs-client " KVS_VERSION "\n", "");
    const char *const *const helps[] = {WORDS("-h"), WORDS("--help"), WORDS("get", "--help")};
    for (size_t i = 0; i < sizeof(helps) / sizeof(helps[0]); i++) {
        struct program_result result = client_run(helps[i], bytes_of(NULL, 0));
        const char *const names[] = {"Usage:", "set KEY VALUE", "get",    "rm",
                                     "ping",   "stats",         "--addr", "--raw",
                                     "--help", "127.0.0.1:4000"};
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            assert_non_null(strstr(result.out, names[n]));
        assert_string_equal(result.err, "");
        assert_int_equal(result.exit_status, 0);
        program_result_deinit(&result);
    }
}

static void lost_help_is_an_error(void **state)
{
    (void)state;
    const char *const *const commands[] = {WORDS("--help"), WORDS("--version")};
    for (size_t i = 0; i < 2; i++) {
        struct program_result result = client_run_redirected(commands[i], ">/dev/full");
        assert_non_null(strstr(result.err, "cannot write to standard output"));
        assert_int_equal(result.exit_status, EXIT_FAILED);
        program_result_deinit(&result);
    }
}

static void wrong_usage_exits_with_2(void **state)
{
    (void)state;
    client_check_fails(WORDS(NULL), EXIT_USAGE, "Try 'kvs-client --help'.");
    client_check_fails(WORDS("unknown", "k"), EXIT_USAGE, "no command 'unknown'");
    client_check_fails(WORDS("set", "k"), EXIT_USAGE, "set needs KEY VALUE");
    client_check_fails(WORDS("get", "k", "extra"), EXIT_USAGE, "too many");
    client_check_fails(WORDS("get", "k", "--unknown-flag"), EXIT_USAGE, "--unknown-flag");
    client_check_fails(WORDS("get", "k", "--addr"), EXIT_USAGE, "--addr needs a value");
    client_check_fails(WORDS("get", "k", "--addr", "nowhere"), EXIT_USAGE,
                       "'nowhere' is no address");
    client_check_fails(WORDS("--addr", "127.0.0.1", "ping"), EXIT_USAGE, "is no address");
    client_check_fails(WORDS("--addr", "127.0.0.1:99999", "ping"), EXIT_USAGE, "is no address");
}

static void no_server_exits_with_1(void **state)
{
    (void)state;
    struct fake_store store = {0};
    char address[64];
    struct fake_server *server = fake_server_start(fake_serve_store, &store);
    (void)strncpy(address, fake_server_address(server), sizeof(address) - 1);
    address[sizeof(address) - 1] = '\0';
    fake_server_stop(server);
    client_check_fails(WORDS("set", "k", "v", "--addr", address), EXIT_FAILED,
                       "is kvs-server running there?");
    client_check_fails(WORDS("get", "k", "--addr", address), EXIT_FAILED, address);
    client_check_fails(WORDS("rm", "k", "--addr", address), EXIT_FAILED, address);
    client_check_fails(WORDS("ping", "--addr", address), EXIT_FAILED, address);
    client_check_fails(WORDS("stats", "--addr", address), EXIT_FAILED, address);
}

static void answer_status(struct fake_connection *connection, void *arg)
{
    const kvs_status *status = arg;
    struct request request;
    while (fake_read_request(connection, &request))
        fake_reply_text(connection, request.id, *status, *status < 0 ? "the reason" : "");
}

static void close_at_once(struct fake_connection *connection, void *arg)
{
    (void)arg;
    struct request request;
    (void)fake_read_request(connection, &request);
}

static void a_servers_refusal_exits_with_1(void **state)
{
    (void)state;
    kvs_status status = KVS_NO_SPACE;
    struct fake_server *server = fake_server_start(answer_status, &status);
    client_check(WORDS("set", "k", "v", "--addr", fake_server_address(server)), EXIT_FAILED, "",
                 "kvs-client: the reason\n");
    /* An INVALID of the server's is no wrong usage of the program. */
    fake_server_stop(server);
    status = KVS_INVALID;
    server = fake_server_start(answer_status, &status);
    client_check(WORDS("get", "k", "--addr", fake_server_address(server)), EXIT_FAILED, "",
                 "kvs-client: the reason\n");
    fake_server_stop(server);
    status = KVS_BUSY;
    server = fake_server_start(answer_status, &status);
    client_check(WORDS("ping", "--addr", fake_server_address(server)), EXIT_FAILED, "",
                 "kvs-client: busy\n");
    fake_server_stop(server);
    server = fake_server_start(close_at_once, NULL);
    client_check_fails(WORDS("rm", "k", "--addr", fake_server_address(server)), EXIT_FAILED,
                       "closed the connection");
    fake_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_go_to_stdout),  cmocka_unit_test(lost_help_is_an_error),
        cmocka_unit_test(wrong_usage_exits_with_2),       cmocka_unit_test(no_server_exits_with_1),
        cmocka_unit_test(a_servers_refusal_exits_with_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
