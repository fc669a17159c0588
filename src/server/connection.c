/*
 * See connection.h. One job at a time runs a connection, and no readiness is lost:
 *
 * I1  Only the owner touches the owner's fields. Ownership moves with `state` (queueing, running,
 *     becoming idle), with `handover` (parking, resuming), or through the pool's queue; each of these
 *     is an acquire/release pair.
 * I2  The poller moves IDLE to QUEUED and RUNNING to RUNNING_AGAIN and nothing else. The job moves
 *     QUEUED to RUNNING before its first read and RUNNING to IDLE after its last; if it finds
 *     RUNNING_AGAIN there it looks at the socket once more. An event that the poller ignores
 *     because of QUEUED is therefore seen by a read that has not happened yet. That needs the store
 *     of RUNNING to be visible before the read looks at the socket: it is a sequentially consistent
 *     exchange, a full barrier.
 * I3  With edge-triggered events a read that returns less than was asked for has emptied the socket,
 *     and whatever comes later makes a new event. The one exception is the peer's end of sending,
 *     which may have come with the event before: then `hangup` is set and we read on to the end.
 * I4  Requests are answered in order: while writes are in the engine nothing else of the connection
 *     is decoded. Their keys and values are views of `input`, which nobody touches meanwhile.
 * I5  After parking (handover from NONE to PARKED) the job no longer owns the connection. The
 *     completion that finds PARKED does; one that comes first leaves DONE, and the job goes on.
 * I6  A connection with more than OUTPUT_HIGH bytes unsent is neither read nor decoded until the peer
 *     takes them, so a slow reader costs one reply more than that at most.
 */
#include "server/connection.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define OUTPUT_HIGH ((size_t)262144)   /* bytes */
#define TURN_BYTES  ((uint64_t)262144) /* bytes read in one turn before others get theirs */

enum handover {
    HANDOVER_NONE,
    HANDOVER_PARKED,
    HANDOVER_DONE
};

/* What there is to do next. */
enum step {
    STEP_READ,   /* all that was received is served: more input is needed */
    STEP_FLUSH,  /* too much output: send first */
    STEP_PARKED, /* not ours any more */
    STEP_CLOSE,  /* send what there is, then close */
    STEP_ABORT,  /* close at once */
    STEP_WAIT,   /* the socket would block */
    STEP_YIELD,  /* others first */
};

struct connection *connection_new(int fd, const struct connection_service *service)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->transport.fd = fd;
    connection->service = service;
    connection->codec = &native_codec;
    if (service->blocking)
        (void)sem_init(&connection->completed, 0, 0);
    return connection;
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    transport_deinit(&connection->transport);
    buffer_deinit(&connection->input);
    buffer_deinit(&connection->output);
    free(connection->group);
    if (connection->service->blocking)
        (void)sem_destroy(&connection->completed);
    free(connection);
}

bool connection_note_events(struct connection *connection, uint32_t events)
{
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        atomic_store_explicit(&connection->hangup, 1, memory_order_relaxed);
    uint32_t state = atomic_load(&connection->state);
    for (;;) {
        uint32_t next;
        if (state == CONNECTION_IDLE)
            next = CONNECTION_QUEUED;
        else if (state == CONNECTION_RUNNING)
            next = CONNECTION_RUNNING_AGAIN;
        else
            return false;
        if (atomic_compare_exchange_weak(&connection->state, &state, next))
            return next == CONNECTION_QUEUED;
    }
}

/* ---- the socket --------------------------------------------------------------------------- */

/* Sends the output. STEP_READ: all of it is gone. */
static enum step flush(struct connection *connection, struct worker *worker)
{
    struct buffer *output = &connection->output;
    while (buffer_size(output) > 0) {
        ssize_t sent =
            transport_write(&connection->transport, buffer_content(output), buffer_size(output));
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? STEP_WAIT : STEP_ABORT;
        counter_add(&worker->counters.bytes_sent, (uint64_t)sent);
        buffer_consume(output, (size_t)sent);
    }
    return STEP_READ;
}

/* Makes room for what is needed next, at least a whole standard buffer when there is nothing yet.
 */
