/* See resp_data.h. */
#include "command/resp_data.h"

#include <stdio.h>

#include "command/resp_errors.h"
#include "command/word.h"

#define INTEGER_MAX 24u /* bytes of a printed one */

struct kvs_bytes resp_data_format_integer(struct call *call, int64_t value)
{
    char *text = transaction_memory(call->txn, INTEGER_MAX);
    if (text == NULL) {
        resp_data_fault(call, KVS_NO_MEMORY);
        return bytes_of(NULL, 0);
    }
    return bytes_of(text, (uint64_t)snprintf(text, INTEGER_MAX, "%lld", (long long)value));
}

bool resp_data_integer(struct call *call, uint32_t index, int64_t *ret)
{
    if (word_integer(call->arguments[index], ret))
        return true;
    resp_error_not_integer(call->reply);
    return false;
}

bool resp_data_moment(struct call *call, int64_t time, bool seconds, bool relative, bool at_least_1,
                      int64_t *ret_ms)
{
    bool fits = !at_least_1 || time > 0;
    if (seconds) {
        fits = fits && time <= INT64_MAX / 1000 && time >= INT64_MIN / 1000;
        time = fits ? time * 1000 : 0;
    }
    if (relative) {
        fits = fits && time <= INT64_MAX - call->now_ms;
        time = fits ? time + call->now_ms : 0;
    }
    if (fits) {
        *ret_ms = time;
        return true;
    }
    char name[32];
    struct kvs_bytes given = call->arguments[0];
    uint64_t len = given.len < sizeof(name) ? given.len : sizeof(name) - 1;
    for (uint64_t i = 0; i < len; i++)
        name[i] = (char)(((const char *)given.ptr)[i] | 0x20); /* it is one of ours: letters */
    name[len] = '\0';
    resp_error(call->reply, "ERR invalid expire time in '%s' command", name);
    return false;
}

void resp_data_fault(struct call *call, kvs_status status)
{
    resp_fault(call->reply, status, transaction_message(call->txn));
}

static enum found found_of(struct call *call, kvs_status status)
{
    if (status == KVS_OK)
        return FOUND;
    if (status == KVS_NOT_FOUND)
        return MISSING;
    resp_data_fault(call, status);
    return FAILED;
}

enum found resp_data_get(struct call *call, struct kvs_bytes key, struct value *ret)
{
    return found_of(call, transaction_get(call->txn, key, ret));
}

enum found resp_data_look(struct call *call, struct kvs_bytes key, uint64_t *ret_len,
                          int64_t *ret_expires_at_ms)
{
    return found_of(call, transaction_look(call->txn, key, ret_len, ret_expires_at_ms));
}

bool resp_data_set(struct call *call, struct kvs_bytes key, struct kvs_bytes content,
                   int64_t expires_at_ms)
{
    kvs_status status = transaction_set(call->txn, key, content, expires_at_ms);
    if (status != KVS_OK)
        resp_data_fault(call, status);
    return status == KVS_OK;
}

bool resp_data_remove(struct call *call, struct kvs_bytes key)
{
    kvs_status status = transaction_remove(call->txn, key);
    if (status != KVS_OK)
        resp_data_fault(call, status);
    return status == KVS_OK;
}

void resp_data_reply_value(struct call *call, enum found found, const struct value *value)
{
    if (found == FOUND)
        resp_bulk(call->reply, value->content);
    else if (found == MISSING)
        resp_null(call->reply);
}
