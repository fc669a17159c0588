/* See client_program.h. */
#include "client/client_program.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define ARGUMENTS_MAX 24
#define SCRIPT_MAX    64

/* Puts words behind the count arguments that are there, and runs it all. */
static struct program_result run(const char *arguments[ARGUMENTS_MAX], int count,
                                 const char *const *words, struct kvs_bytes input)
{
    for (; *words != NULL; words++) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments[count++] = *words;
    }
    arguments[count] = NULL;
    return program_run(arguments, input.ptr, (size_t)input.len);
}

struct program_result client_run(const char *const *words, struct kvs_bytes input)
{
    const char *arguments[ARGUMENTS_MAX] = {program_client()};
    return run(arguments, 1, words, input);
}

struct program_result client_run_redirected(const char *const *words, const char *redirection)
{
    char script[SCRIPT_MAX];
    int size = snprintf(script, sizeof(script), "exec \"$0\" \"$@\" %s", redirection);
    assert_true(size > 0 && size < SCRIPT_MAX);
    const char *arguments[ARGUMENTS_MAX] = {"/bin/sh", "-c", script, program_client()};
    return run(arguments, 4, words, bytes_of(NULL, 0));
}

void client_check(const char *const *words, int exit_status, const char *out, const char *err)
{
    struct program_result result = client_run(words, bytes_of(NULL, 0));
    assert_string_equal(result.err, err);
    assert_string_equal(result.out, out);
    assert_int_equal(result.exit_status, exit_status);
    program_result_deinit(&result);
}

void client_check_fails(const char *const *words, int exit_status, const char *message)
{
    struct program_result result = client_run(words, bytes_of(NULL, 0));
    if (strstr(result.err, message) == NULL)
        fail_msg("'%s' is not in '%s'", message, result.err);
    assert_string_equal(result.out, "");
    assert_int_equal(result.exit_status, exit_status);
    program_result_deinit(&result);
}
