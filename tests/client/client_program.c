/* See client_program.h. */
#include "client/client_program.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

struct program_result client_run_io(const char *const *words, const struct program_io *io)
{
    const struct program_io plain = {0};
    struct program_result result;
    char *arguments[CLIENT_ARGUMENTS_MAX] = {getenv("KVS_TEST_CLIENT")};
    if (arguments[0] == NULL) {
        print_error("KVS_TEST_CLIENT is not set: run this through 'meson test'\n");
        abort();
    }
    for (int i = 0; words[i] != NULL; i++) {
        assert_true(i < CLIENT_ARGUMENTS_MAX - 2);
        arguments[i + 1] = (char *)(uintptr_t)words[i];
    }
    program_run(arguments, io != NULL ? io : &plain, &result);
    return result;
}

void client_check(const char *const *words, int exit_status, const char *out, const char *err)
{
    struct program_result result = client_run_io(words, NULL);
    assert_string_equal(result.err, err);
    assert_string_equal(result.out, out);
    assert_int_equal(result.exit_status, exit_status);
    program_result_deinit(&result);
}

void client_check_fails(const char *const *words, int exit_status, const char *message)
{
    struct program_result result = client_run_io(words, NULL);
    if (strstr(result.err, message) == NULL)
        fail_msg("'%s' is not in '%s'", message, result.err);
    assert_string_equal(result.out, "");
    assert_int_equal(result.exit_status, exit_status);
    program_result_deinit(&result);
}
