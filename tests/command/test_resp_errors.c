/* The error texts that Redis clients look at. */
#include "support/support.h"

#include <string.h>

#include "base/bytes.h"
#include "command/resp_errors.h"
#include "conversation.h"

static void an_unknown_command_is_quoted_with_its_arguments(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "NoSuch",
                        "-ERR unknown command 'NoSuch', with args beginning with: \r\n");
    conversation_expect(&talk, "nosuch a b\r\nc",
                        "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b  c' \r\n");
    conversation_end(&talk);
}

static void long_arguments_are_cut(void **state)
{
    (void)state;
    static char long_text[5000];
    struct conversation talk;
    conversation_begin(&talk);
    memset(long_text, 'x', sizeof(long_text) - 1);
    memcpy(long_text + 2000, " y z", 4);
    const char *said = conversation_say(&talk, long_text);
    assert_true(strlen(said) < 400);
    assert_string_equal(said + strlen(said) - 2, "\r\n");
    conversation_end(&talk);
}

#define EXPECT(call, text)                                                                         \
    do {                                                                                           \
        struct buffer out = {0};                                                                   \
        struct resp_writer writer = {.out = &out, .version = 2};                                   \
        call;                                                                                      \
        assert_int_equal(buffer_size(&out), strlen(text));                                         \
        assert_memory_equal(buffer_content(&out), text, strlen(text));                             \
        buffer_deinit(&out);                                                                       \
    } while (0)

static void each_error_has_its_text(void **state)
{
    (void)state;
    EXPECT(resp_error_syntax(&writer), "-ERR syntax error\r\n");
    EXPECT(resp_error_no_auth(&writer), "-NOAUTH Authentication required.\r\n");
    EXPECT(resp_error_loading(&writer, -1), "-LOADING Redis is loading the dataset in memory\r\n");
    EXPECT(resp_error_loading(&writer, 42),
           "-LOADING Redis is loading the dataset in memory (42% done)\r\n");
    EXPECT(resp_error_arity(&writer, "get"),
           "-ERR wrong number of arguments for 'get' command\r\n");
    EXPECT(resp_error_unsupported(&writer, "no"), "-ERR no\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_command_is_quoted_with_its_arguments),
        cmocka_unit_test(long_arguments_are_cut),
        cmocka_unit_test(each_error_has_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
