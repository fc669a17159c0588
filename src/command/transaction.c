/*
 * See transaction.h; transaction_commit.c has its end.
 *
 * An entry is a key that was read or written. They are found one by one while they are few, by an
 * open-addressing table from INDEX_FROM on. The table's hash is keyed by a number of the
 * transaction's own, so that clients cannot choose keys that meet.
 *
 * Where writes wait for the disk, a read may be a guess at what another transaction is writing (hints.h).
 *
 * I1  An entry that was read holds what the engine had (`stored`), whatever was written since: it is
 *     the condition of the commit.
 * I2  A key is in one entry at most, so in one operation of the batch at most (store_submit).
 * I3  The store is told of an expiry before a value with it can be in the engine.
 * I4  A guess is checked by the commit, also of a transaction that writes nothing: nothing is answered
 *     that rests on a wrong one, or on one that is not durable. What is only remembered (WATCH) is
 *     never a guess.
 */
#include "command/transaction.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "command/hints.h"
#include "command/transaction_parts.h"

#define INDEX_FROM 9u   /* entries */
#define KEPT_MAX   256u /* entries whose room is kept for the next use */
#define NO_ENTRY   UINT32_MAX
/* Who made a hint may be stopped before he writes: then trying again with it would only spin. */
#define WRONG_GUESSES_MAX 3u
#define FIRST_SLOTS       32u

struct transaction *transaction_new(void)
{
    struct transaction *txn = calloc(1, sizeof(*txn));
    if (txn != NULL)
        (void)getrandom(&txn->hash_key, sizeof(txn->hash_key), 0);
    return txn;
}

static void free_entries(struct transaction *txn)
{
    free(txn->entries);
    free(txn->slots);
    txn->entries = NULL;
    txn->slots = NULL;
    txn->entry_cap = txn->slot_count = 0;
}

void transaction_free(struct transaction *txn)
{
    if (txn == NULL)
        return;
    free_entries(txn);
    arena_deinit(&txn->arena);
    free(txn);
}

void transaction_begin(struct transaction *txn, struct store *store, struct kvs_tls *tls,
                       int64_t now_ms, uint32_t flags)
{
    if (txn->entry_cap > KEPT_MAX)
        free_entries(txn);
    else if (txn->entry_count >= INDEX_FROM)
        memset(txn->slots, 0, txn->slot_count * sizeof(*txn->slots));
    txn->entry_count = 0;
    arena_reset(&txn->arena);
    txn->engine = store;
    txn->tls = tls;
    txn->now_ms = now_ms;
    txn->flags = flags;
    txn->failed = false;
    txn->instead = NULL;
    txn->message[0] = '\0';
    txn->error = (struct kvs_error)KVS_ERROR_INIT(txn->message);
}

const char *transaction_message(const struct transaction *txn)
{
    return txn->message;
}

kvs_status transaction_no_memory(struct transaction *txn)
{
    txn->failed = true;
    return kvs_error_set(&txn->error, KVS_NO_MEMORY, 0, "out of memory");
}

void *transaction_memory(struct transaction *txn, size_t size)
{
    void *memory = arena_take(&txn->arena, size);
    if (memory == NULL)
        (void)transaction_no_memory(txn);
    return memory;
}

