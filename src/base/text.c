/* See text.h. Everything is built on one reader of decimal digits that notices overflow. */
#include "base/text.h"

#include <stddef.h>
#include <string.h>

/* Reads digits at the start of text; returns what follows them, or NULL. */
static const char *parse_digits(const char *text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return NULL;
    }
    if (at == text)
        return NULL;
    *ret = value;
    return at;
}

bool text_parse_u64(const char *text, uint64_t *ret)
{
    uint64_t value;
    const char *rest = parse_digits(text, &value);
    if (rest == NULL || *rest != '\0')
        return false;
    *ret = value;
    return true;
}

bool text_parse_i64(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    uint64_t magnitude;
    if (!text_parse_u64(text + (negative ? 1 : 0), &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool text_parse_bool(const char *text, bool *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = i % 2 == 1;
            return true;
        }
    }
    return false;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool parse_with_unit(const char *text, const struct unit *units, size_t unit_count,
                            uint64_t *ret)
{
    uint64_t value;
    const char *rest = parse_digits(text, &value);
    if (rest == NULL)
        return false;
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        uint64_t product;
        if (__builtin_mul_overflow(value, units[i].factor, &product))
            return false;
        *ret = product;
        return true;
    }
    return false;
}

bool text_parse_bytes(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {
        {"", 1},
        {"k", UINT64_C(1) << 10},
        {"K", UINT64_C(1) << 10},
        {"m", UINT64_C(1) << 20},
        {"M", UINT64_C(1) << 20},
        {"g", UINT64_C(1) << 30},
        {"G", UINT64_C(1) << 30},
        {"t", UINT64_C(1) << 40},
        {"T", UINT64_C(1) << 40},
    };
    return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret);
}

bool text_parse_duration(const char *text, uint64_t *ret_ns)
{
    static const struct unit units[] = {
        {"ns", 1},
        {"us", UINT64_C(1000)},
        {"ms", UINT64_C(1000000)},
        {"s", UINT64_C(1000000000)},
        {"", UINT64_C(1000000000)},
        {"m", UINT64_C(60000000000)},
        {"h", UINT64_C(3600000000000)},
    };
    return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_ns);
}
