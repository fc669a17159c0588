/* See resp_subcommand.h. */
#include "command/resp_subcommand.h"

#include <ctype.h>
#include <stdio.h>

#include "command/resp_errors.h"
#include "command/word.h"

#define NAME_MAX_SIZE 64u

/* The command's own name, in capitals: what was sent, which is in the table. */
static void container_name(struct kvs_bytes sent, char name[NAME_MAX_SIZE])
{
    if (!word_copy(sent, name, NAME_MAX_SIZE))
        name[0] = '\0';
    for (char *at = name; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
}

static void run_help(const struct call *call, const struct resp_subcommand *table)
{
    char container[NAME_MAX_SIZE];
    char line[512];
    uint64_t count = 0;
    container_name(call->arguments[0], container);
    for (const struct resp_subcommand *each = table; each->name != NULL; each++)
        count += each->help != NULL;
    resp_array(call->reply, count + 2);
    (void)snprintf(line, sizeof(line),
                   "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container);
    resp_simple(call->reply, line);
    for (const struct resp_subcommand *each = table; each->name != NULL; each++) {
        if (each->help == NULL)
            continue;
        (void)snprintf(line, sizeof(line), "%s %s", each->name, each->help);
        for (char *at = line; *at != ' ' && *at != '\0'; at++)
            *at = (char)toupper((unsigned char)*at);
        resp_simple(call->reply, line);
    }
    resp_simple(call->reply, "HELP");
}

static const struct resp_subcommand help = {"help", 2, NULL, NULL};

static const struct resp_subcommand *find(const struct resp_subcommand *table,
                                          struct kvs_bytes name)
{
    for (const struct resp_subcommand *each = table; each->name != NULL; each++) {
        if (word_is(name, each->name))
            return each;
    }
    return word_is(name, help.name) ? &help : NULL;
}

bool resp_subcommand_fits(const struct resp_subcommand *table, const struct kvs_bytes *arguments,
                          uint32_t count, struct resp_writer *reply)
{
    char container[NAME_MAX_SIZE];
    container_name(arguments[0], container);
    const struct resp_subcommand *found = find(table, arguments[1]);
    if (found == NULL) {
        resp_error_unknown_subcommand(reply, arguments[1], container);
        return false;
    }
    if (found->arity >= 0 ? count == (uint32_t)found->arity : count >= (uint32_t)-found->arity)
        return true;
    char name[2 * NAME_MAX_SIZE];
    for (char *at = container; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    (void)snprintf(name, sizeof(name), "%s|%s", container, found->name);
    resp_error_arity(reply, name);
    return false;
}

void resp_subcommand_run(struct call *call)
{
    const struct resp_subcommand *table = call->command->subcommands;
    if (!resp_subcommand_fits(table, call->arguments, call->argument_count, call->reply))
        return;
    const struct resp_subcommand *found = find(table, call->arguments[1]);
    if (found == &help)
        run_help(call, table);
    else
        found->run(call);
}
