/*
 * See resp_commands.h. COMMAND tells clients what the table holds: cluster clients and proxies look
 * for keys in it, redis-cli makes its hints and its help of it.
 */
#include "command/resp_commands.h"

#include <fnmatch.h>
#include <stdio.h>

#include "base/bytes.h"
#include "command/command.h"
#include "command/resp_errors.h"
#include "command/resp_subcommand.h"
#include "command/resp_table.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

#define PATTERN_MAX 128u

static const struct resp_command *find(const struct call *call, struct kvs_bytes name)
{
    const struct resp_table *table = call->context->resp_commands;
    int32_t index = resp_table_find(table, name);
    return index >= 0 ? table->commands[index] : NULL;
}

/* ---- what a command is --------------------------------------------------------------------- */

struct named_flag {
    uint32_t flag;
    bool absent; /* shown where the flag is not set */
    const char *name;
};

static const struct named_flag flags[] = {
    {RESP_READ, false, "readonly"},      {RESP_WRITE, false, "write"},
    {RESP_ADMIN, false, "admin"},        {RESP_FAST, false, "fast"},
    {RESP_NO_MULTI, false, "no_multi"},  {RESP_NO_AUTH, false, "no_auth"},
    {RESP_LOADING_OK, false, "loading"},
};

static const struct named_flag categories[] = {
    {RESP_READ, false, "@read"}, {RESP_WRITE, false, "@write"}, {RESP_ADMIN, false, "@admin"},
    {RESP_FAST, false, "@fast"}, {RESP_FAST, true, "@slow"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_shown(const struct named_flag *flag, const struct resp_command *command)
{
    return ((command->flags & flag->flag) != 0) != flag->absent;
}

static uint64_t count_shown(const struct named_flag *named, size_t count,
                            const struct resp_command *command)
{
    uint64_t shown = 0;
    for (size_t i = 0; i < count; i++)
        shown += is_shown(&named[i], command);
    return shown;
}

static void answer_shown(struct resp_writer *reply, const struct named_flag *named, size_t count,
                         const struct resp_command *command)
{
    for (size_t i = 0; i < count; i++) {
        if (is_shown(&named[i], command))
            resp_simple(reply, named[i].name);
    }
}

static void answer_info(struct resp_writer *reply, const struct resp_command *command)
{
    char group[64];
    (void)snprintf(group, sizeof(group), "@%s", command->group);
    resp_array(reply, 10);
    resp_bulk_text(reply, command->name);
    resp_integer(reply, command->arity);
    resp_set(reply, count_shown(flags, COUNT(flags), command));
    answer_shown(reply, flags, COUNT(flags), command);
    resp_integer(reply, command->first_key);
    resp_integer(reply, command->last_key);
    resp_integer(reply, command->key_step);
    resp_set(reply, count_shown(categories, COUNT(categories), command) + 1);
    answer_shown(reply, categories, COUNT(categories), command);
    resp_simple(reply, group);
    resp_array(reply, 0); /* tips */
    resp_array(reply, 0); /* key specifications: first, last and step say it all */
    resp_array(reply, 0); /* subcommands */
}

static void answer_docs(struct resp_writer *reply, const struct resp_command *command)
{
    resp_bulk_text(reply, command->name);
    resp_map(reply, 3);
    resp_bulk_text(reply, "summary");
    resp_bulk_text(reply, command->summary);
    resp_bulk_text(reply, "since");
    resp_bulk_text(reply, command->since);
    resp_bulk_text(reply, "group");
    resp_bulk_text(reply, command->group);
}

/* ---- the subcommands ----------------------------------------------------------------------- */

static void answer_all(struct call *call)
{
    const struct resp_table *table = call->context->resp_commands;
    resp_array(call->reply, table->count);
    for (uint32_t i = 0; i < table->count; i++)
        answer_info(call->reply, table->commands[i]);
}

static void run_count(struct call *call)
{
    resp_integer(call->reply, call->context->resp_commands->count);
}

static void run_info(struct call *call)
{
    if (call->argument_count == 2) {
        answer_all(call);
        return;
    }
    resp_array(call->reply, call->argument_count - 2);
    for (uint32_t i = 2; i < call->argument_count; i++) {
        const struct resp_command *command = find(call, call->arguments[i]);
        if (command != NULL)
            answer_info(call->reply, command);
        else
            resp_null(call->reply);
    }
}

static void run_docs(struct call *call)
{
    const struct resp_table *table = call->context->resp_commands;
    if (call->argument_count == 2) {
        resp_map(call->reply, table->count);
        for (uint32_t i = 0; i < table->count; i++)
            answer_docs(call->reply, table->commands[i]);
        return;
    }
    uint64_t known = 0;
    for (uint32_t i = 2; i < call->argument_count; i++)
        known += find(call, call->arguments[i]) != NULL;
    resp_map(call->reply, known);
    for (uint32_t i = 2; i < call->argument_count; i++) {
        const struct resp_command *command = find(call, call->arguments[i]);
        if (command != NULL)
            answer_docs(call->reply, command);
    }
}

/* What LIST shows: all, those of a category, or those that match a pattern. */
struct filter {
    char pattern[PATTERN_MAX]; /* "": any */
    char category[PATTERN_MAX];
};

static bool passes(const struct filter *filter, const struct resp_command *command)
{
    if (filter->pattern[0] != '\0')
        return fnmatch(filter->pattern, command->name, FNM_CASEFOLD) == 0;
    if (filter->category[0] == '\0' || strcasecmp(filter->category, command->group) == 0)
        return true;
    for (size_t i = 0; i < COUNT(categories); i++) {
        if (strcasecmp(categories[i].name + 1, filter->category) == 0)
            return is_shown(&categories[i], command);
    }
    return false;
}

static void run_list(struct call *call)
{
    const struct resp_table *table = call->context->resp_commands;
    const struct kvs_bytes *arguments = call->arguments;
    struct filter filter = {"", ""};
    bool none = false;
    if (call->argument_count != 2) {
        bool known = call->argument_count == 5 && word_is(arguments[2], "filterby");
        if (known && word_is(arguments[3], "pattern"))
            known = word_copy(arguments[4], filter.pattern, sizeof(filter.pattern));
        else if (known && word_is(arguments[3], "aclcat"))
            known = word_copy(arguments[4], filter.category, sizeof(filter.category));
        else
            known = none = known && word_is(arguments[3], "module");
        if (!known) {
            resp_error_syntax(call->reply);
            return;
        }
    }
    uint64_t count = 0;
    for (uint32_t i = 0; i < table->count; i++)
        count += !none && passes(&filter, table->commands[i]);
    resp_array(call->reply, count);
    for (uint32_t i = 0; i < table->count; i++) {
        if (!none && passes(&filter, table->commands[i]))
            resp_bulk_text(call->reply, table->commands[i]->name);
    }
}

/* COMMAND GETKEYS command [argument ...] */
static void run_getkeys(struct call *call)
{
    const struct resp_command *command = find(call, call->arguments[2]);
    uint32_t count = call->argument_count - 2;
    if (command == NULL) {
        resp_error(call->reply, "ERR Invalid command specified");
        return;
    }
    if (command->arity >= 0 ? count != (uint32_t)command->arity
                            : count < (uint32_t)-command->arity) {
        resp_error(call->reply, "ERR Invalid number of arguments specified for command");
        return;
    }
    if (command->first_key == 0) {
        resp_error(call->reply, "ERR The command has no key arguments");
        return;
    }
    uint32_t last =
        command->last_key >= 0 ? (uint32_t)command->last_key : count - (uint32_t)-command->last_key;
    uint32_t first = (uint32_t)command->first_key;
    uint32_t step = (uint32_t)command->key_step;
    if (last >= count) { /* of a subcommand without a key */
        resp_error(call->reply, "ERR The command has no key arguments");
        return;
    }
    resp_array(call->reply, last >= first ? (last - first) / step + 1 : 0);
    for (uint32_t i = first; i <= last; i += step)
        resp_bulk(call->reply, call->arguments[2 + i]);
}

static const struct resp_subcommand command_subcommands[] = {
    {"count", 2, ": how many commands there are", run_count},
    {"docs", -2, "[<command> ...]: what they are for", run_docs},
    {"getkeys", -4, "<command> [<argument> ...]: the keys among the arguments", run_getkeys},
    {"info", -2, "[<command> ...]: arguments, flags and keys", run_info},
    {"list", -2, "[FILTERBY <ACLCAT|PATTERN|MODULE> <value>]: the names", run_list},
    {NULL, 0, NULL, NULL},
};

static void run_command(struct call *call)
{
    if (call->argument_count == 1)
        answer_all(call);
    else
        resp_subcommand_run(call);
}

const struct resp_command resp_commands_commands[] = {
    {
        .name = "command",
        .arity = -1,
        .flags = RESP_LOADING_OK,
        .group = "server",
        .since = "2.8.13",
        .summary = "Tell which commands there are",
        .run = run_command,
        .subcommands = command_subcommands,
    },
    {.name = NULL},
};
