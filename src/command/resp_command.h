/*
 * A command of the Redis protocol: what the table of commands (resp_table.h) holds, and what a command
 * gets when it is run.
 *
 * A command never blocks, waits, or tries again by itself. It reads and writes keys through
 * call->txn and appends exactly one reply to call->reply, errors included (SHUTDOWN alone has none).
 * Who runs it commits what was written (RESP_WRITE) and sends the reply once that is durable; when
 * somebody changed a key in between, reply and transaction are thrown away and the command is run
 * again. So what it does besides must be harmless to repeat.
 */
#ifndef COMMAND_RESP_COMMAND_H
#define COMMAND_RESP_COMMAND_H

#include <stdint.h>

#include <kvs/engine.h>

struct client;
struct command_context;
struct resp_subcommand;
struct resp_writer;
struct transaction;

/* clang-format off */
enum { /* resp_command.flags */
    RESP_READ       = 1u << 0, /* reads keys */
    RESP_WRITE      = 1u << 1, /* may write keys: its transaction is committed, its reply waits for that */
    RESP_ADMIN      = 1u << 2, /* for operators */
    RESP_FAST       = 1u << 3, /* O(1) or O(log n), as COMMAND INFO says it */
    RESP_NO_MULTI   = 1u << 4, /* refused between MULTI and EXEC */
    RESP_AT_ONCE    = 1u << 5, /* run at once, also between MULTI and EXEC: EXEC, DISCARD, ... */
    RESP_NO_AUTH    = 1u << 6, /* allowed before authentication */
    RESP_LOADING_OK = 1u << 7  /* allowed while the store loads */
};
/* clang-format on */

/* How a command can be served without a transaction, together with its neighbours of the same kind.
   `run` is the way for what the short one does not cover (options, expiring values). */
enum resp_kind {
    RESP_KIND_RUN, /* only by run */
    RESP_KIND_GET,
    RESP_KIND_MGET,
    RESP_KIND_SET, /* exactly SET key value */
    RESP_KIND_MSET,
    RESP_KIND_DELETE, /* of one key */
};

/* One run of a command. All of it is the caller's and good until run returns. */
struct call {
    const struct command_context *context;
    struct kvs_tls *tls;
    const struct resp_command *command;
    struct client *client;
    struct transaction *txn;
    const struct kvs_bytes *arguments; /* [0] is the command's name as it was sent */
    uint32_t argument_count;           /* fits the arity */
    struct resp_writer *reply;
    int64_t now_ms; /* Unix time: the moment at which the command takes place */
};

/* Where a command's keys are, as in resp_command below. */
#define RESP_KEY_FIRST   .first_key = 1, .last_key = 1, .key_step = 1
#define RESP_KEY_TWO     .first_key = 1, .last_key = 2, .key_step = 1
#define RESP_KEY_ALL     .first_key = 1, .last_key = -1, .key_step = 1
#define RESP_KEY_OF_PAIR .first_key = 1, .last_key = -1, .key_step = 2

/* A row of a table of commands that have keys; at its end RESP_KEY_*, and what else is not 0. */
#define RESP_COMMAND(name_, arity_, flags_, group_, since_, summary_, run_, ...)                   \
    {                                                                                              \
        .name = name_, .arity = arity_, .flags = flags_, .group = group_, .since = since_,         \
        .summary = summary_, .run = run_, __VA_ARGS__                                              \
    }

struct resp_command {
    const char *name; /* lower case */
    int32_t arity;    /* arguments with the name; negative: at least so many */
    uint32_t flags;   /* RESP_* */
    /* Where the keys are, as COMMAND INFO says it: positions in the arguments; 0: there are none.
       last_key counts from the end when negative. */
    int32_t first_key;
    int32_t last_key;
    int32_t key_step;
    enum resp_kind kind;
    const struct resp_subcommand *subcommands; /* NULL: arguments[1] is not the name of one */
    const char *group;                         /* "string", "generic", ...; as in COMMAND DOCS */
    const char *since;                         /* the first version of Redis that had it */
    const char *summary;
    void (*run)(struct call *call);
    /* Called once when the reply is final, with the client of the call; may be NULL. */
    void (*finished)(struct client *client);
};

#endif
