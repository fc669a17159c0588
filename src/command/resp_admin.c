/* See resp_admin.h. */
#include "command/resp_admin.h"

#include "base/bytes.h"
#include "command/client.h"
#include "command/command.h"
#include "command/resp_errors.h"
#include "command/resp_subcommand.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

#define SHOWN_MAX 64u /* bytes of an argument that an error repeats */

/* ---- checkpoints --------------------------------------------------------------------------- */

/* Answers what a save came to, when that was nothing good. */
static bool answer_save(struct call *call, kvs_status status, const char *message)
{
    if (status == KVS_BUSY)
        resp_error(call->reply, "ERR Background save already in progress");
    else if (status == KVS_UNSUPPORTED && message[0] == '\0')
        resp_error_unsupported(call->reply, "this server writes no checkpoints");
    else if (status != KVS_OK)
        resp_error(call->reply, "ERR %s", message[0] != '\0' ? message : kvs_status_text(status));
    return status == KVS_OK;
}

static bool save(struct call *call, bool in_background)
{
    const struct hooks *hooks = &call->context->hooks;
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status =
        hooks->save != NULL ? hooks->save(hooks->arg, in_background, &error) : KVS_UNSUPPORTED;
    return answer_save(call, status, message);
}

static void run_save(struct call *call)
{
    if (save(call, false))
        resp_ok(call->reply);
}

static void run_bgsave(struct call *call)
{
    if (call->argument_count > 2 ||
        (call->argument_count == 2 && !word_is(call->arguments[1], "schedule")))
        resp_error_syntax(call->reply);
    else if (save(call, true))
        resp_simple(call->reply, "Background saving started");
}

static void run_lastsave(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    struct save_state state = {0};
    if (hooks->save_state != NULL)
        hooks->save_state(hooks->arg, &state);
    resp_integer(call->reply, state.last_success_s);
}

/* ---- the end ------------------------------------------------------------------------------- */

/* SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]. False: the error is answered. */
static bool read_shutdown(const struct call *call, uint32_t *ret_flags)
{
    bool save_asked = false;
    bool no_save = false;
    for (uint32_t i = 1; i < call->argument_count; i++) {
        struct kvs_bytes word = call->arguments[i];
        save_asked = save_asked || word_is(word, "save");
        no_save = no_save || word_is(word, "nosave");
        if (word_is(word, "abort") && call->argument_count == 2) {
            resp_error(call->reply, "ERR No shutdown in progress.");
            return false;
        }
        if (!word_is(word, "save") && !word_is(word, "nosave") && !word_is(word, "now") &&
            !word_is(word, "force")) {
            resp_error_syntax(call->reply);
            return false;
        }
    }
    if (save_asked && no_save) {
        resp_error_syntax(call->reply);
        return false;
    }
    *ret_flags = save_asked ? SHUT_DOWN_SAVE : 0;
    return true;
}

/* As with Redis, success has no answer but the end of the connection: clients take an answer for a
   failure. */
static void run_shutdown(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    uint32_t flags = 0;
    if (!read_shutdown(call, &flags))
        return;
    kvs_status status =
        hooks->shut_down != NULL ? hooks->shut_down(hooks->arg, flags, &error) : KVS_UNSUPPORTED;
    if (status != KVS_OK) {
        resp_error(call->reply, "ERR Errors trying to SHUTDOWN. %s",
                   message[0] != '\0' ? message : "Check logs.");
        return;
    }
    call->client->close_after_reply = true;
}

/* ---- replication and scripts: there is nothing --------------------------------------------- */

/* FLUSH [ASYNC|SYNC] */
static bool is_flush(const struct call *call)
{
    return call->argument_count == 2 ||
           (call->argument_count == 3 &&
            (word_is(call->arguments[2], "async") || word_is(call->arguments[2], "sync")));
}