/* ---- entries ------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct transaction *txn, struct kvs_bytes key)
{
    const uint8_t *at = key.ptr;
    uint64_t hash = txn->hash_key ^ key.len;
    uint64_t left = key.len;
    for (; left >= 8; left -= 8, at += 8)
        hash = mix(hash ^ load_le64(at), txn->hash_key | UINT64_C(0x9E3779B97F4A7C15));
    uint64_t tail = 0;
    memcpy(&tail, at, left);
    return mix(hash ^ tail, UINT64_C(0xD6E8FEB86659FD93));
}

static bool is_key(const struct entry *entry, uint64_t hash, struct kvs_bytes key)
{
    return entry->hash == hash && bytes_equal(entry->key, key);
}

static uint32_t find_entry(const struct transaction *txn, uint64_t hash, struct kvs_bytes key)
{
    if (txn->entry_count < INDEX_FROM) {
        for (uint32_t i = 0; i < txn->entry_count; i++) {
            if (is_key(&txn->entries[i], hash, key))
                return i;
        }
        return NO_ENTRY;
    }
    uint32_t mask = txn->slot_count - 1;
    for (uint32_t slot = (uint32_t)hash & mask; txn->slots[slot] != 0; slot = (slot + 1) & mask) {
        if (is_key(&txn->entries[txn->slots[slot] - 1], hash, key))
            return txn->slots[slot] - 1;
    }
    return NO_ENTRY;
}

static void enter_slot(struct transaction *txn, uint32_t index)
{
    uint32_t mask = txn->slot_count - 1;
    uint32_t slot = (uint32_t)txn->entries[index].hash & mask;
    while (txn->slots[slot] != 0)
        slot = (slot + 1) & mask;
    txn->slots[slot] = index + 1;
}

/* Makes room in the table for one more entry than there are, at half its size at most. */
static bool reserve_slots(struct transaction *txn)
{
    uint32_t needed = txn->slot_count == 0 ? FIRST_SLOTS : txn->slot_count;
    if (txn->entry_count + 1 < INDEX_FROM)
        return true;
    while (needed / 2 < txn->entry_count + 1)
        needed *= 2;
    if (needed != txn->slot_count) {
        uint32_t *slots = calloc(needed, sizeof(*slots));
        if (slots == NULL)
            return false;
        free(txn->slots);
        txn->slots = slots;
        txn->slot_count = needed;
    } else if (txn->entry_count + 1 != INDEX_FROM) {
        return true;
    }
    for (uint32_t i = 0; i < txn->entry_count; i++)
        enter_slot(txn, i);
    return true;
}

static bool reserve_entry(struct transaction *txn)
{
    if (txn->entry_count == txn->entry_cap) {
        uint32_t cap = txn->entry_cap == 0 ? INDEX_FROM : txn->entry_cap * 2;
        struct entry *larger = realloc(txn->entries, cap * sizeof(*larger));
        if (larger == NULL)
            return false;
        txn->entries = larger;
        txn->entry_cap = cap;
    }
    return reserve_slots(txn);
}

/* The key's entry, made if there is none. NULL: out of memory. */
static struct entry *take_entry(struct transaction *txn, struct kvs_bytes key)
{
    uint64_t hash = hash_of(txn, key);
    uint32_t index = find_entry(txn, hash, key);
    if (index != NO_ENTRY)
        return &txn->entries[index];
    if (!reserve_entry(txn)) {
        (void)transaction_no_memory(txn);
        return NULL;
    }
    index = txn->entry_count++;
    txn->entries[index] = (struct entry){.key = key, .hash = hash};
    if (txn->entry_count >= INDEX_FROM)
        enter_slot(txn, index);
    return &txn->entries[index];
}

/* ---- reading ------------------------------------------------------------------------------ */

/* True for a key that the engine can have; reading others finds nothing. */
static bool can_exist(const struct transaction *txn, struct kvs_bytes key)
{
    return key.len > 0 && key.len <= txn->engine->limits.key_max;
}

struct copying {
    struct transaction *txn;
    struct kvs_bytes copy;
    bool failed;
};

static int32_t copy_stored(void *arg, struct kvs_bytes stored)
{
    struct copying *copying = arg;
    void *memory = arena_take(&copying->txn->arena, stored.len);
    copying->failed = memory == NULL;
    if (copying->failed)
        return 1;
    if (stored.len > 0)
        memcpy(memory, stored.ptr, stored.len);
    copying->copy = bytes_of(memory, stored.len);
    return 0;
}

/* Copies what the engine has. KVS_OK, KVS_NOT_FOUND, or a fault. */
static kvs_status read_stored(struct transaction *txn, struct kvs_bytes key, struct kvs_bytes *ret)
{
    struct copying copying = {.txn = txn};
    kvs_status status = store_get(txn->engine, txn->tls, key, copy_stored, &copying, &txn->error);
    if (copying.failed)
        return transaction_no_memory(txn);
    if (status == KVS_OK && copying.copy.ptr == NULL)
        return kvs_error_set(&txn->error, KVS_INTERNAL, 0,
                             "the engine found the key but showed no value: a bug of the engine");
    if (status == KVS_OK)
        *ret = copying.copy;
    return status;
}

/* Decodes it; an expired one is not found. */
static kvs_status see(const struct transaction *txn, struct kvs_bytes stored, struct value *ret)
{
    struct value value = value_decode(stored);
    if (value_is_expired(&value, txn->now_ms))
        return KVS_NOT_FOUND;
    *ret = value;
    return KVS_OK;
}

