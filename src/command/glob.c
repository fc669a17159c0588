/*
 * See glob.h. A star first takes nothing; whenever what follows does not match, the last star takes
 * one byte more. Earlier stars need not be tried again: the last one can take all that they could.
 *
 * What is odd is Redis': an unclosed set ends with the pattern, "[]" is an empty set, the end of a
 * range may be any byte, also ']', and a range may be the wrong way round.
 */
#include "command/glob.h"

#include <stdint.h>

/* The set that begins at *ret_at, behind the '['. Moves *ret_at behind its end. */
static bool set_has(struct kvs_bytes pattern, uint64_t *ret_at, uint8_t byte)
{
    const uint8_t *at = pattern.ptr;
    uint64_t i = *ret_at;
    bool is_negated = i < pattern.len && at[i] == '^';
    bool found = false;
    if (is_negated)
        i++;
    while (i < pattern.len && at[i] != ']') {
        if (at[i] == '\\' && i + 1 < pattern.len) {
            found = found || at[i + 1] == byte;
            i += 2;
        } else if (i + 2 < pattern.len && at[i + 1] == '-') {
            uint8_t low = at[i] < at[i + 2] ? at[i] : at[i + 2];
            uint8_t high = at[i] < at[i + 2] ? at[i + 2] : at[i];
            found = found || (byte >= low && byte <= high);
            i += 3;
        } else {
            found = found || at[i] == byte;
            i++;
        }
    }
    *ret_at = i < pattern.len ? i + 1 : i;
    return found != is_negated;
}

/* Whether the element of the pattern at *ret_at, which is no star, matches the byte. Moves *ret_at
   behind it. */
static bool element_matches(struct kvs_bytes pattern, uint64_t *ret_at, uint8_t byte)
{
    const uint8_t *at = pattern.ptr;
    uint64_t i = (*ret_at)++;
    if (at[i] == '?')
        return true;
    if (at[i] == '[')
        return set_has(pattern, ret_at, byte);
    if (at[i] == '\\' && i + 1 < pattern.len) {
        i++;
        (*ret_at)++;
    }
    return at[i] == byte;
}

bool glob_match(struct kvs_bytes pattern, struct kvs_bytes text)
{
    const uint8_t *pattern_at = pattern.ptr;
    const uint8_t *text_at = text.ptr;
    uint64_t star = UINT64_MAX; /* behind the last star in the pattern, ... */
    uint64_t resume = 0;        /* ... and where what follows it is to be tried next */
    uint64_t p = 0;
    uint64_t t = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern_at[p] == '*') {
            star = ++p;
            resume = t;
        } else if (p < pattern.len && element_matches(pattern, &p, text_at[t])) {
            t++;
        } else if (star != UINT64_MAX) {
            p = star;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern_at[p] == '*')
        p++;
    return p == pattern.len;
}

bool glob_matches_all(struct kvs_bytes pattern)
{
    return pattern.len == 1 && *(const uint8_t *)pattern.ptr == '*';
}
