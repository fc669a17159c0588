/*
 * What is measured: kvs engines (through their ABI) and other stores, behind one small table.
 *
 * Every get copies the value into the caller's buffer, as a server does into its output; so nobody
 * gains by handing out a pointer.
 *
 * Fairness. Compression is off everywhere; caches, hash tables and maps are sized for the data.
 * Without sync, a write survives the end of the process (it has reached the kernel) but no power
 * loss; with sync, each write (or batch) is on stable storage before it returns. What each peer is
 * set to stands in its file and in peer.settings, which goes into the report.
 */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/engine.h>
#include <kvs/types.h>

#define PEER_BATCH_MAX  1024u /* writes in one batch */
#define PEER_MANY_MAX   64u   /* keys in one get_many */
#define PEER_WINDOW_MAX 64u   /* writes in one window */

/* clang-format off */
enum { /* peer.flags: what it can do at all */
    PEER_READS   = 1u << 0, /* get, get_many */
    PEER_REOPENS = 1u << 1, /* what was written is there after close or kill, and open */
    PEER_SYNCS   = 1u << 2, /* config.sync is honoured */
    PEER_MIXES   = 1u << 3, /* any number of threads may read and write at once */
    PEER_REMOVES = 1u << 4,
    PEER_FLOOR   = 1u << 5  /* no store: shows what the machine can do at most */
};
/* clang-format on */

struct peer_store;  /* one open store; the adapter's own */
struct peer_thread; /* one thread's state in it; the adapter's own */

struct peer_config {
    const char *dir; /* exists; empty, or holds a store of this peer */
    bool sync;       /* every write is durable before it returns */
    uint64_t keys;   /* about how many there will be */
    uint32_t value_size;
    uint32_t threads; /* that will use it at once */
};

struct peer_item {
    struct kvs_bytes key;
    struct kvs_bytes value;
};

/* Where get puts the value; more than cap bytes are KVS_TOO_LARGE. */
struct peer_value {
    uint8_t *data;
    uint64_t cap;
    uint64_t len;      /* out */
    kvs_status status; /* out, of get_many only: KVS_OK or KVS_NOT_FOUND */
};

struct peer;

/* Every call gives KVS_OK or a negative status with err filled (err may be NULL); get and remove
   also KVS_NOT_FOUND. thread is what thread_begin gave to the calling thread. */
struct peer_ops {
    kvs_status (*open)(const struct peer *peer, const struct peer_config *config,
                       struct peer_store **ret_store, struct kvs_error *err);
    kvs_status (*close)(struct peer_store *store, struct kvs_error *err);
    kvs_status (*thread_begin)(struct peer_store *store, struct peer_thread **ret_thread,
                               struct kvs_error *err);
    void (*thread_end)(struct peer_store *store, struct peer_thread *thread);

    kvs_status (*get)(struct peer_store *store, struct peer_thread *thread, struct kvs_bytes key,
                      struct peer_value *value, struct kvs_error *err);
    /* In the best way that the peer has; count at most PEER_MANY_MAX. */
    kvs_status (*get_many)(struct peer_store *store, struct peer_thread *thread,
                           const struct kvs_bytes *keys, uint32_t count, struct peer_value *values,
                           struct kvs_error *err);
    kvs_status (*set)(struct peer_store *store, struct peer_thread *thread, struct kvs_bytes key,
                      struct kvs_bytes value, struct kvs_error *err);
    kvs_status (*remove)(struct peer_store *store, struct peer_thread *thread, struct kvs_bytes key,
                         struct kvs_error *err);
    /* All or nothing, with one sync; count at most PEER_BATCH_MAX. */
    kvs_status (*batch)(struct peer_store *store, struct peer_thread *thread,
                        const struct peer_item *items, uint32_t count, struct kvs_error *err);
    /* Independent writes that are under way at the same time; returns when all are done. May be
       NULL: the peer has no writes that complete later. count at most PEER_WINDOW_MAX. */
    kvs_status (*window)(struct peer_store *store, struct peer_thread *thread,
                         const struct peer_item *items, uint32_t count, struct kvs_error *err);
    /* Its own figures; may be NULL. */
    void (*stats)(struct peer_store *store, kvs_stat_fn visit, void *arg);
    void (*free)(struct peer *peer); /* what context holds; may be NULL */
};

struct peer {
    const struct peer_ops *ops;
    char *name;           /* owned */
    char *version;        /* owned */
    const char *settings; /* one line: how it is set up; a constant */
    uint32_t flags;       /* PEER_* */
    uint64_t key_max;     /* bytes of the longest key that it takes */
    void *context;        /* the adapter's own */
};

/* Copies a value that was found. */
static inline kvs_status peer_value_copy(struct peer_value *value, const void *data, uint64_t len)
{
    if (len > value->cap)
        return KVS_TOO_LARGE;
    memcpy(value->data, data, len);
    value->len = len;
    return KVS_OK;
}

/* get_many for peers that have no better way than one get after the other. */
kvs_status peer_get_many_by_get(struct peer_store *store, struct peer_thread *thread,
                                const struct kvs_bytes *keys, uint32_t count,
                                struct peer_value *values, struct kvs_error *err,
                                const struct peer_ops *ops);

#endif
