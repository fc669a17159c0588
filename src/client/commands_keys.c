/* See commands_keys.h. */
#include "client/commands_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/text.h"

#define SCAN_PIECE 1000u

kvs_status command_parse_time(const char *text, int64_t *ret_ms, struct kvs_error *err)
{
    uint64_t ns;
    if (!text_parse_duration(text, &ns) || ns < NS_PER_MS)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "'%s' is no time to expire: use 500ms, 10s, 5m, 2h, or never", text);
    *ret_ms = (int64_t)(ns / NS_PER_MS);
    return KVS_OK;
}

kvs_status command_run_increment(struct kvs_client *client, const struct command_input *input,
                                 struct kvs_error *err)
{
    int64_t step = 1;
    int64_t sum;
    char line[32];
    if (input->operand_count > 1 && !text_parse_i64(input->operands[1], &step))
        return kvs_error_set(err, KVS_INVALID, 0, "'%s' is no integer", input->operands[1]);
    kvs_status status =
        kvs_client_increment(client, bytes_of_text(input->operands[0]), step, &sum, err);
    if (status != KVS_OK)
        return status;
    (void)snprintf(line, sizeof(line), "%" PRId64, sum);
    return command_print(bytes_of_text(line), "\n", err);
}

kvs_status command_run_mget(struct kvs_client *client, const struct command_input *input,
                            struct kvs_error *err)
{
    struct kvs_client_lookup lookups[COMMAND_OPERANDS_MAX];
    for (uint32_t i = 0; i < input->operand_count; i++)
        lookups[i] = (struct kvs_client_lookup){.key = bytes_of_text(input->operands[i])};
    kvs_status status = kvs_client_mget(client, lookups, input->operand_count, err);
    for (uint32_t i = 0; i < input->operand_count && status == KVS_OK; i++)
        status = command_print(lookups[i].status == KVS_OK ? lookups[i].value
                                                           : bytes_of_text("Key not found"),
                               "\n", err);
    return status;
}

struct printing {
    kvs_status status;
    struct kvs_error *err;
};

static int32_t print_key(void *arg, struct kvs_bytes key)
{
    struct printing *printing = arg;
    printing->status = command_print(key, "\n", printing->err);
    return printing->status != KVS_OK;
}

kvs_status command_run_scan(struct kvs_client *client, const struct command_input *input,
                            struct kvs_error *err)
{
    struct printing printing = {.err = err};
    struct kvs_bytes pattern = bytes_of_text(input->operand_count > 0 ? input->operands[0] : "");
    uint64_t cursor = 0;
    kvs_status status;
    do
        status = kvs_client_scan(client, &cursor, SCAN_PIECE, pattern, print_key, &printing, err);
    while (status == KVS_OK && cursor != 0);
    return status == KVS_STOPPED ? printing.status : status;
}

kvs_status command_run_expire(struct kvs_client *client, const struct command_input *input,
                              struct kvs_error *err)
{
    struct kvs_bytes key = bytes_of_text(input->operands[0]);
    int64_t time_ms = 0;
    if (strcmp(input->operands[1], "never") == 0)
        return kvs_client_expire(client, key, KVS_CLIENT_EXPIRES_NEVER, 0, err);
    kvs_status status = command_parse_time(input->operands[1], &time_ms, err);
    if (status != KVS_OK)
        return status;
    return kvs_client_expire(client, key, KVS_CLIENT_EXPIRES_IN, time_ms, err);
}

kvs_status command_run_ttl(struct kvs_client *client, const struct command_input *input,
                           struct kvs_error *err)
{
    struct kvs_client_info info;
    char line[48];
    kvs_status status = kvs_client_look(client, bytes_of_text(input->operands[0]), &info, err);
    if (status != KVS_OK)
        return status;
    if (info.expires_at_ms == 0)
        return command_print(bytes_of_text("never"), "\n", err);
    (void)snprintf(line, sizeof(line), "%" PRId64 ".%03" PRId64, info.left_ms / 1000,
                   info.left_ms % 1000);
    return command_print(bytes_of_text(line), "\n", err);
}
