/* The native protocol's side of a session; see session.h. */
#include "server/session.h"

#include "base/bytes.h"
#include "protocol/codec.h"
#include "server/session_native.h"

#define STRANGER_MAX 1024u /* bytes of a key or value of who has not logged in */
#define LOG_IN_FIRST                                                                               \
    "this server wants a password first (kvs-client: --password-file or KVS_PASSWORD)"

static const struct request_limits stranger_limits = {STRANGER_MAX, STRANGER_MAX};

static const struct request_limits *limits_of(const struct session *session)
{
    return session->trusted ? &session->service->commands->store->limits : &stranger_limits;
}

/* What comes next in the input. */
struct next {
    struct request request;
    const struct command *command;
    uint64_t size; /* bytes of the request */
};

/* Looks at the request behind the first `from` bytes of the input. False: there is no whole one that
   is as it should be. */
static bool look_ahead(const struct session *session, uint64_t from, struct next *ret)
{
    uint64_t available = buffer_size(&session->input);
    if (from >= available ||
        native_codec.decode(bytes_of(buffer_content(&session->input) + from, available - from),
                            limits_of(session), &ret->request, &ret->size, NULL) != DECODE_REQUEST)
        return false;
    ret->command = command_find(ret->request.command);
    return ret->command != NULL;
}

/* ---- writes ------------------------------------------------------------------------------- */

static bool add_write(struct write_group *group, const struct store *store, const struct next *next)
{
    struct kvs_op op;
    next->command->prepare(&next->request, &op);
    if (!write_group_reserve(group, store, 1, op.key.len + op.value.len))
        return false;
    write_group_push(group, &op, next->request.id);
    group->input_size += next->size;
    return true;
}

/* Submits the write at the front of the input, and those that follow it. */
static enum session_step serve_writes(struct session *session, struct worker *worker,
                                      struct next *next)
{
    const struct store *store = session->service->commands->store;
    struct write_group *group = worker_take_write_group(worker);
    if (group == NULL)
        return SESSION_ABORT;
    while (add_write(group, store, next) && look_ahead(session, group->input_size, next) &&
           next->command->prepare != NULL &&
           !command_needs_run(next->command, store, &next->request))
        continue;
    return session_submit_writes(session, worker, group);
}

static enum session_step answer_writes(struct session *session, struct worker *worker,
                                       const struct write_group *group)
{
    struct command_reply reply = {&native_codec, &session->output};
    for (uint64_t i = 0; i < group->batch.op_count; i++) {
        const char *message;
        kvs_status status = write_group_result(group, i, &message);
        if (status < 0)
            counter_add(&worker->counters.errors, 1);
        worker_count_answered(
            worker,
            command_metrics_native(group->ops[i].kind == KVS_OP_SET ? REQUEST_SET : REQUEST_REMOVE),
            1);
        if (command_reply_write(&reply, group->tags[i], status, message) != KVS_OK)
            return SESSION_ABORT;
    }
    return SESSION_MORE;
}

/* ---- reads -------------------------------------------------------------------------------- */

/* Asks for the get at the front of the input, and for those that follow it. */
static enum session_step serve_gets(struct session *session, struct worker *worker,
                                    struct next *next)
{
    struct read_group *group = worker_take_read_group(worker);
    if (group == NULL)
        return SESSION_ABORT;
    uint64_t end = 0;
    group->place = command_metrics_native(REQUEST_GET);
    do {
        end += next->size;
        if (!read_group_push(group, next->request.key, next->request.id, end))
            break;
    } while (group->request.lookup_count < READ_GROUP_MAX && look_ahead(session, end, next) &&
             next->request.command == REQUEST_GET);
    return session_submit_reads(session, worker, group, true);
}

