/*
 * See session.h.
 *
 * I1  Requests are answered in order: while something is in the engine nothing else is decoded. The
 *     views that the engine works with lead into `input`, which nobody touches meanwhile.
 * I2  With more than SESSION_OUTPUT_HIGH bytes of output nothing is decoded, and a group of reads
 *     stops there, so a reader that takes nothing costs one reply more than that at most.
 * I3  `finish` is set before the engine is called: the completion may come before the call returns.
 */
#include "server/session.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "command/resp_multi.h"
#include "protocol/native.h"
#include "protocol/resp_reply.h"
#include "server/session_resp.h"

void session_init(struct session *session, const struct session_service *service,
                  const struct session_peer *peer)
{
    session->service = service;
    client_init(&session->client, peer->id, clock_unix_ms(), peer->address, peer->local_address);
    session->client.authenticated = session->trusted = peer->trusted;
    session->client.trusted = peer->trusted;
}

void session_deinit(struct session *session)
{
    buffer_deinit(&session->input);
    buffer_deinit(&session->output);
    write_group_free(session->writes);
    read_group_free(session->reads);
    run_free(session->run);
    buffer_deinit(&session->unquoted);
    multi_discard(&session->client);
    client_deinit(&session->client);
}

/* ---- writes ------------------------------------------------------------------------------- */

/* Runs on a thread of the engine's choosing, or inside submit. */
static void writes_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct session *session = arg;
    (void)batch;
    session->writes->status = status;
    session->service->completed(session);
}

static enum session_step finish_writes(struct session *session, struct worker *worker)
{
    struct write_group *group = TAKE(session->writes);
    enum session_step step = session->protocol->answer_writes(session, worker, group);
    buffer_consume(&session->input, group->input_size);
    worker_give_write_group(worker, group);
    return step;
}

enum session_step session_submit_writes(struct session *session, struct worker *worker,
                                        struct write_group *group)
{
    group->batch.complete = writes_complete;
    group->batch.arg = session;
    session->writes = group;
    session->finish = finish_writes; /* I3 */
    if (session->service->writes_wait)
        session->service->before_waiting(session, worker);
    kvs_status status = store_submit(session->service->commands->store, worker->tls, &group->batch);
    if (status == KVS_PENDING)
        return SESSION_WAITING;
    group->status = status;
    return finish_writes(session, worker);
}

/* ---- reads -------------------------------------------------------------------------------- */

static void reads_complete(void *arg)
{
    struct session *session = arg;
    session->service->completed(session);
}

/* False once the output is full (I2), or could not be written. */
static bool show_read(void *arg, const struct read_result *result)
{
    struct session *session = arg;
    if (session->reads_status == KVS_OK)
        session->reads_status = session->protocol->answer_read(session, result);
    if (session->reads_status == KVS_OK && !session->reads->can_stop &&
        session_is_reply_over(session, session->reads_start))
        session->reads_status = KVS_TOO_LARGE;
    return session->reads_status == KVS_OK && buffer_size(&session->output) < SESSION_OUTPUT_HIGH;
}

bool session_is_reply_over(const struct session *session, size_t start)
{
    uint64_t reply_max =
        atomic_load_explicit(&session->service->limits->reply_max, memory_order_relaxed);
    return reply_max != 0 && buffer_size(&session->output) - start > reply_max;
}

static size_t mark_output(void *arg)
{
    const struct session *session = arg;
    return buffer_size(&session->output);
}

static void take_back_output(void *arg, size_t mark)
{
    struct session *session = arg;
    buffer_truncate(&session->output, mark);
}