/* Takes what another one is writing for what the key holds. False: there is no such thing. */
static bool guess(struct transaction *txn, struct entry *entry)
{
    struct hint hint;
    struct hints *hints = txn->engine->hints;
    if (hints == NULL || txn->wrong_guesses >= WRONG_GUESSES_MAX ||
        !hints_find(hints, entry->key, &hint))
        return false;
    uint8_t *copy = arena_take(&txn->arena, hint.len);
    if (copy == NULL)
        return false;
    memcpy(copy, hint.stored, hint.len);
    entry->stored = bytes_of(copy, hint.len);
    entry->was_read = entry->guessed = true;
    entry->was_present = hint.present;
    return true;
}

/* Reads the key into its entry, once. KVS_OK, or a fault. */
static kvs_status load(struct transaction *txn, struct entry *entry, bool may_guess)
{
    if (entry->was_read || (may_guess && guess(txn, entry)))
        return KVS_OK;
    kvs_status status = read_stored(txn, entry->key, &entry->stored);
    if (status != KVS_OK && status != KVS_NOT_FOUND)
        return status;
    entry->was_read = true;
    entry->was_present = status == KVS_OK;
    return KVS_OK;
}

kvs_status transaction_get(struct transaction *txn, struct kvs_bytes key, struct value *ret)
{
    if (!can_exist(txn, key))
        return KVS_NOT_FOUND;
    if ((txn->flags & TRANSACTION_READ_ONLY) != 0) {
        struct kvs_bytes stored;
        kvs_status status = read_stored(txn, key, &stored);
        return status == KVS_OK ? see(txn, stored, ret) : status;
    }
    struct entry *entry = take_entry(txn, key);
    if (entry == NULL)
        return KVS_NO_MEMORY;
    if (entry->written == WRITTEN_REMOVED)
        return KVS_NOT_FOUND;
    if (entry->written == WRITTEN_NOT) {
        kvs_status status = load(txn, entry, true);
        if (status == KVS_OK)
            status = entry->was_present ? see(txn, entry->stored, &entry->value) : KVS_NOT_FOUND;
        if (status != KVS_OK)
            return status;
    }
    /* What the transaction wrote itself may have been expired when it did. */
    if (value_is_expired(&entry->value, txn->now_ms))
        return KVS_NOT_FOUND;
    *ret = entry->value;
    return KVS_OK;
}

/* The last bytes of what is stored, and how much it is. */
struct looking {
    uint64_t len;
    uint8_t tail[VALUE_TRAILER_BYTES];
};

static int32_t look_at_stored(void *arg, struct kvs_bytes stored)
{
    struct looking *looking = arg;
    looking->len = stored.len;
    if (stored.len >= VALUE_TRAILER_BYTES)
        memcpy(looking->tail, (const uint8_t *)stored.ptr + stored.len - VALUE_TRAILER_BYTES,
               VALUE_TRAILER_BYTES);
    return 0;
}

kvs_status transaction_look(struct transaction *txn, struct kvs_bytes key, uint64_t *ret_len,
                            int64_t *ret_expires_at_ms)
{
    struct value value;
    struct looking looking = {.len = 0};
    if ((txn->flags & TRANSACTION_READ_ONLY) == 0 || !can_exist(txn, key)) {
        kvs_status status = transaction_get(txn, key, &value);
        if (status == KVS_OK) {
            *ret_len = value.content.len;
            *ret_expires_at_ms = value.expires_at_ms;
        }
        return status;
    }
    kvs_status status =
        store_get(txn->engine, txn->tls, key, look_at_stored, &looking, &txn->error);
    if (status != KVS_OK)
        return status;
    value.content.len = VALUE_TRAILER_BYTES; /* of the tail, if that is no trailer */
    value.expires_at_ms = VALUE_NEVER;
    if (looking.len >= VALUE_TRAILER_BYTES)
        status = see(txn, bytes_of(looking.tail, VALUE_TRAILER_BYTES), &value);
    if (status != KVS_OK)
        return status;
    *ret_len = looking.len - (VALUE_TRAILER_BYTES - value.content.len);
    *ret_expires_at_ms = value.expires_at_ms;
    return KVS_OK;
}

