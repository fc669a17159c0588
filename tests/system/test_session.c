/* A whole session with kvs-server and kvs-client: what a user does on the first day, for every
   engine and pool: start, set, get, remove, stop, start again. */
#include "system/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvs/version.h>

#include "base/bytes.h"
#include "support/wire.h"
#include "system/expect.h"
#include "system/run_client.h"

#define BYTE_VALUES   256u
#define OVERWRITINGS  5u
#define SMALL_KEY_MAX 100u
#define SMALL_MAX     ((size_t)300000)

/* ---- the first day ------------------------------------------------------------------------ */

static void expect_start_in_log(const struct server_process *server, const struct pair *pair,
                                const char *data_dir)
{
    char *log = server_process_log(server);
    char part[128];
    expect_in(log, "kvs-server " KVS_VERSION " listens on 127.0.0.1:");
    (void)snprintf(part, sizeof(part), "; engine %s ", pair->engine);
    expect_in(log, part);
    (void)snprintf(part, sizeof(part), ", pool %s ", pair->pool);
    expect_in(log, part);
    expect_in(log, ", threads ");
    expect_in(log, ", sync always, ");
    expect_in(log, data_dir);
    free(log);
}

static void change(const struct server_process *server)
{
    expect_client(server, WORDS("ping"), 0, "PONG\n", "");
    expect_client(server, WORDS("get", "name"), 0, "Key not found\n", "");
    expect_client(server, WORDS("get", "--raw", "name"), 1, "", "Key not found\n");
    expect_client(server, WORDS("rm", "name"), 1, "", "Key not found\n");
    for (unsigned i = 0; i < OVERWRITINGS; i++) {
        char value[32];
        (void)snprintf(value, sizeof(value), "value %u", i);
        client_set(server, "name", value);
        client_expect(server, "name", value);
    }
    client_set(server, "gone", "soon");
    expect_client(server, WORDS("rm", "gone"), 0, "", "");
    expect_client(server, WORDS("rm", "gone"), 1, "", "Key not found\n");
    client_set(server, "gone and back", "one");
    expect_client(server, WORDS("rm", "gone and back"), 0, "", "");
    client_set(server, "gone and back", "two");
    client_set(server, "empty", "");
    client_set(server, "a key with spaces\nand a line", "kept");
    client_set(server, "schlüssel", "wert");
}

static void expect_changes(const struct server_process *server)
{
    client_expect(server, "name", "value 4");
    expect_client(server, WORDS("get", "gone"), 0, "Key not found\n", "");
    client_expect(server, "gone and back", "two");
    client_expect(server, "empty", "");
    client_expect(server, "a key with spaces\nand a line", "kept");
    client_expect(server, "schlüssel", "wert");
}

/* Every byte there is, also where text would end. */
static struct kvs_bytes every_byte(char bytes[BYTE_VALUES + 2])
{
    bytes[0] = '\0';
    for (unsigned i = 0; i < BYTE_VALUES; i++)
        bytes[i + 1] = (char)i;
    bytes[BYTE_VALUES + 1] = '\n';
    return bytes_of(bytes, BYTE_VALUES + 2);
}

static void a_session_survives_a_restart(const struct pair *pair)
{
    struct server_process server;
    char bytes[BYTE_VALUES + 2];
    struct kvs_bytes binary = every_byte(bytes);
    char *data_dir = temp_dir_new();
    pair_start_plain(&server, pair, data_dir, NULL);
    expect_start_in_log(&server, pair, data_dir);
    change(&server);
    client_set_bytes(&server, "binary", binary);
    client_set_bytes(&server, "empty by stdin", bytes_of(NULL, 0));
    expect_changes(&server);
    client_expect_bytes(&server, "binary", binary);
    server_process_stop(&server);

    for (unsigned i = 0; i < 2; i++) {
        pair_start_plain(&server, pair, data_dir, NULL);
        expect_changes(&server);
        client_expect_bytes(&server, "binary", binary);
        client_expect_bytes(&server, "empty by stdin", bytes_of(NULL, 0));
        server_process_stop(&server);
    }
    temp_dir_free(data_dir);
}

/* ---- sizes -------------------------------------------------------------------------------- */

