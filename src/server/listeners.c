/* See listeners.h. */
#include "server/listeners.h"

#include <stdio.h>
#include <stdlib.h>

kvs_status listeners_init(struct listeners *listeners, const char *first, const char *const *others,
                          uint32_t count, struct kvs_error *err)
{
    if (first == NULL && count == 0)
        first = ADDRESS_DEFAULT;
    *listeners = (struct listeners){.items = calloc((size_t)count + 1, sizeof(*listeners->items))};
    if (listeners->items == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    if (first != NULL) {
        kvs_status status = listener_parse(first, &listeners->items[0], err);
        if (status != KVS_OK)
            return status;
        listeners->count = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        kvs_status status = listener_parse(others[i], &listeners->items[listeners->count], err);
        if (status != KVS_OK)
            return status;
        listeners->count++;
    }
    return KVS_OK;
}

kvs_status listeners_open(struct listeners *listeners, uint32_t socket_mode, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < listeners->count && status == KVS_OK; i++)
        status = listener_open(&listeners->items[i], socket_mode, err);
    return status;
}

kvs_status listeners_listen(struct listeners *listeners, uint32_t backlog, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < listeners->count && status == KVS_OK; i++)
        status = listener_listen(&listeners->items[i], backlog, err);
    return status;
}

uint16_t listeners_port(const struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].port != 0)
            return listeners->items[i].port;
    }
    return 0;
}

void listeners_format(const struct listeners *listeners, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < listeners->count && used < size; i++) {
        char each[LISTENER_TEXT_MAX];
        listener_format(&listeners->items[i], each);
        int written = snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", each);
        used += (size_t)written;
    }
}

void listeners_close(struct listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        listener_close(&listeners->items[i]);
}

void listeners_deinit(struct listeners *listeners)
{
    listeners_close(listeners);
    free(listeners->items);
    *listeners = (struct listeners){0};
}
