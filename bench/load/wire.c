/* What the text protocols share; see wire.h. */
#include "load/wire.h"

#include <assert.h>
#include <string.h>

void wire_describe_text(const char *before_key, const char *before_value, const char *tail,
                        uint32_t value_size, struct wire_template *ret)
{
    uint32_t key_at = (uint32_t)strlen(before_key);
    uint32_t behind_size = (uint32_t)strlen(before_value);
    assert(key_at + DATA_KEY_SIZE + behind_size <= WIRE_AROUND_MAX);
    *ret = (struct wire_template){
        .key_at = key_at,
        .value_at = WIRE_NOTHING,
        .id_at = WIRE_NOTHING,
        .head_size = key_at + DATA_KEY_SIZE + behind_size,
    };
    memcpy(ret->head, before_key, key_at);
    memcpy(ret->head + key_at + DATA_KEY_SIZE, before_value, behind_size);
    ret->size = ret->head_size;
    if (tail == NULL)
        return;
    ret->value_at = ret->head_size;
    ret->tail_size = (uint32_t)strlen(tail);
    memcpy(ret->tail, tail, ret->tail_size);
    ret->size += value_size + ret->tail_size;
}
