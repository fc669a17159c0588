/* See resp_runner.h. */
#include "resp_runner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "command/keyspace.h"
#include "protocol/resp_reply.h"

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t runner_now(void *arg)
{
    const struct resp_runner *runner = arg;
    return runner->now_ms != 0 ? runner->now_ms : clock_ms();
}

static void open_keyspace(struct resp_runner *runner)
{
    struct keyspace_config config = {.store = &runner->store.store,
                                     .log = &runner->store.log,
                                     .now_ms = runner_now,
                                     .now_arg = runner};
    assert_int_equal(KVS_OK, keyspace_new(&config, &runner->context.keyspace, NULL));
    runner->context.store = &runner->store.store;
    runner->context.engine_name = "test";
}

void resp_runner_open(struct resp_runner *runner, const char *kind)
{
    memset(runner, 0, sizeof(*runner));
    store_fixture_open(&runner->store, kind);
    resp_table_init(&runner->table);
    runner->txn = transaction_new();
    assert_non_null(runner->txn);
    open_keyspace(runner);
}

void resp_runner_reopen(struct resp_runner *runner)
{
    keyspace_free(runner->context.keyspace);
    store_fixture_reopen(&runner->store);
    open_keyspace(runner);
}

void resp_runner_close(struct resp_runner *runner)
{
    keyspace_free(runner->context.keyspace);
    transaction_free(runner->txn);
    buffer_deinit(&runner->reply);
    store_fixture_close(&runner->store);
}

void resp_runner_share(struct resp_runner *runner, struct resp_runner *other)
{
    memset(other, 0, sizeof(*other));
    other->context = runner->context;
    other->table = runner->table;
    other->now_ms = runner->now_ms;
    other->txn = transaction_new();
    if (other->txn == NULL)
        abort();
}

void resp_runner_unshare(struct resp_runner *other)
{
    transaction_free(other->txn);
    buffer_deinit(&other->reply);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    kvs_status status;
};

static void on_complete(void *arg, kvs_status status)
{
    struct waiting *waiting = arg;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->status = status;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static kvs_status commit(struct resp_runner *runner, bool is_flush)
{
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, KVS_PENDING};
    kvs_status status = transaction_commit(runner->txn, on_complete, &waiting);
    if (status != KVS_PENDING)
        return status;
    if (is_flush)
        (void)keyspace_work(runner->context.keyspace);
    (void)pthread_mutex_lock(&waiting.lock);
    while (waiting.status == KVS_PENDING)
        (void)pthread_cond_wait(&waiting.changed, &waiting.lock);
    (void)pthread_mutex_unlock(&waiting.lock);
    return waiting.status;
}

static bool fits(const struct resp_command *command, uint32_t count)
{
    return command->arity >= 0 ? count == (uint32_t)command->arity
                               : count >= (uint32_t)-command->arity;
}

struct kvs_bytes resp_run(struct resp_runner *runner, const struct kvs_bytes *arguments,
                          uint32_t count)
{
    int32_t index = resp_table_find(&runner->table, arguments[0]);
    struct resp_writer writer = {.out = &runner->reply, .version = 2};
    buffer_consume(&runner->reply, buffer_size(&runner->reply));
    const struct resp_command *command = index >= 0 ? runner->table.commands[index] : NULL;
    if (command == NULL)
        resp_error(&writer, "ERR unknown command");
    else if (!fits(command, count))
        resp_error(&writer, "ERR wrong number of arguments for '%s' command", command->name);
    else
        for (;;) {
            struct call call = {.context = &runner->context,
                                .command = command,
                                .txn = runner->txn,
                                .arguments = arguments,
                                .argument_count = count,
                                .reply = &writer,
                                .now_ms = runner_now(runner)};
            bool writes = (command->flags & RESP_WRITE) != 0;
            transaction_begin(runner->txn, runner->context.store, NULL, call.now_ms,
                              writes ? 0 : TRANSACTION_READ_ONLY);
            command->run(&call);
            kvs_status status =
                writes ? commit(runner, strncmp(command->name, "flush", 5) == 0) : KVS_OK;
            if (status == KVS_OK)
                break;
            buffer_consume(&runner->reply, buffer_size(&runner->reply));
            if (status != KVS_CONDITION_FAILED) {
                resp_fault(&writer, status, transaction_message(runner->txn));
                break;
            }
            runner->retries++;
        }
    return bytes_of(buffer_content(&runner->reply), buffer_size(&runner->reply));
}

struct kvs_bytes resp_run_line(struct resp_runner *runner, const char *line)
{
    struct kvs_bytes arguments[RUNNER_ARGUMENTS_MAX];
    uint32_t count = 0;
    for (const char *at = line; *at != '\0' && count < RUNNER_ARGUMENTS_MAX;) {
        size_t len = strcspn(at, " ");
        arguments[count++] = strncmp(at, "\"\"", 2) == 0 ? bytes_of(at, 0) : bytes_of(at, len);
        at += len + (at[len] == ' ');
    }
    return resp_run(runner, arguments, count);
}

void expect_reply_at(struct resp_runner *runner, const char *line, const char *reply,
                     const char *file, int at)
{
    struct kvs_bytes got = resp_run_line(runner, line);
    char text[512];
    size_t len = 0;
    for (uint64_t i = 0; i < got.len && len < sizeof(text) - 1; i++) {
        char byte = ((const char *)got.ptr)[i];
        if (byte != '\r' || i + 2 < got.len) /* the last line end is left out */
            text[len++] = (char)(byte == '\n' ? ' ' : byte);
        if (byte == '\r' && len > 0 && text[len - 1] == '\r')
            len--;
    }
    if (len > 0 && text[len - 1] == ' ')
        len--;
    text[len] = '\0';
    if (strcmp(text, reply) == 0)
        return;
    print_error("%s gave\n    %s\nand not\n    %s\n", line, text, reply);
    _fail(file, at);
}
