/* See command.h. */
#include "command/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kvs/version.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "command/native_keys.h"
#include "command/value.h"
#include "protocol/native.h"

#define LINE_MAX_SIZE 256u

static kvs_status reply_status(const struct command_reply *reply, uint64_t id, kvs_status status,
                               const char *message)
{
    struct kvs_bytes body = {NULL, 0};
    if (status < 0)
        body =
            bytes_of_text(message != NULL && *message != '\0' ? message : kvs_status_text(status));
    return reply->codec->reply(reply->out, id, status, body);
}

kvs_status command_reply_write(const struct command_reply *reply, uint64_t id, kvs_status status,
                               const char *message)
{
    return reply_status(reply, id, status, message);
}

static kvs_status read_ping(const struct command_context *context, struct kvs_tls *tls,
                            const struct request *request, const struct command_reply *reply)
{
    (void)context;
    (void)tls;
    return reply->codec->reply(reply->out, request->id, KVS_OK, request->value);
}

/* A value on its way from the engine into the output buffer: the one copy that is made. */
struct value_copy {
    const struct command_reply *reply;
    uint64_t id;
    kvs_status status; /* of writing the reply */
};

kvs_status command_reply_stored(const struct command_reply *reply, uint64_t id,
                                struct kvs_bytes stored)
{
    struct value value = value_decode(stored);
    if (value.expires_at_ms != VALUE_NEVER && value_is_expired(&value, clock_unix_ms()))
        return reply_status(reply, id, KVS_NOT_FOUND, NULL);
    return reply->codec->reply(reply->out, id, KVS_OK, value.content);
}

static int32_t copy_value(void *arg, struct kvs_bytes stored)
{
    struct value_copy *copy = arg;
    copy->status = command_reply_stored(copy->reply, copy->id, stored);
    return copy->status != KVS_OK;
}

static kvs_status read_get(const struct command_context *context, struct kvs_tls *tls,
                           const struct request *request, const struct command_reply *reply)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct value_copy copy = {.reply = reply, .id = request->id, .status = KVS_INTERNAL};
    size_t before = buffer_size(reply->out);
    message[0] = '\0';
    kvs_status status = store_get(context->store, tls, request->key, copy_value, &copy, &error);
    if (status == KVS_OK && copy.status == KVS_OK)
        return KVS_OK;
    if (status == KVS_STOPPED)
        return copy.status;
    if (status == KVS_OK)
        return reply_status(reply, request->id, KVS_INTERNAL,
                            "the engine found the key but showed no value: a bug of the engine");
    buffer_truncate(reply->out, before); /* a fault that was met while the value was shown */
    return reply_status(reply, request->id, status, message);
}

static void prepare_set(const struct request *request, struct kvs_op *op)
{
    *op = (struct kvs_op){.kind = KVS_OP_SET, .key = request->key, .value = request->value};
}

static void prepare_remove(const struct request *request, struct kvs_op *op)
{
    *op = (struct kvs_op){.kind = KVS_OP_REMOVE, .key = request->key};
}

/* "name value" lines, collected in a buffer of their own. */
struct lines {
    struct buffer text;
    kvs_status status;
};

static void add_line(struct lines *lines, const char *line)
{
    if (lines->status == KVS_OK)
        lines->status = buffer_append(&lines->text, line, strlen(line));
}

static void add_number(void *arg, const char *name, uint64_t value)
{
    char line[LINE_MAX_SIZE];
    (void)snprintf(line, sizeof(line), "%s %" PRIu64 "\n", name, value);
    add_line(arg, line);
}

static void add_text(struct lines *lines, const char *name, const char *value)
{
    char line[LINE_MAX_SIZE];
    (void)snprintf(line, sizeof(line), "%s %s\n", name, value);
    add_line(lines, line);
}

static kvs_status reply_lines(const struct command_reply *reply, uint64_t id, struct lines *lines)
{
    kvs_status status = lines->status;
    if (status == KVS_OK)
        status = reply->codec->reply(
            reply->out, id, KVS_OK,
            bytes_of(lines->text.data + lines->text.start, buffer_size(&lines->text)));
    buffer_deinit(&lines->text);
    return status;
}

static kvs_status read_hello(const struct command_context *context, struct kvs_tls *tls,
                             const struct request *request, const struct command_reply *reply)
{
    (void)tls;
    struct lines lines = {.status = KVS_OK};
    add_text(&lines, "server", "kvs " KVS_VERSION);
    add_number(&lines, "protocol", NATIVE_VERSION);
    add_text(&lines, "engine", context->engine_name);
    add_number(&lines, "key_max", context->store->limits.key_max);
    add_number(&lines, "value_max", context->store->limits.value_max);
    add_number(&lines, "atomic_batches",
               (context->store->engine->capabilities & KVS_ENGINE_BATCH_ATOMIC) != 0);
    return reply_lines(reply, request->id, &lines);
}

static kvs_status read_stats(const struct command_context *context, struct kvs_tls *tls,
                             const struct request *request, const struct command_reply *reply)
{
    (void)tls;
    struct lines lines = {.status = KVS_OK};
    add_text(&lines, "server", "kvs " KVS_VERSION);
    add_text(&lines, "engine", context->engine_name);
    context->visit_stats(context->visit_stats_arg, add_number, &lines);
    return reply_lines(reply, request->id, &lines);
}

static const struct command commands[] = {
    {.id = REQUEST_PING,
     .name = "ping",
     .before_login = true,
     .loading_ok = true,
     .read = read_ping},
    {.id = REQUEST_HELLO,
     .name = "hello",
     .before_login = true,
     .loading_ok = true,
     .read = read_hello},
    {.id = REQUEST_GET, .name = "get", .read = read_get},
    {.id = REQUEST_SET,
     .name = "set",
     .prepare = prepare_set,
     .run = native_run_set,
     .writes = true},
    {.id = REQUEST_REMOVE,
     .name = "remove",
     .prepare = prepare_remove,
     .run = native_run_remove,
     .writes = true},
    {.id = REQUEST_STATS, .name = "stats", .loading_ok = true, .read = read_stats},
    {.id = REQUEST_AUTH, .name = "auth", .before_login = true, .loading_ok = true},
    {.id = REQUEST_BATCH, .name = "batch", .run = native_run_batch, .writes = true},
    {.id = REQUEST_INCREMENT, .name = "increment", .run = native_run_increment, .writes = true},
    {.id = REQUEST_MGET, .name = "mget", .run = native_run_mget},
    {.id = REQUEST_SCAN, .name = "scan", .run = native_run_scan},
    {.id = REQUEST_EXPIRE, .name = "expire", .run = native_run_expire, .writes = true},
    {.id = REQUEST_LOOK, .name = "look", .run = native_run_look},
};

bool command_needs_run(const struct command *command, const struct store *store,
                       const struct request *request)
{
    return command->id == REQUEST_SET ? !value_is_plain(request->value, VALUE_NEVER)
                                      : store_is_expiring(store);
}

const struct command *command_find(uint32_t id)
{
    /* The numbers are dense and start at 1, so that finding is indexing; tests check the order. */
    if (id == 0 || id > sizeof(commands) / sizeof(commands[0]))
        return NULL;
    return &commands[id - 1];
}