static kvs_status make_room(struct connection *connection, struct worker *worker)
{
    struct buffer *input = &connection->input;
    if (input->cap == 0) {
        kvs_status status = worker_take_buffer(worker, input);
        if (status != KVS_OK)
            return status;
    }
    uint64_t have = buffer_size(input);
    if (connection->needed > have)
        return buffer_reserve(input, connection->needed - have);
    return buffer_room(input) > 0 ? KVS_OK : buffer_reserve(input, 1);
}

/* Reads once. STEP_READ: something came. */
static enum step receive(struct connection *connection, struct worker *worker, uint64_t *turn)
{
    if (make_room(connection, worker) != KVS_OK)
        return STEP_ABORT;
    struct buffer *input = &connection->input;
    size_t room = buffer_room(input);
    ssize_t received = transport_read(&connection->transport, input->data + input->end, room);
    if (received < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return STEP_ABORT;
        connection->drained = true;
        return STEP_WAIT;
    }
    if (received == 0)
        return STEP_CLOSE;
    buffer_commit(input, (size_t)received);
    counter_add(&worker->counters.bytes_received, (uint64_t)received);
    *turn += (uint64_t)received;
    connection->drained = transport_is_drained(&connection->transport, (size_t)received, room) &&
                          atomic_load_explicit(&connection->hangup, memory_order_relaxed) == 0;
    return STEP_READ;
}

/* ---- writes ------------------------------------------------------------------------------- */

/* Runs on a thread of the engine's choosing, or inside submit. */
static void group_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct connection *connection = arg;
    (void)batch;
    connection->group->status = status;
    if (connection->service->blocking) {
        (void)sem_post(&connection->completed);
        return;
    }
    uint32_t before = atomic_exchange(&connection->handover, HANDOVER_DONE);
    if (before == HANDOVER_PARKED)
        connection->service->requeue(connection->service->arg, connection, true);
}

/* Adds the write to the group unless it is full. */
static bool group_add(struct write_group *group, const struct store *store,
                      const struct command *command, const struct request *request,
                      uint64_t request_size, uint64_t *batch_bytes)
{
    uint64_t bytes = request->key.len + request->value.len;
    uint64_t index = group->batch.op_count;
    if (index > 0 && (index == WRITE_GROUP_MAX || index == store->batch_ops_max ||
                      *batch_bytes + bytes > store->batch_bytes_max))
        return false;
    command->prepare(request, &group->ops[index]);
    group->ids[index] = request->id;
    group->batch.op_count = index + 1;
    group->input_size += request_size;
    *batch_bytes += bytes;
    return true;
}

/* Gathers the writes at the front of the input: those that follow each other and are whole. */
static void group_gather(struct write_group *group, const struct connection *connection,
                         const struct store *store)
{
    const uint8_t *content = buffer_content(&connection->input);
    uint64_t available = buffer_size(&connection->input);
    uint64_t batch_bytes = 0;
    while (group->input_size < available) {
        struct request request;
        uint64_t size;
        if (connection->codec->decode(
                bytes_of(content + group->input_size, available - group->input_size),
                &store->limits, &request, &size, NULL) != DECODE_REQUEST)
            return;
        const struct command *command = command_find(request.command);
        if (command == NULL || command->prepare == NULL ||
            !group_add(group, store, command, &request, size, &batch_bytes))
            return;
    }
}

/* Answers the writes of the complete group and lets go of their input. */
static enum step group_answer(struct connection *connection, struct worker *worker)
{
    struct write_group *group = TAKE(connection->group);
    struct command_reply reply = {connection->codec, &connection->output};
    enum step step = STEP_READ;
    for (uint64_t i = 0; i < group->batch.op_count && step != STEP_ABORT; i++) {
        kvs_status status = group->status == KVS_OK ? group->ops[i].status : group->status;
        if (status < 0)
            counter_add(&worker->counters.errors, 1);
        /* The message is that of the first fault, which need not be this operation's. */
        bool is_first_fault = status < 0 && status == group->error.status;
        if (command_reply_write(&reply, group->ids[i], status,
                                is_first_fault ? group->message : NULL) != KVS_OK)
            step = STEP_ABORT;
    }
    counter_add(&worker->counters.requests, group->batch.op_count);
    buffer_consume(&connection->input, group->input_size);
    worker_give_group(worker, group);
    return step;
}

