/* How clients come in: where the server listens, whom it lets in, and the TLS they speak. Used by the thread that
   starts and ends the server, and reloaded from any. */
#ifndef SERVER_ENTRANCE_H
#define SERVER_ENTRANCE_H

#include <stdbool.h>

#include "server/access.h"
#include "server/listeners.h"
#include "server/settings.h"
#include "server/tls_server.h"

struct entrance {
    struct listeners listeners;
    struct access access;
    struct tls_server *tls; /* owned; NULL: no listener speaks TLS */
    char *configured;       /* owned; where it was told to listen, as text */
};

/* Checks addresses, passwords and certificates, and opens nothing. KVS_OK, or what listeners_init, access_init,
   access_check and tls_server_new give. log must outlive it. Free with entrance_deinit either way. */
KVS_MUST_USE kvs_status entrance_init(struct entrance *entrance, const struct settings *settings,
                                      const struct log *log, struct kvs_error *err);

/* Binds all addresses, without listening yet. */
KVS_MUST_USE kvs_status entrance_open(struct entrance *entrance, const struct settings *settings,
                                      struct kvs_error *err);

/* Reads passwords and certificates again, for connections to come. A failure changes nothing. */
KVS_MUST_USE kvs_status entrance_reload(struct entrance *entrance, const struct settings *settings,
                                        struct kvs_error *err);

/* True when the settings name other addresses than those that it was made with. */
bool entrance_is_elsewhere(const struct entrance *entrance, const struct settings *settings);

/* Says in the log what an operator may not have meant. */
void entrance_log_advice(const struct entrance *entrance, const struct log *log);

/* Closes and frees; no connection is left. A zeroed one is fine. */
void entrance_deinit(struct entrance *entrance);

#endif
