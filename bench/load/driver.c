/*
 * See driver.h.
 *
 * Closed loop: a link that has all its replies gets its next pipeline at once. Open loop: requests
 * are due at fixed times, whether or not the server keeps up; whatever is due goes to a link that is
 * idle, up to plan->pipeline at once, and if none is, it waits, and its latency counts from the time
 * when it was due. So a server that stalls is charged for all who would have come meanwhile.
 *
 * I1 Every link is in exactly one place: on the idle stack, or it has replies outstanding.
 * I2 A link has interest in being writable exactly while it has bytes unsent.
 */
#include "load/driver.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include <glib.h>

#include "base/clock.h"

#define EVENTS_MAX     256
#define WAIT_MAX_NS    (20 * NS_PER_MS) /* so that a stop is seen */
#define REPLY_LIMIT_NS (30 * NS_PER_S)  /* how long outstanding replies are waited for */

static uint64_t thread_cpu_ns(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * NS_PER_S + (uint64_t)spent.tv_nsec;
}

void driver_init(struct driver *driver, const struct plan *plan, uint32_t number,
                 _Atomic bool *stop)
{
    *driver = (struct driver){
        .plan = plan,
        .number = number,
        .stop = stop,
        .epoll_fd = -1,
        .link_count = plan->connections / plan->threads +
                      (number < plan->connections % plan->threads ? 1 : 0),
    };
    driver->error = (struct kvs_error)KVS_ERROR_INIT(driver->message);
    driver->links = g_new0(struct link, driver->link_count);
    driver->idle = g_new0(struct link *, driver->link_count);
    for (uint32_t i = 0; i < WIRE_COMMAND_COUNT; i++)
        histogram_init(&driver->tally.latency[i]);
    histogram_init(&driver->tally.lag);
    link_kit_init(&driver->kit, plan, &driver->tally);
    draw_init(&driver->draw, plan, number);
}

void driver_deinit(struct driver *driver)
{
    for (uint32_t i = 0; i < driver->link_count; i++)
        link_close(&driver->links[i]);
    if (driver->epoll_fd >= 0)
        (void)close(driver->epoll_fd);
    g_free(driver->links);
    g_free(driver->idle);
    link_kit_deinit(&driver->kit);
    draw_deinit(&driver->draw);
}

static bool stopped(const struct driver *driver)
{
    return atomic_load_explicit(driver->stop, memory_order_relaxed);
}

/* Notes a fault (the first one counts) and lets everybody stop. */
static void fail(struct driver *driver, kvs_status status)
{
    if (driver->status == KVS_OK)
        driver->status = status;
    atomic_store_explicit(driver->stop, true, memory_order_relaxed);
}

/* Registers a link, or changes what it waits for. */
static void watch(struct driver *driver, struct link *link, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = link}};
    if (epoll_ctl(driver->epoll_fd, operation, link->fd, &event) != 0)
        fail(driver, kvs_error_set(&driver->error, KVS_IO, errno, "cannot watch a socket: %s",
                                   g_strerror(errno)));
}

void driver_connect(struct driver *driver)
{
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* open loop: be on time */
    driver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (driver->epoll_fd < 0) {
        fail(driver, kvs_error_set(&driver->error, KVS_IO, errno, "cannot make an epoll: %s",
                                   g_strerror(errno)));
        return;
    }
    kvs_status read = link_kit_read_tls(&driver->kit, &driver->error);
    if (read != KVS_OK) {
        fail(driver, read);
        return;
    }
    for (uint32_t i = 0; i < driver->link_count && !stopped(driver); i++) {
        struct link *link = &driver->links[i];
        kvs_status status = link_open(link, &driver->kit, &driver->error);
        if (status != KVS_OK) {
            fail(driver, status);
            return;
        }
        watch(driver, link, EPOLL_CTL_ADD, EPOLLIN);
        driver->idle[driver->idle_count++] = link;
    }
}

/* What follows from the result of sending (I2). */
static void after_send(struct driver *driver, struct link *link, kvs_status status,
                       bool was_blocked)
{
    if (status == KVS_PENDING && !was_blocked) {
        driver->blocked_count++;
        watch(driver, link, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    } else if (status == KVS_OK && was_blocked) {
        driver->blocked_count--;
        watch(driver, link, EPOLL_CTL_MOD, EPOLLIN);
    } else if (status < 0) {
        fail(driver, status);
    }
}

static void send_next(struct driver *driver, struct link *link, bool prepared, uint64_t now_ns)
{
    if (tally_counts(&driver->tally, now_ns))
        driver->tally.sends++;
    after_send(driver, link, link_send(link, &driver->kit, prepared, &driver->error), false);
}

/* The first count slots are filled: off they go. */
static void start(struct driver *driver, struct link *link, uint32_t count, uint64_t now_ns)
{
    link->count = count;
    send_next(driver, link, false, now_ns);
}

/* Puts the second halves of the changes whose gets were answered into the first slots. */
static uint32_t fill_changes(struct link *link, uint64_t now_ns)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < link->count; i++) {
        if (link->slots[i].kind == DRAW_CHANGE)
            link->slots[count++] = (struct pipeline_slot){
                .start_ns = now_ns, .index = link->slots[i].index, .kind = DRAW_SET};
    }
    return count;
}

