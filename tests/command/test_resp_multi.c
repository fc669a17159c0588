/* Dispatching Redis requests, and MULTI with what belongs to it, on a store in memory. */
#include "command/resp_multi.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "command/resp_dispatch.h"
#include "command/transaction.h"
#include "store_fixture.h"

#define WORDS_MAX 8u
#define LARGE     ((size_t)1 << 20)

struct talk {
    struct store_fixture store;
    struct resp_table table;
    struct command_context context;
    struct client client;
    struct transaction *txn;
    struct buffer reply;
};

static void format_loading(void *arg, char *text, size_t text_size)
{
    (void)arg;
    (void)snprintf(text, text_size, "half way");
}

static void begin(struct talk *talk)
{
    memset(talk, 0, sizeof(*talk));
    store_fixture_open(&talk->store, "memory");
    resp_table_init(&talk->table);
    talk->context.store = &talk->store.store;
    talk->context.resp_commands = &talk->table;
    talk->context.format_loading = format_loading;
    client_init(&talk->client, 1, 0, NULL, NULL);
    talk->client.authenticated = true;
    talk->txn = transaction_new();
    assert_non_null(talk->txn);
}

static void end(struct talk *talk)
{
    multi_discard(&talk->client);
    client_deinit(&talk->client);
    transaction_free(talk->txn);
    buffer_deinit(&talk->reply);
    store_fixture_close(&talk->store);
}

/* Runs a command as the server does. */
static void serve(struct talk *talk, uint32_t index, const struct kvs_bytes *words, uint32_t count,
                  struct resp_writer *writer)
{
    const struct resp_command *command = talk->table.commands[index];
    struct call call = {.context = &talk->context,
                        .command = command,
                        .client = &talk->client,
                        .txn = talk->txn,
                        .arguments = words,
                        .argument_count = count,
                        .reply = writer,
                        .now_ms = 1};
    transaction_begin(talk->txn, &talk->store.store, NULL, 1, 0);
    command->run(&call);
    if ((command->flags & RESP_WRITE) != 0)
        assert_int_equal(transaction_commit(talk->txn, NULL, NULL), KVS_OK);
    if (command->finished != NULL)
        command->finished(&talk->client);
}

/* Says the words, which do not outlive the call, and compares the reply. */
static enum resp_dispatch say(struct talk *talk, const char *line, const char *expected)
{
    char *copy = strdup(line);
    struct kvs_bytes words[WORDS_MAX];
    uint32_t count = 0;
    uint32_t index;
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        words[count++] = bytes_of_text(word);
    buffer_consume(&talk->reply, buffer_size(&talk->reply));
    struct resp_writer writer = {.out = &talk->reply, .version = 2};
    enum resp_dispatch result =
        resp_dispatch(&talk->context, &talk->client, words, count, &writer, &index);
    if (result == RESP_DISPATCH_SERVE)
        serve(talk, index, words, count, &writer);
    memset(copy, 'x', strlen(line));
    free(copy);
    assert_int_equal(buffer_append(&talk->reply, "", 1), KVS_OK);
    assert_string_equal(buffer_content(&talk->reply), expected);
    return result;
}

static void requests_are_checked(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    assert_int_equal(say(&talk, "SeT k v", "+OK\r\n"), RESP_DISPATCH_SERVE);
    assert_int_equal(say(&talk, "get", "-ERR wrong number of arguments for 'get' command\r\n"),
                     RESP_DISPATCH_REFUSED);
    assert_int_equal(
        say(&talk, "nope a", "-ERR unknown command 'nope', with args beginning with: 'a' \r\n"),
        RESP_DISPATCH_UNKNOWN);
    assert_false(talk.client.close_after_reply);
    (void)say(&talk, "Host: x", "-ERR unknown command 'Host:', with args beginning with: 'x' \r\n");
    assert_true(talk.client.close_after_reply);
    talk.client.authenticated = false;
    assert_int_equal(say(&talk, "get k", "-NOAUTH Authentication required.\r\n"),
                     RESP_DISPATCH_REFUSED);
    talk.client.authenticated = true;
    atomic_store(&talk.store.store.is_open, false);
    assert_int_equal(say(&talk, "get k", "-LOADING half way\r\n"), RESP_DISPATCH_REFUSED);
    assert_int_equal(say(&talk, "ping", "+PONG\r\n"), RESP_DISPATCH_SERVE);
    atomic_store(&talk.store.store.is_open, true);
    assert_string_equal(atomic_load(&talk.client.last_command), "ping");
    end(&talk);
}

static void keys_are_looked_at(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    const struct resp_command *mset =
        talk.table.commands[resp_table_find(&talk.table, bytes_of_text("mset"))];
    struct kvs_bytes words[] = {bytes_of_text("mset"), bytes_of_text("a"), bytes_of_text(""),
                                bytes_of_text("b"), bytes_of_text("2")};
    assert_true(resp_dispatch_is_sound(&talk.context, mset, words, 5));
    words[3] = bytes_of_text("");
    assert_false(resp_dispatch_is_sound(&talk.context, mset, words, 5));
    words[3] = bytes_of("b", (uint64_t)talk.store.store.limits.key_max + 1);
    assert_false(resp_dispatch_is_sound(&talk.context, mset, words, 5));
    assert_false(resp_dispatch_is_sound(&talk.context, mset, words, 2));
    end(&talk);
}

