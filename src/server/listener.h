/*
 * A listening socket: where connections come from. It is written as an address of base/address.h, or
 * as "fd:N": a socket that listens already and was handed down to the process as descriptor N; with
 * "tls:" in front, what comes in speaks TLS.
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/address.h"
#include "server/unix_socket.h"

#define LISTENER_TLS_PREFIX "tls:"
#define LISTENER_TEXT_MAX   (ADDRESS_TEXT_MAX + 4u)

struct listener {
    /* Constant once open. */
    int fd;           /* non-blocking; -1: closed */
    int inherited_fd; /* "fd:N"; -1: none */
    struct address address;
    uint16_t port; /* the real one, also when address asked for any; 0: a Unix socket */
    bool tls;
    struct unix_socket file;

    /* The poller's. */
    bool ready; /* connections may wait */
};

/* Reads the text form into a closed listener. KVS_OK, or KVS_INVALID with a message that quotes it. */
KVS_MUST_USE kvs_status listener_parse(const char *text, struct listener *ret,
                                       struct kvs_error *err);

/*
 * Binds, without listening: a port in use shows before anything else is begun. socket_mode: of the file
 * of a Unix socket. KVS_OK; KVS_NETWORK (in use, no such address), KVS_DENIED (a privileged port), KVS_INVALID
 * (a descriptor that is no listening socket), or what unix_socket_bind gives.
 */
KVS_MUST_USE kvs_status listener_open(struct listener *listener, uint32_t socket_mode,
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

/* Writes the text form, terminated, with the real port. */
void listener_format(const struct listener *listener, char text[LISTENER_TEXT_MAX]);

/* Closes the socket and removes its file. A closed one is fine. */
void listener_close(struct listener *listener);

#endif
