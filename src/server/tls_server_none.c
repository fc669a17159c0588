/* See tls_server.h: a build without OpenSSL. */
#include "server/tls_server.h"

kvs_status tls_server_new(const struct tls_config *config, const struct log *log,
                          struct tls_server **ret_tls, struct kvs_error *err)
{
    (void)config;
    (void)log;
    (void)ret_tls;
    return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                         "this kvs-server was built without TLS: build it with OpenSSL "
                         "(meson setup -Dtls=enabled), or do not listen at tls:...");
}

kvs_status tls_server_reload(struct tls_server *tls, const struct tls_config *config,
                             struct kvs_error *err)
{
    (void)tls;
    (void)config;
    return kvs_error_set(err, KVS_UNSUPPORTED, 0, "this kvs-server was built without TLS");
}

kvs_status tls_server_begin(struct tls_server *tls, struct transport *transport)
{
    (void)tls;
    (void)transport;
    return KVS_UNSUPPORTED;
}

struct tls_figures tls_server_count(const struct tls_server *tls)
{
    (void)tls;
    return (struct tls_figures){0};
}

void tls_server_free(struct tls_server *tls)
{
    (void)tls;
}
