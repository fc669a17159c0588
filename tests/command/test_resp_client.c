/* CLIENT: names, the list of clients, and ending them. */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "conversation.h"

#define OTHER_COUNT 600u

/* A server with other clients, of which some may be cut off. */
struct crowd {
    struct conversation talk;
    struct client others[OTHER_COUNT];
    bool killed[OTHER_COUNT];
};

static void visit_clients(void *arg, void (*visit)(void *visit_arg, struct client *client),
                          void *visit_arg)
{
    struct crowd *crowd = arg;
    visit(visit_arg, &crowd->talk.client);
    for (uint32_t i = 0; i < OTHER_COUNT; i++) {
        if (!crowd->killed[i])
            visit(visit_arg, &crowd->others[i]);
    }
}

static bool kill_client(void *arg, uint64_t id)
{
    struct crowd *crowd = arg;
    for (uint32_t i = 0; i < OTHER_COUNT; i++) {
        if (crowd->others[i].id == id && !crowd->killed[i])
            return crowd->killed[i] = true;
    }
    return false;
}

static uint32_t killed_count(const struct crowd *crowd)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < OTHER_COUNT; i++)
        count += crowd->killed[i];
    return count;
}

static struct crowd crowd; /* large */

static int gather(void **state)
{
    (void)state;
    memset(&crowd, 0, sizeof(crowd));
    conversation_begin(&crowd.talk);
    crowd.talk.context.hooks =
        (struct hooks){.arg = &crowd, .visit_clients = visit_clients, .kill_client = kill_client};
    for (uint32_t i = 0; i < OTHER_COUNT; i++) {
        char address[32];
        (void)snprintf(address, sizeof(address), "127.0.0.1:%u", 10000 + i);
        client_init(&crowd.others[i], 100 + i, CONVERSATION_NOW_MS - 1000 * (int64_t)i, address,
                    "127.0.0.1:4000");
    }
    return 0;
}

static int disperse(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < OTHER_COUNT; i++)
        client_deinit(&crowd.others[i]);
    conversation_end(&crowd.talk);
    return 0;
}

static void a_client_has_a_number_and_a_name(void **state)
{
    (void)state;
    conversation_expect(&crowd.talk, "CLIENT ID", ":7\r\n");
    conversation_expect(&crowd.talk, "client getname", "$-1\r\n");
    conversation_expect(&crowd.talk, "client setname bob", "+OK\r\n");
    conversation_expect(&crowd.talk, "client getname", "$3\r\nbob\r\n");
    conversation_expect(
        &crowd.talk, "client setname b\n",
        "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    conversation_expect(&crowd.talk, "client setname \"\"", "+OK\r\n");
    conversation_expect(&crowd.talk, "client getname", "$-1\r\n");
    conversation_expect(&crowd.talk, "client setinfo LIB-NAME redis-py", "+OK\r\n");
    conversation_expect(&crowd.talk, "client setinfo lib-ver 5.0", "+OK\r\n");
    conversation_expect(&crowd.talk, "client setinfo lib-ver a\tb",
                        "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n");
    conversation_expect(&crowd.talk, "client setinfo colour red",
                        "-ERR Unrecognized option 'colour'\r\n");
    conversation_expect_part(&crowd.talk, "client info", "lib-name=redis-py lib-ver=5.0\n");
}

static void info_is_a_line_of_the_list(void **state)
{
    (void)state;
    (void)conversation_say(&crowd.talk, "client setname bob");
    atomic_store(&crowd.talk.client.last_command, "client");
    conversation_expect_part(
        &crowd.talk, "client info",
        "id=7 addr=127.0.0.1:5000 laddr=127.0.0.1:4000 fd=0 name=bob age=5 "
        "idle=5 flags=N db=0 sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 "
        "argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 "
        "events=r cmd=client user=default redir=-1 resp=2 lib-name= lib-ver=\n");
    atomic_store(&crowd.talk.client.in_multi, 1);
    conversation_expect_part(&crowd.talk, "client info",
                             "flags=x db=0 sub=0 psub=0 ssub=0 multi=0 ");
    /* RESP3 marks it as text. */
    (void)conversation_say(&crowd.talk, "HELLO 3");
    assert_int_equal(conversation_say(&crowd.talk, "client info")[0], '=');
}

