/* kvs-client's commands about counters, several keys and expiry, for the table in commands.c. */
#ifndef CLIENT_COMMANDS_KEYS_H
#define CLIENT_COMMANDS_KEYS_H

#include "client/commands.h"

/* As command.run. */
kvs_status command_run_increment(struct kvs_client *client, const struct command_input *input,
                                 struct kvs_error *err);
kvs_status command_run_mget(struct kvs_client *client, const struct command_input *input,
                            struct kvs_error *err);
kvs_status command_run_scan(struct kvs_client *client, const struct command_input *input,
                            struct kvs_error *err);
kvs_status command_run_expire(struct kvs_client *client, const struct command_input *input,
                              struct kvs_error *err);
kvs_status command_run_ttl(struct kvs_client *client, const struct command_input *input,
                           struct kvs_error *err);

/* Reads "500ms", "10s", "5m", "2h" (or seconds); at least 1 ms. KVS_OK or KVS_INVALID. */
KVS_MUST_USE kvs_status command_parse_time(const char *text, int64_t *ret_ms,
                                           struct kvs_error *err);

/* Writes bytes and then end to stdout. KVS_OK or KVS_IO. In commands.c. */
KVS_MUST_USE kvs_status command_print(struct kvs_bytes bytes, const char *end,
                                      struct kvs_error *err);

#endif
