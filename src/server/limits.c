/*
 * See limits.h.
 *
 * I1  No wait is missed by a sleeping poller: the owner counts itself in `pressed` and then looks at
 *     `asleep`; the poller sets `asleep` and then looks at `pressed`. One of them sees the other.
 */
#include "server/limits.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "protocol/native.h"

#define SWEEP_MAX_NS   NS_PER_S         /* between two looks */
#define SWEEP_MIN_NS   (10 * NS_PER_MS) /* at least, however short the limits are */
#define PEEKED_BYTES   4096u            /* of a first request, so that closing does not reset */
#define SWEEP_FRACTION 4u               /* of the shortest limit: so much later it may be noticed */

static uint64_t value_of(const _Atomic uint64_t *field)
{
    return atomic_load_explicit(field, memory_order_relaxed);
}

uint64_t limits_timeout_ns(const struct limits *limits, enum limits_wait wait)
{
    switch (wait) {
    case LIMITS_WAIT_REQUEST:
        return value_of(&limits->idle_timeout_ns);
    case LIMITS_WAIT_REST:
        return value_of(&limits->request_timeout_ns);
    case LIMITS_WAIT_READER:
        return value_of(&limits->reader_timeout_ns);
    case LIMITS_WAIT_NOT:
    default:
        return 0;
    }
}

static bool is_pressed(uint32_t wait)
{
    return wait == LIMITS_WAIT_REST || wait == LIMITS_WAIT_READER;
}

bool limits_note(struct limits *limits, struct limits_watch *watch, enum limits_wait wait,
                 uint64_t received_ns)
{
    uint32_t before = atomic_load_explicit(&watch->wait, memory_order_relaxed);
    bool wake = false;
    if (is_pressed(wait)) {
        if (before != wait || watch->moved >= LIMITS_PROGRESS) {
            atomic_store_explicit(&watch->since_ns, clock_now_ns(), memory_order_relaxed);
            watch->moved = 0;
        }
    } else if (wait == LIMITS_WAIT_REQUEST) {
        atomic_store_explicit(&watch->since_ns, received_ns, memory_order_relaxed);
    }
    if (before == wait)
        return false;
    atomic_store_explicit(&watch->wait, wait, memory_order_relaxed);
    if (is_pressed(wait) && !is_pressed(before))
        wake = atomic_fetch_add(&limits->pressed, 1) == 0 && atomic_load(&limits->asleep) != 0;
    else if (!is_pressed(wait) && is_pressed(before))
        (void)atomic_fetch_sub(&limits->pressed, 1);
    return wake;
}

uint64_t limits_next_sweep_ns(const struct limits *limits)
{
    uint64_t shortest_ns = value_of(&limits->idle_timeout_ns);
    if (atomic_load(&limits->pressed) > 0) {
        uint64_t request_ns = value_of(&limits->request_timeout_ns);
        uint64_t reader_ns = value_of(&limits->reader_timeout_ns);
        if (request_ns != 0 && (shortest_ns == 0 || request_ns < shortest_ns))
            shortest_ns = request_ns;
        if (reader_ns != 0 && (shortest_ns == 0 || reader_ns < shortest_ns))
            shortest_ns = reader_ns;
    }
    if (shortest_ns == 0)
        return UINT64_MAX;
    uint64_t pause_ns = shortest_ns / SWEEP_FRACTION;
    if (pause_ns > SWEEP_MAX_NS)
        pause_ns = SWEEP_MAX_NS;
    if (pause_ns < SWEEP_MIN_NS)
        pause_ns = SWEEP_MIN_NS;
    return limits->swept_ns + pause_ns;
}

bool limits_is_over(struct limits *limits, struct limits_watch *watch, uint64_t now_ns)
{
    uint32_t wait = atomic_load_explicit(&watch->wait, memory_order_relaxed);
    uint64_t timeout_ns = limits_timeout_ns(limits, wait);
    uint64_t since_ns = value_of(&watch->since_ns);
    if (timeout_ns == 0 || since_ns == 0 || now_ns < since_ns || now_ns - since_ns < timeout_ns ||
        atomic_load_explicit(&watch->expired, memory_order_relaxed) != LIMITS_WAIT_NOT)
        return false;
    _Atomic uint64_t *counter = wait == LIMITS_WAIT_REQUEST ? &limits->idle_timeouts
                                : wait == LIMITS_WAIT_REST  ? &limits->request_timeouts
                                                            : &limits->reader_timeouts;
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    atomic_store_explicit(&watch->expired, wait, memory_order_relaxed);
    return true;
}

/* What the client speaks is known if its first request came along with it; of the others most speak the
   Redis protocol. */
void limits_refuse_client(struct limits *limits, int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    uint8_t request[PEEKED_BYTES];
    (void)atomic_fetch_add_explicit(&limits->clients_refused, 1, memory_order_relaxed);
    if (fd < 0)
        return;
    ssize_t received = recv(fd, request, sizeof(request), 0);
    if (received > 0 && request[0] == NATIVE_MAGIC_REQUEST) {
        uint8_t reply[NATIVE_HEADER_SIZE];
        native_encode_reply(reply, 0, KVS_BUSY, 0);
        (void)send(fd, reply, sizeof(reply), MSG_NOSIGNAL);
    } else {
        (void)send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
    }
}