/* Writes may be about to wait for the disk: earlier replies do not wait with them, and memory that
   holds nothing stays with the thread. */
static void before_waiting(struct connection *connection, struct worker *worker)
{
    if (!connection->service->writes_wait)
        return;
    (void)flush(connection, worker); /* what goes wrong here shows again at the next send */
    if (buffer_size(&connection->output) == 0 && connection->output.cap > 0)
        worker_give_buffer(worker, &connection->output);
}

/* Submits the writes at the front of the input. STEP_READ: they are answered. */
static enum step serve_writes(struct connection *connection, struct worker *worker)
{
    struct store *store = connection->service->commands->store;
    struct write_group *group = worker_take_group(worker);
    if (group == NULL)
        return STEP_ABORT;
    group_gather(group, connection, store);
    group->batch.complete = group_complete;
    group->batch.arg = connection;
    connection->group = group;
    atomic_store_explicit(&connection->handover, HANDOVER_NONE, memory_order_relaxed);
    before_waiting(connection, worker);

    kvs_status status = store_submit(store, worker->tls, &group->batch);
    if (status != KVS_PENDING) {
        group->status = status;
    } else if (connection->service->blocking) {
        while (sem_wait(&connection->completed) != 0)
            assert(errno == EINTR);
    } else if (atomic_exchange(&connection->handover, HANDOVER_PARKED) != HANDOVER_DONE) {
        return STEP_PARKED;
    }
    return group_answer(connection, worker);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Answers a request that cannot be served. */
static enum step serve_error(struct connection *connection, struct worker *worker, uint64_t id,
                             const struct kvs_error *error)
{
    struct command_reply reply = {connection->codec, &connection->output};
    counter_add(&worker->counters.requests, 1);
    counter_add(&worker->counters.errors, 1);
    return command_reply_write(&reply, id, error->status, error->msg) == KVS_OK ? STEP_READ
                                                                                : STEP_ABORT;
}

static void skip_input(struct connection *connection, uint64_t size)
{
    uint64_t here = buffer_size(&connection->input);
    uint64_t now = size < here ? size : here;
    buffer_consume(&connection->input, now);
    connection->skip = size - now;
}

/* Serves the whole request at the front of the input. */
static enum step serve_request(struct connection *connection, struct worker *worker,
                               const struct request *request, uint64_t size)
{
    const struct command_context *commands = connection->service->commands;
    const struct command *command = command_find(request->command);
    if (command->prepare != NULL)
        return serve_writes(connection, worker);
    struct command_reply reply = {connection->codec, &connection->output};
    kvs_status status = command->read(commands, worker->tls, request, &reply);
    counter_add(&worker->counters.requests, 1);
    buffer_consume(&connection->input, size);
    return status == KVS_OK ? STEP_READ : STEP_ABORT;
}

/* Serves one request. STEP_READ with a zero `needed`: it is done, look for the next. */
static enum step serve_next(struct connection *connection, struct worker *worker)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct request request;
    uint64_t size;
    const struct buffer *input = &connection->input;
    switch (connection->codec->decode(bytes_of(input->data + input->start, buffer_size(input)),
                                      &connection->service->commands->store->limits, &request,
                                      &size, &error)) {
    case DECODE_REQUEST:
        return serve_request(connection, worker, &request, size);
    case DECODE_MORE:
        connection->needed = size;
        return STEP_READ;
    case DECODE_REJECT:
        skip_input(connection, size);
        return serve_error(connection, worker, request.id, &error);
    case DECODE_BROKEN:
    default:
        log_info(connection->service->log, "closing a connection that sent no valid request: %s",
                 message);
        connection->closing = true;
        return serve_error(connection, worker, request.id, &error) == STEP_READ ? STEP_CLOSE
                                                                                : STEP_ABORT;
    }
}

/* Serves what was received, as far as it goes. */
static enum step serve_input(struct connection *connection, struct worker *worker)
{
    connection->needed = 0;
    if (connection->skip > 0)
        skip_input(connection, connection->skip);
    while (buffer_size(&connection->input) > 0) {
        if (buffer_size(&connection->output) >= OUTPUT_HIGH)
            return STEP_FLUSH;
        enum step step = serve_next(connection, worker);
        if (step != STEP_READ || connection->needed > 0)
            return step;
    }
    return STEP_READ;
}

