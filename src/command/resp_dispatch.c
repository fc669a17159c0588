/* See resp_dispatch.h. The errors are those that Redis clients know. */
#include "command/resp_dispatch.h"

#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "command/resp_errors.h"
#include "command/resp_multi.h"
#include "command/resp_subcommand.h"

static bool fits_arity(const struct resp_command *command, uint32_t count)
{
    return command->arity >= 0 ? count == (uint32_t)command->arity
                               : count >= (uint32_t)-command->arity;
}

/* Positions of a command's keys in its arguments: from first to before end. */
static void key_range(const struct resp_command *command, uint32_t count, uint32_t *ret_first,
                      uint32_t *ret_end)
{
    *ret_first = *ret_end = (uint32_t)command->first_key;
    if (command->first_key == 0)
        return;
    *ret_end = command->last_key >= 0 ? (uint32_t)command->last_key + 1
                                      : count + 1 - (uint32_t)-command->last_key;
    if (*ret_end > count)
        *ret_end = count;
}

/* False: the store takes no such key as one of these. */
static bool has_good_keys(const struct command_context *context, const struct resp_command *command,
                          const struct kvs_bytes *arguments, uint32_t count)
{
    uint32_t first;
    uint32_t end;
    key_range(command, count, &first, &end);
    for (uint32_t i = first; i < end; i += (uint32_t)command->key_step) {
        if (arguments[i].len == 0 || arguments[i].len > context->store->limits.key_max)
            return false;
    }
    return true;
}

bool resp_dispatch_is_sound(const struct command_context *context,
                            const struct resp_command *command, const struct kvs_bytes *arguments,
                            uint32_t count)
{
    return fits_arity(command, count) && has_good_keys(context, command, arguments, count);
}

static void refuse_loading(const struct command_context *context, struct resp_writer *reply)
{
    char text[LOADING_TEXT_MAX];
    context->format_loading(context->loading_arg, text, sizeof(text));
    resp_error(reply, "LOADING %s", text);
}

static bool needs_store(const struct client *client, const struct resp_command *command)
{
    return (command->flags & RESP_LOADING_OK) == 0 ||
           (multi_is_exec(command) && multi_needs_store(client));
}

/* Answers with an error if the request must not be served. */
static bool refuse(const struct command_context *context, const struct client *client,
                   const struct resp_command *command, const struct kvs_bytes *arguments,
                   uint32_t count, struct resp_writer *reply)
{
    if (!fits_arity(command, count))
        resp_error_arity(reply, command->name);
    else if (command->subcommands != NULL && count > 1 &&
             !resp_subcommand_fits(command->subcommands, arguments, count, reply))
        return true;
    else if (!client->authenticated && (command->flags & RESP_NO_AUTH) == 0)
        resp_error_no_auth(reply);
    else if (!store_is_open(context->store) && needs_store(client, command))
        refuse_loading(context, reply);
    else if ((command->flags & RESP_NO_MULTI) != 0 && multi_is_open(client))
        resp_error(reply, "ERR Command not allowed inside a transaction");
    else
        return false;
    return true;
}

/* The same for EXEC: what was collected is forgotten, and the error says so. */
static bool refuse_exec(const struct command_context *context, struct client *client,
                        const struct resp_command *command, const struct kvs_bytes *arguments,
                        uint32_t count, struct resp_writer *reply)
{
    struct buffer text = {0};
    struct resp_writer writer = {.out = &text, .version = reply->version};
    bool refused = refuse(context, client, command, arguments, count, &writer);
    if (refused) {
        const char *why = (const char *)buffer_content(&text);
        size_t size = buffer_size(&text);
        if (size > 2 && writer.status == KVS_OK) {
            size_t skip = size > 5 && memcmp(why, "-ERR ", 5) == 0 ? 5 : 1;
            resp_error(reply, "EXECABORT Transaction discarded because of: %.*s",
                       (int)(size - skip - 2), why + skip);
        } else {
            reply->status = KVS_NO_MEMORY;
        }
        multi_discard(client);
    }
    buffer_deinit(&text);
    return refused;
}

/* A browser that some page sends here speaks HTTP: a line of its request could be a command. */
static bool is_http(struct kvs_bytes name)
{
    return (name.len == 4 && strncasecmp(name.ptr, "post", 4) == 0) ||
           (name.len == 5 && strncasecmp(name.ptr, "host:", 5) == 0);
}

enum resp_dispatch resp_dispatch(const struct command_context *context, struct client *client,
                                 const struct kvs_bytes *arguments, uint32_t count,
                                 struct resp_writer *reply, uint32_t *ret_index)
{
    int32_t index = resp_table_find(context->resp_commands, arguments[0]);
    if (index < 0) {
        resp_error_unknown_command(reply, arguments, count);
        client->close_after_reply = is_http(arguments[0]);
        multi_spoil(client);
        return RESP_DISPATCH_UNKNOWN;
    }
    const struct resp_command *command = context->resp_commands->commands[index];
    *ret_index = (uint32_t)index;
    bool refused = multi_is_exec(command)
                       ? refuse_exec(context, client, command, arguments, count, reply)
                       : refuse(context, client, command, arguments, count, reply);
    if (refused) {
        multi_spoil(client);
        return RESP_DISPATCH_REFUSED;
    }
    atomic_store_explicit(&client->last_command, command->name, memory_order_relaxed);
    if (!multi_is_open(client) || (command->flags & RESP_AT_ONCE) != 0)
        return RESP_DISPATCH_SERVE;
    return multi_queue(client, command, arguments, count, reply) ? RESP_DISPATCH_QUEUED
                                                                 : RESP_DISPATCH_REFUSED;
}
