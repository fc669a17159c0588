/*
 * Who may use the server: whether a password is wanted, whether one is right, and what happens to
 * those who get it wrong.
 *
 * Safe from any thread between access_init and access_deinit.
 */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/server.h>

#include "base/log.h"
#include "command/hooks.h"
#include "server/listeners.h"
#include "server/passwords.h"

#define ACCESS_ATTEMPTS_MAX 5u /* wrong passwords before a connection is closed */

/* What of kvs_server_config is about access. Views of it. */
struct access_config {
    const char *password; /* NULL: none */
    const char *password_file;
    bool no_auth;             /* listen elsewhere without a password */
    bool socket_no_auth;      /* Unix sockets need none */
    bool client_certificates; /* who comes in over TLS has shown a certificate that we trust */
};

struct access {
    /* Constant. */
    const struct log *log;

    pthread_mutex_t lock;
    struct passwords passwords; /* guarded by lock */
    uint64_t logged_ns;         /* when a wrong password was last logged; guarded by lock */
    uint64_t unlogged;          /* wrong ones since then; guarded by lock */

    /* Written under lock by a reload, read by whoever accepts: relaxed, a new connection may see
       either. */
    _Atomic uint32_t required;
    _Atomic uint32_t socket_no_auth;
    _Atomic uint64_t failures; /* wrong passwords since the start; relaxed */
};

/* Reads the passwords. KVS_OK, or what passwords_init gives; KVS_INVALID: no_auth with a password. A zeroed
   struct may be deinitialised. */
KVS_MUST_USE kvs_status access_init(struct access *access, const struct access_config *config,
                                    const struct log *log, struct kvs_error *err);
void access_deinit(struct access *access);

/* Reads the passwords again, and checks as access_check does. A failure changes nothing. Who is in stays in. */
KVS_MUST_USE kvs_status access_reload(struct access *access, const struct access_config *config,
                                      const struct listeners *listeners, struct kvs_error *err);

/* Checks that who can reach a listener from elsewhere must log in, or that no_auth was said. KVS_OK, or
   KVS_DENIED with a message that names the listener. Those whose address is not known yet are passed over. */
KVS_MUST_USE kvs_status access_check(const struct access *access,
                                     const struct access_config *config,
                                     const struct listeners *listeners, struct kvs_error *err);

/* True when a connection that comes in at this listener must log in first. */
static inline bool access_needed_at(const struct access *access, const struct listener *listener)
{
    return atomic_load_explicit(&access->required, memory_order_relaxed) != 0 &&
           !(atomic_load_explicit(&access->socket_no_auth, memory_order_relaxed) != 0 &&
             address_is_unix(&listener->address));
}

/* As hooks.authenticate and hooks.needs_password. The only user is "default". */
enum authentication access_authenticate(struct access *access, struct kvs_bytes user,
                                        struct kvs_bytes password);
bool access_needs_password(const struct access *access);

/* Notes a wrong password, the attempt-th one on its connection, and logs it (not more than a line a
   second). True: the connection must be closed. */
bool access_note_failure(struct access *access, uint32_t attempt, const char *peer);

#endif
