/*
 * See reactor.h.
 *
 * I1  Each connection is registered with epoll once, edge-triggered, for its life: no epoll_ctl per
 *     request.
 * I2  A closed connection is freed at the start of a later poll, not before: its descriptor left
 *     epoll when it was closed, so only events that the poll before returned can name it, and those
 *     have been dealt with when that poll returned.
 * I3  A push on the empty `resumed` list wakes the poller; a push on a filled one need not: the
 *     wake-up of the first is still to be seen, or the poller is about to take both.
 * I4  A connection that the pool is too busy for stays QUEUED in the retry list and is offered again
 *     at each poll, at the latest after RETRY_NS. Nothing is dropped.
 */
#include "server/reactor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define RETRY_NS         ((int64_t)1000000)   /* between offers to a busy pool */
#define ACCEPT_PAUSE_NS  ((int64_t)100000000) /* between tries when out of descriptors */
#define DESCRIPTORS_KEPT 64u                  /* for other things than connections */
#define ACCEPT_BATCH_MAX 256u                 /* connections taken before others get their turn */
#define REFUSED_LOG_NS   NS_PER_S             /* at most one line about it in this time */

kvs_status reactor_open(struct reactor *reactor, struct kvs_error *err)
{
    memset(reactor, 0, sizeof(*reactor));
    reactor->wake_fd = -1;
    reactor->strangers_until_ns = UINT64_MAX;
    reactor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (reactor->epoll_fd >= 0)
        reactor->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    /* The wake-up is told from connections by its NULL. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (reactor->wake_fd < 0 ||
        epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, reactor->wake_fd, &event) != 0) {
        int error = errno;
        reactor_close(reactor);
        return kvs_error_set(err, KVS_BUSY, error, "cannot watch sockets: %s", strerror(error));
    }
    return KVS_OK;
}

static void free_closed(struct reactor *reactor)
{
    if (atomic_load_explicit(&reactor->closed, memory_order_relaxed) == NULL)
        return;
    struct connection *each =
        atomic_exchange_explicit(&reactor->closed, NULL, memory_order_acquire);
    while (each != NULL) {
        struct connection *next = each->link;
        connection_free(each);
        each = next;
    }
}

void reactor_close(struct reactor *reactor)
{
    free_closed(reactor);
    if (reactor->epoll_fd > 0)
        (void)close(reactor->epoll_fd);
    if (reactor->wake_fd > 0)
        (void)close(reactor->wake_fd);
    reactor->epoll_fd = reactor->wake_fd = -1;
}

/* What the descriptors that this process may have leave for connections: an engine that cannot open its next
   file fails writes, which is worse than a client that waits. */
static uint64_t descriptors_for_connections(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur > (rlim_t)2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT
                                                         : limit.rlim_cur / 2;
}

kvs_status reactor_accept_begin(struct reactor *reactor, struct kvs_error *err)
{
    atomic_store_explicit(&reactor->accepting, 1, memory_order_relaxed);
    reactor->connections_most = descriptors_for_connections();
    for (uint32_t i = 0; i < reactor->listeners->count; i++) {
        struct listener *listener = &reactor->listeners->items[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = listener};
        if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) != 0)
            return kvs_error_set(err, KVS_BUSY, errno, "cannot watch a listening socket: %s",
                                 strerror(errno));
    }
    return KVS_OK;
}

void reactor_accept_end(struct reactor *reactor)
{
    atomic_store_explicit(&reactor->accepting, 0, memory_order_relaxed);
    reactor_wake(reactor);
}

void reactor_wake(struct reactor *reactor)
{
    uint64_t one = 1;
    ssize_t written = write(reactor->wake_fd, &one, sizeof(one));
    (void)written; /* EAGAIN: it is awake 2^64 times over */
}

/* ---- to the pool -------------------------------------------------------------------------- */

static struct kvs_job job_of(const struct reactor *reactor, struct connection *connection,
                             bool resumed)
{
    void (*run)(void *arg) = resumed                     ? connection_resume
                             : reactor->service.blocking ? connection_run_blocking
                                                         : connection_run;
    return (struct kvs_job){.run = run, .drop = connection_drop, .arg = connection};
}

static void retry_later(struct reactor *reactor, const struct kvs_job *job)
{
    struct connection *connection = job->arg;
    connection->link = NULL;
    connection->resumes = job->run == connection_resume;
    if (reactor->retry_last != NULL)
        reactor->retry_last->link = connection;
    else
        reactor->retry = connection;
    reactor->retry_last = connection;
}

