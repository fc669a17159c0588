/* Commands on keys as such: whether they exist, removing, renaming and copying them. */
#include <string.h>

#include "command/command.h"
#include "command/resp_data.h"
#include "command/resp_errors.h"
#include "command/word.h"

static void run_del(struct call *call)
{
    int64_t removed = 0;
    for (uint32_t i = 1; i < call->argument_count; i++) {
        uint64_t len;
        int64_t expires_at_ms;
        enum found found = resp_data_look(call, call->arguments[i], &len, &expires_at_ms);
        if (found == FAILED || (found == FOUND && !resp_data_remove(call, call->arguments[i])))
            return;
        removed += found == FOUND;
    }
    resp_integer(call->reply, removed);
}

/* Also TOUCH: there is no time of last use to change. */
static void run_exists(struct call *call)
{
    int64_t count = 0;
    for (uint32_t i = 1; i < call->argument_count; i++) {
        uint64_t len;
        int64_t expires_at_ms;
        enum found found = resp_data_look(call, call->arguments[i], &len, &expires_at_ms);
        if (found == FAILED)
            return;
        count += found == FOUND;
    }
    resp_integer(call->reply, count);
}

static void run_type(struct call *call)
{
    uint64_t len;
    int64_t expires_at_ms;
    enum found found = resp_data_look(call, call->arguments[1], &len, &expires_at_ms);
    if (found != FAILED)
        resp_simple(call->reply, found == FOUND ? "string" : "none");
}

/* ---- renaming and copying ----------------------------------------------------------------- */

/* Sets the key `to` to what a key held. The value's memory is the transaction's. */
static bool set_same(struct call *call, struct kvs_bytes to, const struct value *value)
{
    return resp_data_set(call, to, value->content, value->expires_at_ms);
}

static void rename_key(struct call *call, bool only_if_new)
{
    struct kvs_bytes from = call->arguments[1];
    struct kvs_bytes to = call->arguments[2];
    struct value value;
    uint64_t len;
    int64_t expires_at_ms;
    enum found found = resp_data_get(call, from, &value);
    if (found == MISSING)
        resp_error(call->reply, "ERR no such key");
    if (found != FOUND)
        return;
    if (!bytes_equal(from, to)) {
        enum found target = MISSING;
        if (only_if_new)
            target = resp_data_look(call, to, &len, &expires_at_ms);
        if (target == FOUND)
            resp_integer(call->reply, 0);
        if (target != MISSING || !set_same(call, to, &value) || !resp_data_remove(call, from))
            return;
    } else if (only_if_new) {
        resp_integer(call->reply, 0);
        return;
    }
    if (only_if_new)
        resp_integer(call->reply, 1);
    else
        resp_ok(call->reply);
}

static void run_rename(struct call *call)
{
    rename_key(call, false);
}

static void run_renamenx(struct call *call)
{
    rename_key(call, true);
}

/* False: an error was replied. There is one database: 0. */
static bool parse_copy_options(struct call *call, bool *ret_replace)
{
    *ret_replace = false;
    for (uint32_t i = 3; i < call->argument_count; i++) {
        int64_t number;
        if (word_is(call->arguments[i], "replace")) {
            *ret_replace = true;
        } else if (word_is(call->arguments[i], "db") && i + 1 < call->argument_count) {
            if (!resp_data_integer(call, ++i, &number))
                return false;
            if (number != 0) {
                resp_error(call->reply, "ERR DB index is out of range");
                return false;
            }
        } else {
            resp_error_syntax(call->reply);
            return false;
        }
    }
    return true;
}

static void run_copy(struct call *call)
{
    struct kvs_bytes from = call->arguments[1];
    struct kvs_bytes to = call->arguments[2];
    struct value value;
    uint64_t len;
    int64_t expires_at_ms;
    bool replace;
    if (!parse_copy_options(call, &replace))
        return;
    if (bytes_equal(from, to)) {
        resp_error(call->reply, "ERR source and destination objects are the same");
        return;
    }
    enum found found = resp_data_get(call, from, &value);
    enum found target = MISSING;
    if (found == FOUND && !replace)
        target = resp_data_look(call, to, &len, &expires_at_ms);
    if (found == FAILED || target == FAILED)
        return;
    if (found == MISSING || target == FOUND)
        resp_integer(call->reply, 0);
    else if (set_same(call, to, &value))
        resp_integer(call->reply, 1);
}

/* ---- all of them -------------------------------------------------------------------------- */

static kvs_status flush(void *arg, void (*complete)(void *complete_arg, kvs_status status),
                        void *complete_arg, struct kvs_error *err)
{
    return keyspace_flush(arg, complete, complete_arg, err);
}

/* ASYNC and SYNC are the same: it is done in the background and answered when it is done. */
static void run_flush(struct call *call)
{
    if (call->argument_count > 2 ||
        (call->argument_count == 2 && !word_is(call->arguments[1], "async") &&
         !word_is(call->arguments[1], "sync"))) {
        resp_error_syntax(call->reply);
        return;
    }
    if (call->context->keyspace == NULL) {
        resp_fault(call->reply, KVS_UNSUPPORTED, NULL);
        return;
    }
    transaction_replace(call->txn, flush, call->context->keyspace);
    resp_ok(call->reply);
}

const struct resp_command resp_keys[] = {
    RESP_COMMAND("del", -2, RESP_WRITE, "generic", "1.0.0", "Delete keys", run_del, RESP_KEY_ALL,
                 .kind = RESP_KIND_DELETE),
    RESP_COMMAND("unlink", -2, RESP_WRITE | RESP_FAST, "generic", "4.0.0",
                 "Delete keys; here the same as DEL", run_del, RESP_KEY_ALL,
                 .kind = RESP_KIND_DELETE),
    RESP_COMMAND("exists", -2, RESP_READ | RESP_FAST, "generic", "1.0.0",
                 "Count those of the keys that exist", run_exists, RESP_KEY_ALL),
    RESP_COMMAND("touch", -2, RESP_READ | RESP_FAST, "generic", "3.2.1",
                 "Count those of the keys that exist; there is no last access time", run_exists,
                 RESP_KEY_ALL),
    RESP_COMMAND("type", 2, RESP_READ | RESP_FAST, "generic", "1.0.0",
                 "Get the type of a key's value: string, or none without the key", run_type,
                 RESP_KEY_FIRST),
    RESP_COMMAND("rename", 3, RESP_WRITE, "generic", "1.0.0", "Rename a key, over another one",
                 run_rename, RESP_KEY_TWO),
    RESP_COMMAND("renamenx", 3, RESP_WRITE | RESP_FAST, "generic", "1.0.0",
                 "Rename a key, only if no other key has the new name", run_renamenx, RESP_KEY_TWO),
    RESP_COMMAND("copy", -3, RESP_WRITE, "generic", "6.2.0", "Copy a key's value to another key",
                 run_copy, RESP_KEY_TWO),
    {.name = "flushdb",
     .arity = -1,
     .flags = RESP_WRITE | RESP_NO_MULTI,
     .group = "server",
     .since = "1.0.0",
     .summary = "Remove all keys; here the same as FLUSHALL",
     .run = run_flush},
    {.name = "flushall",
     .arity = -1,
     .flags = RESP_WRITE | RESP_NO_MULTI,
     .group = "server",
     .since = "1.0.0",
     .summary = "Remove all keys",
     .run = run_flush},
    {.name = NULL},
};
