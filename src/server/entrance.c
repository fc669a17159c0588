/* See entrance.h. */
#include "server/entrance.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 8192u /* bytes of all addresses; what is longer is compared up to there */

static bool wants_tls(const struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].tls)
            return true;
    }
    return false;
}

/* Certificates that no address would show: then clients that are meant to use TLS would not. */
static kvs_status check_tls_use(const struct entrance *entrance, const struct settings *settings,
                                struct kvs_error *err)
{
    const struct tls_config *tls = &settings->tls;
    if ((tls->certificate == NULL && tls->key == NULL && tls->client_ca == NULL) ||
        wants_tls(&entrance->listeners))
        return KVS_OK;
    return kvs_error_set(err, KVS_INVALID, 0,
                         "certificates are given, but no address speaks TLS: put tls: in front of "
                         "one, as --listen tls:127.0.0.1:4001");
}

/* The addresses as text of its own. NULL: out of memory. */
static char *describe(const struct listeners *listeners)
{
    char text[TEXT_MAX];
    listeners_format(listeners, text, sizeof(text));
    return strdup(text);
}

kvs_status entrance_init(struct entrance *entrance, const struct settings *settings,
                         const struct log *log, struct kvs_error *err)
{
    const struct kvs_server_config *config = settings->config;
    kvs_status status = listeners_init(&entrance->listeners, config->address, config->listen,
                                       config->listen_count, err);
    if (status == KVS_OK && (entrance->configured = describe(&entrance->listeners)) == NULL)
        status = kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    if (status == KVS_OK)
        status = access_init(&entrance->access, &settings->access, log, err);
    if (status == KVS_OK)
        status = access_check(&entrance->access, &settings->access, &entrance->listeners, err);
    /* Where no address is named a service manager may hand down one that does. */
    if (status == KVS_OK && (config->address != NULL || config->listen_count > 0))
        status = check_tls_use(entrance, settings, err);
    if (status == KVS_OK && wants_tls(&entrance->listeners))
        status = tls_server_new(&settings->tls, log, &entrance->tls, err);
    return status;
}

kvs_status entrance_open(struct entrance *entrance, const struct settings *settings,
                         struct kvs_error *err)
{
    kvs_status status = check_tls_use(entrance, settings, err);
    if (status == KVS_OK)
        status = listeners_open(&entrance->listeners, settings->socket_mode, err);
    /* Again: only now it is known where those listen that were handed down. */
    if (status == KVS_OK)
        status = access_check(&entrance->access, &settings->access, &entrance->listeners, err);
    return status;
}

kvs_status entrance_reload(struct entrance *entrance, const struct settings *settings,
                           struct kvs_error *err)
{
    /* First on trial, so that a mistake in one thing leaves the other as it was. */
    struct access trial;
    kvs_status status = access_init(&trial, &settings->access, entrance->access.log, err);
    if (status == KVS_OK)
        status = access_check(&trial, &settings->access, &entrance->listeners, err);
    access_deinit(&trial);
    if (status == KVS_OK && entrance->tls != NULL)
        status = tls_server_reload(entrance->tls, &settings->tls, err);
    if (status == KVS_OK)
        status = access_reload(&entrance->access, &settings->access, &entrance->listeners, err);
    return status;
}

bool entrance_is_elsewhere(const struct entrance *entrance, const struct settings *settings)
{
    const struct kvs_server_config *config = settings->config;
    struct listeners listeners = {0};
    char *text = NULL;
    if (listeners_init(&listeners, config->address, config->listen, config->listen_count, NULL) ==
        KVS_OK)
        text = describe(&listeners);
    bool elsewhere = text == NULL || strcmp(text, entrance->configured) != 0;
    listeners_deinit(&listeners);
    free(text);
    return elsewhere;
}

void entrance_log_advice(const struct entrance *entrance, const struct log *log)
{
    for (uint32_t i = 0; i < entrance->listeners.count; i++) {
        const struct listener *listener = &entrance->listeners.items[i];
        char text[LISTENER_TEXT_MAX];
        if (listener->tls || address_is_local(&listener->address) ||
            !access_needs_password(&entrance->access))
            continue;
        listener_format(listener, text);
        log_warn(
            log,
            "passwords and data cross the network as they are at %s: listen at " LISTENER_TLS_PREFIX
            "%s unless the network itself is encrypted",
            text, text);
    }
}

void entrance_deinit(struct entrance *entrance)
{
    listeners_deinit(&entrance->listeners);
    access_deinit(&entrance->access);
    tls_server_free(entrance->tls);
    free(entrance->configured);
    entrance->tls = NULL;
    entrance->configured = NULL;
}
