/*
 * A growable run of bytes that is filled at its end and consumed at its start.
 *
 *     data            data + start        data + end           data + cap
 *     | consumed      | content           | free               |
 *
 * Not thread-safe. A zeroed struct is an empty buffer without memory.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kvs/types.h>

struct buffer {
    uint8_t *data; /* owned; NULL when cap is 0 */
    size_t start;  /* start <= end <= cap, bytes */
    size_t end;
    size_t cap;
};

static inline size_t buffer_size(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline uint8_t *buffer_content(const struct buffer *buffer)
{
    return buffer->data + buffer->start;
}

static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->cap - buffer->end;
}

/* Frees the memory; the buffer is then empty and usable. */
void buffer_deinit(struct buffer *buffer);

/*
 * Makes room for at least size more bytes at the end, by moving the content to the front or by
 * growing to the next power of two. KVS_NO_MEMORY: nothing changed.
 */
KVS_MUST_USE kvs_status buffer_reserve(struct buffer *buffer, size_t size);

/* Says that size bytes at the end were written. At most buffer_room(). */
void buffer_commit(struct buffer *buffer, size_t size);

/* Forgets size bytes at the start. At most buffer_size(). An empty buffer starts at 0 again. */
void buffer_consume(struct buffer *buffer, size_t size);

/* Takes back what was written last, so that the content is size bytes. At most buffer_size(). */
void buffer_truncate(struct buffer *buffer, size_t size);

/* Copies size bytes to the end. KVS_NO_MEMORY: nothing changed. */
KVS_MUST_USE kvs_status buffer_append(struct buffer *buffer, const void *from, size_t size);

#endif
