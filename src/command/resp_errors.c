/* See resp_errors.h. */
#include "command/resp_errors.h"

#include <stdio.h>

#define QUOTED_MAX 128u /* bytes of a name, and of all arguments together, that an error repeats */

void resp_error_syntax(struct resp_writer *reply)
{
    resp_error(reply, "ERR syntax error");
}

void resp_error_not_integer(struct resp_writer *reply)
{
    resp_error(reply, "ERR value is not an integer or out of range");
}

void resp_error_no_auth(struct resp_writer *reply)
{
    resp_error(reply, "NOAUTH Authentication required.");
}

void resp_error_wrong_password(struct resp_writer *reply)
{
    resp_error(reply, "WRONGPASS invalid username-password pair or user is disabled.");
}

void resp_error_loading(struct resp_writer *reply, int32_t percent)
{
    if (percent < 0)
        resp_error(reply, "LOADING Redis is loading the dataset in memory");
    else
        resp_error(reply, "LOADING Redis is loading the dataset in memory (%d%% done)", percent);
}

void resp_error_arity(struct resp_writer *reply, const char *name)
{
    resp_error(reply, "ERR wrong number of arguments for '%s' command", name);
}

/* Bytes of an argument to repeat: "%.*s" stops at a zero by itself. */
static int shown(struct kvs_bytes argument, size_t most)
{
    return (int)(argument.len < most ? argument.len : most);
}

void resp_error_unknown_command(struct resp_writer *reply, const struct kvs_bytes *arguments,
                                uint32_t argument_count)
{
    char begin[QUOTED_MAX + 8];
    size_t size = 0;
    begin[0] = '\0';
    for (uint32_t i = 1; i < argument_count && size < QUOTED_MAX; i++) {
        int added =
            snprintf(begin + size, sizeof(begin) - size, "'%.*s' ",
                     shown(arguments[i], QUOTED_MAX - size), (const char *)arguments[i].ptr);
        size += added > 0 ? (size_t)added : 0;
    }
    resp_error(reply, "ERR unknown command '%.*s', with args beginning with: %s",
               shown(arguments[0], QUOTED_MAX), (const char *)arguments[0].ptr, begin);
}

void resp_error_unknown_subcommand(struct resp_writer *reply, struct kvs_bytes subcommand,
                                   const char *container)
{
    resp_error(reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown(subcommand, QUOTED_MAX),
               (const char *)subcommand.ptr, container);
}

void resp_error_unsupported(struct resp_writer *reply, const char *what)
{
    resp_error(reply, "ERR %s", what);
}
