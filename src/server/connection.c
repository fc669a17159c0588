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
 * I4  While something of the session is in the engine nobody touches the session.
 * I5  After parking (handover from NONE to PARKED) the job no longer owns the connection. The
 *     completion that finds PARKED does; one that comes first leaves DONE, and the job goes on.
 * I6  A connection whose output was not all taken is neither read nor served until the peer takes it,
 *     so a slow reader costs what session.c, I2 says.
 */
#include "server/connection.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/bytes.h"

#include "base/clock.h"
#include "server/slow_requests.h"

#define TURN_BYTES      ((uint64_t)262144) /* bytes read in one turn before others get theirs */
#define LIMITS_TEXT_MAX 128u

/* Bytes of room for what is announced and has not come: beyond them room grows with what came. */
#define RESERVE_AT_ONCE ((uint64_t)1048576)

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

/* The text of one end of a socket. */
static void describe_end(int fd, int (*get_end)(int, struct sockaddr *, socklen_t *),
                         char text[ADDRESS_TEXT_MAX])
{
    struct address address = {.size = sizeof(address.storage)};
    (void)snprintf(text, ADDRESS_TEXT_MAX, "?");
    if (get_end(fd, (struct sockaddr *)&address.storage, &address.size) == 0)
        address_format(&address, text);
}

struct connection *connection_new(int fd, uint64_t id, const struct listener *listener,
                                  const struct connection_service *service)
{
    char address[ADDRESS_TEXT_MAX];
    char local_address[ADDRESS_TEXT_MAX];
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NULL;
    connection->transport.fd = fd;
    if (listener->tls && tls_server_begin(service->tls, &connection->transport) != KVS_OK) {
        free(connection);
        return NULL;
    }
    connection->service = service;
    describe_end(fd, getpeername, address);
    describe_end(fd, getsockname, local_address);
    struct session_peer peer = {
        .id = id,
        .address = address,
        .local_address = local_address,
        .trusted = service->access == NULL || !access_needed_at(service->access, listener),
    };
    session_init(&connection->session, &service->sessions, &peer);
    connection->trusted = peer.trusted && transport_is_established(&connection->transport);
    connection->session.received_ns =
        clock_now_ns(); /* its first request may take as long as others */
    (void)limits_note(service->limits, &connection->watch, LIMITS_WAIT_REQUEST,
                      connection->session.received_ns);
    if (service->blocking)
        (void)sem_init(&connection->completed, 0, 0);
    return connection;
}

