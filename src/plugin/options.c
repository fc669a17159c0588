/*
 * See options.h. An integer of any type is kept as a kvs_option_value; a range is a pair of them,
 * read by the same function as the values, so "64k" is good on both sides. Pure functions.
 */
#include "plugin/options.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define OPTION_NAME_MAX   64u
#define OPTION_BOUND_MAX  32u /* bytes of one side of a range */
#define OPTION_SIZE_1_0   (offsetof(struct kvs_option, help) + sizeof(const char *))
#define OPTION_STRIDE_MAX 4096u

const struct kvs_option *option_at(const struct kvs_plugin *descriptor, uint32_t index)
{
    const char *first = (const char *)descriptor->options;
    return (const struct kvs_option *)(const void *)(first +
                                                     (size_t)index * descriptor->option_stride);
}

const struct kvs_option *option_find(const struct kvs_plugin *descriptor, const char *name,
                                     size_t size, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        if (strlen(option->name) == size && memcmp(option->name, name, size) == 0) {
            *ret_index = i;
            return option;
        }
    }
    return NULL;
}

const char *option_type_text(uint32_t type)
{
    switch (type) {
    case KVS_OPTION_BOOL:
        return "yes or no";
    case KVS_OPTION_I64:
        return "integer";
    case KVS_OPTION_U64:
        return "number";
    case KVS_OPTION_BYTES:
        return "bytes";
    case KVS_OPTION_STRING:
        return "text";
    case KVS_OPTION_ENUM:
        return "choice";
    case KVS_OPTION_DURATION:
        return "duration";
    default:
        return "unknown";
    }
}

/* What a value of this type looks like, for a message. */
static const char *type_example(uint32_t type)
{
    switch (type) {
    case KVS_OPTION_BOOL:
        return "yes or no";
    case KVS_OPTION_I64:
        return "a whole number such as 7 or -7";
    case KVS_OPTION_U64:
        return "a whole number such as 7";
    case KVS_OPTION_BYTES:
        return "a number of bytes such as 4096, 64k, 16m or 1g";
    default:
        return "a duration such as 250ms, 10s or 5m";
    }
}

static bool type_has_bounds(uint32_t type)
{
    return type == KVS_OPTION_I64 || type == KVS_OPTION_U64 || type == KVS_OPTION_BYTES ||
           type == KVS_OPTION_DURATION;
}

/* Reads text by type alone; not for STRING and ENUM. */
static bool parse_scalar(uint32_t type, const char *text, struct kvs_option_value *value)
{
    bool flag;
    switch (type) {
    case KVS_OPTION_BOOL:
        if (!text_parse_bool(text, &flag))
            return false;
        value->u64 = flag ? 1 : 0;
        return true;
    case KVS_OPTION_I64:
        return text_parse_i64(text, &value->i64);
    case KVS_OPTION_U64:
        return text_parse_u64(text, &value->u64);
    case KVS_OPTION_BYTES:
        return text_parse_bytes(text, &value->u64);
    default:
        return text_parse_duration(text, &value->u64);
    }
}

static bool scalar_less(uint32_t type, const struct kvs_option_value *a,
                        const struct kvs_option_value *b)
{
    return type == KVS_OPTION_I64 ? a->i64 < b->i64 : a->u64 < b->u64;
}

struct bounds {
    struct kvs_option_value min;
    struct kvs_option_value max;
};

/* Reads one side of a range; an empty one leaves value as it is. */
static bool parse_bound(uint32_t type, const char *text, size_t size,
                        struct kvs_option_value *value)
{
    char bound[OPTION_BOUND_MAX];
    if (size == 0)
        return true;
    if (size >= sizeof(bound))
        return false;
    memcpy(bound, text, size);
    bound[size] = '\0';
    return parse_scalar(type, bound, value);
}

/* Reads "MIN..MAX" (NULL: all values). */
static bool parse_bounds(uint32_t type, const char *range, struct bounds *ret_bounds)
{
    struct bounds bounds = {
        .min = {.i64 = INT64_MIN, .u64 = 0},
        .max = {.i64 = INT64_MAX, .u64 = UINT64_MAX},
    };
    if (range != NULL) {
        const char *dots = strstr(range, "..");
        if (dots == NULL || !parse_bound(type, range, (size_t)(dots - range), &bounds.min) ||
            !parse_bound(type, dots + 2, strlen(dots + 2), &bounds.max) ||
            scalar_less(type, &bounds.max, &bounds.min))
            return false;
    }
    *ret_bounds = bounds;
    return true;
}

