/*
 * The floor of reading: a hash table in memory, with linear probing at a load of at most a half,
 * and the records in one array behind it. No files, no locks, no versions: any number of threads
 * may read, or one may write. A value of the old one's length is replaced in place.
 */
#include "peers/peers.h"

#include <glib.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "harness/random.h"

#define SLOTS_MIN     UINT64_C(1024)
#define ARENA_BYTES   (UINT64_C(16) << 20)
#define RECORD_ALIGN  8u
#define HASH_OF_EMPTY 0u

struct record {
    uint32_t key_size;
    uint32_t value_size;
    uint8_t bytes[]; /* key, value */
};

struct slot {
    uint64_t hash; /* HASH_OF_EMPTY: free */
    struct record *record;
};

struct peer_store {
    struct slot *slots;
    uint64_t slot_count; /* a power of two */
    uint64_t used;
    GPtrArray *arenas; /* owned: where records lie */
    uint8_t *arena;    /* the last one */
    uint64_t arena_used;
    uint64_t arena_size;
};

static uint64_t hash_of(struct kvs_bytes key)
{
    const uint8_t *at = key.ptr;
    uint64_t left = key.len;
    uint64_t hash = key.len;
    for (; left >= 8; left -= 8, at += 8)
        hash = random_mix(hash ^ load_le64(at));
    uint64_t rest = 0;
    for (uint64_t i = 0; i < left; i++)
        rest = rest << 8 | at[i];
    hash = random_mix(hash ^ rest);
    return hash == HASH_OF_EMPTY ? 1 : hash;
}

static struct slot *find(const struct peer_store *store, struct kvs_bytes key, uint64_t hash)
{
    for (uint64_t i = hash;; i++) {
        struct slot *slot = &store->slots[i & (store->slot_count - 1)];
        if (slot->hash == HASH_OF_EMPTY)
            return slot;
        if (slot->hash == hash && slot->record->key_size == key.len &&
            memcmp(slot->record->bytes, key.ptr, key.len) == 0)
            return slot;
    }
}

static kvs_status table_open(const struct peer *peer, const struct peer_config *config,
                             struct peer_store **ret_store, struct kvs_error *err)
{
    (void)peer;
    (void)err;
    struct peer_store *store = g_new0(struct peer_store, 1);
    store->slot_count = SLOTS_MIN;
    while (store->slot_count < 2 * config->keys)
        store->slot_count *= 2;
    store->slots = g_new0(struct slot, store->slot_count);
    store->arenas = g_ptr_array_new_with_free_func(free);
    *ret_store = store;
    return KVS_OK;
}

static kvs_status table_close(struct peer_store *store, struct kvs_error *err)
{
    (void)err;
    g_ptr_array_free(store->arenas, TRUE);
    free(store->slots);
    free(store);
    return KVS_OK;
}

static struct record *record_new(struct peer_store *store, struct kvs_bytes key,
                                 struct kvs_bytes value)
{
    uint64_t size = sizeof(struct record) + key.len + value.len;
    size = (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
    if (store->arena_used + size > store->arena_size) {
        store->arena_size = size > ARENA_BYTES ? size : ARENA_BYTES;
        store->arena = g_malloc(store->arena_size);
        store->arena_used = 0;
        g_ptr_array_add(store->arenas, store->arena);
    }
    struct record *record = (struct record *)(void *)(store->arena + store->arena_used);
    store->arena_used += size;
    record->key_size = (uint32_t)key.len;
    memcpy(record->bytes, key.ptr, key.len);
    return record;
}

static void table_grow(struct peer_store *store)
{
    struct slot *old = store->slots;
    uint64_t count = store->slot_count;
    store->slot_count *= 2;
    store->slots = g_new0(struct slot, store->slot_count);
    for (uint64_t i = 0; i < count; i++) {
        if (old[i].hash == HASH_OF_EMPTY)
            continue;
        struct kvs_bytes key = bytes_of(old[i].record->bytes, old[i].record->key_size);
        *find(store, key, old[i].hash) = old[i];
    }
    free(old);
}

static kvs_status table_set(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct kvs_bytes value, struct kvs_error *err)
{
    (void)thread;
    (void)err;
    uint64_t hash = hash_of(key);
    if (2 * store->used >= store->slot_count)
        table_grow(store);
    struct slot *slot = find(store, key, hash);
    if (slot->hash == HASH_OF_EMPTY) {
        store->used++;
        slot->hash = hash;
        slot->record = record_new(store, key, value);
    } else if (slot->record->value_size != value.len) {
        slot->record = record_new(store, key, value);
    }
    slot->record->value_size = (uint32_t)value.len;
    memcpy(slot->record->bytes + key.len, value.ptr, value.len);
    return KVS_OK;
}

static kvs_status table_get(struct peer_store *store, struct peer_thread *thread,
                            struct kvs_bytes key, struct peer_value *value, struct kvs_error *err)
{
    (void)thread;
    (void)err;
    const struct slot *slot = find(store, key, hash_of(key));
    if (slot->hash == HASH_OF_EMPTY)
        return KVS_NOT_FOUND;
    const struct record *record = slot->record;
    return peer_value_copy(value, record->bytes + record->key_size, record->value_size);
}

/* As get, but the slots of all keys are on their way before the first is looked at. */
static kvs_status table_get_many(struct peer_store *store, struct peer_thread *thread,
                                 const struct kvs_bytes *keys, uint32_t count,
                                 struct peer_value *values, struct kvs_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&store->slots[hash_of(keys[i]) & (store->slot_count - 1)]);
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(store->slots[hash_of(keys[i]) & (store->slot_count - 1)].record);
    for (uint32_t i = 0; i < count; i++) {
        values[i].status = table_get(store, thread, keys[i], &values[i], err);
        if (values[i].status < 0)
            return values[i].status;
    }
    return KVS_OK;
}

static kvs_status table_batch(struct peer_store *store, struct peer_thread *thread,
                              const struct peer_item *items, uint32_t count, struct kvs_error *err)
{
    for (uint32_t i = 0; i < count; i++)
        (void)table_set(store, thread, items[i].key, items[i].value, err);
    return KVS_OK;
}

static const struct peer_ops table_ops = {
    .open = table_open,
    .close = table_close,
    .get = table_get,
    .get_many = table_get_many,
    .set = table_set,
    .batch = table_batch,
};

struct peer *peer_table_new(void)
{
    return peer_new(&table_ops, "table", "1", "a hash table in memory; nothing is kept",
                    PEER_READS | PEER_FLOOR, NULL);
}