static kvs_status answer_read(struct session *session, const struct read_result *result)
{
    struct command_reply reply = {&native_codec, &session->output};
    if (result->status == KVS_OK)
        return command_reply_stored(&reply, result->tag, result->value);
    return command_reply_write(&reply, result->tag, result->status, result->message);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Answers a request that cannot be served. */
static enum session_step serve_error(struct session *session, struct worker *worker, uint64_t id,
                                     const struct kvs_error *error)
{
    struct command_reply reply = {&native_codec, &session->output};
    worker_count_answered(worker, command_metrics_native(0), 1);
    counter_add(&worker->counters.errors, 1);
    return command_reply_write(&reply, id, error->status, error->msg) == KVS_OK ? SESSION_MORE
                                                                                : SESSION_ABORT;
}

/* The store is not open yet. */
static enum session_step serve_loading(struct session *session, struct worker *worker,
                                       const struct next *next)
{
    const struct command_context *context = session->service->commands;
    char message[LOADING_TEXT_MAX];
    struct kvs_error error = {.status = KVS_LOADING, .msg = message};
    context->format_loading(context->loading_arg, message, sizeof(message));
    buffer_consume(&session->input, next->size);
    return serve_error(session, worker, next->request.id, &error);
}

static enum session_step refuse(struct session *session, struct worker *worker, uint64_t id,
                                const char *message)
{
    char text[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(text);
    (void)kvs_error_set(&error, KVS_DENIED, 0, "%s", message);
    return serve_error(session, worker, id, &error);
}

static bool is_before_login(uint32_t id)
{
    const struct command *command = command_find(id);
    return command != NULL && command->before_login;
}

static enum session_step serve_auth(struct session *session, struct worker *worker,
                                    const struct next *next)
{
    const struct hooks *hooks = &session->service->commands->hooks;
    uint64_t id = next->request.id;
    enum authentication result =
        hooks->authenticate == NULL
            ? AUTHENTICATION_NOT_SET
            : hooks->authenticate(hooks->arg, bytes_of_text("default"), next->request.value);
    buffer_consume(&session->input, next->size);
    if (result == AUTHENTICATION_WRONG) {
        session->client.wrong_passwords++;
        bool enough = session->service->wrong_password(session);
        enum session_step step = refuse(session, worker, id, "the password is wrong");
        return step == SESSION_MORE && enough ? SESSION_CLOSE : step;
    }
    /* Without a password there is nothing to prove: a client that has one need not know. */
    struct command_reply reply = {&native_codec, &session->output};
    session->trusted = session->client.authenticated = true;
    counter_add(&worker->counters.requests, 1);
    return command_reply_write(&reply, id, KVS_OK, NULL) == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

/* Serves the whole request at the front of the input. */
static enum session_step serve_request(struct session *session, struct worker *worker,
                                       struct next *next)
{
    next->command = command_find(next->request.command);
    if (next->request.command == REQUEST_AUTH)
        return serve_auth(session, worker, next);
    if (!session->trusted && !is_before_login(next->request.command)) {
        buffer_consume(&session->input, next->size);
        return refuse(session, worker, next->request.id, LOG_IN_FIRST);
    }
    if (!next->command->loading_ok && !store_is_open(session->service->commands->store))
        return serve_loading(session, worker, next);
    if (next->command->prepare != NULL &&
        !command_needs_run(next->command, session->service->commands->store, &next->request))
        return serve_writes(session, worker, next);
    if (next->command->run != NULL)
        return session_native_run(session, worker, next->command, &next->request, next->size);
    if (next->request.command == REQUEST_GET)
        return serve_gets(session, worker, next);
    struct command_reply reply = {&native_codec, &session->output};
    kvs_status status =
        next->command->read(session->service->commands, worker->tls, &next->request, &reply);
    worker_count_answered(worker, command_metrics_native(next->request.command), 1);
    buffer_consume(&session->input, next->size);
    return status == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

static enum session_step serve(struct session *session, struct worker *worker)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct next next;
    const struct buffer *input = &session->input;
    switch (native_codec.decode(bytes_of(buffer_content(input), buffer_size(input)),
                                limits_of(session), &next.request, &next.size, &error)) {
    case DECODE_REQUEST:
        return serve_request(session, worker, &next);
    case DECODE_MORE:
        session->needed = next.size;
        return SESSION_MORE;
    case DECODE_REJECT:
        session_skip_input(session, next.size);
        return session->trusted || is_before_login(next.request.command)
                   ? serve_error(session, worker, next.request.id, &error)
                   : refuse(session, worker, next.request.id, LOG_IN_FIRST);
    case DECODE_BROKEN:
    default:
        if (error.status == KVS_TOO_LARGE && !session->trusted)
            (void)kvs_error_set(&error, KVS_DENIED, 0, "%s", LOG_IN_FIRST);
        log_info(session->service->log, "closing a connection that sent no valid request: %s",
                 message);
        return serve_error(session, worker, next.request.id, &error) == SESSION_MORE
                   ? SESSION_CLOSE
                   : SESSION_ABORT;
    }
}

const struct session_protocol session_native = {
    .serve = serve,
    .answer_writes = answer_writes,
    .answer_read = answer_read,
    .answer_fault = answer_read,
};
