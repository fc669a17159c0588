/*
 * All commands of the Redis protocol, found by name. Made once at start; read-only afterwards, from
 * any thread.
 *
 * To add commands, a file exports an array that ends with a NULL name, and resp_table.c names it.
 */
#ifndef COMMAND_RESP_TABLE_H
#define COMMAND_RESP_TABLE_H

#include <stdint.h>

#include "command/resp_command.h"

#define RESP_TABLE_MAX   256u  /* commands */
#define RESP_TABLE_SLOTS 1024u /* a power of two, well above that */

/* What a name is compared with. */
struct resp_table_key {
    uint64_t head;      /* of the name: resp_table.c */
    uint64_t case_bits; /* of head, that do not matter */
    uint32_t size;      /* bytes of the name */
};

struct resp_table {
    struct resp_table_key keys[RESP_TABLE_MAX];
    const struct resp_command *commands[RESP_TABLE_MAX]; /* in the order of the arrays */
    uint32_t count;
    uint16_t slots[RESP_TABLE_SLOTS]; /* index + 1; 0: empty */
};

void resp_table_init(struct resp_table *table);

/* The position in table->commands of the command with this name, in any case; -1: there is none. */
int32_t resp_table_find(const struct resp_table *table, struct kvs_bytes name);

#endif
