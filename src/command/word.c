/* See word.h. */
#include "command/word.h"

bool word_integer(struct kvs_bytes argument, int64_t *ret)
{
    const uint8_t *at = argument.ptr;
    const uint8_t *end = at + argument.len;
    bool negative = argument.len > 0 && *at == '-';
    at += negative;
    bool is_zero = at < end && *at == '0';
    if (at == end || (is_zero && (negative || end - at > 1)))
        return false;
    int64_t number = 0;
    for (; at < end; at++) {
        /* Negative all the way: there is one negative number more than there are positive ones. */
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, *at - '0', &number))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, number, &number))
        return false;
    *ret = number;
    return true;
}

bool word_copy(struct kvs_bytes argument, char *to, uint64_t room)
{
    if (argument.len >= room ||
        (argument.len > 0 && memchr(argument.ptr, '\0', (size_t)argument.len) != NULL))
        return false;
    if (argument.len > 0)
        memcpy(to, argument.ptr, (size_t)argument.len);
    to[argument.len] = '\0';
    return true;
}