/* Lets go of the group and of the input of what was answered. */
static enum session_step end_reads(struct session *session, struct worker *worker)
{
    struct read_group *group = TAKE(session->reads);
    if (group->shown > 0)
        buffer_consume(&session->input, group->entries[group->shown - 1].input_end);
    worker_count_answered(worker, group->place, group->can_stop ? group->shown : 1);
    if (group->faults > 0)
        counter_add(&worker->counters.errors, group->faults);
    if (group->broken) {
        buffer_truncate(&session->output, session->reads_start);
        session->reads_status = session->protocol->answer_fault(session, &group->fault);
    }
    worker_give_read_group(worker, group);
    if (session->reads_status == KVS_TOO_LARGE)
        return session_refuse_reply(session, worker, session->reads_start);
    return session->reads_status == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

static enum session_step finish_reads(struct session *session, struct worker *worker)
{
    read_group_finish(session->reads);
    return end_reads(session, worker);
}

enum session_step session_submit_reads(struct session *session, struct worker *worker,
                                       struct read_group *group, bool can_stop)
{
    group->show = show_read;
    group->mark = mark_output;
    group->take_back = take_back_output;
    group->show_arg = session;
    group->complete = reads_complete;
    group->complete_arg = session;
    group->can_stop = can_stop;
    session->reads = group;
    session->reads_status = KVS_OK;
    session->finish = finish_reads; /* I3 */
    if (session->service->reads_wait)
        session->service->before_waiting(session, worker);
    session->reads_start = buffer_size(&session->output);
    if (read_group_submit(group, session->service->commands->store, worker->tls) == KVS_PENDING)
        return SESSION_WAITING;
    return end_reads(session, worker);
}

/* ---- input -------------------------------------------------------------------------------- */

void session_skip_input(struct session *session, uint64_t size)
{
    uint64_t here = buffer_size(&session->input);
    uint64_t now = size < here ? size : here;
    buffer_consume(&session->input, now);
    session->skip = size - now;
}

void session_refuse(struct session *session, kvs_status status, const char *text)
{
    if (session->protocol == &session_native) {
        struct command_reply reply = {&native_codec, &session->output};
        (void)command_reply_write(&reply, 0, status, text);
    } else if (session->protocol == &session_resp) {
        struct resp_writer writer = session_resp_writer(session, &session->output);
        resp_error(&writer, "ERR %s", text);
    }
}

enum session_step session_refuse_reply(struct session *session, struct worker *worker, size_t start)
{
    struct limits *limits = session->service->limits;
    struct resp_writer writer = session_resp_writer(session, &session->output);
    buffer_truncate(&session->output, start);
    (void)atomic_fetch_add_explicit(&limits->replies_refused, 1, memory_order_relaxed);
    counter_add(&worker->counters.errors, 1);
    resp_error(&writer, "ERR the reply is over the limit of %" PRIu64 " bytes",
               atomic_load_explicit(&limits->reply_max, memory_order_relaxed));
    return writer.status == KVS_OK ? SESSION_MORE : SESSION_ABORT;
}

/* Nothing that speaks the Redis protocol begins with the native protocol's first byte. */
static void choose_protocol(struct session *session)
{
    switch (*buffer_content(&session->input)) {
    case NATIVE_MAGIC_REQUEST:
        session->protocol = &session_native;
        break;
    case SESSION_TLS_FIRST:
        session->protocol = &session_stray;
        break;
    default:
        session->protocol = &session_resp;
    }
}

enum session_step session_serve(struct session *session, struct worker *worker)
{
    session->needed = 0;
    if (session->skip > 0)
        session_skip_input(session, session->skip);
    while (buffer_size(&session->input) > 0) {
        if (buffer_size(&session->output) >= SESSION_OUTPUT_HIGH)
            return SESSION_FLUSH; /* I2 */
        if (session->protocol == NULL)
            choose_protocol(session);
        enum session_step step = session->protocol->serve(session, worker);
        if (step != SESSION_MORE || session->needed > 0)
            return step;
    }
    return SESSION_MORE;
}

enum session_step session_resume(struct session *session, struct worker *worker)
{
    enum session_step step = session->finish(session, worker);
    if (step != SESSION_WAITING && session->unquoted.cap > 0)
        buffer_deinit(&session->unquoted);
    return step;
}