/* ---- turns -------------------------------------------------------------------------------- */

/* Serves and sends, reads and serves, until something else must happen first. */
static enum step serve(struct connection *connection, struct worker *worker)
{
    uint64_t turn = 0;
    for (;;) {
        enum step step = connection->closing ? STEP_CLOSE : serve_input(connection, worker);
        if (step == STEP_PARKED || step == STEP_ABORT)
            return step;
        enum step flushed = flush(connection, worker);
        if (flushed != STEP_READ)
            return flushed;
        if (step == STEP_CLOSE) {
            transport_finish(&connection->transport);
            return STEP_ABORT;
        }
        if (step == STEP_FLUSH)
            continue;
        if (connection->drained)
            return STEP_WAIT;
        if (turn >= TURN_BYTES)
            return STEP_YIELD;
        step = receive(connection, worker, &turn);
        if (step == STEP_CLOSE)
            connection->closing = true;
        else if (step != STEP_READ)
            return step;
    }
}

/* Gives buffers that hold nothing back to the thread, so that an idle connection has none. */
static void release_buffers(struct connection *connection, struct worker *worker)
{
    if (connection->input.cap > 0 && buffer_size(&connection->input) == 0)
        worker_give_buffer(worker, &connection->input);
    if (connection->output.cap > 0 && buffer_size(&connection->output) == 0)
        worker_give_buffer(worker, &connection->output);
}

/* The output's memory comes from the thread's spares, like the input's. */
static kvs_status borrow_output(struct connection *connection, struct worker *worker)
{
    return connection->output.cap > 0 ? KVS_OK : worker_take_buffer(worker, &connection->output);
}

static void close_connection(struct connection *connection)
{
    atomic_store(&connection->state, CONNECTION_CLOSED);
    connection->service->close(connection->service->arg, connection);
}

/* The owner's turn, in state RUNNING, until the connection is out of its hands. */
static void take_turns(struct connection *connection, struct worker *worker)
{
    for (;;) {
        enum step step = worker != NULL && borrow_output(connection, worker) == KVS_OK
                             ? serve(connection, worker)
                             : STEP_ABORT;
        if (step == STEP_PARKED)
            return;
        if (step == STEP_ABORT) {
            close_connection(connection);
            return;
        }
        release_buffers(connection, worker);
        if (step == STEP_YIELD) {
            atomic_store(&connection->state, CONNECTION_QUEUED);
            connection->service->requeue(connection->service->arg, connection, false);
            return;
        }
        uint32_t state = CONNECTION_RUNNING;
        if (atomic_compare_exchange_strong(&connection->state, &state, CONNECTION_IDLE))
            return;
        assert(state == CONNECTION_RUNNING_AGAIN);
        atomic_store(&connection->state, CONNECTION_RUNNING);
        connection->drained = false;
    }
}

void connection_run(void *arg)
{
    struct connection *connection = arg;
    uint32_t before = atomic_exchange(&connection->state, CONNECTION_RUNNING); /* I2 */
    assert(before == CONNECTION_QUEUED);
    (void)before;
    connection->drained = false;
    take_turns(connection, worker_current(connection->service->workers));
}

void connection_resume(void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = worker_current(connection->service->workers);
    if (worker == NULL || borrow_output(connection, worker) != KVS_OK ||
        group_answer(connection, worker) == STEP_ABORT) {
        close_connection(connection);
        return;
    }
    take_turns(connection, worker);
}

/* Waits until the socket can go on. False: it never will. */
static bool wait_for_socket(const struct connection *connection)
{
    struct pollfd socket = {.fd = connection->transport.fd,
                            .events = transport_wanted_events(
                                &connection->transport, buffer_size(&connection->output) > 0)};
    while (poll(&socket, 1, -1) < 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

void connection_run_blocking(void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = worker_current(connection->service->workers);
    atomic_store(&connection->state, CONNECTION_RUNNING);
    while (worker != NULL && borrow_output(connection, worker) == KVS_OK) {
        enum step step = serve(connection, worker);
        if (step == STEP_ABORT || (step == STEP_WAIT && !wait_for_socket(connection)))
            break;
        connection->drained = false;
    }
    close_connection(connection);
}

void connection_drop(void *arg)
{
    close_connection(arg);
}
