/*
 * SET and GETEX with their options, and the older commands that SET replaced. Which options go
 * together, and in which order errors come, is Redis 7's.
 */
#include <string.h>

#include "command/resp_data.h"
#include "command/resp_errors.h"
#include "command/word.h"

/* clang-format off */
enum { /* what was asked for */
    OPTION_NX      = 1u << 0,
    OPTION_XX      = 1u << 1,
    OPTION_GET     = 1u << 2,
    OPTION_KEEPTTL = 1u << 3,
    OPTION_PERSIST = 1u << 4,
    OPTION_EX      = 1u << 5,
    OPTION_PX      = 1u << 6,
    OPTION_EXAT    = 1u << 7,
    OPTION_PXAT    = 1u << 8
};
/* clang-format on */

#define OPTION_TIMES  (OPTION_EX | OPTION_PX | OPTION_EXAT | OPTION_PXAT)
#define OPTION_EXPIRY (OPTION_TIMES | OPTION_KEEPTTL | OPTION_PERSIST)

struct options {
    uint32_t set;
    uint32_t time_index; /* the argument of an OPTION_TIMES */
};

static const struct {
    const char *word;
    uint32_t option;
    uint32_t excludes; /* may repeat itself */
} known[] = {
    {"nx", OPTION_NX, OPTION_XX},
    {"xx", OPTION_XX, OPTION_NX},
    {"get", OPTION_GET, 0},
    {"keepttl", OPTION_KEEPTTL, OPTION_EXPIRY & ~OPTION_KEEPTTL},
    {"persist", OPTION_PERSIST, OPTION_EXPIRY & ~OPTION_PERSIST},
    {"ex", OPTION_EX, OPTION_EXPIRY & ~OPTION_EX},
    {"px", OPTION_PX, OPTION_EXPIRY & ~OPTION_PX},
    {"exat", OPTION_EXAT, OPTION_EXPIRY & ~OPTION_EXAT},
    {"pxat", OPTION_PXAT, OPTION_EXPIRY & ~OPTION_PXAT},
};

/* Reads the arguments from index on as options out of `allowed`. False: an error was replied. */
static bool parse_options(struct call *call, uint32_t index, uint32_t allowed, struct options *ret)
{
    *ret = (struct options){0};
    for (; index < call->argument_count; index++) {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) &&
               !word_is(call->arguments[index], known[i].word))
            i++;
        bool takes_time =
            i < sizeof(known) / sizeof(known[0]) && (known[i].option & OPTION_TIMES) != 0;
        if (i == sizeof(known) / sizeof(known[0]) || (known[i].option & allowed) == 0 ||
            (ret->set & known[i].excludes) != 0 ||
            (takes_time && index + 1 == call->argument_count)) {
            resp_error_syntax(call->reply);
            return false;
        }
        ret->set |= known[i].option;
        if (takes_time)
            ret->time_index = ++index;
    }
    return true;
}

/* The moment that the options say, VALUE_NEVER without one. False: an error was replied. */
static bool moment_of(struct call *call, const struct options *options, int64_t *ret_ms)
{
    int64_t time;
    *ret_ms = VALUE_NEVER;
    if ((options->set & OPTION_TIMES) == 0)
        return true;
    return resp_data_integer(call, options->time_index, &time) &&
           resp_data_moment(call, time, (options->set & (OPTION_EX | OPTION_EXAT)) != 0,
                            (options->set & (OPTION_EX | OPTION_PX)) != 0, true, ret_ms);
}

static void run_set(struct call *call)
{
    struct kvs_bytes key = call->arguments[1];
    struct options options;
    struct value before;
    int64_t expires_at_ms;
    enum found found = MISSING;
    if (!parse_options(call, 3, OPTION_NX | OPTION_XX | OPTION_GET | OPTION_KEEPTTL | OPTION_TIMES,
                       &options) ||
        !moment_of(call, &options, &expires_at_ms))
        return;
    if ((options.set & (OPTION_NX | OPTION_XX | OPTION_GET)) != 0)
        found = resp_data_get(call, key, &before);
    if (found == FAILED)
        return;
    bool set = ((options.set & OPTION_NX) == 0 || found == MISSING) &&
               ((options.set & OPTION_XX) == 0 || found == FOUND);
    if ((options.set & OPTION_KEEPTTL) != 0)
        expires_at_ms = TRANSACTION_KEEP;
    if (set && !resp_data_set(call, key, call->arguments[2], expires_at_ms))
        return;
    if ((options.set & OPTION_GET) != 0)
        resp_data_reply_value(call, found, &before);
    else if (set)
        resp_ok(call->reply);
    else
        resp_null(call->reply);
}

static void run_setnx(struct call *call)
{
    uint64_t len;
    int64_t expires_at_ms;
    enum found found = resp_data_look(call, call->arguments[1], &len, &expires_at_ms);
    if (found == FOUND)
        resp_integer(call->reply, 0);
    else if (found == MISSING &&
             resp_data_set(call, call->arguments[1], call->arguments[2], VALUE_NEVER))
        resp_integer(call->reply, 1);
}

static void set_for(struct call *call, bool seconds)
{
    int64_t time;
    int64_t expires_at_ms;
    if (resp_data_integer(call, 2, &time) &&
        resp_data_moment(call, time, seconds, true, true, &expires_at_ms) &&
        resp_data_set(call, call->arguments[1], call->arguments[3], expires_at_ms))
        resp_ok(call->reply);
}

static void run_setex(struct call *call)
{
    set_for(call, true);
}

static void run_psetex(struct call *call)
{
    set_for(call, false);
}

static void run_getex(struct call *call)
{
    struct kvs_bytes key = call->arguments[1];
    struct options options;
    struct value value;
    int64_t expires_at_ms;
    if (!parse_options(call, 2, OPTION_PERSIST | OPTION_TIMES, &options))
        return;
    enum found found = resp_data_get(call, key, &value);
    if (found != FOUND) {
        resp_data_reply_value(call, found, &value);
        return;
    }
    if (!moment_of(call, &options, &expires_at_ms))
        return;
    bool done = true;
    if ((options.set & (OPTION_EXAT | OPTION_PXAT)) != 0 && expires_at_ms <= call->now_ms)
        done = resp_data_remove(call, key);
    else if (options.set != 0 && expires_at_ms != value.expires_at_ms)
        done = resp_data_set(call, key, value.content, expires_at_ms);
    if (done)
        resp_data_reply_value(call, FOUND, &value);
}

const struct resp_command resp_set_commands[] = {
    RESP_COMMAND("set", -3, RESP_WRITE, "string", "1.0.0",
                 "Set the value of a key, and perhaps when it expires", run_set, RESP_KEY_FIRST,
                 .kind = RESP_KIND_SET),
    RESP_COMMAND("setnx", 3, RESP_WRITE | RESP_FAST, "string", "1.0.0",
                 "Set the value of a key, only if the key does not exist", run_setnx,
                 RESP_KEY_FIRST),
    RESP_COMMAND("setex", 4, RESP_WRITE, "string", "2.0.0",
                 "Set the value of a key, and in how many seconds it expires", run_setex,
                 RESP_KEY_FIRST),
    RESP_COMMAND("psetex", 4, RESP_WRITE, "string", "2.6.0",
                 "Set the value of a key, and in how many milliseconds it expires", run_psetex,
                 RESP_KEY_FIRST),
    RESP_COMMAND("getex", -2, RESP_WRITE | RESP_FAST, "string", "6.2.0",
                 "Get the value of a key, and set when it expires", run_getex, RESP_KEY_FIRST),
    {.name = NULL},
};