static uint32_t count_lines(const char *text)
{
    uint32_t count = 0;
    for (; (text = strstr(text, "id=")) != NULL; text += 3)
        count += text[-1] == '\n';
    return count;
}

static void the_list_shows_who_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(count_lines(conversation_say(&crowd.talk, "client list")), 601);
    assert_int_equal(count_lines(conversation_say(&crowd.talk, "client list type normal")), 601);
    assert_int_equal(count_lines(conversation_say(&crowd.talk, "client list type replica")), 0);
    assert_int_equal(count_lines(conversation_say(&crowd.talk, "client list id 7 101 5000")), 2);
    conversation_expect(&crowd.talk, "client list id 0 -1", "$0\r\n\r\n");
    conversation_expect(&crowd.talk, "client list id x", "-ERR Invalid client ID\r\n");
    conversation_expect(&crowd.talk, "client list type odd", "-ERR Unknown client type 'odd'\r\n");
    conversation_expect(&crowd.talk, "client list id", "-ERR syntax error\r\n");
    conversation_expect(&crowd.talk, "client list frogs 1", "-ERR syntax error\r\n");
}

static void one_client_is_cut_off(void **state)
{
    (void)state;
    conversation_expect(&crowd.talk, "client kill 127.0.0.1:10005", "+OK\r\n");
    assert_true(crowd.killed[5]);
    conversation_expect(&crowd.talk, "client kill 127.0.0.1:10005", "-ERR No such client\r\n");
    conversation_expect(&crowd.talk, "client kill id 103", ":1\r\n");
    assert_true(crowd.killed[3]);
    conversation_expect(&crowd.talk, "client kill addr 127.0.0.1:10003", ":0\r\n");
    conversation_expect(&crowd.talk, "client kill id 104 addr 127.0.0.1:10001", ":0\r\n");
    conversation_expect(&crowd.talk, "client kill type pubsub", ":0\r\n");
    conversation_expect(&crowd.talk, "client kill user bob", "-ERR No such user 'bob'\r\n");
    conversation_expect(&crowd.talk, "client kill type odd", "-ERR Unknown client type 'odd'\r\n");
    assert_int_equal(killed_count(&crowd), 2);
    conversation_expect(&crowd.talk, "client kill maxage 590", ":10\r\n");
    assert_int_equal(killed_count(&crowd), 12);
    assert_true(crowd.killed[590] && !crowd.killed[589]);
    assert_false(crowd.talk.client.close_after_reply);
}

static void the_asking_client_is_spared_unless_it_wants_not_to_be(void **state)
{
    (void)state;
    conversation_expect(&crowd.talk, "client kill laddr 127.0.0.1:4000", ":600\r\n");
    assert_int_equal(killed_count(&crowd), 600);
    assert_false(crowd.talk.client.close_after_reply);
    conversation_expect(&crowd.talk, "client kill type normal skipme no", ":1\r\n");
    assert_true(crowd.talk.client.close_after_reply);
    crowd.talk.client.close_after_reply = false;
    conversation_expect(&crowd.talk, "client kill 127.0.0.1:5000", "+OK\r\n");
    assert_true(crowd.talk.client.close_after_reply);
}

static void bad_filters_are_refused(void **state)
{
    (void)state;
    conversation_expect(&crowd.talk, "client kill id 0",
                        "-ERR client-id should be greater than 0\r\n");
    conversation_expect(&crowd.talk, "client kill skipme maybe", "-ERR syntax error\r\n");
    conversation_expect(&crowd.talk, "client kill id 3 addr", "-ERR syntax error\r\n");
    conversation_expect(&crowd.talk, "client kill maxage x",
                        "-ERR maxage is not an integer or out of range\r\n");
    conversation_expect(&crowd.talk, "client kill colour red", "-ERR syntax error\r\n");
    assert_int_equal(killed_count(&crowd), 0);
}

