/*
 * The Redis protocol's side of a session: see session.h. Which commands there are says resp_table.h.
 *
 * GET and MGET, and SET, MSET and DEL in their plain forms, are served in groups; everything else is
 * run on its own (session_run.c).
 *
 * I1  worker->arguments hold the request at the front of the input only until the next one is looked
 *     at. The views in them lead into the input, or into their `unquoted`; a group keeps the views, so
 *     a request with unquoted arguments is served alone and takes that buffer along.
 * I2  session->parser speaks of the request at the front of the input. Looking ahead is done with
 *     another parser, so whatever part of a group is consumed, it stays true.
 */
#include "server/session_resp.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "command/resp_dispatch.h"
#include "command/resp_multi.h"
#include "command/value.h"
#include "protocol/resp_reply.h"

/* How an operation of a group of writes is answered: its tag's last bits, behind the command's index. */
#define ANSWER_BITS 8u
enum answer {
    ANSWER_OK,
    ANSWER_COUNT, /* of the keys that were there */
    ANSWER_PART,  /* not by itself: an MSET's, whose last one answers for all */
};

/* How a lookup is answered: its tag. */
enum lookup {
    LOOKUP_ALONE,
    LOOKUP_FIRST, /* of an MGET: begins the array */
    LOOKUP_NEXT,
};

static struct resp_writer writer_of(struct session *session)
{
    return session_resp_writer(session, &session->output);
}

static const struct store *store_of(const struct session *session)
{
    return session->service->commands->store;
}

/* What comes next in the input, in worker->arguments. */
struct next {
    const struct resp_command *command;
    uint32_t index; /* of the command in the table */
    uint64_t size;  /* bytes of the request */
};

/* Looks at the request behind the first `from` bytes of the input. False: there is no whole one that
   may be served now and has all its arguments in the input. */
static bool look_ahead(const struct session *session, struct worker *worker, uint64_t from,
                       struct next *ret)
{
    struct resp_parser parser = {0}; /* I2 */
    struct resp_arguments *arguments = &worker->arguments;
    uint64_t available = buffer_size(&session->input);
    if (from >= available ||
        resp_decode(&parser, bytes_of(buffer_content(&session->input) + from, available - from),
                    &session->service->resp_limits, arguments, &ret->size,
                    NULL) != DECODE_REQUEST ||
        arguments->count == 0 || buffer_size(&arguments->unquoted) > 0)
        return false;
    const struct resp_table *table = session->service->commands->resp_commands;
    int32_t index = resp_table_find(table, arguments->items[0]);
    if (index < 0)
        return false;
    ret->command = table->commands[index];
    ret->index = (uint32_t)index;
    return resp_dispatch_is_sound(session->service->commands, ret->command, arguments->items,
                                  arguments->count);
}

bool session_resp_keep_unquoted(struct session *session, struct worker *worker)
{
    struct buffer *unquoted = &worker->arguments.unquoted;
    if (buffer_size(unquoted) == 0)
        return false;
    buffer_deinit(&session->unquoted);
    session->unquoted = *unquoted;
    *unquoted = (struct buffer){0};
    return true;
}

/* ---- writes ------------------------------------------------------------------------------- */

static int32_t note_expiring(void *arg, struct kvs_bytes stored)
{
    bool *expiring = arg;
    *expiring = value_has_trailer(stored);
    return 0;
}

/* True when the key is missing or holds a value that never expires: whether it is there can be left to
   the engine to say when it is removed. If it gets an expiring value in between, the removal counts as
   done before that expired. */
static bool holds_no_expiring(const struct session *session, const struct worker *worker,
                              struct kvs_bytes key)
{
    bool expiring = false;
    kvs_status status =
        store_get(store_of(session), worker->tls, key, note_expiring, &expiring, NULL);
    return (status == KVS_OK || status == KVS_NOT_FOUND) && !expiring;
}

