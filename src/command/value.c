/* See value.h. */
#include "command/value.h"

#include <assert.h>

static_assert(sizeof(VALUE_MARK) == VALUE_MARK_BYTES + 1, "the mark has the length it says");

void value_encode(uint8_t *out, struct kvs_bytes content, int64_t expires_at_ms)
{
    if (content.len > 0 && content.ptr != out)
        memcpy(out, content.ptr, content.len);
    memcpy(out + content.len, VALUE_MARK, VALUE_MARK_BYTES);
    store_le64(out + content.len + VALUE_MARK_BYTES, (uint64_t)expires_at_ms);
}
