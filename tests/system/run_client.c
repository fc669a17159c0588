/* See run_client.h. */
#include "system/run_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define ARGUMENTS_MAX 16
#define NOTHING       ((struct kvs_bytes){NULL, 0})

struct program_result run_client(const struct server_process *server, const char *const *words,
                                 struct kvs_bytes input)
{
    const char *argv[ARGUMENTS_MAX] = {program_client(), "--addr", server->address};
    size_t count = 3;
    for (; *words != NULL; words++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = *words;
    }
    return program_run(argv, input.ptr, (size_t)input.len);
}

/* Says which command it was, before the test fails. */
static void explain(const char *const *words, const struct program_result *result)
{
    print_error("kvs-client");
    for (; *words != NULL; words++)
        print_error(" %.40s", *words);
    print_error(" exited with %d\n", result->exit_status);
}

void expect_client(const struct server_process *server, const char *const *words, int exit_status,
                   const char *out, const char *err)
{
    struct program_result result = run_client(server, words, NOTHING);
    if (strcmp(result.err, err) != 0 || strcmp(result.out, out) != 0 ||
        result.exit_status != exit_status)
        explain(words, &result);
    assert_string_equal(result.err, err);
    assert_string_equal(result.out, out);
    assert_int_equal(result.exit_status, exit_status);
    program_result_deinit(&result);
}

void client_set(const struct server_process *server, const char *key, const char *value)
{
    expect_client(server, WORDS("set", key, value), 0, "", "");
}

void client_expect(const struct server_process *server, const char *key, const char *value)
{
    char *line = NULL;
    assert_true(asprintf(&line, "%s\n", value) > 0);
    expect_client(server, WORDS("get", key), 0, line, "");
    free(line);
}

void client_set_bytes(const struct server_process *server, const char *key, struct kvs_bytes value)
{
    struct program_result result = run_client(server, WORDS("set", key, "-"), value);
    assert_string_equal(result.err, "");
    assert_int_equal(result.out_size, 0);
    assert_int_equal(result.exit_status, 0);
    program_result_deinit(&result);
}

void client_expect_bytes(const struct server_process *server, const char *key,
                         struct kvs_bytes value)
{
    struct program_result result = run_client(server, WORDS("get", "--raw", key), NOTHING);
    assert_string_equal(result.err, "");
    assert_int_equal(result.exit_status, 0);
    assert_true(bytes_equal(bytes_of(result.out, result.out_size), value));
    program_result_deinit(&result);
}