/* True when the request can go into a group of writes: values that need no trailer, and nothing that
   depends on whether a key expired. */
static bool is_plain_write(const struct session *session, const struct worker *worker,
                           const struct resp_command *command,
                           const struct resp_arguments *arguments)
{
    switch (command->kind) {
    case RESP_KIND_SET:
        return arguments->count == 3 && value_is_plain(arguments->items[2], VALUE_NEVER);
    case RESP_KIND_MSET:
        for (uint32_t i = 2; i < arguments->count; i += 2) {
            if (!value_is_plain(arguments->items[i], VALUE_NEVER))
                return false;
        }
        return arguments->count % 2 == 1;
    case RESP_KIND_DELETE:
        return arguments->count == 2 && !session->service->reads_wait &&
               holds_no_expiring(session, worker, arguments->items[1]);
    case RESP_KIND_RUN:
    case RESP_KIND_GET:
    case RESP_KIND_MGET:
    default:
        return false;
    }
}

static uint64_t tag_of(const struct next *next, enum answer answer)
{
    return (uint64_t)next->index << ANSWER_BITS | answer;
}

static bool add_set(struct write_group *group, const struct store *store, const struct next *next,
                    const struct resp_arguments *arguments)
{
    const struct kvs_bytes *items = arguments->items;
    if (!write_group_reserve(group, store, 1, items[1].len + items[2].len))
        return false;
    struct kvs_op op = {.kind = KVS_OP_SET, .key = items[1], .value = items[2]};
    write_group_push(group, &op, tag_of(next, ANSWER_OK));
    return true;
}

static bool add_mset(struct write_group *group, const struct store *store, const struct next *next,
                     const struct resp_arguments *arguments)
{
    const struct kvs_bytes *items = arguments->items;
    uint64_t bytes = 0;
    for (uint32_t i = 1; i < arguments->count; i++)
        bytes += items[i].len;
    if (!write_group_reserve(group, store, arguments->count / 2, bytes))
        return false;
    for (uint32_t i = 1; i < arguments->count; i += 2) {
        struct kvs_op op = {.kind = KVS_OP_SET, .key = items[i], .value = items[i + 1]};
        bool is_last = i + 2 >= arguments->count;
        write_group_push(group, &op, tag_of(next, is_last ? ANSWER_OK : ANSWER_PART));
    }
    return true;
}

static bool add_delete(struct write_group *group, const struct store *store,
                       const struct next *next, const struct resp_arguments *arguments)
{
    if (!write_group_reserve(group, store, 1, arguments->items[1].len))
        return false;
    struct kvs_op op = {.kind = KVS_OP_REMOVE, .key = arguments->items[1]};
    write_group_push(group, &op, tag_of(next, ANSWER_COUNT));
    return true;
}

/* Adds a plain write. False: there is no room. */
static bool add_write(struct write_group *group, const struct store *store, const struct next *next,
                      const struct resp_arguments *arguments)
{
    switch (next->command->kind) {
    case RESP_KIND_SET:
        return add_set(group, store, next, arguments);
    case RESP_KIND_MSET:
        return add_mset(group, store, next, arguments);
    case RESP_KIND_DELETE:
    default:
        return add_delete(group, store, next, arguments);
    }
}

/*
 * Submits the write at the front of the input, and those that follow it. SESSION_MORE with
 * *ret_refused: the store takes no batch as large as this one request.
 */
static enum session_step serve_writes(struct session *session, struct worker *worker,
                                      struct next *next, bool *ret_refused)
{
    struct resp_arguments *arguments = &worker->arguments;
    struct write_group *group = worker_take_write_group(worker);
    if (group == NULL)
        return SESSION_ABORT;
    if (!add_write(group, store_of(session), next, arguments)) {
        worker_give_write_group(worker, group);
        *ret_refused = true;
        return SESSION_MORE;
    }
    group->input_size = next->size;
    if (!session_resp_keep_unquoted(session, worker)) {
        while (look_ahead(session, worker, group->input_size, next) &&
               is_plain_write(session, worker, next->command, arguments) &&
               add_write(group, store_of(session), next, arguments))
            group->input_size += next->size;
    }
    return session_submit_writes(session, worker, group);
}

