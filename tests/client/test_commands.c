/* The commands of kvs-client: the program, run against a fake server. */
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/client_program.h"
#include "client/fake_server.h"
#include "protocol/native.h"

struct fixture {
    struct fake_store store;
    struct fake_server *server;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL)
        return -1;
    fixture->server = fake_server_start(fake_serve_store, &fixture->store);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fake_server_stop(fixture->server);
    fake_store_deinit(&fixture->store);
    free(fixture);
    return 0;
}

static const char *address_of(void **state)
{
    return fake_server_address(((const struct fixture *)*state)->server);
}

static void set_get_and_rm_work_together(void **state)
{
    const char *a = address_of(state);
    client_check(WORDS("get", "key", "--addr", a), 0, "Key not found\n", "");
    client_check(WORDS("rm", "key", "--addr", a), 1, "", "Key not found\n");
    client_check(WORDS("set", "key", "value", "--addr", a), 0, "", "");
    client_check(WORDS("--addr", a, "get", "key"), 0, "value\n", "");
    client_check(WORDS("set", "--addr", a, "key", ""), 0, "", "");
    client_check(WORDS("get", "key", "--addr", a), 0, "\n", "");
    client_check(WORDS("rm", "key", "--addr", a), 0, "", "");
    client_check(WORDS("get", "key", "--addr", a), 0, "Key not found\n", "");
}

static void dashes_can_be_keys_and_values(void **state)
{
    const char *a = address_of(state);
    client_check(WORDS("--addr", a, "set", "--", "-k", "--addr"), 0, "", "");
    client_check(WORDS("--addr", a, "get", "--", "-k"), 0, "--addr\n", "");
    client_check(WORDS("--addr", a, "set", "--", "-", "-"), 0, "", "");
    client_check(WORDS("--addr", a, "get", "-"), 0, "-\n", "");
    client_check(WORDS("--addr", a, "rm", "--", "-k"), 0, "", "");
}

static void ping_and_stats_print_what_comes(void **state)
{
    const char *a = address_of(state);
    client_check(WORDS("ping", "--addr", a), 0, "PONG\n", "");
    client_check(WORDS("stats", "--addr", a), 0, "keys 1\nuptime_s 2\n", "");
}

/* get --raw gives exactly the value, and for a missing key nothing that could be one. */
static void raw_writes_the_bytes_alone(void **state)
{
    const char *a = address_of(state);
    client_check(WORDS("set", "key", "value", "--addr", a), 0, "", "");
    client_check(WORDS("get", "--raw", "key", "--addr", a), 0, "value", "");
    client_check(WORDS("get", "--raw", "missing", "--addr", a), 1, "", "Key not found\n");
}

static void any_bytes_come_from_stdin_and_go_to_stdout(void **state)
{
    const char *a = address_of(state);
    const size_t size = (size_t)3 << 20;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 16);
    const struct kvs_bytes inputs[] = {bytes_of(NULL, 0), bytes_of("\0\n\xFF", 3), bytes_of("-", 1),
                                       bytes_of(bytes, size)};
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        struct program_result result = client_run(WORDS("set", "key", "-", "--addr", a), inputs[i]);
        assert_string_equal(result.err, "");
        assert_int_equal(result.exit_status, 0);
        program_result_deinit(&result);
        result = client_run(WORDS("get", "--raw", "key", "--addr", a), bytes_of(NULL, 0));
        assert_int_equal(result.exit_status, 0);
        assert_true(bytes_equal(bytes_of(result.out, result.out_size), inputs[i]));
        program_result_deinit(&result);
    }
    free(bytes);
}

static void stdin_is_read_up_to_the_limit(void **state)
{
    const char *a = address_of(state);
    char *bytes = calloc(1, NATIVE_VALUE_MAX + 1);
    assert_non_null(bytes);
    struct program_result result =
        client_run(WORDS("set", "key", "-", "--addr", a), bytes_of(bytes, NATIVE_VALUE_MAX + 1));
    assert_non_null(strstr(result.err, "over the limit of 67108864 bytes"));
    assert_int_equal(result.exit_status, 1);
    program_result_deinit(&result);
    assert_int_equal(fake_server_requests(((struct fixture *)*state)->server), 0);

    result = client_run(WORDS("set", "key", "-", "--addr", a), bytes_of(bytes, NATIVE_VALUE_MAX));
    assert_string_equal(result.err, "");
    assert_int_equal(result.exit_status, 0);
    program_result_deinit(&result);
    free(bytes);
}

/* What cannot be written is an error, and what is written to nobody does not go to the socket. */
static void lost_output_is_an_error(void **state)
{
    const char *a = address_of(state);
    const char *const *const commands_with_output[] = {
        WORDS("get", "key", "--addr", a), WORDS("get", "--raw", "key", "--addr", a),
        WORDS("get", "missing", "--addr", a), WORDS("ping", "--addr", a),
        WORDS("stats", "--addr", a)};
    const char *const redirections[] = {">/dev/full", ">&-"};
    client_check(WORDS("set", "key", "value", "--addr", a), 0, "", "");
    for (size_t i = 0; i < 2; i++) {
        for (size_t c = 0; c < sizeof(commands_with_output) / sizeof(commands_with_output[0]);
             c++) {
            struct program_result result =
                client_run_redirected(commands_with_output[c], redirections[i]);
            assert_non_null(strstr(result.err, "cannot write to standard output"));
            assert_int_equal(result.exit_status, 1);
            program_result_deinit(&result);
        }
        struct program_result result =
            client_run_redirected(WORDS("set", "key", "value", "--addr", a), redirections[i]);
        assert_int_equal(result.exit_status, 0);
        program_result_deinit(&result);
    }
}

static void a_closed_stdin_is_an_error_only_when_it_is_read(void **state)
{
    const char *a = address_of(state);
    struct program_result result =
        client_run_redirected(WORDS("set", "key", "-", "--addr", a), "<&-");
    assert_non_null(strstr(result.err, "cannot read standard input"));
    assert_int_equal(result.exit_status, 1);
    program_result_deinit(&result);
    result = client_run_redirected(WORDS("ping", "--addr", a), "<&-");
    assert_string_equal(result.out, "PONG\n");
    assert_int_equal(result.exit_status, 0);
    program_result_deinit(&result);
}

static void empty_and_large_keys_are_refused(void **state)
{
    const char *a = address_of(state);
    char key[NATIVE_KEY_MAX + 2];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    client_check_fails(WORDS("get", "", "--addr", a), 1, "at least 1 byte");
    client_check_fails(WORDS("set", key, "v", "--addr", a), 1, "limit of 65536 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(set_get_and_rm_work_together, setup, teardown),
        cmocka_unit_test_setup_teardown(dashes_can_be_keys_and_values, setup, teardown),
        cmocka_unit_test_setup_teardown(ping_and_stats_print_what_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_writes_the_bytes_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_come_from_stdin_and_go_to_stdout, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(stdin_is_read_up_to_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_output_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_stdin_is_an_error_only_when_it_is_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(empty_and_large_keys_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
