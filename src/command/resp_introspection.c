/* See resp_introspection.h. */
#include "command/resp_introspection.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "command/command.h"
#include "command/resp_errors.h"
#include "command/resp_subcommand.h"
#include "command/transaction.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

/* ---- the server ---------------------------------------------------------------------------- */

static void take_keys(void *arg, const char *name, uint64_t value)
{
    int64_t *keys = arg;
    if (strcmp(name, "keys") == 0)
        *keys = (int64_t)value;
}

static void run_dbsize(struct call *call)
{
    const struct store *store = call->context->store;
    int64_t keys = -1;
    if (store->engine->stats != NULL)
        store->engine->stats(store->db, take_keys, &keys);
    if (keys >= 0)
        resp_integer(call->reply, keys);
    else
        resp_error_unsupported(call->reply, "this engine does not count its keys");
}

static void run_time(struct call *call)
{
    char text[32];
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    resp_array(call->reply, 2);
    (void)snprintf(text, sizeof(text), "%lld", (long long)now.tv_sec);
    resp_bulk_text(call->reply, text);
    (void)snprintf(text, sizeof(text), "%ld", now.tv_nsec / 1000);
    resp_bulk_text(call->reply, text);
}

static void run_role(struct call *call)
{
    resp_array(call->reply, 3);
    resp_bulk_text(call->reply, "master");
    resp_integer(call->reply, 0);
    resp_array(call->reply, 0);
}

/* ---- SLOWLOG ------------------------------------------------------------------------------- */

#define SLOW_LOG_DEFAULT 10

struct slow_answer {
    struct resp_writer entries; /* into a buffer of its own: how many there are is said first */
    uint64_t count;
};

static void add_slow(void *arg, const struct slow_entry *entry)
{
    struct slow_answer *answer = arg;
    resp_array(&answer->entries, 6);
    resp_integer(&answer->entries, (int64_t)entry->id);
    resp_integer(&answer->entries, entry->time_s);
    resp_integer(&answer->entries, (int64_t)entry->duration_us);
    resp_array(&answer->entries, entry->argument_count);
    for (uint32_t i = 0; i < entry->argument_count; i++)
        resp_bulk(&answer->entries, entry->arguments[i]);
    resp_bulk_text(&answer->entries, entry->client_address != NULL ? entry->client_address : "");
    resp_bulk_text(&answer->entries, entry->client_name != NULL ? entry->client_name : "");
    answer->count++;
}