static void what_is_not_needed_does_no_harm(void **state)
{
    (void)state;
    conversation_expect(&crowd.talk, "client no-evict on", "+OK\r\n");
    conversation_expect(&crowd.talk, "client no-touch off", "+OK\r\n");
    conversation_expect(&crowd.talk, "client no-touch perhaps", "-ERR syntax error\r\n");
    conversation_expect(&crowd.talk, "client reply on", "+OK\r\n");
    conversation_expect(&crowd.talk, "client reply off", "");
    assert_true(client_is_muted(&crowd.talk.client));
    conversation_expect(&crowd.talk, "client reply skip", "");
    conversation_expect(&crowd.talk, "client reply on", "+OK\r\n");
    conversation_expect(&crowd.talk, "client reply maybe", "-ERR syntax error\r\n");
    conversation_expect_part(&crowd.talk, "client tracking on", "-ERR client-side caching");
    conversation_expect_part(&crowd.talk, "client tracking on bcast prefix a noloop",
                             "-ERR client-side caching");
    conversation_expect(&crowd.talk, "client tracking off", "+OK\r\n");
    conversation_expect(&crowd.talk, "client tracking maybe", "-ERR syntax error\r\n");
    conversation_expect(&crowd.talk, "client tracking on redirect", "-ERR syntax error\r\n");
    conversation_expect(&crowd.talk, "client trackinginfo",
                        "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n"
                        "$8\r\nprefixes\r\n*0\r\n");
    conversation_expect_part(&crowd.talk, "client caching yes",
                             "-ERR CLIENT CACHING can be called only when");
    conversation_expect(&crowd.talk, "client pause 0", "+OK\r\n");
    conversation_expect(&crowd.talk, "client pause 1", "-ERR CLIENT PAUSE is not supported\r\n");
    conversation_expect(&crowd.talk, "client pause 1 write x",
                        "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try "
                        "CLIENT HELP.\r\n");
    conversation_expect(&crowd.talk, "client pause -1", "-ERR timeout is negative\r\n");
    conversation_expect(&crowd.talk, "client pause x",
                        "-ERR timeout is not an integer or out of range\r\n");
    conversation_expect(&crowd.talk, "client pause 0 some",
                        "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
    conversation_expect(&crowd.talk, "client unblock 1 error", ":0\r\n");
    conversation_expect(&crowd.talk, "client unblock x",
                        "-ERR value is not an integer or out of range\r\n");
    conversation_expect(&crowd.talk, "client unblock 1 why",
                        "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
    conversation_expect(&crowd.talk, "client getredir", ":-1\r\n");
    conversation_expect(&crowd.talk, "client unblock 3", ":0\r\n");
    conversation_expect(&crowd.talk, "CLIENT MAINT_NOTIFICATIONS on",
                        "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n");
    conversation_expect(&crowd.talk, "client id 3",
                        "-ERR wrong number of arguments for 'client|id' command\r\n");
    conversation_expect_part(&crowd.talk, "client help", "+GETNAME : the name of this connection");
}

#define WITH_A_CROWD(test) cmocka_unit_test_setup_teardown(test, gather, disperse)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_A_CROWD(a_client_has_a_number_and_a_name),
        WITH_A_CROWD(info_is_a_line_of_the_list),
        WITH_A_CROWD(the_list_shows_who_is_asked_for),
        WITH_A_CROWD(one_client_is_cut_off),
        WITH_A_CROWD(the_asking_client_is_spared_unless_it_wants_not_to_be),
        WITH_A_CROWD(bad_filters_are_refused),
        WITH_A_CROWD(what_is_not_needed_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