static enum session_step answer_writes(struct session *session, struct worker *worker,
                                       const struct write_group *group)
{
    struct resp_writer writer = writer_of(session);
    kvs_status fault = KVS_OK; /* of an MSET: its first one */
    const char *fault_message = NULL;
    for (uint64_t i = 0; i < group->batch.op_count; i++) {
        const char *message;
        kvs_status status = write_group_result(group, i, &message);
        if (status < 0 && fault == KVS_OK) {
            fault = status;
            fault_message = message;
        }
        enum answer answer = group->tags[i] & ((1u << ANSWER_BITS) - 1);
        if (answer == ANSWER_PART)
            continue;
        uint32_t index = (uint32_t)(group->tags[i] >> ANSWER_BITS);
        worker_count_answered(worker, command_metrics_resp(index), 1);
        if (fault != KVS_OK) {
            counter_add(&worker->counters.errors, 1);
            resp_fault(&writer, fault, fault_message);
            fault = KVS_OK;
        } else if (answer == ANSWER_COUNT) {
            resp_integer(&writer, status == KVS_OK);
        } else {
            resp_ok(&writer);
        }
    }
    return writer.status == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

/* ---- reads -------------------------------------------------------------------------------- */

/* Asks for the GET at the front of the input, and for those that follow it. */
static enum session_step serve_gets(struct session *session, struct worker *worker,
                                    struct next *next)
{
    struct resp_arguments *arguments = &worker->arguments;
    struct read_group *group = worker_take_read_group(worker);
    if (group == NULL)
        return SESSION_ABORT;
    uint64_t end = next->size;
    group->place = command_metrics_resp(next->index);
    (void)read_group_push(group, arguments->items[1], LOOKUP_ALONE, end);
    if (!session_resp_keep_unquoted(session, worker)) {
        while (group->request.lookup_count < READ_GROUP_MAX &&
               look_ahead(session, worker, end, next) && next->command->kind == RESP_KIND_GET) {
            end += next->size;
            if (!read_group_push(group, arguments->items[1], LOOKUP_ALONE, end))
                break;
        }
    }
    return session_submit_reads(session, worker, group, true);
}

/* Asks for all keys of the MGET at the front of the input. */
static enum session_step serve_mget(struct session *session, struct worker *worker,
                                    const struct next *next)
{
    const struct resp_arguments *arguments = &worker->arguments;
    struct read_group *group = worker_take_read_group(worker);
    bool fits = group != NULL;
    for (uint32_t i = 1; fits && i < arguments->count; i++)
        fits = read_group_push(group, arguments->items[i], i == 1 ? LOOKUP_FIRST : LOOKUP_NEXT,
                               next->size);
    if (!fits) {
        read_group_free(group);
        return SESSION_ABORT;
    }
    group->place = command_metrics_resp(next->index);
    (void)session_resp_keep_unquoted(session, worker);
    return session_submit_reads(session, worker, group, false);
}

static void reply_value(struct resp_writer *writer, struct kvs_bytes stored)
{
    struct value value = value_decode(stored);
    if (value.expires_at_ms != VALUE_NEVER && value_is_expired(&value, clock_unix_ms()))
        resp_null(writer);
    else
        resp_bulk(writer, value.content);
}

static kvs_status answer_read(struct session *session, const struct read_result *result)
{
    struct resp_writer writer = writer_of(session);
    if (result->tag == LOOKUP_FIRST)
        resp_array(&writer, session->reads->request.lookup_count);
    if (result->status == KVS_OK)
        reply_value(&writer, result->value);
    else if (result->status == KVS_NOT_FOUND)
        resp_null(&writer);
    else
        resp_fault(&writer, result->status, result->message);
    return writer.status;
}

static kvs_status answer_fault(struct session *session, const struct read_result *result)
{
    struct resp_writer writer = writer_of(session);
    resp_fault(&writer, result->status, result->message);
    return writer.status;
}

/* ---- requests ----------------------------------------------------------------------------- */

enum session_step session_resp_end(struct session *session, struct worker *worker,
                                   const struct resp_writer *writer, uint32_t place, uint64_t size)
{
    worker_count_answered(worker, place, 1);
    buffer_consume(&session->input, size);
    client_end_request(&session->client);
    if (writer->status != KVS_OK)
        return SESSION_ABORT;
    return session->client.close_after_reply ? SESSION_CLOSE : SESSION_MORE;
}

/* Serves a command that is not to be queued, and may be served. */
static enum session_step serve_command(struct session *session, struct worker *worker,
                                       struct next *next)
{
    const struct resp_arguments *arguments = &worker->arguments;
    bool refused = false;
    if (session->client.skips_reply || /* which ends with this request: no group */
        !resp_dispatch_is_sound(session->service->commands, next->command, arguments->items,
                                arguments->count))
        return session_run(session, worker, next->index, next->size);
    if (next->command->kind == RESP_KIND_GET)
        return serve_gets(session, worker, next);
    if (next->command->kind == RESP_KIND_MGET)
        return serve_mget(session, worker, next);
    if (is_plain_write(session, worker, next->command, arguments)) {
        enum session_step step = serve_writes(session, worker, next, &refused);
        if (!refused)
            return step;
    }
    return session_run(session, worker, next->index, next->size);
}

static enum session_step serve_request(struct session *session, struct worker *worker,
                                       uint64_t size)
{
    const struct resp_arguments *arguments = &worker->arguments;
    struct resp_writer writer = writer_of(session);
    if (arguments->count == 0) { /* a blank line */
        client_end_request(&session->client);
        buffer_consume(&session->input, size);
        return SESSION_MORE;
    }
    struct next next = {.size = size};
    switch (resp_dispatch(session->service->commands, &session->client, arguments->items,
                          arguments->count, &writer, &next.index)) {
    case RESP_DISPATCH_SERVE:
        next.command = session->service->commands->resp_commands->commands[next.index];
        return serve_command(session, worker, &next);
    case RESP_DISPATCH_QUEUED:
        return session_resp_end(session, worker, &writer, command_metrics_resp(next.index), size);
    case RESP_DISPATCH_REFUSED:
    case RESP_DISPATCH_UNKNOWN:
    default:
        counter_add(&worker->counters.errors, 1);
        return session_resp_end(session, worker, &writer, command_metrics_native(0), size);
    }
}

static enum session_step serve(struct session *session, struct worker *worker)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    const struct session_service *service = session->service;
    const struct resp_limits *limits =
        session->client.authenticated ? &service->resp_limits : &service->resp_stranger_limits;
    struct resp_writer writer = writer_of(session);
    uint64_t size;
    switch (resp_decode(&session->parser,
                        bytes_of(buffer_content(&session->input), buffer_size(&session->input)),
                        limits, &worker->arguments, &size, &error)) {
    case DECODE_REQUEST:
        return serve_request(session, worker, size);
    case DECODE_MORE:
        session->needed = size;
        return SESSION_MORE;
    case DECODE_REJECT:
    case DECODE_BROKEN:
    default:
        log_info(service->log, "closing a connection that sent no valid request: %s", message);
        resp_error(&writer, "ERR %s", message);
        counter_add(&worker->counters.errors, 1);
        return SESSION_CLOSE;
    }
}

const struct session_protocol session_resp = {
    .serve = serve,
    .answer_writes = answer_writes,
    .answer_read = answer_read,
    .answer_fault = answer_fault,
};
