/*
 * One client that sends commands which write no keys, without a server around them: a call is made of
 * words and run from the table, and its reply is looked at byte for byte.
 */
#ifndef TESTS_CONVERSATION_H
#define TESTS_CONVERSATION_H

#include "base/buffer.h"
#include "command/client.h"
#include "command/command.h"
#include "command/resp_table.h"

#define CONVERSATION_NOW_MS INT64_C(1700000005000) /* the client came five seconds before */

struct conversation {
    struct command_context context;
    struct resp_table table;
    struct store no_store;   /* zeroed; context.store unless a test has one */
    struct transaction *txn; /* for commands that read keys */
    struct client client;
    struct buffer reply;
};

void conversation_begin(struct conversation *conversation);
void conversation_end(struct conversation *conversation);

/* Runs the words between single blanks; "" is an empty word. Returns the reply, terminated, good
   until the next one. */
const char *conversation_say(struct conversation *conversation, const char *words);
/* Runs them and checks the reply. */
void conversation_expect(struct conversation *conversation, const char *words, const char *reply);
/* Checks that the reply has this in it. */
void conversation_expect_part(struct conversation *conversation, const char *words,
                              const char *part);

#endif