void connection_free(struct connection *connection)
{
    if (connection == NULL)
        return;
    transport_deinit(&connection->transport);
    session_deinit(&connection->session);
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

/* Tells the poller once that this is no stranger any more. */
static void note_trust(struct connection *connection)
{
    if (atomic_load_explicit(&connection->trusted, memory_order_relaxed) == 0 &&
        connection->session.trusted && transport_is_established(&connection->transport))
        atomic_store_explicit(&connection->trusted, 1, memory_order_relaxed);
}

/* ---- limits ------------------------------------------------------------------------------- */

static void note_wait(struct connection *connection, enum limits_wait wait)
{
    const struct connection_service *service = connection->service;
    if (limits_note(service->limits, &connection->watch, wait, connection->session.received_ns))
        service->wake(service->arg);
}

/* Nobody will run the connection until its client does something: notes what. */
static void note_wait_for_client(struct connection *connection)
{
    const struct session *session = &connection->session;
    note_wait(connection, buffer_size(&session->output) > 0 ? LIMITS_WAIT_READER
                          : buffer_size(&session->input) > 0 || session->skip > 0
                              ? LIMITS_WAIT_REST
                              : LIMITS_WAIT_REQUEST);
}

/* The input has ended. If that is because a time ran out, the client is told so. */
static void tell_expired(struct connection *connection)
{
    enum limits_wait expired =
        atomic_load_explicit(&connection->watch.expired, memory_order_relaxed);
    if (expired == LIMITS_WAIT_NOT)
        return;
    uint64_t timeout_ms = limits_timeout_ns(connection->service->limits, expired) / NS_PER_MS;
    char text[LIMITS_TEXT_MAX];
    (void)snprintf(text, sizeof(text),
                   expired == LIMITS_WAIT_REQUEST
                       ? "the connection is closed: there was no request for %" PRIu64 " ms"
                       : "the connection is closed: the rest of a request took more than %" PRIu64
                         " ms",
                   timeout_ms);
    session_refuse(&connection->session, KVS_TIMEOUT, text);
}

/* ---- the socket --------------------------------------------------------------------------- */

/* Sends the output. STEP_READ: all of it is gone. */
static enum step flush(struct connection *connection, struct worker *worker)
{
    struct buffer *output = &connection->session.output;
    while (buffer_size(output) > 0) {
        ssize_t sent =
            transport_write(&connection->transport, buffer_content(output), buffer_size(output));
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? STEP_WAIT : STEP_ABORT;
        counter_add(&worker->counters.bytes_sent, (uint64_t)sent);
        connection->watch.moved += (uint64_t)sent;
        buffer_consume(output, (size_t)sent);
    }
    return STEP_READ;
}

/* Makes room for what is needed next, at least a whole standard buffer when there is nothing yet.
 */
static kvs_status make_room(struct connection *connection, struct worker *worker)
{
    struct buffer *input = &connection->session.input;
    if (input->cap == 0) {
        kvs_status status = worker_take_buffer(worker, input);
        if (status != KVS_OK)
            return status;
    }
    uint64_t have = buffer_size(input);
    uint64_t needed = connection->session.needed;
    if (needed > have) {
        uint64_t most = have > RESERVE_AT_ONCE ? have : RESERVE_AT_ONCE;
        return buffer_reserve(input, needed - have < most ? needed - have : most);
    }
    return buffer_room(input) > 0 ? KVS_OK : buffer_reserve(input, 1);
}

/* Reads once. STEP_READ: something came. */
static enum step receive(struct connection *connection, struct worker *worker, uint64_t *turn)
{
    if (make_room(connection, worker) != KVS_OK)
        return STEP_ABORT;
    struct buffer *input = &connection->session.input;
    size_t room = buffer_room(input);
    ssize_t received = transport_read(&connection->transport, input->data + input->end, room);
    note_trust(connection);
    if (received < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return STEP_ABORT;
        connection->drained = true;
        return STEP_WAIT;
    }
    if (received == 0)
        return STEP_CLOSE;
    buffer_commit(input, (size_t)received);
    /* One look at the clock for a turn is enough, unless it reads several times. */
    if (connection->timed)
        connection->timed = false;
    else
        connection->session.received_ns = clock_now_ns();
    counter_add(&worker->counters.bytes_received, (uint64_t)received);
    connection->watch.moved += (uint64_t)received;
    *turn += (uint64_t)received;
    connection->drained = transport_is_drained(&connection->transport, (size_t)received, room) &&
                          atomic_load_explicit(&connection->hangup, memory_order_relaxed) == 0;
    return STEP_READ;
}

/* ---- waiting for the engine --------------------------------------------------------------- */

static struct connection *connection_of(struct session *session)
{
    return (struct connection *)((char *)session - offsetof(struct connection, session));
}

void connection_before_waiting(struct session *session, struct worker *worker)
{
    struct connection *connection = connection_of(session);
    (void)flush(connection, worker); /* what goes wrong here shows again at the next send */
    if (buffer_size(&session->output) == 0 && session->output.cap > 0)
        worker_give_buffer(worker, &session->output);
}

void connection_completed(struct session *session)
{
    struct connection *connection = connection_of(session);
    if (connection->service->blocking) {
        (void)sem_post(&connection->completed);
        return;
    }
    uint32_t before = atomic_exchange(&connection->handover, HANDOVER_DONE); /* I5 */
    if (before == HANDOVER_PARKED)
        connection->service->requeue(connection->service->arg, connection, true);
}

bool connection_wrong_password(struct session *session)
{
    struct connection *connection = connection_of(session);
    char peer[ADDRESS_TEXT_MAX];
    transport_peer(&connection->transport, peer);
    return access_note_failure(connection->service->access, session->client.wrong_passwords, peer);
}

/* The output's memory comes from the thread's spares, like the input's. */
static kvs_status borrow_output(struct connection *connection, struct worker *worker)
{
    struct buffer *output = &connection->session.output;
    return output->cap > 0 ? KVS_OK : worker_take_buffer(worker, output);
}

/* Parks until the engine is done. False: it is done already, or this thread waited for it. */
static bool park(struct connection *connection)
{
    if (connection->service->blocking) {
        while (sem_wait(&connection->completed) != 0)
            assert(errno == EINTR);
        return false;
    }
    connection->parked = true;
    note_wait(connection, LIMITS_WAIT_NOT);
    return atomic_exchange(&connection->handover, HANDOVER_PARKED) != HANDOVER_DONE; /* I5 */
}

/* Goes on after a completion. The completion's part of the handover is over then. */
static enum session_step resume(struct connection *connection, struct worker *worker)
{
    atomic_store_explicit(&connection->handover, HANDOVER_NONE, memory_order_relaxed);
    connection->parked = false;
    return borrow_output(connection, worker) == KVS_OK
               ? session_resume(&connection->session, worker)
               : SESSION_ABORT;
}

/* Records how long what was just answered took. What is answered later, after the engine, counts
   from the same moment. */
static void record_answered(struct connection *connection, struct worker *worker,
                            struct kvs_bytes served)
{
    if (worker->metrics.noted_count == 0)
        return;
    uint64_t elapsed_ns = clock_now_ns() - connection->session.received_ns;
    if (elapsed_ns >= slow_log_threshold_ns(connection->service->slow_log))
        slow_requests_note(connection->service->slow_log, &connection->session, served,
                           command_metrics_noted(&worker->metrics), elapsed_ns);
    command_metrics_record(&worker->metrics, elapsed_ns);
}

/* Serves what was received, beginning with what the connection was parked for. */
static enum step serve_input(struct connection *connection, struct worker *worker)
{
    bool resumes = connection->parked;
    enum session_step step;
    size_t unserved = buffer_size(&connection->session.input);
    do {
        /* Serving consumes this, but does not overwrite it. */
        const struct buffer *input = &connection->session.input;
        struct kvs_bytes served = bytes_of(buffer_content(input), buffer_size(input));
        step = resumes ? resume(connection, worker) : SESSION_MORE;
        if (step == SESSION_MORE)
            step = session_serve(&connection->session, worker);
        note_trust(connection);
        resumes = true;
        record_answered(connection, worker, served);
        if (step == SESSION_WAITING && park(connection))
            return STEP_PARKED;
    } while (step == SESSION_WAITING);
    if (buffer_size(&connection->session.input) < unserved)
        connection->watch.moved = LIMITS_PROGRESS; /* whatever waits now is another request */
    switch (step) {
    case SESSION_MORE:
        return STEP_READ;
    case SESSION_FLUSH:
        return STEP_FLUSH;
    case SESSION_CLOSE:
        connection->closing = true;
        return STEP_CLOSE;
    case SESSION_WAITING:
    case SESSION_ABORT:
    default:
        return STEP_ABORT;
    }
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
        if (step == STEP_CLOSE) {
            connection->closing = true;
            tell_expired(connection);
        } else if (step != STEP_READ) {
            return step;
        }
    }
}

