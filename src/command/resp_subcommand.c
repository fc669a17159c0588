/* See resp_subcommand.h. */
#include "command/resp_subcommand.h"

#include <ctype.h>
#include <stdio.h>

#include "command/resp_errors.h"
#include "command/word.h"

#define NAME_MAX_SIZE 64u

/* The command's own name, in capitals: what was sent, which is in the table. */
static void container_name(const struct call *call, char name[NAME_MAX_SIZE])
{
    if (!word_copy(call->arguments[0], name, NAME_MAX_SIZE))
        name[0] = '\0';
    for (char *at = name; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
}

static void run_help(const struct call *call, const struct resp_subcommand *table)
{
    char container[NAME_MAX_SIZE];
    char line[512];
    uint64_t count = 0;
    container_name(call, container);
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

static void run_one(struct call *call, const struct resp_subcommand *subcommand)
{
    bool fits = subcommand->arity >= 0 ? call->argument_count == (uint32_t)subcommand->arity
                                       : call->argument_count >= (uint32_t)-subcommand->arity;
    if (fits) {
        subcommand->run(call);
        return;
    }
    char container[NAME_MAX_SIZE];
    char name[2 * NAME_MAX_SIZE];
    container_name(call, container);
    for (char *at = container; *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    (void)snprintf(name, sizeof(name), "%s|%s", container, subcommand->name);
    resp_error_arity(call->reply, name);
}

void resp_subcommand_run(struct call *call, const struct resp_subcommand *table)
{
    for (const struct resp_subcommand *each = table; each->name != NULL; each++) {
        if (word_is(call->arguments[1], each->name)) {
            run_one(call, each);
            return;
        }
    }
    if (word_is(call->arguments[1], "help") && call->argument_count == 2) {
        run_help(call, table);
        return;
    }
    char container[NAME_MAX_SIZE];
    container_name(call, container);
    resp_error_unknown_subcommand(call->reply, call->arguments[1], container);
}
