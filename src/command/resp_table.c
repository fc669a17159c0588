/*
 * See resp_table.h. Open addressing over a hash of a name's length and first eight bytes, in which
 * upper and lower case are the same.
 */
#include "command/resp_table.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "command/resp_admin.h"
#include "command/resp_client.h"
#include "command/resp_commands.h"
#include "command/resp_config.h"
#include "command/resp_connection.h"
#include "command/resp_data.h"
#include "command/resp_info.h"
#include "command/resp_introspection.h"
#include "command/resp_multi.h"

#define HASHED_BYTES   8u
#define CASE_MASK      0xDFDFDFDFDFDFDFDFull /* without the bit that makes a letter a small one */
#define HASH_FACTOR    0x9E3779B97F4A7C15ull
#define HASH_SLOT_BITS 10u

static_assert(RESP_TABLE_SLOTS == 1u << HASH_SLOT_BITS, "the hash gives a slot");

static const struct resp_command *const arrays[] = {
    resp_admin_commands,
    resp_client_commands,
    resp_commands_commands,
    resp_config_commands,
    resp_connection_commands,
    resp_counters,
    resp_expiry,
    resp_info_commands,
    resp_introspection_commands,
    resp_keys,
    resp_multi_commands,
    resp_scan,
    resp_set_commands,
    resp_strings,
    NULL, /* ends it */
};

static uint32_t first_slot(struct kvs_bytes name)
{
    uint64_t head = 0;
    memcpy(&head, name.ptr, name.len < HASHED_BYTES ? name.len : HASHED_BYTES);
    return (uint32_t)((((head & CASE_MASK) + name.len) * HASH_FACTOR) >> (64 - HASH_SLOT_BITS));
}

static bool is_named(const struct resp_command *command, struct kvs_bytes name)
{
    return strlen(command->name) == name.len && strncasecmp(command->name, name.ptr, name.len) == 0;
}

static void add(struct resp_table *table, const struct resp_command *command)
{
    assert(table->count < RESP_TABLE_MAX);
    uint32_t slot = first_slot(bytes_of_text(command->name));
    while (table->slots[slot] != 0)
        slot = (slot + 1) % RESP_TABLE_SLOTS;
    table->commands[table->count++] = command;
    table->slots[slot] = (uint16_t)table->count;
}

void resp_table_init(struct resp_table *table)
{
    memset(table, 0, sizeof(*table));
    for (uint32_t i = 0; arrays[i] != NULL; i++) {
        for (const struct resp_command *each = arrays[i]; each->name != NULL; each++)
            add(table, each);
    }
}

int32_t resp_table_find(const struct resp_table *table, struct kvs_bytes name)
{
    if (name.len == 0)
        return -1;
    for (uint32_t slot = first_slot(name); table->slots[slot] != 0;
         slot = (slot + 1) % RESP_TABLE_SLOTS) {
        uint32_t index = table->slots[slot] - 1u;
        if (is_named(table->commands[index], name))
            return (int32_t)index;
    }
    return -1;
}
