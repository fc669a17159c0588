/*
 * The open connections of a server: how many there are, and how to end them all. Safe from any
 * thread.
 */
#ifndef SERVER_CONNECTION_SET_H
#define SERVER_CONNECTION_SET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/connection.h"

struct connection_set {
    pthread_mutex_t lock;
    pthread_cond_t emptied;   /* signalled when the last one is closed */
    struct connection *first; /* this and what follows is guarded by lock */
    uint64_t count;
    uint64_t accepted; /* since the start */
    bool ending;       /* connection_set_end_input was called */
    /* Those that have a time to become trusted in, the earliest first: all have the same. */
    struct connection *strangers_first;
    struct connection *strangers_last;
};

void connection_set_init(struct connection_set *set);
void connection_set_deinit(struct connection_set *set);

/* Adds one; its input is ended at once if that of the others was. A stranger (connection->deadline_ns is
   not 0) must be trusted by then; one with an earlier deadline than those
   before it (the timeout was shortened) is cut off with them. */
void connection_set_add(struct connection_set *set, struct connection *connection);

/* Cuts the strangers off whose time has run out. Gives the next deadline, UINT64_MAX: there is none, and
   how many were cut off. */
uint64_t connection_set_cut_strangers(struct connection_set *set, uint64_t now_ns,
                                      uint32_t *ret_count);

/* Ends the connections whose time ran out (limits.h): of those that do not read, all, and of the others the
   input, so that they are told. */
void connection_set_expire(struct connection_set *set, struct limits *limits, uint64_t now_ns);

/* Takes one out and closes its descriptor, in one step, so that the set never shuts down a
   descriptor that means something else by now. */
void connection_set_close(struct connection_set *set, struct connection *connection);

/* Lets every connection, also those to come, see the end of its input: what was received is still
   served and answered. */
void connection_set_end_input(struct connection_set *set);

/* Cuts every connection off, unsent replies included. */
void connection_set_cut(struct connection_set *set);

/* Shows the clients of all connections, the newest last, under the lock: visit calls nothing here. */
void connection_set_visit_clients(struct connection_set *set,
                                  void (*visit)(void *arg, struct client *client), void *arg);
/* Cuts off the connection of the client with this id. False: there is none. */
bool connection_set_cut_client(struct connection_set *set, uint64_t id);

/* Waits for the last one to close, for at most timeout_ns. True: none is left. */
bool connection_set_wait_empty(struct connection_set *set, uint64_t timeout_ns);

void connection_set_count(struct connection_set *set, uint64_t *ret_open, uint64_t *ret_accepted);

#endif