/* Draws requests into slots from count to limit, all beginning now; their count. */
static uint32_t fill_new(struct driver *driver, struct link *link, uint32_t count, uint32_t limit,
                         uint64_t now_ns)
{
    struct draw *draw = &driver->draw;
    const bool limited = driver->plan->requests != 0 && tally_counts(&driver->tally, now_ns);
    for (; count < limit; count++) {
        struct pipeline_slot *slot = &link->slots[count];
        slot->start_ns = now_ns;
        if (driver->preloading) {
            slot->kind = DRAW_SET;
            if (!draw_preload(draw, &slot->index))
                break;
        } else {
            if (limited && driver->left == 0)
                break;
            driver->left -= limited;
            slot->kind = draw_next(draw, &slot->index);
        }
    }
    return count;
}

/* While the servers answer there is time to make what is sent next, if nothing can change that. */
static void prepare(struct driver *driver)
{
    const struct plan *plan = driver->plan;
    if (driver->preloading || driver->kit.ready > 0 || plan->requests != 0 ||
        plan->mix.changes + plan->mix.inserts > 0)
        return;
    for (uint32_t i = 0; i < plan->pipeline; i++)
        driver->kit.slots[i].kind = draw_next(&driver->draw, &driver->kit.slots[i].index);
    link_kit_prepare(&driver->kit, plan->pipeline);
}

/* Closed loop: the next pipeline, or none any more. */
static void go_on(struct driver *driver, struct link *link, uint64_t now_ns)
{
    uint32_t limit = driver->preloading ? driver->kit.pipeline.capacity : driver->plan->pipeline;
    uint32_t count = 0;
    bool more = now_ns < driver->tally.end_ns && !stopped(driver);
    if (more && driver->kit.ready > 0) {
        link_take_prepared(link, &driver->kit, now_ns);
        send_next(driver, link, true, now_ns);
        return;
    }
    if (more)
        count = fill_new(driver, link, fill_changes(link, now_ns), limit, now_ns);
    if (count > 0) {
        start(driver, link, count, now_ns);
    } else {
        link->count = link->answered = 0;
        driver->idle[driver->idle_count++] = link;
    }
}

/* When request number n of this thread is due. */
static uint64_t due_ns(const struct driver *driver, uint64_t origin_ns, uint64_t n)
{
    const struct plan *plan = driver->plan;
    __extension__ unsigned __int128 offset = n;
    offset = (offset * plan->threads + driver->number) * NS_PER_S / plan->rate;
    return origin_ns + (uint64_t)offset;
}

/* Open loop: starts what is due on links that are idle. When the next one is due, or UINT64_MAX:
   a link must become idle first, or there is nothing more to begin. */
static uint64_t start_due(struct driver *driver, uint64_t origin_ns, uint64_t now_ns)
{
    uint64_t next_ns = due_ns(driver, origin_ns, driver->due_count);
    while (next_ns <= now_ns && driver->idle_count > 0) {
        if (next_ns >= driver->tally.end_ns)
            return UINT64_MAX;
        struct link *link = driver->idle[--driver->idle_count];
        uint32_t count = 0;
        for (; count < driver->plan->pipeline && next_ns <= now_ns; count++) {
            if (fill_new(driver, link, count, count + 1, next_ns) == count)
                break;
            next_ns = due_ns(driver, origin_ns, ++driver->due_count);
        }
        if (count == 0) {
            driver->idle[driver->idle_count++] = link;
            return UINT64_MAX;
        }
        if (tally_counts(&driver->tally, now_ns))
            histogram_record(&driver->tally.lag,
                             now_ns - MAX(link->slots[0].start_ns, driver->idle_since_ns));
        start(driver, link, count, now_ns);
    }
    return driver->idle_count > 0 ? next_ns : UINT64_MAX;
}

/* A link can be read, or written to. */
static void serve(struct driver *driver, struct link *link, uint32_t events)
{
    uint64_t now_ns;
    if ((events & EPOLLOUT) != 0)
        after_send(driver, link, link_flush(link, &driver->error), true);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    kvs_status status = link_receive(link, &driver->kit, &now_ns, &driver->error);
    if (status != KVS_OK) {
        fail(driver, status);
        return;
    }
    if (!link_is_idle(link) || link->count == 0)
        return;
    if (driver->plan->rate == 0 || driver->preloading) {
        go_on(driver, link, now_ns);
        return;
    }
    uint32_t changes = fill_changes(link, now_ns);
    if (changes > 0) {
        start(driver, link, changes, now_ns);
        return;
    }
    if (driver->idle_count == 0)
        driver->idle_since_ns = now_ns;
    driver->idle[driver->idle_count++] = link;
}

