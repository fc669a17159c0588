/*
 * See resp_config.h. CONFIG: settings by the names that Redis has for them. Those that the server has
 * come from it (hooks.visit_settings); `constants` are what clients and tools ask for and what is
 * always so here.
 */
#include "command/resp_config.h"

#include <fnmatch.h>
#include <string.h>

#include "base/bytes.h"
#include "command/command.h"
#include "command/resp_errors.h"
#include "command/resp_subcommand.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

#define WORD_SIZE    512u /* of a pattern, a name or a value */
#define SETTINGS_MAX 64u  /* more than there are */

static const struct {
    const char *name;
    const char *value;
} constants[] = {
    {"save", ""},
    {"appendonly", "yes"},
    {"databases", "1"},
    {"maxmemory", "0"},
    {"maxmemory-policy", "noeviction"},
    {"cluster-enabled", "no"},
    {"notify-keyspace-events", ""},
};

/* Names and values on their way to the reply. */
struct answer {
    const struct kvs_bytes *patterns;
    uint32_t pattern_count;
    struct resp_writer pairs; /* into a buffer of its own: how many there are is said first */
    uint64_t count;
};

static void add_setting(void *arg, const char *name, const char *value)
{
    struct answer *answer = arg;
    for (uint32_t i = 0; i < answer->pattern_count; i++) {
        char pattern[WORD_SIZE];
        if (!word_copy(answer->patterns[i], pattern, sizeof(pattern)) ||
            fnmatch(pattern, name, FNM_CASEFOLD) != 0)
            continue;
        resp_bulk_text(&answer->pairs, name);
        resp_bulk_text(&answer->pairs, value);
        answer->count++;
        return;
    }
}

static void run_get(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    struct buffer text = {0};
    struct answer answer = {
        .patterns = call->arguments + 2,
        .pattern_count = call->argument_count - 2,
        .pairs = {.out = &text, .version = call->reply->version},
    };
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        add_setting(&answer, constants[i].name, constants[i].value);
    if (hooks->visit_settings != NULL)
        hooks->visit_settings(hooks->arg, add_setting, &answer);
    if (answer.pairs.status == KVS_OK) {
        resp_map(call->reply, answer.count);
        resp_append(call->reply, &text);
    } else {
        resp_fault(call->reply, answer.pairs.status, NULL);
    }
    buffer_deinit(&text);
}

/* A constant may be "changed" to what it is: clients do that to be sure. */
static kvs_status change_constant(const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        if (strcasecmp(constants[i].name, name) == 0)
            return strcmp(constants[i].value, value) == 0 ? KVS_OK : KVS_UNSUPPORTED;
    }
    return KVS_MISSING;
}

/* Changes one setting. False: the error is answered. */
static bool change(struct call *call, struct kvs_bytes name_word, struct kvs_bytes value_word)
{
    const struct hooks *hooks = &call->context->hooks;
    char name[WORD_SIZE];
    char value[WORD_SIZE];
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    if (!word_copy(name_word, name, sizeof(name)) || !word_copy(value_word, value, sizeof(value))) {
        resp_error(call->reply, "ERR CONFIG SET failed - a name or value is too long");
        return false;
    }
    kvs_status status = change_constant(name, value);
    if (status == KVS_MISSING && hooks->change_setting != NULL)
        status = hooks->change_setting(hooks->arg, name, value, &error);
    if (status == KVS_OK)
        return true;
    if (status == KVS_MISSING)
        resp_error(call->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%s'",
                   name);
    else if (status == KVS_UNSUPPORTED)
        resp_error(
            call->reply,
            "ERR CONFIG SET failed (possibly related to argument '%s') - can't set immutable "
            "config",
            name);
    else
        resp_error(call->reply, "ERR CONFIG SET failed (possibly related to argument '%s') - %s",
                   name, message[0] != '\0' ? message : kvs_status_text(status));
    return false;
}

/* True: the setting at `at` was named before; the error is answered. */
static bool repeats(const struct call *call, uint32_t at)
{
    char name[WORD_SIZE];
    if (!word_copy(call->arguments[at], name, sizeof(name)))
        return false;
    for (uint32_t i = 2; i < at && i < 2 * SETTINGS_MAX; i += 2) {
        if (word_is(call->arguments[i], name)) {
            resp_error(call->reply,
                       "ERR CONFIG SET failed (possibly related to argument '%s') - duplicate "
                       "parameter",
                       name);
            return true;
        }
    }
    return false;
}

static void run_set(struct call *call)
{
    if (call->argument_count % 2 != 0) {
        resp_error_arity(call->reply, "config|set");
        return;
    }
    for (uint32_t i = 4; i < call->argument_count; i += 2) {
        if (repeats(call, i))
            return;
    }
    for (uint32_t i = 2; i < call->argument_count; i += 2) {
        if (!change(call, call->arguments[i], call->arguments[i + 1]))
            return;
    }
    resp_ok(call->reply);
}

static void run_resetstat(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    if (hooks->reset_stats != NULL)
        hooks->reset_stats(hooks->arg);
    resp_ok(call->reply);
}

static void run_rewrite(struct call *call)
{
    resp_error_unsupported(call->reply, "CONFIG REWRITE is not supported: change the configuration "
                                        "file and have it reloaded");
}

static const struct resp_subcommand config_subcommands[] = {
    {"get", -3, "<pattern> [...]: settings with such names", run_get},
    {"resetstat", 2, ": sets what INFO counts back to 0", run_resetstat},
    {"rewrite", 2, NULL, run_rewrite},
    {"set", -4, "<name> <value> [...]: changes settings until the server stops", run_set},
    {NULL, 0, NULL, NULL},
};

const struct resp_command resp_config_commands[] = {
    {
        .name = "config",
        .arity = -2,
        .flags = RESP_ADMIN | RESP_LOADING_OK,
        .group = "server",
        .since = "2.0.0",
        .summary = "Show and change settings",
        .run = resp_subcommand_run,
        .subcommands = config_subcommands,
    },
    {.name = NULL},
};
