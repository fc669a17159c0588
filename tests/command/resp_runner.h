/* Runs commands of the Redis protocol on a store, as the server does, without a server. */
#ifndef TESTS_COMMAND_RESP_RUNNER_H
#define TESTS_COMMAND_RESP_RUNNER_H

#include "base/buffer.h"
#include "command/command.h"
#include "command/resp_command.h"
#include "command/transaction.h"
#include "store_fixture.h"

#define RUNNER_ARGUMENTS_MAX 64u

struct resp_runner {
    struct store_fixture store;
    struct command_context context;
    struct resp_table table;
    struct transaction *txn;
    int64_t now_ms;      /* of the commands; 0: the clock's */
    struct buffer reply; /* of the last command */
    unsigned retries;    /* of all commands */
};

/* On a new store of this kind, with a keyspace whose work the runner does. */
void resp_runner_open(struct resp_runner *runner, const char *kind);
void resp_runner_reopen(struct resp_runner *runner);
void resp_runner_close(struct resp_runner *runner);

/* Another runner on the same store, for another thread. */
void resp_runner_share(struct resp_runner *runner, struct resp_runner *other);
void resp_runner_unshare(struct resp_runner *other);

/* Runs a command, again when somebody was faster. The reply's bytes, good until the next one. Safe in
   any thread. */
struct kvs_bytes resp_run(struct resp_runner *runner, const struct kvs_bytes *arguments,
                          uint32_t count);

/* Splits the line at blanks; "" is an empty argument. */
struct kvs_bytes resp_run_line(struct resp_runner *runner, const char *line);

/* Runs the line and compares the reply, in which a blank stands for a line end. Main thread only. */
#define expect_reply(runner, line, reply)                                                          \
    expect_reply_at((runner), (line), (reply), __FILE__, __LINE__)
void expect_reply_at(struct resp_runner *runner, const char *line, const char *reply,
                     const char *file, int at);

#endif
