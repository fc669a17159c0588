/* See conversation.h. */
#include "conversation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

#include "base/bytes.h"
#include "command/resp_errors.h"
#include "command/transaction.h"
#include "protocol/resp_reply.h"

#define WORDS_MOST 64

void conversation_begin(struct conversation *conversation)
{
    memset(conversation, 0, sizeof(*conversation));
    resp_table_init(&conversation->table);
    conversation->context.store = &conversation->no_store;
    conversation->txn = transaction_new();
    assert_non_null(conversation->txn);
    conversation->context.engine_name = "test";
    conversation->context.resp_commands = &conversation->table;
    client_init(&conversation->client, 7, CONVERSATION_NOW_MS - 5000, "127.0.0.1:5000",
                "127.0.0.1:4000");
    conversation->client.authenticated = true;
}

void conversation_end(struct conversation *conversation)
{
    client_deinit(&conversation->client);
    buffer_deinit(&conversation->reply);
    transaction_free(conversation->txn);
}

static void run(struct conversation *conversation, const struct kvs_bytes *words, uint32_t count)
{
    struct resp_writer writer = {.out = &conversation->reply,
                                 .version = client_resp_version(&conversation->client)};
    struct call call = {
        .context = &conversation->context,
        .client = &conversation->client,
        .txn = conversation->txn,
        .arguments = words,
        .argument_count = count,
        .reply = &writer,
        .now_ms = CONVERSATION_NOW_MS,
    };
    transaction_begin(conversation->txn, conversation->context.store, NULL, CONVERSATION_NOW_MS,
                      TRANSACTION_READ_ONLY);
    int32_t index = resp_table_find(&conversation->table, words[0]);
    if (index < 0) {
        resp_error_unknown_command(&writer, words, count);
    } else {
        const struct resp_command *command = conversation->table.commands[index];
        call.command = command;
        if (command->arity >= 0 ? count == (uint32_t)command->arity
                                : count >= (uint32_t)-command->arity)
            command->run(&call);
        else
            resp_error_arity(&writer, command->name);
    }
    assert_int_equal(writer.status, KVS_OK);
}

const char *conversation_say(struct conversation *conversation, const char *words)
{
    char *copy = strdup(words);
    struct kvs_bytes items[WORDS_MOST];
    uint32_t count = 0;
    assert_non_null(copy);
    buffer_consume(&conversation->reply, buffer_size(&conversation->reply));
    char *rest = copy;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        assert_true(count < WORDS_MOST);
        items[count++] = strcmp(word, "\"\"") == 0 ? bytes_of("", 0) : bytes_of_text(word);
    }
    run(conversation, items, count);
    free(copy);
    assert_int_equal(buffer_append(&conversation->reply, "", 1), KVS_OK);
    return (const char *)buffer_content(&conversation->reply);
}

void conversation_expect(struct conversation *conversation, const char *words, const char *reply)
{
    const char *said = conversation_say(conversation, words);
    if (strcmp(said, reply) != 0)
        print_error("to '%s':\n", words);
    assert_string_equal(said, reply);
}

void conversation_expect_part(struct conversation *conversation, const char *words,
                              const char *part)
{
    const char *said = conversation_say(conversation, words);
    if (strstr(said, part) == NULL)
        fail_msg("to '%s' there is no '%s' in:\n%s", words, part, said);
}
