/* See tls_context.h. */
#include "server/tls_context.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "tls/tls_stream.h"

#define EXPIRY_WARNING_S 1209600 /* 14 days */

static void free_context(SSL_CTX **context)
{
    SSL_CTX_free(*context);
}

static kvs_status failed(const char *what, const char *path, struct kvs_error *err)
{
    char reason[128];
    tls_explain(reason, sizeof(reason));
    return kvs_error_set(err, KVS_INVALID, 0, "cannot use the %s %s: %s", what, path, reason);
}

/* A key with a pass phrase would make OpenSSL ask for it at the terminal. */
// NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL says what it takes
static int no_pass_phrase(char *to, int size, int writing, void *arg)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static void set_rules(SSL_CTX *context)
{
    (void)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    /* 1.3 knows no renegotiation; should that version ever be lowered, there is none either. A peer that goes
       without a good-bye has ended: what is cut short is no request. */
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* The output moves in memory between two tries; an idle connection keeps no buffers. */
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); /* a record by one system call */
    /* Connections live long: resuming is not worth what it would keep beyond a reload. */
    (void)SSL_CTX_set_num_tickets(context, 0);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
}

static kvs_status load_pair(SSL_CTX *context, const struct tls_config *config,
                            struct kvs_error *err)
{
    kvs_status status = secret_file_check(config->key, "the TLS key", err);
    if (status != KVS_OK)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, config->certificate) != 1)
        return failed("TLS certificate", config->certificate, err);
    if (SSL_CTX_use_PrivateKey_file(context, config->key, SSL_FILETYPE_PEM) != 1) {
        /* The commonest mistakes have errors of their own. */
        int reason = ERR_GET_REASON(ERR_peek_error());
        int library = ERR_GET_LIB(ERR_peek_error());
        if (library == ERR_LIB_X509 && reason == X509_R_KEY_VALUES_MISMATCH) {
            ERR_clear_error();
            return kvs_error_set(err, KVS_INVALID, 0,
                                 "the TLS key %s does not belong to the certificate %s",
                                 config->key, config->certificate);
        }
        return failed("TLS key", config->key, err);
    }
    return KVS_OK;
}

static kvs_status load_client_ca(SSL_CTX *context, const struct tls_config *config,
                                 struct kvs_error *err)
{
    if (SSL_CTX_load_verify_file(context, config->client_ca) != 1)
        return failed("CA of client certificates", config->client_ca, err);
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->client_ca);
    if (names == NULL)
        return failed("CA of client certificates", config->client_ca, err);
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(
        context, SSL_VERIFY_PEER | (config->client_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
        NULL);
    return KVS_OK;
}

/* Clients refuse an expired certificate with an error that does not name it; we can. */
static void warn_of_expiry(SSL_CTX *context, const struct tls_config *config, const struct log *log)
{
    time_t soon = time(NULL) + EXPIRY_WARNING_S;
    const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
    if (X509_cmp_current_time(end) < 0)
        log_warn(log, "the TLS certificate %s has expired: clients will refuse it",
                 config->certificate);
    else if (X509_cmp_time(end, &soon) < 0)
        log_warn(log, "the TLS certificate %s expires within 14 days", config->certificate);
    if (X509_cmp_current_time(X509_get0_notBefore(SSL_CTX_get0_certificate(context))) > 0)
        log_warn(log, "the TLS certificate %s is not valid yet: clients will refuse it",
                 config->certificate);
}

kvs_status tls_context_new(const struct tls_config *config, const struct log *log,
                           SSL_CTX **ret_context, struct kvs_error *err)
{
    if (config->certificate == NULL || config->key == NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "listening with TLS needs a certificate and its key: give --tls-cert "
                             "and --tls-key");
    ERR_clear_error();
    _cleanup_(free_context) SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL) {
        char reason[128];
        tls_explain(reason, sizeof(reason));
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "OpenSSL does not start: %s", reason);
    }
    set_rules(context);
    kvs_status status = load_pair(context, config, err);
    if (status == KVS_OK && config->client_ca != NULL)
        status = load_client_ca(context, config, err);
    if (status != KVS_OK)
        return status;
    warn_of_expiry(context, config, log);
    *ret_context = TAKE(context);
    return KVS_OK;
}
