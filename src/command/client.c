/* See client.h. */
#include "command/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void client_init(struct client *client, uint64_t id, int64_t now_ms, const char *address,
                 const char *local_address)
{
    memset(client, 0, sizeof(*client));
    client->id = id;
    client->created_ms = now_ms;
    (void)snprintf(client->address, sizeof(client->address), "%s", address != NULL ? address : "");
    (void)snprintf(client->local_address, sizeof(client->local_address), "%s",
                   local_address != NULL ? local_address : "");
    atomic_init(&client->resp_version, 2);
    atomic_init(&client->last_active_ms, now_ms);
    (void)pthread_mutex_init(&client->lock, NULL);
}

void client_deinit(struct client *client)
{
    free(client->name);
    free(client->library_name);
    free(client->library_version);
    (void)pthread_mutex_destroy(&client->lock);
}

kvs_status client_set_text(struct client *client, char **text, struct kvs_bytes value)
{
    const uint8_t *bytes = value.ptr;
    for (uint64_t i = 0; i < value.len; i++) {
        if (bytes[i] < '!' || bytes[i] > '~')
            return KVS_INVALID;
    }
    _cleanup_(freep) char *copy = NULL;
    if (value.len > 0) {
        copy = strndup(value.ptr, (size_t)value.len);
        if (copy == NULL)
            return KVS_NO_MEMORY;
    }
    (void)pthread_mutex_lock(&client->lock);
    char *old = *text;
    *text = TAKE(copy);
    (void)pthread_mutex_unlock(&client->lock);
    free(old);
    return KVS_OK;
}