/* Gives jobs to the pool; those that it does not take are offered again later. */
static uint32_t spawn_jobs(struct reactor *reactor, const struct kvs_job *jobs, uint32_t count)
{
    uint64_t accepted = 0;
    if (count == 0)
        return 0;
    if (reactor->pool_ops->spawn_batch != NULL) {
        (void)reactor->pool_ops->spawn_batch(reactor->pool, jobs, count, &accepted);
    } else {
        while (accepted < count &&
               reactor->pool_ops->spawn(reactor->pool, &jobs[accepted]) == KVS_OK)
            accepted++;
    }
    for (uint64_t i = accepted; i < count; i++)
        retry_later(reactor, &jobs[i]);
    return (uint32_t)accepted;
}

/* Jobs on their way to the pool, passed on whenever the array is full. */
struct job_batch {
    struct reactor *reactor;
    struct kvs_job jobs[REACTOR_EVENTS_MAX];
    uint32_t count;
    uint32_t spawned;
    uint64_t now_ns; /* when the events came */
};

static void batch_flush(struct job_batch *batch)
{
    uint32_t count = batch->count;
    batch->count = 0;
    batch->spawned += spawn_jobs(batch->reactor, batch->jobs, count);
}

static void batch_add(struct job_batch *batch, struct connection *connection, bool resumed)
{
    batch->jobs[batch->count++] = job_of(batch->reactor, connection, resumed);
    if (batch->count == REACTOR_EVENTS_MAX)
        batch_flush(batch);
}

static void batch_add_waiting(struct job_batch *batch)
{
    struct reactor *reactor = batch->reactor;
    struct connection *each = reactor->retry;
    reactor->retry = reactor->retry_last = NULL;
    while (each != NULL) {
        struct connection *next = each->link;
        batch_add(batch, each, each->resumes);
        each = next;
    }
    if (atomic_load_explicit(&reactor->resumed, memory_order_relaxed) == NULL)
        return;
    each = atomic_exchange_explicit(&reactor->resumed, NULL, memory_order_acquire);
    while (each != NULL) {
        struct connection *next = each->link;
        batch_add(batch, each, each->resumes);
        each = next;
    }
}

static void push(_Atomic(struct connection *) *list, struct connection *connection, bool *ret_first)
{
    struct connection *head = atomic_load_explicit(list, memory_order_relaxed);
    do
        connection->link = head;
    while (!atomic_compare_exchange_weak_explicit(list, &head, connection, memory_order_release,
                                                  memory_order_relaxed));
    *ret_first = head == NULL;
}

void reactor_requeue(void *arg, struct connection *connection, bool resumed)
{
    struct reactor *reactor = arg;
    /* A thread of the engine must not run a connection, nor may a turn of one run inside that of
       another: on an inline pool only the poller spawns. With a polling pool one wake-up serves all
       that one flush completed. Others are given the job directly, which saves the reactor's. */
    if (!reactor->pool_is_inline && (!resumed || !reactor->pool_polls)) {
        struct kvs_job job = job_of(reactor, connection, resumed);
        if (reactor->pool_ops->spawn(reactor->pool, &job) == KVS_OK)
            return;
    }
    connection->resumes = resumed;
    bool first;
    push(&reactor->resumed, connection, &first);
    if (first)
        reactor_wake(reactor);
}

void reactor_wake_for_limits(void *arg)
{
    reactor_wake(arg);
}

void reactor_take_closed(void *arg, struct connection *connection)
{
    struct reactor *reactor = arg;
    connection_set_close(reactor->connections, connection);
    if (reactor->service.blocking) {
        connection_free(connection); /* never in epoll: nobody else can name it */
        return;
    }
    bool first;
    push(&reactor->closed, connection, &first);
}

/* ---- accepting ---------------------------------------------------------------------------- */

static void pause_accepting(struct reactor *reactor, int error)
{
    uint64_t now_ns = clock_now_ns();
    reactor->accept_paused = true;
    reactor->accept_retry_ns = now_ns + (uint64_t)ACCEPT_PAUSE_NS;
    atomic_fetch_add_explicit(&reactor->refused, 1, memory_order_relaxed);
    if (now_ns - reactor->refused_logged_ns >= REFUSED_LOG_NS) {
        reactor->refused_logged_ns = now_ns;
        log_warn(reactor->log,
                 "cannot take further connections (%s): they wait until others close; raise the "
                 "limit of open files (ulimit -n) if this lasts",
                 strerror(error));
    }
}

