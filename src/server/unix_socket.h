/*
 * The file of a listening Unix socket: made with its mode from the start, replaced only when nobody
 * listens on what is there, removed by who made it.
 */
#ifndef SERVER_UNIX_SOCKET_H
#define SERVER_UNIX_SOCKET_H

#include <stdint.h>
#include <sys/stat.h>

#include <kvs/types.h>

#include "base/address.h"

#define UNIX_SOCKET_MODE_DEFAULT 0600u

struct unix_socket {
    char *path; /* owned; NULL: no file */
    char *lock_path;
    int lock_fd;      /* holds the lock of lock_path */
    struct stat made; /* the file, so that no other is removed */
};

/*
 * Binds fd, a Unix stream socket, to the address's path. mode: the permissions of the file; who may
 * write to it may connect.
 * KVS_OK; KVS_LOCKED (somebody listens there), KVS_DENIED (the folder or what is there is not ours to
 * use), KVS_INVALID (what is there is no socket), KVS_NETWORK; then nothing has changed.
 */
KVS_MUST_USE kvs_status unix_socket_bind(struct unix_socket *file, int fd,
                                         const struct address *address, uint32_t mode,
                                         struct kvs_error *err);

/* Removes the file, if it is still that one. A zeroed or removed one is fine. */
void unix_socket_remove(struct unix_socket *file);

#endif