/* Notes the thread's CPU time when counting begins and when it ends. */
static void note_cpu(struct driver *driver, uint64_t now_ns, bool ended)
{
    if (driver->clock_begin_ns == 0 && now_ns >= driver->tally.begin_ns) {
        driver->clock_begin_ns = now_ns;
        driver->cpu_begin_ns = thread_cpu_ns();
    }
    if (driver->clock_end_ns == 0 && (ended || now_ns >= driver->tally.end_ns)) {
        driver->clock_end_ns = now_ns;
        driver->cpu_end_ns = thread_cpu_ns();
    }
}

/* Waits for events and serves them; gives the time after that. */
static uint64_t poll_once(struct driver *driver, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS_MAX];
    const struct timespec limit = {
        .tv_sec = (time_t)(wait_ns / NS_PER_S),
        .tv_nsec = (long)(wait_ns % NS_PER_S),
    };
    int count = epoll_pwait2(driver->epoll_fd, events, EVENTS_MAX, &limit, NULL);
    if (count < 0 && errno != EINTR)
        fail(driver,
             kvs_error_set(&driver->error, KVS_IO, errno, "cannot wait: %s", g_strerror(errno)));
    for (int i = 0; i < count && driver->status == KVS_OK; i++)
        serve(driver, events[i].data.ptr, events[i].events);
    uint64_t now_ns = clock_now_ns();
    if (count > 0 || driver->idle_count == driver->link_count)
        driver->moved_ns = now_ns;
    return now_ns;
}

/* Is there anything left to do or to wait for? */
static bool goes_on(struct driver *driver, uint64_t now_ns, bool more_due)
{
    if (driver->status != KVS_OK || stopped(driver))
        return false;
    if (driver->idle_count == driver->link_count)
        return more_due;
    if (now_ns - driver->moved_ns < REPLY_LIMIT_NS)
        return true;
    fail(driver, kvs_error_set(&driver->error, KVS_TIMEOUT, 0,
                               "%s: %u connections have waited for replies for %u s",
                               driver->plan->endpoint.text, driver->link_count - driver->idle_count,
                               (unsigned)(REPLY_LIMIT_NS / NS_PER_S)));
    return false;
}

/* Closed loop until nothing is outstanding any more. */
static void run_closed(struct driver *driver)
{
    uint64_t now_ns = driver->moved_ns = clock_now_ns();
    const uint32_t idle_count = driver->idle_count;
    driver->idle_count = 0; /* go_on puts those back that have nothing to do */
    for (uint32_t i = 0; i < idle_count && driver->status == KVS_OK; i++)
        go_on(driver, driver->idle[i], now_ns);
    note_cpu(driver, now_ns, false);
    while (goes_on(driver, now_ns, false)) {
        prepare(driver);
        now_ns = poll_once(driver, WAIT_MAX_NS);
        note_cpu(driver, now_ns, false);
    }
    note_cpu(driver, now_ns, true);
}

static void run_open(struct driver *driver)
{
    const uint64_t origin_ns = clock_now_ns();
    uint64_t now_ns = driver->moved_ns = origin_ns;
    uint64_t next_ns = 0;
    bool more = true;
    while (goes_on(driver, now_ns, more)) {
        if (more)
            next_ns = start_due(driver, origin_ns, now_ns);
        more = now_ns < driver->tally.end_ns && (driver->plan->requests == 0 || driver->left > 0);
        uint64_t wait_ns = WAIT_MAX_NS;
        if (more && next_ns != UINT64_MAX)
            wait_ns = next_ns > now_ns ? MIN(next_ns - now_ns, WAIT_MAX_NS) : 0;
        now_ns = poll_once(driver, wait_ns);
        note_cpu(driver, now_ns, false);
    }
    while (driver->tally.end_ns != UINT64_MAX &&
           due_ns(driver, origin_ns, driver->due_count + driver->late) < driver->tally.end_ns)
        driver->late++;
    note_cpu(driver, now_ns, true);
}

void driver_preload(struct driver *driver)
{
    if (!driver->plan->preload || driver->status != KVS_OK)
        return;
    driver->preloading = true;
    driver->tally.begin_ns = UINT64_MAX; /* nothing counts */
    driver->tally.end_ns = UINT64_MAX;
    run_closed(driver);
    driver->preloading = false;
    driver->clock_begin_ns = driver->clock_end_ns = 0;
    draw_rewind(&driver->draw);
}

void driver_run(struct driver *driver, uint64_t begin_ns, uint64_t end_ns)
{
    const struct plan *plan = driver->plan;
    driver->tally.begin_ns = begin_ns;
    driver->tally.end_ns = end_ns;
    driver->left =
        plan->requests / plan->threads + (driver->number < plan->requests % plan->threads ? 1 : 0);
    if (driver->status != KVS_OK)
        return;
    if (plan->rate == 0)
        run_closed(driver);
    else
        run_open(driver);
}