static uint64_t login_timeout_ns(const struct reactor *reactor)
{
    return atomic_load_explicit(&reactor->login_timeout_ns, memory_order_relaxed);
}

/* Gives a connection that is not trusted yet the time to change that. */
static void set_deadline(struct reactor *reactor, struct connection *connection)
{
    if (connection->trusted != 0)
        return;
    connection->deadline_ns = clock_now_ns() + login_timeout_ns(reactor);
    if (connection->deadline_ns < reactor->strangers_until_ns)
        reactor->strangers_until_ns = connection->deadline_ns;
}

static bool begin_connection(struct reactor *reactor, const struct listener *listener, int fd,
                             struct job_batch *batch)
{
    struct connection *connection =
        connection_new(fd, ++reactor->last_id, listener, &reactor->service);
    if (connection == NULL) {
        (void)close(fd);
        return false;
    }
    log_debug(reactor->log, "accepted a connection (descriptor %d)", fd);
    set_deadline(reactor, connection);
    if (reactor->service.blocking) {
        connection->state = CONNECTION_QUEUED;
        connection_set_add(reactor->connections, connection);
        batch_add(batch, connection, false);
        return true;
    }
    connection_set_add(reactor->connections, connection);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = connection};
    if (epoll_ctl(reactor->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        connection_set_close(reactor->connections, connection);
        connection_free(connection);
        return false;
    }
    return true;
}

static uint64_t count_open(const struct reactor *reactor)
{
    uint64_t open;
    uint64_t accepted;
    connection_set_count(reactor->connections, &open, &accepted);
    return open;
}

static bool is_full(const struct reactor *reactor, uint64_t open)
{
    uint64_t most = atomic_load_explicit(&reactor->limits->clients_max, memory_order_relaxed);
    return most != 0 && open >= most;
}

static bool has_waiting(const struct listener *listener)
{
    struct pollfd waiting = {.fd = listener->fd, .events = POLLIN};
    return poll(&waiting, 1, 0) != 0;
}

/* Takes what waits at a listener. False: none can be taken at the moment. */
static bool accept_from(struct reactor *reactor, struct listener *listener, struct job_batch *batch)
{
    for (uint32_t i = 0; i < ACCEPT_BATCH_MAX; i++) {
        uint64_t open = count_open(reactor);
        if (open >= reactor->connections_most) {
            if (!has_waiting(listener)) {
                listener->ready = false;
                return true;
            }
            pause_accepting(reactor, EMFILE);
            return false;
        }
        int fd = listener_accept(listener);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            listener->ready = false;
            return true;
        }
        if (fd < 0) {
            pause_accepting(reactor, errno);
            return false;
        }
        if (is_full(reactor, open)) {
            limits_refuse_client(reactor->limits, listener->tls ? -1 : fd);
            (void)close(fd);
            continue;
        }
        if (!begin_connection(reactor, listener, fd, batch)) {
            pause_accepting(reactor, ENOMEM);
            return false;
        }
    }
    reactor->accept_ready = true; /* more may wait */
    return true;
}

static void accept_waiting(struct reactor *reactor, struct job_batch *batch)
{
    reactor->accept_paused = false;
    reactor->accept_ready = false;
    if (atomic_load_explicit(&reactor->accepting, memory_order_relaxed) == 0)
        return;
    for (uint32_t i = 0; i < reactor->listeners->count; i++) {
        struct listener *listener = &reactor->listeners->items[i];
        if (listener->ready && !accept_from(reactor, listener, batch)) {
            reactor->accept_ready = true; /* it, and those behind it, after the pause */
            return;
        }
    }
}

/* ---- polling ------------------------------------------------------------------------------ */

/* Cuts off those that had their time to log in. */
static void cut_strangers(struct reactor *reactor)
{
    uint32_t count;
    if (reactor->strangers_until_ns == UINT64_MAX)
        return;
    uint64_t now_ns = clock_now_ns();
    if (now_ns < reactor->strangers_until_ns)
        return;
    reactor->strangers_until_ns =
        connection_set_cut_strangers(reactor->connections, now_ns, &count);
    (void)atomic_fetch_add_explicit(&reactor->login_timeouts, count, memory_order_relaxed);
    if (count > 0)
        log_info(reactor->log, "cutting off %u connections that did not log in within %llu ms",
                 count, (unsigned long long)(login_timeout_ns(reactor) / NS_PER_MS));
}

