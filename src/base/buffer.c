/* See buffer.h. Memory grows by powers of two from BUFFER_MIN, so that appending is amortised. */
#include "base/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_MIN ((size_t)256)

void buffer_deinit(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static kvs_status buffer_grow(struct buffer *buffer, size_t needed)
{
    size_t cap = buffer->cap < BUFFER_MIN ? BUFFER_MIN : buffer->cap;
    while (cap < needed) {
        if (cap > SIZE_MAX / 2)
            return KVS_NO_MEMORY;
        cap *= 2;
    }
    uint8_t *data = malloc(cap);
    if (data == NULL)
        return KVS_NO_MEMORY;
    size_t size = buffer_size(buffer);
    if (size > 0)
        memcpy(data, buffer_content(buffer), size);
    free(buffer->data);
    *buffer = (struct buffer){.data = data, .start = 0, .end = size, .cap = cap};
    return KVS_OK;
}

kvs_status buffer_reserve(struct buffer *buffer, size_t size)
{
    if (buffer_room(buffer) >= size)
        return KVS_OK;
    size_t content = buffer_size(buffer);
    if (size > SIZE_MAX - content)
        return KVS_NO_MEMORY;
    if (buffer->cap < content + size)
        return buffer_grow(buffer, content + size);
    memmove(buffer->data, buffer_content(buffer), content);
    buffer->start = 0;
    buffer->end = content;
    return KVS_OK;
}

void buffer_commit(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_room(buffer));
    buffer->end += size;
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    buffer->start += size;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

void buffer_truncate(struct buffer *buffer, size_t size)
{
    assert(size <= buffer_size(buffer));
    buffer->end = buffer->start + size;
}

kvs_status buffer_append(struct buffer *buffer, const void *from, size_t size)
{
    kvs_status status = buffer_reserve(buffer, size);
    if (status != KVS_OK)
        return status;
    if (size > 0)
        memcpy(buffer->data + buffer->end, from, size);
    buffer_commit(buffer, size);
    return KVS_OK;
}