kvs_status transaction_stored(struct transaction *txn, struct kvs_bytes key, struct kvs_bytes *ret)
{
    assert((txn->flags & TRANSACTION_READ_ONLY) == 0);
    if (!can_exist(txn, key))
        return KVS_NOT_FOUND;
    struct entry *entry = take_entry(txn, key);
    if (entry == NULL)
        return KVS_NO_MEMORY;
    kvs_status status = load(txn, entry, false);
    if (status != KVS_OK)
        return status;
    if (!entry->was_present)
        return KVS_NOT_FOUND;
    *ret = entry->stored;
    return KVS_OK;
}

kvs_status transaction_watch(struct transaction *txn, const struct watched *watched)
{
    struct kvs_bytes stored = {NULL, 0};
    kvs_status status = transaction_stored(txn, watched->key, &stored);
    if (status != KVS_OK && status != KVS_NOT_FOUND)
        return status;
    bool present = status == KVS_OK;
    if (present != watched->present || (present && !bytes_equal(stored, watched->stored)))
        return KVS_CONDITION_FAILED;
    if (!present)
        return KVS_OK;
    struct value value = value_decode(stored);
    bool expired_since =
        value_is_expired(&value, txn->now_ms) && !value_is_expired(&value, watched->now_ms);
    return expired_since ? KVS_CONDITION_FAILED : KVS_OK;
}

/* ---- writing ------------------------------------------------------------------------------ */

kvs_status transaction_check(struct transaction *txn, struct kvs_bytes key, uint64_t len)
{
    const struct request_limits *limits = &txn->engine->limits;
    if (key.len == 0)
        return kvs_error_set(&txn->error, KVS_INVALID, 0, "a key has at least 1 byte");
    if (key.len > limits->key_max)
        return kvs_error_set(&txn->error, KVS_TOO_LARGE, 0,
                             "a key of %" PRIu64 " bytes is over the limit of %u bytes", key.len,
                             limits->key_max);
    if (len > limits->value_max)
        return kvs_error_set(&txn->error, KVS_TOO_LARGE, 0,
                             "a value of %" PRIu64 " bytes is over the limit of %u bytes", len,
                             limits->value_max);
    return KVS_OK;
}

kvs_status transaction_set(struct transaction *txn, struct kvs_bytes key, struct kvs_bytes content,
                           int64_t expires_at_ms)
{
    assert((txn->flags & TRANSACTION_READ_ONLY) == 0);
    kvs_status status = transaction_check(txn, key, content.len);
    if (status == KVS_OK && expires_at_ms == TRANSACTION_KEEP) {
        struct value before = {.expires_at_ms = VALUE_NEVER};
        status = transaction_get(txn, key, &before);
        expires_at_ms = status == KVS_OK ? before.expires_at_ms : VALUE_NEVER;
        status = status == KVS_NOT_FOUND ? KVS_OK : status;
    }
    if (status != KVS_OK)
        return status;
    if (expires_at_ms != VALUE_NEVER)
        status = store_note_expiry(txn->engine, expires_at_ms, &txn->error); /* I3 */
    if (status != KVS_OK)
        return status;
    struct kvs_bytes store = content;
    if (!value_is_plain(content, expires_at_ms)) {
        uint8_t *memory = transaction_memory(txn, content.len + VALUE_TRAILER_BYTES);
        if (memory == NULL)
            return KVS_NO_MEMORY;
        value_encode(memory, content, expires_at_ms);
        store = bytes_of(memory, content.len + VALUE_TRAILER_BYTES);
    }
    struct entry *entry = take_entry(txn, key);
    if (entry == NULL)
        return KVS_NO_MEMORY;
    entry->written = WRITTEN_SET;
    entry->store = store;
    entry->value = (struct value){content, expires_at_ms};
    return KVS_OK;
}

kvs_status transaction_remove(struct transaction *txn, struct kvs_bytes key)
{
    assert((txn->flags & TRANSACTION_READ_ONLY) == 0);
    if (!can_exist(txn, key))
        return KVS_OK;
    struct entry *entry = take_entry(txn, key);
    if (entry == NULL)
        return KVS_NO_MEMORY;
    entry->written = WRITTEN_REMOVED;
    return KVS_OK;
}

void transaction_forget_writes(struct transaction *txn)
{
    for (uint32_t i = 0; i < txn->entry_count; i++)
        txn->entries[i].written = WRITTEN_NOT;
}