static void run_script_flush(struct call *call)
{
    if (is_flush(call))
        resp_ok(call->reply);
    else
        resp_error(call->reply, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
}

static void run_function_flush(struct call *call)
{
    if (is_flush(call))
        resp_ok(call->reply);
    else
        resp_error(call->reply, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
}

static void answer_none(struct call *call)
{
    resp_array(call->reply, 0);
}

/* FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE] */
static void run_function_list(struct call *call)
{
    const struct kvs_bytes *arguments = call->arguments;
    bool with_code = false;
    bool named = false;
    for (uint32_t i = 2; i < call->argument_count; i++) {
        if (!with_code && word_is(arguments[i], "withcode")) {
            with_code = true;
        } else if (!named && word_is(arguments[i], "libraryname")) {
            named = true;
            if (++i < call->argument_count)
                continue;
            resp_error(call->reply, "ERR library name argument was not given");
            return;
        } else {
            uint64_t size = arguments[i].len < SHOWN_MAX ? arguments[i].len : SHOWN_MAX;
            resp_error(call->reply, "ERR Unknown argument %.*s", (int)size,
                       (const char *)arguments[i].ptr);
            return;
        }
    }
    answer_none(call);
}

static void run_wait(struct call *call)
{
    int64_t replicas;
    int64_t timeout_ms;
    if (!word_integer(call->arguments[1], &replicas))
        resp_error_not_integer(call->reply);
    else if (!word_integer(call->arguments[2], &timeout_ms))
        resp_error(call->reply, "ERR timeout is not an integer or out of range");
    else if (timeout_ms < 0)
        resp_error(call->reply, "ERR timeout is negative");
    else
        resp_integer(call->reply, 0);
}

static void run_script_exists(struct call *call)
{
    resp_array(call->reply, call->argument_count - 2);
    for (uint32_t i = 2; i < call->argument_count; i++)
        resp_integer(call->reply, 0);
}

static void run_script_load(struct call *call)
{
    resp_error_unsupported(call->reply, "scripts are not supported");
}

static const struct resp_subcommand script_subcommands[] = {
    {"exists", -3, "<sha1> [...]: none exists", run_script_exists},
    {"flush", -2, ": nothing to forget", run_script_flush},
    {"load", 3, NULL, run_script_load},
    {NULL, 0, NULL, NULL},
};

static const struct resp_subcommand function_subcommands[] = {
    {"flush", -2, ": nothing to forget", run_function_flush},
    {"list", -2, "[LIBRARYNAME <pattern>] [WITHCODE]: none", run_function_list},
    {"load", -3, NULL, run_script_load},
    {NULL, 0, NULL, NULL},
};

static const struct resp_subcommand module_subcommands[] = {
    {"list", 2, ": none", answer_none},
    {NULL, 0, NULL, NULL},
};

static void run_whoami(struct call *call)
{
    resp_bulk_text(call->reply, "default");
}

static const struct resp_subcommand acl_subcommands[] = {
    {"whoami", 2, ": there is one user", run_whoami},
    {NULL, 0, NULL, NULL},
};

static void answer_no_cluster(struct call *call)
{
    resp_error(call->reply, "ERR This instance has cluster support disabled");
}

static void answer_no_debug(struct call *call)
{
    resp_error(call->reply, "ERR DEBUG command not allowed.");
}

static void answer_no_rewrite(struct call *call)
{
    resp_error_unsupported(
        call->reply, "BGREWRITEAOF is not supported: engines reuse freed space by themselves");
}

static void answer_no_monitor(struct call *call)
{
    resp_error_unsupported(call->reply, "MONITOR is not supported; see SLOWLOG and the metrics");
}

/* ---- the table ----------------------------------------------------------------------------- */

#define ADMIN(name_, arity_, flags_, run_, since_, summary_)                                       \
    {                                                                                              \
        .name = (name_), .arity = (arity_), .flags = (flags_), .group = "server",                  \
        .since = (since_), .summary = (summary_), .run = (run_)                                    \
    }

const struct resp_command resp_admin_commands[] = {
    {.name = "acl",
     .arity = -2,
     .flags = RESP_ADMIN | RESP_LOADING_OK,
     .group = "server",
     .since = "6.0.0",
     .summary = "Tell who one is",
     .run = resp_subcommand_run,
     .subcommands = acl_subcommands},
    ADMIN("asking", 1, RESP_FAST, answer_no_cluster, "3.0.0", "Refused: there is no cluster"),
    ADMIN("bgrewriteaof", 1, RESP_ADMIN, answer_no_rewrite, "1.0.0",
          "Refused: engines reuse freed space by themselves"),
    ADMIN("bgsave", -1, RESP_ADMIN | RESP_NO_MULTI, run_bgsave, "1.0.0",
          "Begin to write a checkpoint"),
    ADMIN("cluster", -2, RESP_LOADING_OK, answer_no_cluster, "3.0.0",
          "Refused: there is no cluster"),
    ADMIN("debug", -2, RESP_ADMIN | RESP_LOADING_OK, answer_no_debug, "1.0.0",
          "Refused: its subcommands are about Redis itself"),
    {.name = "function",
     .arity = -2,
     .flags = 0,
     .group = "server",
     .since = "7.0.0",
     .summary = "Answer that there are no functions",
     .run = resp_subcommand_run,
     .subcommands = function_subcommands},
    ADMIN("lastsave", 1, RESP_ADMIN | RESP_FAST | RESP_LOADING_OK, run_lastsave, "1.0.0",
          "Tell when the last checkpoint was written"),
    {.name = "module",
     .arity = -2,
     .flags = RESP_ADMIN,
     .group = "server",
     .since = "4.0.0",
     .summary = "Answer that there are no modules",
     .run = resp_subcommand_run,
     .subcommands = module_subcommands},
    ADMIN("monitor", 1, RESP_ADMIN | RESP_NO_MULTI, answer_no_monitor, "1.0.0",
          "Refused: see SLOWLOG and the metrics"),
    ADMIN("readonly", 1, RESP_FAST | RESP_LOADING_OK, answer_no_cluster, "3.0.0",
          "Refused: there is no cluster"),
    ADMIN("readwrite", 1, RESP_FAST | RESP_LOADING_OK, answer_no_cluster, "3.0.0",
          "Refused: there is no cluster"),
    ADMIN("save", 1, RESP_ADMIN | RESP_NO_MULTI, run_save, "1.0.0", "Write a checkpoint"),
    {.name = "script",
     .arity = -2,
     .flags = 0,
     .group = "server",
     .since = "2.6.0",
     .summary = "Answer that there are no scripts",
     .run = resp_subcommand_run,
     .subcommands = script_subcommands},
    ADMIN("shutdown", -1, RESP_ADMIN | RESP_NO_MULTI | RESP_LOADING_OK, run_shutdown, "1.0.0",
          "Stop the server"),
    ADMIN("wait", 3, 0, run_wait, "3.0.0", "Answer that no replica has confirmed anything"),
    {.name = NULL},
};
