/* See connection_set.h. A list behind a lock, touched when a connection begins and ends, never by a
   request. */
#include "server/connection_set.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

void connection_set_init(struct connection_set *set)
{
    memset(set, 0, sizeof(*set));
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&set->emptied, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&set->lock, NULL);
}

void connection_set_deinit(struct connection_set *set)
{
    (void)pthread_cond_destroy(&set->emptied);
    (void)pthread_mutex_destroy(&set->lock);
}

static void stranger_add(struct connection_set *set, struct connection *connection)
{
    connection->stranger_previous = set->strangers_last;
    if (set->strangers_last != NULL)
        set->strangers_last->stranger_next = connection;
    else
        set->strangers_first = connection;
    set->strangers_last = connection;
}

static void stranger_remove(struct connection_set *set, struct connection *connection)
{
    struct connection *previous = connection->stranger_previous;
    struct connection *next = connection->stranger_next;
    if (previous != NULL)
        previous->stranger_next = next;
    else
        set->strangers_first = next;
    if (next != NULL)
        next->stranger_previous = previous;
    else
        set->strangers_last = previous;
    connection->stranger_previous = connection->stranger_next = NULL;
    connection->deadline_ns = 0;
}

uint64_t connection_set_cut_strangers(struct connection_set *set, uint64_t now_ns,
                                      uint32_t *ret_count)
{
    uint64_t next_ns = UINT64_MAX;
    uint32_t count = 0;
    (void)pthread_mutex_lock(&set->lock);
    while (set->strangers_first != NULL) {
        struct connection *first = set->strangers_first;
        bool trusted = atomic_load_explicit(&first->trusted, memory_order_relaxed) != 0;
        if (!trusted && first->deadline_ns > now_ns) {
            next_ns = first->deadline_ns;
            break;
        }
        if (!trusted) {
            (void)shutdown(first->transport.fd, SHUT_RDWR);
            count++;
        }
        stranger_remove(set, first);
    }
    (void)pthread_mutex_unlock(&set->lock);
    *ret_count = count;
    return next_ns;
}

void connection_set_expire(struct connection_set *set, struct limits *limits, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&set->lock);
    for (struct connection *each = set->first; each != NULL; each = each->next) {
        if (!limits_is_over(limits, &each->watch, now_ns))
            continue;
        bool reads_nothing =
            atomic_load_explicit(&each->watch.expired, memory_order_relaxed) == LIMITS_WAIT_READER;
        (void)shutdown(each->transport.fd, reads_nothing ? SHUT_RDWR : SHUT_RD);
    }
    (void)pthread_mutex_unlock(&set->lock);
}

void connection_set_add(struct connection_set *set, struct connection *connection)
{
    (void)pthread_mutex_lock(&set->lock);
    connection->previous = NULL;
    connection->next = set->first;
    if (connection->next != NULL)
        connection->next->previous = connection;
    set->first = connection;
    set->count++;
    set->accepted++;
    if (connection->deadline_ns != 0)
        stranger_add(set, connection);
    if (set->ending)
        (void)shutdown(connection->transport.fd, SHUT_RD);
    (void)pthread_mutex_unlock(&set->lock);
}

void connection_set_close(struct connection_set *set, struct connection *connection)
{
    (void)pthread_mutex_lock(&set->lock);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        set->first = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    if (connection->deadline_ns != 0)
        stranger_remove(set, connection);
    (void)close(connection->transport.fd);
    if (--set->count == 0)
        (void)pthread_cond_broadcast(&set->emptied);
    (void)pthread_mutex_unlock(&set->lock);
}

void connection_set_end_input(struct connection_set *set)
{
    (void)pthread_mutex_lock(&set->lock);
    set->ending = true;
    for (struct connection *each = set->first; each != NULL; each = each->next)
        (void)shutdown(each->transport.fd, SHUT_RD);
    (void)pthread_mutex_unlock(&set->lock);
}

void connection_set_cut(struct connection_set *set)
{
    (void)pthread_mutex_lock(&set->lock);
    for (struct connection *each = set->first; each != NULL; each = each->next)
        (void)shutdown(each->transport.fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&set->lock);
}

void connection_set_visit_clients(struct connection_set *set,
                                  void (*visit)(void *arg, struct client *client), void *arg)
{
    (void)pthread_mutex_lock(&set->lock);
    struct connection *each = set->first;
    while (each != NULL && each->next != NULL)
        each = each->next;
    for (; each != NULL; each = each->previous)
        visit(arg, &each->session.client);
    (void)pthread_mutex_unlock(&set->lock);
}

bool connection_set_cut_client(struct connection_set *set, uint64_t id)
{
    (void)pthread_mutex_lock(&set->lock);
    struct connection *each = set->first;
    while (each != NULL && each->session.client.id != id)
        each = each->next;
    if (each != NULL)
        (void)shutdown(each->transport.fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&set->lock);
    return each != NULL;
}

bool connection_set_wait_empty(struct connection_set *set, uint64_t timeout_ns)
{
    uint64_t deadline = clock_now_ns() + timeout_ns;
    struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
    (void)pthread_mutex_lock(&set->lock);
    while (set->count > 0) {
        if (pthread_cond_timedwait(&set->emptied, &set->lock, &until) != 0)
            break;
    }
    bool empty = set->count == 0;
    (void)pthread_mutex_unlock(&set->lock);
    return empty;
}

void connection_set_count(struct connection_set *set, uint64_t *ret_open, uint64_t *ret_accepted)
{
    (void)pthread_mutex_lock(&set->lock);
    *ret_open = set->count;
    *ret_accepted = set->accepted;
    (void)pthread_mutex_unlock(&set->lock);
}
