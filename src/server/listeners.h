/* All listening sockets of a server. Used by the thread that starts and ends it. */
#ifndef SERVER_LISTENERS_H
#define SERVER_LISTENERS_H

#include <stddef.h>

#include "server/listener.h"

struct listeners {
    struct listener *items; /* owned */
    uint32_t count;
};

/* Reads the text forms, `first` (may be NULL) and then count others, into closed listeners; with none
   at all, the default address. KVS_OK, KVS_INVALID, KVS_NO_MEMORY. Free with listeners_deinit either way. */
KVS_MUST_USE kvs_status listeners_init(struct listeners *listeners, const char *first,
                                       const char *const *others, uint32_t count,
                                       struct kvs_error *err);

/* As listener_open and listener_listen, of all; the first failure counts. */
KVS_MUST_USE kvs_status listeners_open(struct listeners *listeners, uint32_t socket_mode,
                                       struct kvs_error *err);
KVS_MUST_USE kvs_status listeners_listen(struct listeners *listeners, uint32_t backlog,
                                         struct kvs_error *err);

/* The real port of the first one that has a port; 0: none has. */
uint16_t listeners_port(const struct listeners *listeners);

/* Writes the text forms, separated by ", ", as many as fit. Terminated. */
void listeners_format(const struct listeners *listeners, char *text, size_t size);

/* Closes them all. */
void listeners_close(struct listeners *listeners);
/* Closes and frees. A zeroed one is fine. */
void listeners_deinit(struct listeners *listeners);

#endif