/* Gives buffers that hold nothing back to the thread, so that an idle connection has none. */
static void release_buffers(struct connection *connection, struct worker *worker)
{
    if (connection->session.input.cap > 0 && buffer_size(&connection->session.input) == 0)
        worker_give_buffer(worker, &connection->session.input);
    if (connection->session.output.cap > 0 && buffer_size(&connection->session.output) == 0)
        worker_give_buffer(worker, &connection->session.output);
}

static void close_connection(struct connection *connection)
{
    note_wait(connection, LIMITS_WAIT_NOT);
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
            note_wait(connection, LIMITS_WAIT_NOT);
            connection->queued_ns = clock_now_ns();
            atomic_store(&connection->state, CONNECTION_QUEUED);
            connection->service->requeue(connection->service->arg, connection, false);
            return;
        }
        note_wait_for_client(connection);
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
    struct worker *worker = worker_current(connection->service->workers);
    connection->session.received_ns = clock_now_ns();
    connection->timed = true;
    if (worker != NULL)
        latency_record(&worker->metrics.queue_wait,
                       connection->session.received_ns - connection->queued_ns, 1);
    take_turns(connection, worker);
}

void connection_resume(void *arg)
{
    struct connection *connection = arg;
    struct worker *worker = worker_current(connection->service->workers);
    take_turns(connection, worker);
}

/* Waits until the socket can go on. False: it never will. */
static bool wait_for_socket(const struct connection *connection)
{
    struct pollfd socket = {
        .fd = connection->transport.fd,
        .events = transport_wanted_events(&connection->transport,
                                          buffer_size(&connection->session.output) > 0)};
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
        if (step == STEP_WAIT)
            note_wait_for_client(connection);
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
