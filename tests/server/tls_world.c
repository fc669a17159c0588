/* See tls_world.h. */
#include "server/tls_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep_log(void *arg, uint32_t level, const char *message)
{
    struct tls_world *world = arg;
    (void)level;
    (void)pthread_mutex_lock(&world->lock);
    int size = snprintf(world->log + world->log_size, sizeof(world->log) - world->log_size, "%s\n",
                        message);
    if (size > 0 && world->log_size + (size_t)size < sizeof(world->log))
        world->log_size += (size_t)size;
    (void)pthread_mutex_unlock(&world->lock);
}

static void make_certificates(const char *folder)
{
    const struct certificate_order orders[] = {
        {.name = "ca", .is_ca = true},
        {.name = "server", .issuer = "ca", .alternatives = "IP:127.0.0.1,DNS:kvs.test"},
        {.name = "client", .issuer = "ca"},
        {.name = "other-ca", .is_ca = true},
        {.name = "other-client", .issuer = "other-ca"},
    };
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        certificate_make(folder, &orders[i]);
}

static bool has_started(void *arg)
{
    return tls_world_logged(arg, " listens on ") > 0;
}

/* The address of the listener with TLS, as the log has it. */
static void find_address(struct tls_world *world)
{
    const char *at = strstr(strstr(world->log, " listens on "), "tls:");
    assert_non_null(at);
    at += strlen("tls:");
    world->address = strndup(at, strcspn(at, ",;"));
    world->port = (uint16_t)strtoul(strrchr(world->address, ':') + 1, NULL, 10);
}

void tls_world_start(struct tls_world *world, const char *pool, struct kvs_server_config *config)
{
    memset(world, 0, sizeof(*world));
    (void)pthread_mutex_init(&world->lock, NULL);
    world->folder = temp_dir_new();
    make_certificates(world->folder);
    world->ca = certificate_path(world->folder, "ca");
    world->server_pem = certificate_path(world->folder, "server");
    world->server_key = certificate_key_path(world->folder, "server");
    config->engine = "test";
    config->pool = pool;
    if (config->threads == 0)
        config->threads = 2;
    static const char *const listen[] = {"tls:127.0.0.1:0"};
    config->listen = listen;
    config->listen_count = 1;
    if (config->tls_cert == NULL) {
        config->tls_cert = world->server_pem;
        config->tls_key = world->server_key;
    }
    config->log = keep_log;
    config->log_arg = world;
    fixture_start_config(&world->fixture, config);
    wait_until(has_started, world);
    find_address(world);
}

void tls_world_stop(struct tls_world *world)
{
    fixture_stop(&world->fixture);
    temp_dir_free(world->folder);
    free(world->address);
    free(world->ca);
    free(world->server_pem);
    free(world->server_key);
    (void)pthread_mutex_destroy(&world->lock);
}

unsigned tls_world_logged(struct tls_world *world, const char *part)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&world->lock);
    for (const char *at = world->log; (at = strstr(at, part)) != NULL; at++)
        count++;
    (void)pthread_mutex_unlock(&world->lock);
    return count;
}

struct kvs_client *tls_world_client(struct tls_world *world, const struct kvs_client_config *config)
{
    struct test_error error;
    struct kvs_client *client = NULL;
    struct kvs_client_config full = config != NULL ? *config : (struct kvs_client_config){0};
    test_error_init(&error);
    full.size = (uint32_t)sizeof(full);
    full.flags |= KVS_CLIENT_TLS;
    if (full.address == NULL)
        full.address = world->address;
    if (full.tls_ca == NULL)
        full.tls_ca = world->ca;
    assert_status(KVS_OK, kvs_client_new(&full, &client, &error.error), &error);
    return client;
}