/* The time until the next one is cut off, if that is less than least_ns. */
static int64_t until_strangers(const struct reactor *reactor, int64_t least_ns)
{
    if (reactor->strangers_until_ns == UINT64_MAX)
        return least_ns;
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ns =
        reactor->strangers_until_ns > now_ns ? reactor->strangers_until_ns - now_ns : 0;
    return left_ns < (uint64_t)least_ns ? (int64_t)left_ns : least_ns;
}

/* Ends the connections whose time ran out, if it is time to look. */
static void sweep(struct reactor *reactor, uint64_t now_ns)
{
    if (now_ns < limits_next_sweep_ns(reactor->limits))
        return;
    reactor->limits->swept_ns = now_ns;
    connection_set_expire(reactor->connections, reactor->limits, now_ns);
}

/* The time until the next sweep, if that is less than least_ns. */
static int64_t until_sweep(const struct reactor *reactor, int64_t least_ns)
{
    atomic_store(&reactor->limits->asleep, 1); /* limits.c, I1 */
    uint64_t next_ns = limits_next_sweep_ns(reactor->limits);
    if (next_ns == UINT64_MAX)
        return least_ns;
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ns = next_ns > now_ns ? next_ns - now_ns : 0;
    return left_ns < (uint64_t)least_ns ? (int64_t)left_ns : least_ns;
}

/* epoll_wait's timeout in ms: what was asked for, or less where something waits here. */
static int poll_timeout_ms(const struct reactor *reactor, int64_t timeout_ns)
{
    if (reactor->accept_ready && !reactor->accept_paused)
        return 0;
    int64_t least_ns = timeout_ns < 0 ? INT64_MAX : timeout_ns;
    if (reactor->retry != NULL && least_ns > RETRY_NS)
        least_ns = RETRY_NS;
    if (reactor->accept_paused && least_ns > ACCEPT_PAUSE_NS)
        least_ns = ACCEPT_PAUSE_NS;
    least_ns = until_strangers(reactor, least_ns);
    if (least_ns > 0)
        least_ns = until_sweep(reactor, least_ns);
    if (least_ns == INT64_MAX)
        return -1;
    int64_t ms = (least_ns + (int64_t)NS_PER_MS - 1) / (int64_t)NS_PER_MS;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* The listener that an event is of; NULL: it is of a connection. */
static struct listener *listener_of(const struct reactor *reactor, const void *event_of)
{
    for (uint32_t i = 0; i < reactor->listeners->count; i++) {
        if (event_of == &reactor->listeners->items[i])
            return &reactor->listeners->items[i];
    }
    return NULL;
}

static void take_event(struct reactor *reactor, const struct epoll_event *event,
                       struct job_batch *batch)
{
    if (event->data.ptr == NULL)
        return; /* a wake-up; every write makes an edge, so the counter need not be read */
    struct listener *listener = listener_of(reactor, event->data.ptr);
    if (listener != NULL) {
        reactor->accept_ready = listener->ready = true;
    } else if (connection_note_events(event->data.ptr, event->events)) {
        struct connection *connection = event->data.ptr;
        connection->queued_ns = batch->now_ns;
        batch_add(batch, connection, false);
    }
}

int32_t reactor_poll(struct reactor *reactor, int64_t timeout_ns)
{
    struct epoll_event events[REACTOR_EVENTS_MAX];
    struct job_batch batch;
    batch.reactor = reactor;
    batch.count = batch.spawned = 0;
    free_closed(reactor); /* I2 */
    int count = epoll_wait(reactor->epoll_fd, events, REACTOR_EVENTS_MAX,
                           poll_timeout_ms(reactor, timeout_ns));
    batch.now_ns = clock_now_ns();
    atomic_store_explicit(&reactor->limits->asleep, 0, memory_order_relaxed);
    for (int i = 0; i < count; i++)
        take_event(reactor, &events[i], &batch);
    batch_add_waiting(&batch);
    cut_strangers(reactor);
    sweep(reactor, batch.now_ns);
    if (reactor->accept_ready &&
        (!reactor->accept_paused || clock_now_ns() >= reactor->accept_retry_ns))
        accept_waiting(reactor, &batch);
    batch_flush(&batch);
    return (int32_t)batch.spawned;
}
