/* See served.h. */
#include "classic/served.h"

#include <pthread.h>
#include <stdio.h>

#include <glib.h>
#include <kvs/plugin.h>

struct served {
    struct kvs_server *server;
    pthread_t thread;
    /* Written by the thread, read when it has been joined. */
    kvs_status status;
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};

static void log_line(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    if (level <= KVS_LOG_ERROR)
        (void)fprintf(stderr, "kvs-bench: the server says: %s\n", message);
}

static void *run_server(void *arg)
{
    struct served *served = arg;
    served->status = kvs_server_run(served->server, &served->error);
    return NULL;
}

kvs_status served_start(const struct kvs_server_config *config, struct served **ret_served,
                        struct kvs_error *err)
{
    struct served *served = g_new0(struct served, 1);
    struct kvs_server_config own = *config;
    served->error = (struct kvs_error)KVS_ERROR_INIT(served->message);
    own.size = (uint32_t)sizeof(own);
    own.address = "127.0.0.1:0";
    own.log = log_line;
    own.log_level = KVS_LOG_ERROR;
    kvs_status status = kvs_server_new(&own, &served->server, err);
    if (status == KVS_OK) {
        int code = pthread_create(&served->thread, NULL, run_server, served);
        if (code != 0)
            status = kvs_error_set(err, KVS_NO_MEMORY, code, "cannot make a thread: %s",
                                   g_strerror(code));
    }
    if (status != KVS_OK) {
        kvs_server_free(served->server);
        g_free(served);
        return status;
    }
    *ret_served = served;
    return KVS_OK;
}

uint16_t served_port(const struct served *served)
{
    return kvs_server_port(served->server);
}

kvs_status served_stop(struct served *served, struct kvs_error *err)
{
    if (served == NULL)
        return KVS_OK;
    kvs_server_stop(served->server);
    (void)pthread_join(served->thread, NULL);
    kvs_status status = served->status;
    if (status != KVS_OK)
        (void)kvs_error_set(err, status, served->error.os_errno, "%s", served->message);
    kvs_server_free(served->server);
    g_free(served);
    return status;
}
