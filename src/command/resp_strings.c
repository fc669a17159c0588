/*
 * Commands on strings, but for SET and its like (resp_set.c) and the counters (resp_counters.c).
 * Replies, errors and their order are Redis 7's.
 */
#include <string.h>

#include "command/resp_data.h"
#include "command/resp_errors.h"

static void run_get(struct call *call)
{
    struct value value;
    enum found found = resp_data_get(call, call->arguments[1], &value);
    resp_data_reply_value(call, found, &value);
}

static void run_getset(struct call *call)
{
    struct value value;
    enum found found = resp_data_get(call, call->arguments[1], &value);
    if (found != FAILED && resp_data_set(call, call->arguments[1], call->arguments[2], VALUE_NEVER))
        resp_data_reply_value(call, found, &value);
}

static void run_getdel(struct call *call)
{
    struct value value;
    enum found found = resp_data_get(call, call->arguments[1], &value);
    if (found != FOUND || resp_data_remove(call, call->arguments[1]))
        resp_data_reply_value(call, found, &value);
}

static void run_strlen(struct call *call)
{
    uint64_t len;
    int64_t expires_at_ms;
    enum found found = resp_data_look(call, call->arguments[1], &len, &expires_at_ms);
    if (found != FAILED)
        resp_integer(call->reply, found == FOUND ? (int64_t)len : 0);
}

static void run_mget(struct call *call)
{
    struct value *values =
        transaction_memory(call->txn, call->argument_count * sizeof(struct value));
    if (values == NULL) {
        resp_data_fault(call, KVS_NO_MEMORY);
        return;
    }
    for (uint32_t i = 1; i < call->argument_count; i++) {
        enum found found = resp_data_get(call, call->arguments[i], &values[i]);
        if (found == FAILED)
            return;
        if (found == MISSING)
            values[i].content.ptr = NULL;
    }
    resp_array(call->reply, call->argument_count - 1);
    for (uint32_t i = 1; i < call->argument_count; i++)
        resp_data_reply_value(call, values[i].content.ptr != NULL ? FOUND : MISSING, &values[i]);
}

/* ---- several at once ---------------------------------------------------------------------- */

/* Replies an error and gives false when the pairs cannot all be set. */
static bool check_pairs(struct call *call, const char *name)
{
    if (call->argument_count % 2 == 0) {
        resp_error_arity(call->reply, name);
        return false;
    }
    for (uint32_t i = 1; i < call->argument_count; i += 2) {
        kvs_status status =
            transaction_check(call->txn, call->arguments[i], call->arguments[i + 1].len);
        if (status != KVS_OK) {
            resp_data_fault(call, status);
            return false;
        }
    }
    return true;
}

static bool set_pairs(struct call *call)
{
    for (uint32_t i = 1; i < call->argument_count; i += 2) {
        if (!resp_data_set(call, call->arguments[i], call->arguments[i + 1], VALUE_NEVER))
            return false;
    }
    return true;
}

static void run_mset(struct call *call)
{
    if (check_pairs(call, "mset") && set_pairs(call))
        resp_ok(call->reply);
}

static void run_msetnx(struct call *call)
{
    if (!check_pairs(call, "msetnx"))
        return;
    for (uint32_t i = 1; i < call->argument_count; i += 2) {
        uint64_t len;
        int64_t expires_at_ms;
        enum found found = resp_data_look(call, call->arguments[i], &len, &expires_at_ms);
        if (found == FOUND)
            resp_integer(call->reply, 0);
        if (found != MISSING)
            return;
    }
    if (set_pairs(call))
        resp_integer(call->reply, 1);
}

/* ---- parts -------------------------------------------------------------------------------- */

