/*
 * See resp_table.h. Open addressing over a hash of a name's length and first eight bytes, in which
 * upper and lower case are the same.
 */
#include "command/resp_table.h"

#include <assert.h>
#include <ctype.h>
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

#define CASE_BIT       0x20ull
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

/* The first eight bytes of a name; of a shorter one all, some of them twice. size: at least 1. */
static uint64_t head_of(const char *name, uint64_t size)
{
    uint64_t head = 0;
    if (size >= sizeof(head)) {
        memcpy(&head, name, sizeof(head));
    } else if (size >= sizeof(uint32_t)) {
        uint32_t parts[2];
        memcpy(&parts[0], name, sizeof(parts[0]));
        memcpy(&parts[1], name + size - sizeof(parts[1]), sizeof(parts[1]));
        head = (uint64_t)parts[1] << 32 | parts[0];
    } else {
        head = (uint64_t)(uint8_t)name[0] | (uint64_t)(uint8_t)name[size / 2] << 8 |
               (uint64_t)(uint8_t)name[size - 1] << 16;
    }
    return head;
}

static uint32_t first_slot(uint64_t head, uint64_t size)
{
    return (uint32_t)((((head & CASE_MASK) + size) * HASH_FACTOR) >> (64 - HASH_SLOT_BITS));
}

/* The bits of a name's head that tell small letters from capital ones. */
static uint64_t case_bits(uint64_t head)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (islower((int)(head >> shift & 0xFF)))
            bits |= CASE_BIT << shift;
    }
    return bits;
}

static void add(struct resp_table *table, const struct resp_command *command)
{
    assert(table->count < RESP_TABLE_MAX);
    uint32_t size = (uint32_t)strlen(command->name);
    uint64_t head = head_of(command->name, size);
    uint32_t slot = first_slot(head, size);
    while (table->slots[slot] != 0)
        slot = (slot + 1) % RESP_TABLE_SLOTS;
    table->keys[table->count] =
        (struct resp_table_key){.head = head, .case_bits = case_bits(head), .size = size};
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
    uint64_t head = head_of(name.ptr, name.len);
    for (uint32_t slot = first_slot(head, name.len); table->slots[slot] != 0;
         slot = (slot + 1) % RESP_TABLE_SLOTS) {
        uint32_t index = table->slots[slot] - 1u;
        const struct resp_table_key *key = &table->keys[index];
        if (name.len == key->size && ((head ^ key->head) & ~key->case_bits) == 0 &&
            (name.len <= sizeof(head) ||
             strncasecmp(table->commands[index]->name, name.ptr, name.len) == 0))
            return (int32_t)index;
    }
    return -1;
}
