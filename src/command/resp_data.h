/* What the commands on keys share: the errors that Redis has for their arguments, reading a key. */
#ifndef COMMAND_RESP_DATA_H
#define COMMAND_RESP_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "command/resp_command.h"
#include "command/transaction.h"
#include "protocol/resp_reply.h"

/* A file's array of commands, ended by one without a name, for resp_table.c. */
extern const struct resp_command resp_strings[];
extern const struct resp_command resp_set_commands[];
extern const struct resp_command resp_counters[];
extern const struct resp_command resp_expiry[];
extern const struct resp_command resp_keys[];
extern const struct resp_command resp_scan[];

/* Writes a decimal integer; the text lives as long as the transaction. Empty: out of memory, and the
   error was replied. */
struct kvs_bytes resp_data_format_integer(struct call *call, int64_t value);

/* Reads an argument as an integer. False: the error was replied. */
bool resp_data_integer(struct call *call, uint32_t index, int64_t *ret);

/*
 * Turns a time to expire into a moment. seconds: the unit, else milliseconds; relative: from now.
 * Overflow and, with at_least_1, what is not positive replies Redis' error, which names the command.
 */
bool resp_data_moment(struct call *call, int64_t time, bool seconds, bool relative, bool at_least_1,
                      int64_t *ret_ms);

/* Replies the fault that the transaction reported. */
void resp_data_fault(struct call *call, kvs_status status);

enum found {
    FOUND,
    MISSING,
    FAILED /* an error was replied */
};

/* As transaction_get and transaction_look, with the reply to a fault. */
enum found resp_data_get(struct call *call, struct kvs_bytes key, struct value *ret);
enum found resp_data_look(struct call *call, struct kvs_bytes key, uint64_t *ret_len,
                          int64_t *ret_expires_at_ms);

/* As transaction_set and transaction_remove; false: an error was replied. */
bool resp_data_set(struct call *call, struct kvs_bytes key, struct kvs_bytes content,
                   int64_t expires_at_ms);
bool resp_data_remove(struct call *call, struct kvs_bytes key);

/* Replies the content when it was FOUND, null when MISSING. */
void resp_data_reply_value(struct call *call, enum found found, const struct value *value);

#endif
