/* SAVE, SHUTDOWN and the like, against a server that notes what it is asked; and what is refused. */
#include "support/support.h"

#include <string.h>

#include "conversation.h"

struct asked {
    kvs_status status; /* what is answered */
    const char *message;
    int saves;
    int background_saves;
    int shut_downs;
    uint32_t shut_down_flags;
};

static kvs_status answer(const struct asked *asked, struct kvs_error *err)
{
    return asked->message != NULL ? kvs_error_set(err, asked->status, 0, "%s", asked->message)
                                  : asked->status;
}

static kvs_status save(void *arg, bool in_background, struct kvs_error *err)
{
    struct asked *asked = arg;
    asked->background_saves += in_background;
    asked->saves += !in_background;
    return answer(asked, err);
}

static void save_state(void *arg, struct save_state *ret)
{
    (void)arg;
    ret->last_success_s = 1700000000;
}

static kvs_status shut_down(void *arg, uint32_t flags, struct kvs_error *err)
{
    struct asked *asked = arg;
    asked->shut_downs++;
    asked->shut_down_flags = flags;
    return answer(asked, err);
}

static void begin(struct conversation *talk, struct asked *asked)
{
    conversation_begin(talk);
    *asked = (struct asked){.status = KVS_OK};
    talk->context.hooks = (struct hooks){
        .arg = asked, .save = save, .save_state = save_state, .shut_down = shut_down};
}

static void checkpoints_are_written_or_it_is_said_why_not(void **state)
{
    (void)state;
    struct conversation talk;
    struct asked asked;
    begin(&talk, &asked);
    conversation_expect(&talk, "SAVE", "+OK\r\n");
    assert_int_equal(asked.saves, 1);
    conversation_expect(&talk, "BGSAVE", "+Background saving started\r\n");
    conversation_expect(&talk, "BGSAVE SCHEDULE", "+Background saving started\r\n");
    assert_int_equal(asked.background_saves, 2);
    conversation_expect(&talk, "BGSAVE now", "-ERR syntax error\r\n");
    conversation_expect(&talk, "LASTSAVE", ":1700000000\r\n");
    asked.status = KVS_BUSY;
    conversation_expect(&talk, "BGSAVE", "-ERR Background save already in progress\r\n");
    asked.status = KVS_NO_SPACE;
    asked.message = "the disk is full";
    conversation_expect(&talk, "SAVE", "-ERR the disk is full\r\n");
    talk.context.hooks = (struct hooks){0};
    conversation_expect(&talk, "SAVE", "-ERR this server writes no checkpoints\r\n");
    conversation_expect(&talk, "LASTSAVE", ":0\r\n");
    conversation_end(&talk);
}

/* Runs a SHUTDOWN that works: it has no answer. */
static void expect_silence(struct conversation *talk, const char *words)
{
    talk->client.close_after_reply = false;
    assert_string_equal(conversation_say(talk, words), "");
    assert_true(talk->client.close_after_reply);
}

static void the_server_stops_without_an_answer(void **state)
{
    (void)state;
    struct conversation talk;
    struct asked asked;
    begin(&talk, &asked);
    expect_silence(&talk, "SHUTDOWN");
    assert_int_equal(asked.shut_down_flags, 0);
    expect_silence(&talk, "SHUTDOWN NOSAVE NOW");
    assert_int_equal(asked.shut_down_flags, 0);
    expect_silence(&talk, "shutdown save");
    assert_int_equal(asked.shut_down_flags, SHUT_DOWN_SAVE);
    assert_int_equal(asked.shut_downs, 3);
    conversation_end(&talk);
}

static void a_stop_that_is_refused_is_answered(void **state)
{
    (void)state;
    struct conversation talk;
    struct asked asked;
    begin(&talk, &asked);
    conversation_expect(&talk, "SHUTDOWN SAVE NOSAVE", "-ERR syntax error\r\n");
    conversation_expect(&talk, "SHUTDOWN fast", "-ERR syntax error\r\n");
    conversation_expect(&talk, "SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n");
    assert_int_equal(asked.shut_downs, 0);
    asked.status = KVS_NO_SPACE;
    asked.message = "the disk is full";
    conversation_expect(&talk, "SHUTDOWN SAVE",
                        "-ERR Errors trying to SHUTDOWN. the disk is full\r\n");
    assert_false(talk.client.close_after_reply);
    conversation_end(&talk);
}

static void probes_get_an_answer_that_does_no_harm(void **state)
{
    (void)state;
    struct conversation talk;
    struct asked asked;
    begin(&talk, &asked);
    conversation_expect(&talk, "WAIT 0 100", ":0\r\n");
    conversation_expect(&talk, "WAIT x 100", "-ERR value is not an integer or out of range\r\n");
    conversation_expect(&talk, "WAIT 0 -1", "-ERR timeout is negative\r\n");
    conversation_expect(&talk, "FUNCTION FLUSH", "+OK\r\n");
    conversation_expect(&talk, "FUNCTION FLUSH now",
                        "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option\r\n");
    conversation_expect(&talk, "SCRIPT FLUSH SYNC x",
                        "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n");
    conversation_expect(&talk, "FUNCTION LIST", "*0\r\n");
    conversation_expect(&talk, "FUNCTION LIST withcode LIBRARYNAME withcode", "*0\r\n");
    conversation_expect(&talk, "FUNCTION LIST x", "-ERR Unknown argument x\r\n");
    conversation_expect(&talk, "FUNCTION LIST WITHCODE withcode",
                        "-ERR Unknown argument withcode\r\n");
    conversation_expect(&talk, "FUNCTION LIST LIBRARYNAME",
                        "-ERR library name argument was not given\r\n");
    conversation_expect(&talk, "FUNCTION LOAD x", "-ERR scripts are not supported\r\n");
    conversation_expect(&talk, "SCRIPT EXISTS a b", "*2\r\n:0\r\n:0\r\n");
    conversation_expect(&talk, "SCRIPT FLUSH ASYNC", "+OK\r\n");
    conversation_expect(&talk, "ACL WHOAMI", "$7\r\ndefault\r\n");
    conversation_expect(&talk, "MODULE LIST", "*0\r\n");
    conversation_expect(&talk, "READONLY", "-ERR This instance has cluster support disabled\r\n");
    conversation_expect(&talk, "CLUSTER INFO",
                        "-ERR This instance has cluster support disabled\r\n");
    conversation_expect(&talk, "DEBUG SLEEP 0", "-ERR DEBUG command not allowed.\r\n");
    conversation_expect_part(&talk, "MONITOR", "-ERR MONITOR is not supported");
    conversation_expect_part(&talk, "BGREWRITEAOF", "-ERR BGREWRITEAOF is not supported");
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_are_written_or_it_is_said_why_not),
        cmocka_unit_test(the_server_stops_without_an_answer),
        cmocka_unit_test(a_stop_that_is_refused_is_answered),
        cmocka_unit_test(probes_get_an_answer_that_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