/* A limit as the server says it to clients. */
static size_t limit_of(const struct server_process *server, const char *name)
{
    struct received hello;
    char line[32];
    int fd = connect_to(server->port);
    send_request(fd, 1, REQUEST_HELLO, NULL, NULL);
    assert_true(receive_reply(fd, &hello));
    (void)close(fd);
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    expect_in(hello.body, line);
    size_t limit = strtoul(strstr(hello.body, line) + strlen(line), NULL, 10);
    free(hello.body);
    return limit;
}

static char *filled(char byte, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    memset(text, byte, size);
    text[size] = '\0';
    return text;
}

static void expect_too_large(const struct server_process *server, const char *const *words,
                             struct kvs_bytes input, size_t limit)
{
    char part[64];
    struct program_result result = run_client(server, words, input);
    (void)snprintf(part, sizeof(part), "over the limit of %zu bytes", limit);
    expect_in(result.err, part);
    assert_int_equal(result.out_size, 0);
    assert_int_equal(result.exit_status, 1);
    program_result_deinit(&result);
}

/* A key of the largest size works, one of a byte more is refused with the limit in the message. */
static void try_key_sizes(const struct server_process *server, size_t limit)
{
    char *over = filled('k', limit + 1);
    char *largest = filled('k', limit);
    client_set(server, largest, "largest");
    client_expect(server, largest, "largest");
    expect_too_large(server, WORDS("set", over, "v"), bytes_of(NULL, 0), limit);
    expect_too_large(server, WORDS("get", over), bytes_of(NULL, 0), limit);
    expect_too_large(server, WORDS("rm", over), bytes_of(NULL, 0), limit);
    client_expect(server, largest, "largest");
    free(over);
    free(largest);
}

static void try_value_sizes(const struct server_process *server, size_t limit, char *bytes)
{
    client_set_bytes(server, "largest", bytes_of(bytes, limit));
    client_expect_bytes(server, "largest", bytes_of(bytes, limit));
    expect_too_large(server, WORDS("set", "largest", "-"), bytes_of(bytes, limit + 1), limit);
    client_expect_bytes(server, "largest", bytes_of(bytes, limit));
}

static char *patterned(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i ^ (i >> 8) ^ (i >> 16));
    return bytes;
}

static void limits_that_were_configured_hold(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    char *bytes = patterned(SMALL_MAX + 1);
    const char *const limits[] = {"--key-max", "100", "--value-max", "300000", NULL};
    pair_start(&server, pair, data_dir, limits);
    assert_int_equal(limit_of(&server, "key_max"), SMALL_KEY_MAX);
    assert_int_equal(limit_of(&server, "value_max"), SMALL_MAX);
    try_key_sizes(&server, SMALL_KEY_MAX);
    try_value_sizes(&server, SMALL_MAX, bytes);
    server_process_stop(&server);
    pair_start(&server, pair, data_dir, NULL);
    client_expect_bytes(&server, "largest", bytes_of(bytes, SMALL_MAX));
    server_process_stop(&server);
    free(bytes);
    temp_dir_free(data_dir);
}

static void the_largest_key_and_value_are_kept(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    char *bytes = patterned((size_t)NATIVE_VALUE_MAX + 1);
    pair_start_plain(&server, pair, data_dir, NULL);
    size_t key_max = limit_of(&server, "key_max");
    size_t value_max = limit_of(&server, "value_max");
    assert_true(value_max <= NATIVE_VALUE_MAX);
    try_key_sizes(&server, key_max);
    try_value_sizes(&server, value_max, bytes);
    server_process_stop(&server);
    pair_start_plain(&server, pair, data_dir, NULL);
    char *largest = filled('k', key_max);
    client_expect(&server, largest, "largest");
    client_expect_bytes(&server, "largest", bytes_of(bytes, value_max));
    server_process_stop(&server);
    free(largest);
    free(bytes);
    temp_dir_free(data_dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(a_session_survives_a_restart, MATRIX_PAIRS),
        MATRIX_TEST(limits_that_were_configured_hold, MATRIX_PAIRS),
        MATRIX_TEST(the_largest_key_and_value_are_kept, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