/* Memory for a value of this length, or NULL: an error was replied. */
static uint8_t *new_content(struct call *call, uint64_t len)
{
    kvs_status status = transaction_check(call->txn, call->arguments[1], len);
    if (status == KVS_TOO_LARGE && transaction_check(call->txn, call->arguments[1], 0) == KVS_OK) {
        resp_error(call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return NULL;
    }
    uint8_t *content = status == KVS_OK ? transaction_memory(call->txn, len) : NULL;
    if (content == NULL)
        resp_data_fault(call, status == KVS_OK ? KVS_NO_MEMORY : status);
    return content;
}

static void copy_to(uint8_t *out, struct kvs_bytes from)
{
    if (from.len > 0)
        memcpy(out, from.ptr, from.len);
}

static void run_append(struct call *call)
{
    struct kvs_bytes tail = call->arguments[2];
    struct value value = {.expires_at_ms = VALUE_NEVER};
    if (resp_data_get(call, call->arguments[1], &value) == FAILED)
        return;
    uint64_t len = value.content.len + tail.len;
    uint8_t *content = new_content(call, len);
    if (content == NULL)
        return;
    copy_to(content, value.content);
    copy_to(content + value.content.len, tail);
    if (resp_data_set(call, call->arguments[1], bytes_of(content, len), value.expires_at_ms))
        resp_integer(call->reply, (int64_t)len);
}

static void run_setrange(struct call *call)
{
    struct kvs_bytes part = call->arguments[3];
    struct value value = {.expires_at_ms = VALUE_NEVER};
    int64_t offset;
    if (!resp_data_integer(call, 2, &offset))
        return;
    if (offset < 0) {
        resp_error(call->reply, "ERR offset is out of range");
        return;
    }
    if (resp_data_get(call, call->arguments[1], &value) == FAILED)
        return;
    if (part.len == 0) {
        resp_integer(call->reply, (int64_t)value.content.len);
        return;
    }
    uint64_t end = (uint64_t)offset + part.len;
    uint64_t len = end > value.content.len ? end : value.content.len;
    uint8_t *content = new_content(call, len);
    if (content == NULL)
        return;
    copy_to(content, value.content);
    if ((uint64_t)offset > value.content.len)
        memset(content + value.content.len, 0, (uint64_t)offset - value.content.len);
    copy_to(content + offset, part);
    if (resp_data_set(call, call->arguments[1], bytes_of(content, len), value.expires_at_ms))
        resp_integer(call->reply, (int64_t)len);
}

/* The part of len bytes from start to end, both inclusive and from the end where negative. */
static struct kvs_bytes range_of(struct kvs_bytes content, int64_t start, int64_t end)
{
    int64_t len = (int64_t)content.len;
    if (start < 0 && end < 0 && start > end)
        return bytes_of(NULL, 0);
    if (start < 0)
        start = start + len < 0 ? 0 : start + len;
    if (end < 0)
        end = end + len < 0 ? 0 : end + len;
    if (end >= len)
        end = len - 1;
    if (start > end || len == 0)
        return bytes_of(NULL, 0);
    return bytes_of((const uint8_t *)content.ptr + start, (uint64_t)(end - start) + 1);
}

static void run_getrange(struct call *call)
{
    struct value value = {.content = {NULL, 0}};
    int64_t start;
    int64_t end;
    if (!resp_data_integer(call, 2, &start) || !resp_data_integer(call, 3, &end))
        return;
    if (resp_data_get(call, call->arguments[1], &value) != FAILED)
        resp_bulk(call->reply, range_of(value.content, start, end));
}

const struct resp_command resp_strings[] = {
    RESP_COMMAND("get", 2, RESP_READ | RESP_FAST, "string", "1.0.0", "Get the value of a key",
                 run_get, RESP_KEY_FIRST, .kind = RESP_KIND_GET),
    RESP_COMMAND("getset", 3, RESP_WRITE | RESP_FAST, "string", "1.0.0",
                 "Set the value of a key and return the one before", run_getset, RESP_KEY_FIRST),
    RESP_COMMAND("getdel", 2, RESP_WRITE | RESP_FAST, "string", "6.2.0",
                 "Get the value of a key and delete the key", run_getdel, RESP_KEY_FIRST),
    RESP_COMMAND("strlen", 2, RESP_READ | RESP_FAST, "string", "2.2.0",
                 "Get the length of the value of a key", run_strlen, RESP_KEY_FIRST),
    RESP_COMMAND("mget", -2, RESP_READ | RESP_FAST, "string", "1.0.0",
                 "Get the values of several keys", run_mget, RESP_KEY_ALL, .kind = RESP_KIND_MGET),
    RESP_COMMAND("mset", -3, RESP_WRITE, "string", "1.0.1", "Set several keys to several values",
                 run_mset, RESP_KEY_OF_PAIR, .kind = RESP_KIND_MSET),
    RESP_COMMAND("msetnx", -3, RESP_WRITE, "string", "1.0.1",
                 "Set several keys to several values, only if none of the keys exists", run_msetnx,
                 RESP_KEY_OF_PAIR),
    RESP_COMMAND("append", 3, RESP_WRITE | RESP_FAST, "string", "2.0.0",
                 "Append to the value of a key", run_append, RESP_KEY_FIRST),
    RESP_COMMAND("setrange", 4, RESP_WRITE, "string", "2.2.0",
                 "Overwrite a part of the value of a key from an offset on", run_setrange,
                 RESP_KEY_FIRST),
    RESP_COMMAND("getrange", 4, RESP_READ, "string", "2.4.0", "Get a part of the value of a key",
                 run_getrange, RESP_KEY_FIRST),
    RESP_COMMAND("substr", 4, RESP_READ, "string", "1.0.0",
                 "Get a part of the value of a key (the old name of GETRANGE)", run_getrange,
                 RESP_KEY_FIRST),
    {.name = NULL},
};