/* The position of text (size bytes) among the choices "a|b|c", or -1. */
static int64_t choice_index(const char *choices, const char *text, size_t size)
{
    int64_t index = 0;
    for (const char *at = choices;; index++) {
        size_t choice_size = strcspn(at, "|");
        if (choice_size == size && memcmp(at, text, size) == 0)
            return index;
        if (at[choice_size] == '\0')
            return -1;
        at += choice_size + 1;
    }
}

/* Every choice has at least one character and comes once. */
static bool choices_valid(const char *choices)
{
    int64_t index = 0;
    for (const char *at = choices;; index++) {
        size_t size = strcspn(at, "|");
        if (size == 0 || choice_index(choices, at, size) != index)
            return false;
        if (at[size] == '\0')
            return true;
        at += size + 1;
    }
}

kvs_status option_parse(const struct kvs_option *option, const char *text,
                        struct kvs_option_value *ret_value, struct kvs_error *err)
{
    struct kvs_option_value value = {
        .size = (uint32_t)sizeof(value), .type = option->type, .text = text};
    if (option->type == KVS_OPTION_ENUM) {
        int64_t index = choice_index(option->range, text, strlen(text));
        if (index < 0)
            return kvs_error_set(err, KVS_INVALID, 0, "option '%s': '%s' is not one of %s",
                                 option->name, text, option->range);
        value.u64 = (uint64_t)index;
    } else if (option->type != KVS_OPTION_STRING) {
        struct bounds bounds;
        if (!parse_scalar(option->type, text, &value))
            return kvs_error_set(err, KVS_INVALID, 0, "option '%s': '%s' is not %s", option->name,
                                 text, type_example(option->type));
        if (type_has_bounds(option->type) && parse_bounds(option->type, option->range, &bounds) &&
            (scalar_less(option->type, &value, &bounds.min) ||
             scalar_less(option->type, &bounds.max, &value)))
            return kvs_error_set(err, KVS_INVALID, 0, "option '%s': '%s' is out of its range %s",
                                 option->name, text, option->range);
    }
    *ret_value = value;
    return KVS_OK;
}

static bool option_name_valid(const char *name)
{
    size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");
    return name[size] == '\0' && size >= 1 && size <= OPTION_NAME_MAX;
}

static bool range_valid(const struct kvs_option *option)
{
    struct bounds bounds;
    if (option->type == KVS_OPTION_ENUM)
        return option->range != NULL && choices_valid(option->range);
    if (type_has_bounds(option->type))
        return parse_bounds(option->type, option->range, &bounds);
    return option->range == NULL;
}

/* Checks the option at index; those before it are good. */
static kvs_status option_check(const struct kvs_plugin *descriptor, uint32_t index,
                               struct kvs_error *err)
{
    const struct kvs_option *option = option_at(descriptor, index);
    uint32_t first;
    if (option->size < OPTION_SIZE_1_0 || option->size > descriptor->option_stride)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option %u has a size of %u bytes", index,
                             option->size);
    if (option->name == NULL || !option_name_valid(option->name))
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option %u has no valid name", index);
    if (option_find(descriptor, option->name, strlen(option->name), &first) != option)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option '%s' is declared twice",
                             option->name);
    if (option->type < KVS_OPTION_BOOL || option->type > KVS_OPTION_DURATION)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option '%s' is of the unknown type %u",
                             option->name, option->type);
    if (option->help == NULL)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option '%s' has no help", option->name);
    if (!range_valid(option))
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option '%s' has the invalid range '%s'",
                             option->name, option->range != NULL ? option->range : "NULL");
    bool required = (option->flags & KVS_OPTION_REQUIRED) != 0;
    if (required != (option->default_value == NULL))
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "option '%s' %s", option->name,
                             required ? "is required and has a default all the same"
                                      : "has no default and is not required");
    char reason[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error parse_error = KVS_ERROR_INIT(reason);
    struct kvs_option_value value;
    if (!required && option_parse(option, option->default_value, &value, &parse_error) != KVS_OK)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "invalid default of %s", reason);
    return KVS_OK;
}

kvs_status option_check_all(const struct kvs_plugin *descriptor, struct kvs_error *err)
{
    uint32_t stride = descriptor->option_stride;
    if (descriptor->option_count == 0)
        return KVS_OK;
    if (descriptor->option_count > OPTION_COUNT_MAX)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "it declares %u options, more than %u",
                             descriptor->option_count, OPTION_COUNT_MAX);
    if (descriptor->options == NULL)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "it declares %u options but has none",
                             descriptor->option_count);
    if (stride < OPTION_SIZE_1_0 || stride > OPTION_STRIDE_MAX ||
        stride % _Alignof(struct kvs_option) != 0)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its options are %u bytes apart", stride);
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        kvs_status status = option_check(descriptor, i, err);
        if (status != KVS_OK)
            return status;
    }
    return KVS_OK;
}
