/* See settings.h. */
#include "server/settings.h"

#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <kvs/engine.h>

#include "protocol/native.h"
#include "server/unix_socket.h"

#define DEFAULT_LOGIN_TIMEOUT_MS 10000u
#define DEFAULT_REQUEST_MAX      UINT64_C(134217728)
#define DEFAULT_REPLY_MAX        UINT64_C(268435456)
#define DEFAULT_STALL_TIMEOUT_MS UINT64_C(60000)
#define DEFAULT_POOL             "shared-queue"
#define DEFAULT_DATA_DIR         "kvs-data"

/* What the first callers knew of it. */
#define CONFIG_SIZE_MIN offsetof(struct kvs_server_config, listen)

static uint32_t limit_of(uint64_t configured, uint32_t most)
{
    return configured == 0 ? most : (uint32_t)configured;
}

/* With its default in place of 0, and 0 where no limit was asked for. */
static uint64_t bound_of(uint64_t configured, uint64_t by_default)
{
    return configured == 0 ? by_default : configured == UINT64_MAX ? 0 : configured;
}

static void take_client_limits(struct settings *settings, const struct kvs_server_config *config)
{
    settings->clients_max = bound_of(config->clients_max, 0);
    settings->request_max = bound_of(config->request_max, DEFAULT_REQUEST_MAX);
    settings->reply_max = bound_of(config->reply_max, DEFAULT_REPLY_MAX);
    settings->idle_timeout_ms = bound_of(config->idle_timeout_ms, 0);
    settings->request_timeout_ms = bound_of(config->request_timeout_ms, DEFAULT_STALL_TIMEOUT_MS);
    settings->reader_timeout_ms = bound_of(config->reader_timeout_ms, DEFAULT_STALL_TIMEOUT_MS);
}

kvs_status settings_check(struct settings *settings, const struct kvs_server_config *config,
                          struct kvs_error *err)
{
    if (config->size < CONFIG_SIZE_MIN)
        return kvs_error_set(
            err, KVS_INCOMPATIBLE, 0,
            "the server's configuration has %u bytes, and %zu at least are needed: set "
            "its size",
            config->size, CONFIG_SIZE_MIN);
    *settings = (struct settings){.config = &settings->copy};
    uint32_t size = config->size < sizeof(*config) ? config->size & ~7u : (uint32_t)sizeof(*config);
    memcpy(&settings->copy, config, size);
    config = &settings->copy;
    settings->engine = config->engine;
    settings->pool = config->pool != NULL ? config->pool : DEFAULT_POOL;
    settings->data_dir = config->data_dir != NULL ? config->data_dir : DEFAULT_DATA_DIR;
    settings->durability = config->durability != 0 ? config->durability : KVS_DURABILITY_ALWAYS;
    if (settings->durability > KVS_DURABILITY_NONE)
        return kvs_error_set(err, KVS_INVALID, 0, "durability mode %u does not exist",
                             settings->durability);
    if (settings->durability == KVS_DURABILITY_INTERVAL && config->sync_interval_ms == 0)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "the interval between syncs must be at least 1 ms");
    if (config->key_max > NATIVE_KEY_MAX || config->value_max > NATIVE_VALUE_MAX)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "keys can be limited to at most %u bytes and values to at most %u",
                             NATIVE_KEY_MAX, NATIVE_VALUE_MAX);
    settings->socket_mode =
        config->socket_mode != 0 ? config->socket_mode : UNIX_SOCKET_MODE_DEFAULT;
    if (settings->socket_mode > ALLPERMS)
        return kvs_error_set(err, KVS_INVALID, 0, "%o is no mode of a Unix socket",
                             settings->socket_mode);
    if (config->login_timeout_ms > UINT32_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "the time to log in is at most %u ms",
                             UINT32_MAX);
    settings->login_timeout_ms =
        config->login_timeout_ms != 0 ? config->login_timeout_ms : DEFAULT_LOGIN_TIMEOUT_MS;
    take_client_limits(settings, config);
    if (config->tls_client_optional != 0 && config->tls_client_ca == NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "no CA is given for the client certificates that are optional: add "
                             "--tls-client-ca");
    settings->access = (struct access_config){
        .password = config->password,
        .password_file = config->password_file,
        .no_auth = config->no_auth != 0,
        .socket_no_auth = config->socket_no_auth != 0,
        .client_certificates = config->tls_client_ca != NULL && config->tls_client_optional == 0,
    };
    settings->tls = (struct tls_config){
        .certificate = config->tls_cert,
        .key = config->tls_key,
        .client_ca = config->tls_client_ca,
        .client_optional = config->tls_client_optional != 0,
    };
    settings->limits.key_max = limit_of(config->key_max, NATIVE_KEY_MAX);
    settings->limits.value_max = limit_of(config->value_max, NATIVE_VALUE_MAX);
    return config->metrics_address != NULL
               ? address_parse(config->metrics_address, &settings->metrics_address, err)
               : KVS_OK;
}