static void run_slowlog_get(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    struct buffer text = {0};
    struct slow_answer answer = {.entries = {.out = &text, .version = call->reply->version}};
    int64_t count = SLOW_LOG_DEFAULT;
    if (call->argument_count > 3) {
        resp_error(call->reply,
                   "ERR unknown subcommand or wrong number of arguments for 'GET'. Try "
                   "SLOWLOG HELP.");
        return;
    }
    if (call->argument_count == 3 && (!word_integer(call->arguments[2], &count) || count < -1)) {
        resp_error(call->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    if (hooks->visit_slow_log != NULL && count != 0)
        hooks->visit_slow_log(hooks->arg, count < 0 ? UINT64_MAX : (uint64_t)count, add_slow,
                              &answer);
    if (answer.entries.status == KVS_OK) {
        resp_array(call->reply, answer.count);
        resp_append(call->reply, &text);
    } else {
        resp_fault(call->reply, answer.entries.status, NULL);
    }
    buffer_deinit(&text);
}

static void run_slowlog_len(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    resp_integer(call->reply,
                 hooks->slow_log_length != NULL ? (int64_t)hooks->slow_log_length(hooks->arg) : 0);
}

static void run_slowlog_reset(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    if (hooks->slow_log_reset != NULL)
        hooks->slow_log_reset(hooks->arg);
    resp_ok(call->reply);
}

static const struct resp_subcommand slowlog_subcommands[] = {
    {"get", -2, "[<count>]: the newest entries, 10 unless told; -1: all", run_slowlog_get},
    {"len", 2, ": how many entries there are", run_slowlog_len},
    {"reset", 2, ": forgets them", run_slowlog_reset},
    {NULL, 0, NULL, NULL},
};

/* ---- LATENCY: nothing is monitored --------------------------------------------------------- */

static void answer_none(struct call *call)
{
    resp_array(call->reply, 0);
}

static void answer_no_pairs(struct call *call)
{
    resp_map(call->reply, 0);
}

static void answer_zero(struct call *call)
{
    resp_integer(call->reply, 0);
}

static const struct resp_subcommand latency_subcommands[] = {
    {"histogram", -2, ": none; see the metrics", answer_no_pairs},
    {"history", 3, ": none", answer_none},
    {"latest", 2, ": none", answer_none},
    {"reset", -2, ": nothing to forget", answer_zero},
    {NULL, 0, NULL, NULL},
};

/* ---- keys ---------------------------------------------------------------------------------- */

#define KEY_OVERHEAD_BYTES 48 /* of a record's header and an index entry, about */

/* Looks at the key that arguments[2] names. False: there is none, which is answered, or a fault. */
static bool look(struct call *call, uint64_t *ret_len)
{
    int64_t expires_at_ms;
    kvs_status status = transaction_look(call->txn, call->arguments[2], ret_len, &expires_at_ms);
    if (status == KVS_NOT_FOUND)
        resp_null(call->reply);
    else if (status != KVS_OK)
        resp_fault(call->reply, status, transaction_message(call->txn));
    return status == KVS_OK;
}

static void run_memory_usage(struct call *call)
{
    uint64_t len;
    int64_t samples = 0;
    if (call->argument_count != 3 &&
        !(call->argument_count == 5 && word_is(call->arguments[3], "samples"))) {
        resp_error_syntax(call->reply);
        return;
    }
    if (call->argument_count == 5 && !word_integer(call->arguments[4], &samples)) {
        resp_error_not_integer(call->reply);
        return;
    }
    if (samples < 0) {
        resp_error_syntax(call->reply);
        return;
    }
    if (look(call, &len))
        resp_integer(call->reply, (int64_t)(call->arguments[2].len + len) + KEY_OVERHEAD_BYTES);
}

static void run_memory_doctor(struct call *call)
{
    resp_verbatim(call->reply,
                  bytes_of_text("Values are on the disk; see INFO memory for what this "
                                "server's process takes."));
}

static void run_memory_purge(struct call *call)
{
    resp_ok(call->reply);
}

static const struct resp_subcommand memory_subcommands[] = {
    {"doctor", 2, ": a word about memory", run_memory_doctor},
    {"purge", 2, ": nothing to give back", run_memory_purge},
    {"usage", -3, "<key> [SAMPLES <count>]: bytes that the key and its value take, about",
     run_memory_usage},
    {NULL, 0, NULL, NULL},
};

#define EMBEDDED_MAX 44u /* bytes of a string that Redis keeps beside its header */
#define INTEGER_MAX  20u /* bytes of one that may be a number */

static void run_object_encoding(struct call *call)
{
    struct value value;
    int64_t number;
    kvs_status status = transaction_get(call->txn, call->arguments[2], &value);
    if (status == KVS_NOT_FOUND)
        resp_null(call->reply);
    else if (status != KVS_OK)
        resp_fault(call->reply, status, transaction_message(call->txn));
    else if (value.content.len <= INTEGER_MAX && word_integer(value.content, &number))
        resp_bulk_text(call->reply, "int");
    else
        resp_bulk_text(call->reply, value.content.len <= EMBEDDED_MAX ? "embstr" : "raw");
}

static void run_object_refcount(struct call *call)
{
    uint64_t len;
    if (look(call, &len))
        resp_integer(call->reply, 1);
}

static void run_object_idletime(struct call *call)
{
    uint64_t len;
    if (look(call, &len))
        resp_integer(call->reply, 0); /* nobody notes when a key was used */
}

static void run_object_freq(struct call *call)
{
    uint64_t len;
    if (look(call, &len))
        resp_error(call->reply,
                   "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                   "Please note that when switching between policies at runtime LRU and LFU data "
                   "will take some time to adjust.");
}

static const struct resp_subcommand object_subcommands[] = {
    {"encoding", 3, "<key>: how Redis would keep the value", run_object_encoding},
    {"freq", 3, NULL, run_object_freq},
    {"idletime", 3, "<key>: always 0", run_object_idletime},
    {"refcount", 3, "<key>: always 1", run_object_refcount},
    {NULL, 0, NULL, NULL},
};

/* ---- the table ----------------------------------------------------------------------------- */

const struct resp_command resp_introspection_commands[] = {
    {.name = "dbsize",
     .arity = 1,
     .flags = RESP_FAST,
     .group = "server",
     .since = "1.0.0",
     .summary = "Count the keys",
     .run = run_dbsize},
    {.name = "latency",
     .arity = -2,
     .flags = RESP_ADMIN | RESP_LOADING_OK,
     .group = "server",
     .since = "2.8.13",
     .summary = "Answer that no latencies were noted",
     .run = resp_subcommand_run,
     .subcommands = latency_subcommands},
    {.name = "memory",
     .arity = -2,
     .flags = RESP_READ,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .group = "server",
     .since = "4.0.0",
     .summary = "Tell how much a key takes",
     .run = resp_subcommand_run,
     .subcommands = memory_subcommands},
    {.name = "object",
     .arity = -2,
     .flags = RESP_READ,
     .first_key = 2,
     .last_key = 2,
     .key_step = 1,
     .group = "generic",
     .since = "2.2.3",
     .summary = "Tell how a value is kept",
     .run = resp_subcommand_run,
     .subcommands = object_subcommands},
    {.name = "role",
     .arity = 1,
     .flags = RESP_FAST | RESP_LOADING_OK,
     .group = "server",
     .since = "2.8.12",
     .summary = "Answer that this server is its own master",
     .run = run_role},
    {.name = "slowlog",
     .arity = -2,
     .flags = RESP_ADMIN | RESP_LOADING_OK,
     .group = "server",
     .since = "2.2.12",
     .summary = "Show the commands that took long",
     .run = resp_subcommand_run,
     .subcommands = slowlog_subcommands},
    {.name = "time",
     .arity = 1,
     .flags = RESP_FAST | RESP_LOADING_OK,
     .group = "server",
     .since = "2.6.0",
     .summary = "Tell the server's time: seconds and microseconds",
     .run = run_time},
    {.name = NULL},
};
