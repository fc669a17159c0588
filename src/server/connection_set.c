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
