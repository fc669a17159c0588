/* See client_tls.h. */
#include "client/client_tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "tls/tls_stream.h"

struct client_tls {
    SSL_CTX *context;
    char *server_name; /* owned; NULL: the IP counts */
    bool insecure;
};

struct client_stream {
    struct tls_stream tls;
};

static kvs_status failed(const char *what, const char *path, struct kvs_error *err)
{
    char reason[128];
    tls_explain(reason, sizeof(reason));
    return kvs_error_set(err, KVS_INVALID, 0, "cannot use the %s %s: %s", what, path, reason);
}

// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says what it takes
static int no_pass_phrase(char *to, int size, int writing, void *arg)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static kvs_status load_own(SSL_CTX *context, const struct client_tls_config *config,
                           struct kvs_error *err)
{
    if (config->certificate == NULL && config->key == NULL)
        return KVS_OK;
    if (config->certificate == NULL || config->key == NULL)
        return kvs_error_set(
            err, KVS_INVALID, 0,
            "a certificate and its key are only good together: give --cert and --key");
    kvs_status status = secret_file_check(config->key, "the TLS key", err);
    if (status != KVS_OK)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, config->certificate) != 1)
        return failed("TLS certificate", config->certificate, err);
    if (SSL_CTX_use_PrivateKey_file(context, config->key, SSL_FILETYPE_PEM) != 1)
        return failed("TLS key", config->key, err);
    return KVS_OK;
}

static kvs_status load_ca(SSL_CTX *context, const struct client_tls_config *config,
                          struct kvs_error *err)
{
    if (config->insecure)
        return KVS_OK;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (config->ca == NULL)
        return SSL_CTX_set_default_verify_paths(context) == 1
                   ? KVS_OK
                   : failed("CAs of the system", "(OpenSSL's)", err);
    return SSL_CTX_load_verify_file(context, config->ca) == 1 ? KVS_OK
                                                              : failed("CA", config->ca, err);
}

static kvs_status load(struct client_tls *tls, const struct client_tls_config *config,
                       struct kvs_error *err)
{
    SSL_CTX *context = tls->context;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    (void)SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
    kvs_status status = load_own(context, config, err);
    return status == KVS_OK ? load_ca(context, config, err) : status;
}

kvs_status client_tls_new(const struct client_tls_config *config, struct client_tls **ret_tls,
                          struct kvs_error *err)
{
    ERR_clear_error();
    struct client_tls *tls = calloc(1, sizeof(*tls));
    if (tls != NULL)
        tls->context = SSL_CTX_new(TLS_client_method());
    if (tls != NULL && config->server_name != NULL)
        tls->server_name = strdup(config->server_name);
    if (tls == NULL || tls->context == NULL ||
        (config->server_name != NULL && tls->server_name == NULL)) {
        client_tls_free(tls);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for TLS");
    }
    tls->insecure = config->insecure;
    kvs_status status = load(tls, config, err);
    if (status != KVS_OK) {
        client_tls_free(tls);
        return status;
    }
    *ret_tls = tls;
    return KVS_OK;
}

void client_tls_free(struct client_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls->server_name);
    free(tls);
}

/* Sets what the server's certificate must name. A Unix socket has no name of its own: the CA is enough. */
static bool set_expected_name(SSL *ssl, const struct client_tls *tls, const struct address *address)
{
    X509_VERIFY_PARAM *rules = SSL_get0_param(ssl);
    if (tls->server_name != NULL)
        return SSL_set_tlsext_host_name(ssl, tls->server_name) == 1 &&
               X509_VERIFY_PARAM_set1_host(rules, tls->server_name, 0) == 1;
    if (address->storage.ss_family == AF_INET)
        return X509_VERIFY_PARAM_set1_ip(
                   rules,
                   (const unsigned char *)&((const struct sockaddr_in *)&address->storage)
                       ->sin_addr,
                   4) == 1;
    if (address->storage.ss_family == AF_INET6)
        return X509_VERIFY_PARAM_set1_ip(
                   rules,
                   (const unsigned char *)&((const struct sockaddr_in6 *)&address->storage)
                       ->sin6_addr,
                   16) == 1;
    return true;
}

struct client_stream *client_stream_new(struct client_tls *tls, int fd,
                                        const struct address *address)
{
    struct client_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    if (tls_stream_init(&stream->tls, tls->context, fd, false) != KVS_OK) {
        free(stream);
        return NULL;
    }
    if (!tls->insecure && !set_expected_name(stream->tls.ssl, tls, address)) {
        ERR_clear_error();
        tls_stream_deinit(&stream->tls);
        free(stream);
        return NULL;
    }
    return stream;
}

void client_stream_free(struct client_stream *stream)
{
    if (stream == NULL)
        return;
    tls_stream_end_output(&stream->tls);
    tls_stream_deinit(&stream->tls);
    free(stream);
}

int client_stream_handshake(struct client_stream *stream)
{
    return tls_stream_handshake(&stream->tls);
}

ssize_t client_stream_read(struct client_stream *stream, void *to, size_t size)
{
    return tls_stream_read(&stream->tls, to, size);
}

ssize_t client_stream_write(struct client_stream *stream, const void *from, size_t size)
{
    return tls_stream_write(&stream->tls, from, size);
}

short client_stream_wanted(const struct client_stream *stream)
{
    return stream->tls.wanted;
}

bool client_stream_is_quiet(struct client_stream *stream)
{
    return tls_stream_is_quiet(&stream->tls);
}

const char *client_stream_reason(const struct client_stream *stream)
{
    return stream->tls.reason;
}
