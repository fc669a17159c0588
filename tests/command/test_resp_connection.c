/* HELLO, AUTH and the small commands about a connection. */
#include "support/support.h"

#include "base/bytes.h"
#include "command/resp_multi.h"
#include "conversation.h"

static enum authentication knows_one_user(void *arg, struct kvs_bytes user,
                                          struct kvs_bytes password)
{
    (void)arg;
    return bytes_equal(user, bytes_of_text("default")) &&
                   bytes_equal(password, bytes_of_text("secret"))
               ? AUTHENTICATED
               : AUTHENTICATION_WRONG;
}

static bool always(void *arg)
{
    (void)arg;
    return true;
}

#define WRONGPASS "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

static void small_commands_answer(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "PING", "+PONG\r\n");
    conversation_expect(&talk, "ping hi", "$2\r\nhi\r\n");
    conversation_expect(&talk, "ping a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    conversation_expect(&talk, "echo \"\"", "$0\r\n\r\n");
    conversation_expect(&talk, "echo", "-ERR wrong number of arguments for 'echo' command\r\n");
    conversation_expect(&talk, "SELECT 0", "+OK\r\n");
    conversation_expect(&talk, "SELECT 1", "-ERR DB index is out of range\r\n");
    conversation_expect(&talk, "SELECT x", "-ERR value is not an integer or out of range\r\n");
    assert_false(talk.client.close_after_reply);
    conversation_expect(&talk, "Quit", "+OK\r\n");
    assert_true(talk.client.close_after_reply);
    conversation_end(&talk);
}

#define HELLO_REST                                                                                 \
    "$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"          \
    "$7\r\nmodules\r\n*0\r\n"
#define HELLO_START "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n"

static void hello_chooses_the_version_and_answers_in_it(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect(&talk, "HELLO", "*14\r\n" HELLO_START ":2\r\n" HELLO_REST);
    conversation_expect(&talk, "HELLO 3", "%7\r\n" HELLO_START ":3\r\n" HELLO_REST);
    assert_int_equal(client_resp_version(&talk.client), 3);
    conversation_expect(&talk, "HELLO", "%7\r\n" HELLO_START ":3\r\n" HELLO_REST);
    conversation_expect(&talk, "HELLO 2 SETNAME bob", "*14\r\n" HELLO_START ":2\r\n" HELLO_REST);
    assert_string_equal(talk.client.name, "bob");
    conversation_expect(&talk, "HELLO 4", "-NOPROTO unsupported protocol version\r\n");
    conversation_expect(&talk, "HELLO three",
                        "-ERR Protocol version is not an integer or out of range\r\n");
    conversation_expect(&talk, "HELLO 3 SETNAME",
                        "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
    conversation_expect(&talk, "HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'\r\n");
    assert_int_equal(client_resp_version(&talk.client), 2);
    conversation_end(&talk);
}

static void without_a_password_auth_says_so(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    conversation_expect_part(&talk, "AUTH secret",
                             "-ERR AUTH <password> called without any password configured");
    conversation_expect(&talk, "AUTH default secret", "+OK\r\n");
    conversation_expect(&talk, "AUTH bob secret", WRONGPASS);
    conversation_expect(&talk, "AUTH a b c", "-ERR syntax error\r\n");
    conversation_expect(&talk, "HELLO 2 AUTH bob secret", WRONGPASS);
    conversation_end(&talk);
}

static void passwords_are_asked_for(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    talk.context.hooks = (struct hooks){.authenticate = knows_one_user, .needs_password = always};
    talk.client.authenticated = false;
    conversation_expect_part(&talk, "HELLO 3", "-NOAUTH HELLO must be called with the client");
    assert_int_equal(client_resp_version(&talk.client), 2);
    conversation_expect(&talk, "AUTH wrong", WRONGPASS);
    conversation_expect(&talk, "AUTH bob secret", WRONGPASS);
    assert_false(talk.client.authenticated);
    conversation_expect(&talk, "HELLO 3 AUTH default wrong SETNAME bob", WRONGPASS);
    assert_false(talk.client.authenticated);
    assert_null(talk.client.name);
    conversation_expect(&talk, "AUTH secret", "+OK\r\n");
    assert_true(talk.client.authenticated);
    talk.client.authenticated = false;
    conversation_expect(&talk, "AUTH default secret", "+OK\r\n");
    assert_true(talk.client.authenticated);
    talk.client.authenticated = false;
    conversation_expect(&talk, "HELLO 3 AUTH default secret SETNAME bob",
                        "%7\r\n" HELLO_START ":3\r\n" HELLO_REST);
    assert_true(talk.client.authenticated);
    conversation_end(&talk);
}

static void reset_takes_everything_back(void **state)
{
    (void)state;
    struct conversation talk;
    conversation_begin(&talk);
    (void)conversation_say(&talk, "HELLO 3 SETNAME bob");
    conversation_expect(&talk, "MULTI", "+OK\r\n");
    conversation_expect(&talk, "RESET", "+RESET\r\n");
    assert_false(multi_is_open(&talk.client));
    assert_int_equal(client_resp_version(&talk.client), 2);
    assert_null(talk.client.name);
    assert_true(talk.client.authenticated);
    talk.context.hooks = (struct hooks){.authenticate = knows_one_user, .needs_password = always};
    conversation_expect(&talk, "RESET", "+RESET\r\n");
    assert_false(talk.client.authenticated);
    talk.client.trusted = true; /* came in over a socket that wants no password */
    conversation_expect(&talk, "RESET", "+RESET\r\n");
    assert_true(talk.client.authenticated);
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_commands_answer),
        cmocka_unit_test(hello_chooses_the_version_and_answers_in_it),
        cmocka_unit_test(without_a_password_auth_says_so),
        cmocka_unit_test(passwords_are_asked_for),
        cmocka_unit_test(reset_takes_everything_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
