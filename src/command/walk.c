/* See walk.h. */
#include "command/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define KEY_LEAST 64u

void walk_deinit(struct walk *walk)
{
    free(walk->key);
    *walk = (struct walk){0};
}

void walk_restart(struct walk *walk)
{
    walk->cursor = 0;
    walk->key_len = 0;
    walk->ended = false;
}

bool walk_is_possible(const struct store *store)
{
    return store->engine->scan != NULL;
}

bool walk_has_order(const struct store *store)
{
    return (store->engine->capabilities & KVS_ENGINE_ORDERED) != 0;
}

/* One byte more than the key is kept: its successor is the key and a zero byte. */
kvs_status walk_set_key(struct walk *walk, struct kvs_bytes key)
{
    if (walk->key_cap < key.len + 1) {
        uint64_t cap = key.len + 1 < KEY_LEAST ? KEY_LEAST : 2 * key.len;
        uint8_t *larger = realloc(walk->key, cap);
        if (larger == NULL)
            return KVS_NO_MEMORY;
        walk->key = larger;
        walk->key_cap = cap;
    }
    memcpy(walk->key, key.ptr, key.len);
    walk->key[key.len] = 0;
    walk->key_len = key.len;
    return KVS_OK;
}

struct showing {
    struct walk *walk;
    bool remembers;
    bool failed;
    int32_t (*visit)(void *arg, struct kvs_bytes key, struct kvs_bytes value);
    void *arg;
};

static int32_t show(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    struct showing *showing = arg;
    showing->failed = showing->remembers && walk_set_key(showing->walk, key) != KVS_OK;
    return showing->failed ? 1 : showing->visit(showing->arg, key, value);
}

kvs_status walk_step(struct walk *walk, const struct store *store, struct kvs_tls *tls,
                     uint64_t limit, uint32_t flags,
                     int32_t (*visit)(void *arg, struct kvs_bytes key, struct kvs_bytes value),
                     void *arg, struct kvs_error *err)
{
    if (!walk_is_possible(store))
        return kvs_error_set(err, KVS_UNSUPPORTED, 0, "this engine cannot list its keys");
    if (walk->ended)
        walk_restart(walk);
    bool has_order = walk_has_order(store);
    struct showing showing = {.walk = walk, .remembers = has_order, .visit = visit, .arg = arg};
    /* The engine reads `from` while the walk's memory takes the keys that it shows. */
    uint8_t *from = has_order && walk->key_len > 0 ? walk->key : NULL;
    uint64_t from_len = walk->key_len + 1;
    if (from != NULL) {
        walk->key = NULL;
        walk->key_cap = walk->key_len = 0;
    }
    struct kvs_scan scan = {.size = sizeof(scan),
                            .flags = flags,
                            .limit = limit,
                            .cursor = has_order ? 0 : walk->cursor,
                            .visit = show,
                            .arg = &showing};
    if (from != NULL)
        scan.from = bytes_of(from, from_len);
    kvs_status status = store->engine->scan(store->db, tls, &scan, err);
    if (walk->key == NULL && from != NULL) { /* nothing was shown: still behind the same key */
        walk->key = from;
        walk->key_cap = from_len;
        walk->key_len = from_len - 1;
    } else {
        free(from);
    }
    walk->cursor = scan.cursor;
    if (showing.failed)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    walk->ended = status == KVS_OK && scan.cursor == 0;
    return status == KVS_STOPPED ? KVS_OK : status;
}
