/* When keys expire: setting, asking, forgetting. */
#include <string.h>

#include "command/resp_data.h"
#include "command/word.h"

/* clang-format off */
enum { /* on what the new moment depends */
    IF_NX = 1u << 0, /* the key does not expire */
    IF_XX = 1u << 1, /* it does */
    IF_GT = 1u << 2, /* the new moment is later; never is latest */
    IF_LT = 1u << 3  /* earlier */
};
/* clang-format on */

/* False: an error was replied. */
static bool parse_conditions(struct call *call, uint32_t *ret)
{
    static const struct {
        const char *word;
        uint32_t condition;
    } known[] = {{"nx", IF_NX}, {"xx", IF_XX}, {"gt", IF_GT}, {"lt", IF_LT}};
    uint32_t set = 0;
    for (uint32_t index = 3; index < call->argument_count; index++) {
        size_t i = 0;
        while (i < 4 && !word_is(call->arguments[index], known[i].word))
            i++;
        if (i == 4) {
            struct kvs_bytes word = call->arguments[index];
            resp_error(call->reply, "ERR Unsupported option %.*s",
                       (int)(word.len < 128 ? word.len : 128), (const char *)word.ptr);
            return false;
        }
        set |= known[i].condition;
    }
    if ((set & IF_NX) != 0 && (set & ~(uint32_t)IF_NX) != 0)
        resp_error(call->reply,
                   "ERR NX and XX, GT or LT options at the same time are not compatible");
    else if ((set & IF_GT) != 0 && (set & IF_LT) != 0)
        resp_error(call->reply, "ERR GT and LT options at the same time are not compatible");
    else
        return *ret = set, true;
    return false;
}

static bool condition_holds(uint32_t conditions, int64_t before_ms, int64_t after_ms)
{
    bool expires = before_ms != VALUE_NEVER;
    if ((conditions & IF_NX) != 0 && expires)
        return false;
    if ((conditions & IF_XX) != 0 && !expires)
        return false;
    if ((conditions & IF_GT) != 0 && (!expires || after_ms <= before_ms))
        return false;
    return (conditions & IF_LT) == 0 || !expires || after_ms < before_ms;
}

/* Sets when the key expires; at once where that has passed. */
static void expire(struct call *call, bool seconds, bool relative)
{
    struct kvs_bytes key = call->arguments[1];
    uint32_t conditions;
    int64_t time;
    int64_t moment_ms;
    struct value value;
    if (!parse_conditions(call, &conditions) || !resp_data_integer(call, 2, &time) ||
        !resp_data_moment(call, time, seconds, relative, false, &moment_ms))
        return;
    enum found found = resp_data_get(call, key, &value);
    if (found == FAILED)
        return;
    if (found == MISSING || !condition_holds(conditions, value.expires_at_ms, moment_ms)) {
        resp_integer(call->reply, 0);
        return;
    }
    bool done = moment_ms <= call->now_ms ? resp_data_remove(call, key)
                                          : moment_ms == value.expires_at_ms ||
                                                resp_data_set(call, key, value.content, moment_ms);
    if (done)
        resp_integer(call->reply, 1);
}

static void run_expire(struct call *call)
{
    expire(call, true, true);
}

static void run_pexpire(struct call *call)
{
    expire(call, false, true);
}

static void run_expireat(struct call *call)
{
    expire(call, true, false);
}

static void run_pexpireat(struct call *call)
{
    expire(call, false, false);
}

static void run_persist(struct call *call)
{
    struct kvs_bytes key = call->arguments[1];
    struct value value;
    enum found found = resp_data_get(call, key, &value);
    if (found == FAILED)
        return;
    if (found == MISSING || value.expires_at_ms == VALUE_NEVER)
        resp_integer(call->reply, 0);
    else if (resp_data_set(call, key, value.content, VALUE_NEVER))
        resp_integer(call->reply, 1);
}

/* Replies when the key expires: -2 without the key, -1 for never. */
static void reply_moment(struct call *call, bool seconds, bool relative)
{
    uint64_t len;
    int64_t moment_ms;
    enum found found = resp_data_look(call, call->arguments[1], &len, &moment_ms);
    if (found == FAILED)
        return;
    if (found == MISSING || moment_ms == VALUE_NEVER) {
        resp_integer(call->reply, found == MISSING ? -2 : -1);
        return;
    }
    if (relative)
        moment_ms -= call->now_ms;
    resp_integer(call->reply,
                 seconds ? moment_ms / 1000 + (moment_ms % 1000 + 500) / 1000 : moment_ms);
}

static void run_ttl(struct call *call)
{
    reply_moment(call, true, true);
}

static void run_pttl(struct call *call)
{
    reply_moment(call, false, true);
}

static void run_expiretime(struct call *call)
{
    reply_moment(call, true, false);
}

static void run_pexpiretime(struct call *call)
{
    reply_moment(call, false, false);
}

#define EXPIRES(name_, since_, summary_, run_)                                                     \
    RESP_COMMAND(name_, -3, RESP_WRITE | RESP_FAST, "generic", since_, summary_, run_,             \
                 RESP_KEY_FIRST)
#define ASKS(name_, since_, summary_, run_)                                                        \
    RESP_COMMAND(name_, 2, RESP_READ | RESP_FAST, "generic", since_, summary_, run_, RESP_KEY_FIRST)

const struct resp_command resp_expiry[] = {
    EXPIRES("expire", "1.0.0", "Let a key expire in so many seconds", run_expire),
    EXPIRES("pexpire", "2.6.0", "Let a key expire in so many milliseconds", run_pexpire),
    EXPIRES("expireat", "1.2.0", "Let a key expire at a Unix time", run_expireat),
    EXPIRES("pexpireat", "2.6.0", "Let a key expire at a Unix time in milliseconds", run_pexpireat),
    RESP_COMMAND("persist", 2, RESP_WRITE | RESP_FAST, "generic", "2.2.0", "Let a key never expire",
                 run_persist, RESP_KEY_FIRST),
    ASKS("ttl", "1.0.0", "Get in how many seconds a key expires", run_ttl),
    ASKS("pttl", "2.6.0", "Get in how many milliseconds a key expires", run_pttl),
    ASKS("expiretime", "7.0.0", "Get the Unix time at which a key expires", run_expiretime),
    ASKS("pexpiretime", "7.0.0", "Get the Unix time in milliseconds at which a key expires",
         run_pexpiretime),
    {.name = NULL},
};
