/*
 * See commands.h. A new command is a row of the table and its function.
 *
 * Output goes through command_print(), which flushes and checks: a full disk or a closed stdout makes the
 * command fail instead of losing its result silently.
 */
#include "client/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "client/commands_keys.h"
#include "protocol/native.h"

#define STDIN_CHUNK ((size_t)65536)

kvs_status command_print(struct kvs_bytes bytes, const char *end, struct kvs_error *err)
{
    size_t size = (size_t)bytes.len;
    if ((size > 0 && fwrite(bytes.ptr, 1, size, stdout) != size) || fputs(end, stdout) == EOF ||
        fflush(stdout) != 0)
        return kvs_error_set(err, KVS_IO, errno, "cannot write to standard output: %s",
                             strerror(errno));
    return KVS_OK;
}

/* Reads all of standard input into buffer, at most a value's size. */
static kvs_status read_stdin(struct buffer *buffer, struct kvs_error *err)
{
    for (;;) {
        if (buffer_reserve(buffer, STDIN_CHUNK) != KVS_OK)
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the value");
        ssize_t size = read(STDIN_FILENO, buffer->data + buffer->end, buffer_room(buffer));
        if (size == 0)
            return KVS_OK;
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return kvs_error_set(err, KVS_IO, errno, "cannot read standard input: %s",
                                 strerror(errno));
        buffer_commit(buffer, (size_t)size);
        if (buffer_size(buffer) > NATIVE_VALUE_MAX)
            return kvs_error_set(err, KVS_TOO_LARGE, 0,
                                 "the value on standard input is over the limit of %u bytes",
                                 NATIVE_VALUE_MAX);
    }
}

static void buffer_deinitp(struct buffer *buffer)
{
    buffer_deinit(buffer);
}

static kvs_status run_set(struct kvs_client *client, const struct command_input *input,
                          struct kvs_error *err)
{
    _cleanup_(buffer_deinitp) struct buffer from_stdin = {0};
    struct kvs_bytes value = bytes_of_text(input->operands[1]);
    if (strcmp(input->operands[1], "-") == 0 && input->literal_index > 1) {
        kvs_status status = read_stdin(&from_stdin, err);
        if (status != KVS_OK)
            return status;
        value = bytes_of(buffer_content(&from_stdin), buffer_size(&from_stdin));
    }
    struct kvs_bytes key = bytes_of_text(input->operands[0]);
    if (input->condition == KVS_CLIENT_IF_ALWAYS && input->expires == KVS_CLIENT_EXPIRES_NEVER)
        return kvs_client_set(client, key, value, err);
    struct kvs_client_op op = {.kind = KVS_CLIENT_SET,
                               .condition = input->condition,
                               .expires = input->expires,
                               .time_ms = input->time_ms,
                               .key = key,
                               .value = value};
    if (input->expected != NULL)
        op.expected = bytes_of_text(input->expected);
    return kvs_client_batch(client, &op, 1, KVS_CLIENT_ALL_OR_NONE, err);
}

static kvs_status run_get(struct kvs_client *client, const struct command_input *input,
                          struct kvs_error *err)
{
    struct kvs_bytes value;
    kvs_status status = kvs_client_get(client, bytes_of_text(input->operands[0]), &value, err);
    if (status == KVS_OK)
        return command_print(value, input->raw ? "" : "\n", err);
    /* With --raw nothing but a value may appear on stdout: a missing key is then a failure. */
    if (status == KVS_NOT_FOUND && !input->raw)
        return command_print(bytes_of_text("Key not found"), "\n", err);
    return status;
}

static kvs_status run_remove(struct kvs_client *client, const struct command_input *input,
                             struct kvs_error *err)
{
    return kvs_client_remove(client, bytes_of_text(input->operands[0]), err);
}

static kvs_status run_ping(struct kvs_client *client, const struct command_input *input,
                           struct kvs_error *err)
{
    (void)input;
    kvs_status status = kvs_client_ping(client, err);
    return status == KVS_OK ? command_print(bytes_of_text("PONG"), "\n", err) : status;
}

static kvs_status run_stats(struct kvs_client *client, const struct command_input *input,
                            struct kvs_error *err)
{
    (void)input;
    struct kvs_bytes text;
    kvs_status status = kvs_client_stats(client, &text, err);
    return status == KVS_OK ? command_print(text, "", err) : status;
}

const struct command commands[] = {
    {"set", "KEY VALUE", "store VALUE under KEY; a VALUE of - is read from standard input", 2, 2,
     COMMAND_TAKES_SET_OPTIONS, run_set},
    {"get", "KEY", "print the value of KEY, or 'Key not found'", 1, 1, COMMAND_TAKES_RAW, run_get},
    {"rm", "KEY", "remove KEY; fails if there is none", 1, 1, 0, run_remove},
    {"incr", "KEY [STEP]", "add STEP (1) to the integer at KEY, print the sum", 1, 2, 0,
     command_run_increment},
    {"mget", "KEY...", "print the values of several keys, a line each", 1, COMMAND_OPERANDS_MAX, 0,
     command_run_mget},
    {"scan", "[PATTERN]", "print all keys, or those that match (*, ?, [a-z])", 0, 1, 0,
     command_run_scan},
    {"expire", "KEY TIME", "let KEY expire in 500ms, 10s, 5m, 2h; or never", 2, 2, 0,
     command_run_expire},
    {"ttl", "KEY", "print in how many seconds KEY expires, or 'never'", 1, 1, 0, command_run_ttl},
    {"ping", "", "print PONG if the server answers", 0, 0, 0, run_ping},
    {"stats", "", "print the server's figures, one 'NAME VALUE' a line", 0, 0, 0, run_stats},
};
const uint32_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command *command_find(const char *name)
{
    for (uint32_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}
