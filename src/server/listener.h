/* The listening socket: where connections come from. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdint.h>

#include <kvs/types.h>

#include "base/address.h"

struct listener {
    int fd; /* non-blocking; -1: closed */
    struct address address;
    uint16_t port; /* the real one, also when address asked for any */
};

/* Binds, without listening: a port in use shows before anything else is begun. KVS_OK; KVS_NETWORK
   (in use, no such address), KVS_DENIED (a privileged port). */
KVS_MUST_USE kvs_status listener_open(struct listener *listener, const struct address *address,
                                      struct kvs_error *err);

/* Lets connections queue up, backlog of them. */
KVS_MUST_USE kvs_status listener_listen(struct listener *listener, uint32_t backlog,
                                        struct kvs_error *err);

/*
 * Takes one connection: its non-blocking socket, or -1 with errno (EAGAIN: none waits; EMFILE,
 * ENFILE, ENOBUFS, ENOMEM: none can be taken now). Failures of the connection itself are passed
 * over.
 */
int listener_accept(const struct listener *listener);

void listener_close(struct listener *listener);

#endif
