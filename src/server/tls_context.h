/* A server's certificates and rules as OpenSSL's context. */
#ifndef SERVER_TLS_CONTEXT_H
#define SERVER_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "server/tls_server.h"

/* Makes one; free it with SSL_CTX_free. Errors as tls_server_new. Logs what is good but will not be for
   long. */
KVS_MUST_USE kvs_status tls_context_new(const struct tls_config *config, const struct log *log,
                                        SSL_CTX **ret_context, struct kvs_error *err);

#endif