static void commands_are_collected_and_run(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    (void)say(&talk, "exec", "-ERR EXEC without MULTI\r\n");
    (void)say(&talk, "multi", "+OK\r\n");
    assert_true(multi_is_open(&talk.client));
    assert_int_equal(say(&talk, "set k first", "+QUEUED\r\n"), RESP_DISPATCH_QUEUED);
    (void)say(&talk, "get k", "+QUEUED\r\n");
    (void)say(&talk, "incr k", "+QUEUED\r\n");
    (void)say(&talk, "unwatch", "+QUEUED\r\n");
    (void)say(&talk, "exec",
              "*4\r\n+OK\r\n$5\r\nfirst\r\n-ERR value is not an integer or out of range\r\n"
              "+OK\r\n");
    assert_false(multi_is_open(&talk.client));
    assert_null(talk.client.multi);
    (void)say(&talk, "get k", "$5\r\nfirst\r\n");
    end(&talk);
}

static void what_is_spoiled_is_not_run(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    (void)say(&talk, "multi", "+OK\r\n");
    (void)say(&talk, "set k v", "+QUEUED\r\n");
    (void)say(&talk, "get", "-ERR wrong number of arguments for 'get' command\r\n");
    (void)say(&talk, "exec", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_null(talk.client.multi);
    (void)say(&talk, "get k", "$-1\r\n");
    end(&talk);
}

/* What can be seen to be wrong fails at once, not when it is run. */
static void wrong_subcommands_spoil_it(void **state)
{
    static const char *const wrong[][2] = {
        {"client nope", "-ERR unknown subcommand 'nope'. Try CLIENT HELP.\r\n"},
        {"client id x", "-ERR wrong number of arguments for 'client|id' command\r\n"},
        {"Object encoding", "-ERR wrong number of arguments for 'object|encoding' command\r\n"},
        {"config help x", "-ERR wrong number of arguments for 'config|help' command\r\n"},
    };
    struct talk talk;
    (void)state;
    begin(&talk);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)say(&talk, "multi", "+OK\r\n");
        (void)say(&talk, "set k v", "+QUEUED\r\n");
        assert_int_equal(say(&talk, wrong[i][0], wrong[i][1]), RESP_DISPATCH_REFUSED);
        (void)say(&talk, "exec",
                  "-EXECABORT Transaction discarded because of previous errors.\r\n");
        (void)say(&talk, "get k", "$-1\r\n");
    }
    end(&talk);
}

/* An EXEC that is itself refused ends the transaction. */
static void a_refused_exec_discards(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    (void)say(&talk, "multi", "+OK\r\n");
    (void)say(&talk, "set k v", "+QUEUED\r\n");
    (void)say(&talk, "exec x",
              "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' "
              "command\r\n");
    assert_null(talk.client.multi);
    (void)say(&talk, "get k", "$-1\r\n");
    (void)say(&talk, "multi", "+OK\r\n");
    (void)say(&talk, "get k", "+QUEUED\r\n");
    atomic_store(&talk.store.store.is_open, false);
    (void)say(&talk, "exec", "-EXECABORT Transaction discarded because of: LOADING half way\r\n");
    assert_null(talk.client.multi);
    atomic_store(&talk.store.store.is_open, true); /* or it is not closed */
    end(&talk);
}

static void watches_are_by_value(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    (void)say(&talk, "set w 1", "+OK\r\n");
    (void)say(&talk, "watch w none w", "+OK\r\n");
    (void)say(&talk, "set w 2", "+OK\r\n");
    (void)say(&talk, "multi", "+OK\r\n");
    (void)say(&talk, "set k v", "+QUEUED\r\n");
    (void)say(&talk, "exec", "*-1\r\n");
    (void)say(&talk, "watch w none", "+OK\r\n");
    (void)say(&talk, "set w 3", "+OK\r\n");
    (void)say(&talk, "set w 2", "+OK\r\n");
    (void)say(&talk, "multi", "+OK\r\n");
    (void)say(&talk, "set k v", "+QUEUED\r\n");
    (void)say(&talk, "exec", "*1\r\n+OK\r\n");
    end(&talk);
}

/* More than MULTI_BYTES_MAX is not collected, and spoils it. */
static void a_transaction_has_a_limit(void **state)
{
    struct talk talk;
    (void)state;
    begin(&talk);
    char *value = calloc(1, LARGE);
    struct kvs_bytes words[] = {bytes_of_text("set"), bytes_of_text("k"), bytes_of(value, LARGE)};
    struct resp_writer writer = {.out = &talk.reply, .version = 2};
    (void)say(&talk, "multi", "+OK\r\n");
    uint32_t index;
    unsigned queued = 0;
    while (resp_dispatch(&talk.context, &talk.client, words, 3, &writer, &index) ==
           RESP_DISPATCH_QUEUED)
        queued++;
    assert_int_equal(queued, MULTI_BYTES_MAX / LARGE - 1);
    (void)say(&talk, "exec", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    free(value);
    end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(keys_are_looked_at),
        cmocka_unit_test(commands_are_collected_and_run),
        cmocka_unit_test(what_is_spoiled_is_not_run),
        cmocka_unit_test(wrong_subcommands_spoil_it),
        cmocka_unit_test(a_refused_exec_discards),
        cmocka_unit_test(watches_are_by_value),
        cmocka_unit_test(a_transaction_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
