/* Inline commands, for resp.c. */
#ifndef PROTOCOL_RESP_INLINE_H
#define PROTOCOL_RESP_INLINE_H

#include "protocol/resp.h"

/*
 * Splits a line (without its end) at blanks into arguments, which has none yet. "..." knows \n \r
 * \t \b \a \xHH and \ before any other byte, '...' knows \'; a closing quote is followed by a blank or
 * the end. KVS_OK, KVS_PROTOCOL (quotes do not match), KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status resp_inline_split(struct kvs_bytes line, struct resp_arguments *arguments);

/* Makes room for one more argument. KVS_OK or KVS_NO_MEMORY. In resp.c. */
KVS_MUST_USE kvs_status resp_arguments_grow(struct resp_arguments *arguments);

/* Appends an argument. KVS_OK or KVS_NO_MEMORY. */
KVS_MUST_USE static inline kvs_status resp_arguments_add(struct resp_arguments *arguments,
                                                         struct kvs_bytes item)
{
    if (__builtin_expect(arguments->count == arguments->capacity, 0)) {
        kvs_status status = resp_arguments_grow(arguments);
        if (status != KVS_OK)
            return status;
    }
    arguments->items[arguments->count++] = item;
    return KVS_OK;
}

#endif
