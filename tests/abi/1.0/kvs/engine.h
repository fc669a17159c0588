/*
 * The interface of a storage engine plugin: a map from byte strings to byte strings.
 *
 * Mandatory: open, close, get, set, remove; that is a whole simple engine. The others are optional:
 * an operation is present when it lies inside the table's size, is not NULL, and its capability
 * bit is set. A pointer without its bit counts as absent; a bit without its pointer is refused.
 *
 * Threads. Between open and close every operation may be called from any thread, concurrently with
 * every other (close: with none, and with no completion outstanding). An engine without
 * KVS_ENGINE_CONCURRENT_WRITERS never sees two of set, remove and submit at once: the host
 * serialises them (from the call to its return; completions do not count).
 *
 * Memory. Keys and values handed in live until the call returns, or until the completion when it
 * returned KVS_PENDING. What a visitor is shown dies when the visitor returns.
 *
 * Visitors run inside the engine's read section. They must not call into the engine, block, or end
 * their thread. A visitor that returns non-zero stops the call, which then gives KVS_STOPPED.
 *
 * Completions. A request's complete() runs exactly once if and only if the call returned
 * KVS_PENDING. It may run before the call returns, on any thread, and must not block; it may not
 * call into the engine. The request, its arrays and all they point to belong to the engine until
 * then, and to the host again from the moment complete() is entered.
 *
 * What a write promises. A write that was answered KVS_OK (by return, or by completion) is visible
 * to every get that begins afterwards, and survives as the durability mode says (KVS_DURABILITY_*).
 * In KVS_DURABILITY_ALWAYS no get returns a value that could still be lost.
 */
#ifndef KVS_ENGINE_H
#define KVS_ENGINE_H

#include <kvs/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvs_db;  /* one open store; the engine's own */
struct kvs_tls; /* one thread's state in one store; the engine's own */

/* clang-format off */
enum { /* kvs_engine_config.durability: what survives after KVS_OK */
    KVS_DURABILITY_ALWAYS   = 1, /* power loss */
    KVS_DURABILITY_INTERVAL = 2, /* kill -9 at once; power loss after at most sync_interval_ms */
    KVS_DURABILITY_NONE     = 3  /* kill -9; the kernel decides about power loss */
};

enum { /* kvs_engine_config.flags */
    KVS_OPEN_CREATE    = 1u << 0, /* make the store if the directory holds none */
    KVS_OPEN_READ_ONLY = 1u << 1  /* change nothing on disk; writes give KVS_READ_ONLY */
};

enum { /* kvs_engine_ops.capabilities */
    /* optional operations */
    KVS_ENGINE_HAS_SUBMIT      = 1u << 0,
    KVS_ENGINE_HAS_GET_MANY    = 1u << 1,
    KVS_ENGINE_HAS_SCAN        = 1u << 2,
    KVS_ENGINE_HAS_SYNC        = 1u << 3,
    KVS_ENGINE_HAS_THREADS     = 1u << 4, /* thread_attach and thread_detach */
    KVS_ENGINE_HAS_STATS       = 1u << 5,
    KVS_ENGINE_HAS_CHECKPOINT  = 1u << 6,
    KVS_ENGINE_HAS_COMPACT     = 1u << 7,
    KVS_ENGINE_HAS_VERIFY      = 1u << 8,
    KVS_ENGINE_HAS_REPAIR      = 1u << 9,
    KVS_ENGINE_HAS_RECONFIGURE = 1u << 10,
    /* properties */
    KVS_ENGINE_ORDERED            = 1u << 16, /* scan goes in the order of the keys' bytes */
    KVS_ENGINE_SNAPSHOT_SCAN      = 1u << 17, /* one scan call sees one moment */
    KVS_ENGINE_DURABLE            = 1u << 18, /* keeps what KVS_DURABILITY_* says */
    KVS_ENGINE_CONCURRENT_WRITERS = 1u << 19,
    KVS_ENGINE_GET_NEVER_BLOCKS   = 1u << 20, /* gets wait for no writer and no flush */
    KVS_ENGINE_BATCH_ATOMIC       = 1u << 21, /* a batch is all or nothing, also across a crash */
    KVS_ENGINE_BATCH_ATOMIC_KEY   = 1u << 22  /* only the operations on one key are */
};

enum { /* kvs_op.kind */
    KVS_OP_SET    = 1,
    KVS_OP_REMOVE = 2,
    KVS_OP_CHECK  = 3  /* writes nothing; its condition must hold: for KVS_BATCH_ALL_OR_NONE */
};

enum { /* kvs_op.condition, decided in the order in which writes take effect */
    KVS_IF_ALWAYS  = 0,
    KVS_IF_ABSENT  = 1,
    KVS_IF_PRESENT = 2,
    KVS_IF_EQUAL   = 3  /* present, and the value equals kvs_op.expected */
};

enum { /* kvs_batch.flags */
    KVS_BATCH_ALL_OR_NONE = 1u << 0, /* one failed condition: nothing is applied */
    KVS_BATCH_DURABLE     = 1u << 1  /* as if KVS_DURABILITY_ALWAYS, for this batch */
};

enum { /* kvs_scan.flags */
    KVS_SCAN_REVERSE   = 1u << 0, /* ORDERED engines only, else KVS_UNSUPPORTED */
    KVS_SCAN_KEYS_ONLY = 1u << 1  /* the visitor gets an empty value */
};
/* clang-format on */

/* How to open a store. The struct may go when open returns; host lives until after close. */
struct kvs_engine_config {
    uint32_t size;
    uint32_t flags;      /* KVS_OPEN_* */
    uint32_t durability; /* KVS_DURABILITY_* */
    uint32_t threads;    /* how many threads the host expects to call with: a hint, 0 unknown */
    uint64_t sync_interval_ms;   /* KVS_DURABILITY_INTERVAL: at least 1 */
    const char *data_dir;        /* exists, is writable, and is ours alone. Names that begin with
                                    "kvs." in it are the host's: an engine leaves them alone */
    const struct kvs_host *host; /* never NULL */

    /* An open that takes long tells now and then how far it is: done of total, in any unit; total 0:
       not known. From any threads, also several at once, until open returns. May be NULL. */
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *progress_arg;
};

/* Called once with the value that get found. */
typedef int32_t (*kvs_value_fn)(void *arg, struct kvs_bytes value);

/* One operation of a batch. Frozen. */
struct kvs_op {
    uint32_t kind;      /* KVS_OP_* */
    uint32_t condition; /* KVS_IF_* */
    struct kvs_bytes key;
    struct kvs_bytes value;    /* KVS_OP_SET */
    struct kvs_bytes expected; /* KVS_IF_EQUAL */
    kvs_status status;         /* out: KVS_OK, KVS_NOT_FOUND (remove of a missing key),
                                  KVS_CONDITION_FAILED, or why this one failed */
    uint32_t reserved;         /* 0 */
};

/*
 * Writes that take effect at one moment, in order: an operation sees those before it. Without
 * ALL_OR_NONE an operation whose condition fails is skipped and the others are applied; a fault
 * that concerns one operation only (KVS_TOO_LARGE) fails just that one. With ALL_OR_NONE such a
 * fault is the whole batch's: that is its status, and nothing is applied. A status of the whole
 * that is negative means that nothing was applied.
 *
 * The batches of one thread take effect in the order of its calls, also when it does not wait for
 * the completion of one before it submits the next. (Completions may come in any order.)
 *
 * What a condition was decided against is durable (as KVS_DURABILITY_ALWAYS says, in that mode)
 * before the batch is answered, whichever way it was decided: an answer tells nothing that could
 * still be lost, and who tries again after KVS_CONDITION_FAILED reads what made it fail.
 */
struct kvs_batch {
    uint32_t size;
    uint32_t flags; /* KVS_BATCH_* */
    struct kvs_op *ops;
    uint64_t op_count; /* at least 1, at most batch_ops_max */

    /*
     * status: KVS_OK (see each operation's own), KVS_CONDITION_FAILED (ALL_OR_NONE: the ones that
     * failed say so, the others are KVS_OK but were not applied), or negative.
     */
    void (*complete)(void *arg, struct kvs_batch *batch, kvs_status status);
    void *arg;

    struct kvs_error *err; /* for the first fault, of the whole or of one operation; may be NULL */
    void *engine_data[8];  /* the engine's, from the call to the completion */
};

/* One key of get_many. Frozen. */
struct kvs_lookup {
    struct kvs_bytes key;
    kvs_status status; /* out: KVS_OK, KVS_NOT_FOUND, or why it failed */
    uint32_t reserved; /* 0 */
};

/* Lookups that each see a moment between the call and the completion (not all the same one). */
struct kvs_get_many {
    uint32_t size;
    uint32_t flags; /* 0 */
    struct kvs_lookup *lookups;
    uint64_t lookup_count; /* at least 1 */

    /* Called for each key that was found, in any order, on any thread, one at a time. */
    int32_t (*visit)(void *arg, uint64_t index, struct kvs_bytes value);
    /* status: KVS_OK, KVS_STOPPED, or negative for the whole. */
    void (*complete)(void *arg, struct kvs_get_many *request, kvs_status status);
    void *arg;

    struct kvs_error *err; /* for the first fault; may be NULL */
    void *engine_data[8];  /* the engine's, from the call to the completion */
};

/*
 * A walk over the keys, in pieces. Each key that exists from the first piece to the last is shown;
 * on an unordered engine it may be shown more than once while the store changes.
 *
 * ORDERED: keys in [from, to) that begin with prefix; to continue, set from to the successor of the
 * last key shown. Others: from and to must be empty (else KVS_UNSUPPORTED); cursor is 0 at the
 * start, the engine sets it to where to continue, and to 0 at the end. The cursor stays good while
 * the store grows, shrinks, or is reopened.
 */
struct kvs_scan {
    uint32_t size;
    uint32_t flags; /* KVS_SCAN_* */
    struct kvs_bytes from;
    struct kvs_bytes to; /* empty: no end */
    struct kvs_bytes prefix;
    uint64_t limit;  /* stop after about this many keys; 0: no limit */
    uint64_t cursor; /* in and out; on ORDERED engines out only: 0 at the end, else 1 */

    int32_t (*visit)(void *arg, struct kvs_bytes key, struct kvs_bytes value);
    void *arg;
};

/* One figure of stats(): name in [a-z0-9_]+ with its unit last ("log_bytes"). */
typedef void (*kvs_stat_fn)(void *arg, const char *name, uint64_t value);

/* One finding of verify() or repair(): a line that names file, offset and what is wrong or lost. */
typedef void (*kvs_report_fn)(void *arg, uint32_t level, const char *message);

struct kvs_engine_ops {
    uint32_t size;
    uint32_t reserved; /* 0 */
    uint64_t capabilities;
    uint64_t key_max;         /* bytes; keys have at least 1 */
    uint64_t value_max;       /* bytes */
    uint64_t batch_bytes_max; /* bytes of all keys and values of a batch */
    uint64_t batch_ops_max;   /* operations in a batch */

    /* ---- mandatory ---- */

    /*
     * Opens the store in config->data_dir and stores it at ret_db. On failure nothing stays open
     * and err says why. KVS_OK; KVS_MISSING (no store, no CREATE; an engine that is not DURABLE
     * finds no store of before, so without CREATE it always gives this), KVS_CORRUPT,
     * KVS_INCOMPATIBLE, KVS_INVALID (an option), KVS_IO, KVS_NO_SPACE, KVS_NO_MEMORY, KVS_LOCKED.
     */
    kvs_status (*open)(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                       struct kvs_error *err);

    /* Makes everything durable that was acknowledged, frees everything. KVS_OK, or what failed
       (it is closed all the same). All threads are detached. NULL is fine. */
    kvs_status (*close)(struct kvs_db *db, struct kvs_error *err);

    /* Shows the value of key to visit. KVS_OK, KVS_NOT_FOUND (also of a key that no store can
       hold: the empty one, one longer than key_max), KVS_STOPPED, KVS_CORRUPT, KVS_IO. After a
       fault nothing counts of what visit was shown: a disk may fail under it. */
    kvs_status (*get)(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                      kvs_value_fn visit, void *arg, struct kvs_error *err);

    /* Sets key to value; returns when that is as durable as the mode says. KVS_OK, KVS_INVALID
       (the empty key), KVS_TOO_LARGE, KVS_NO_SPACE, KVS_READ_ONLY, KVS_IO, KVS_BUSY. */
    kvs_status (*set)(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                      struct kvs_bytes value, struct kvs_error *err);

    /* Removes key, as set. KVS_NOT_FOUND when there was none. */
    kvs_status (*remove)(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                         struct kvs_error *err);

    /* ---- optional ---- */

    /* Applies a batch, now (any status but KVS_PENDING: complete is not called) or later. */
    kvs_status (*submit)(struct kvs_db *db, struct kvs_tls *tls, struct kvs_batch *batch);

    /* Looks keys up, now or later, as submit. */
    kvs_status (*get_many)(struct kvs_db *db, struct kvs_tls *tls, struct kvs_get_many *request);

    /* Shows keys (and values). KVS_OK, KVS_STOPPED (cursor as at the last key shown), KVS_CORRUPT,
       KVS_IO, KVS_UNSUPPORTED, KVS_INVALID (a cursor that never came from here). */
    kvs_status (*scan)(struct kvs_db *db, struct kvs_tls *tls, struct kvs_scan *scan,
                       struct kvs_error *err);

    /* Returns when all that was acknowledged before the call is on stable storage. */
    kvs_status (*sync)(struct kvs_db *db, struct kvs_error *err);

    /*
     * Makes the calling thread's state, which the thread then passes as tls; NULL is always a good
     * tls, only slower. detach frees it: on the same thread, or on another once that has ended or
     * no longer uses it.
     */
    kvs_status (*thread_attach)(struct kvs_db *db, struct kvs_tls **ret_tls, struct kvs_error *err);
    void (*thread_detach)(struct kvs_db *db, struct kvs_tls *tls);

    /* Reports the engine's figures, a moment each. "keys" (how many there are) is always one. */
    void (*stats)(struct kvs_db *db, kvs_stat_fn visit, void *arg);

    /* Writes a consistent copy, openable as a store, into the empty directory path. Durable when
       it returns. Writes go on meanwhile. */
    kvs_status (*checkpoint)(struct kvs_db *db, const char *path, struct kvs_error *err);

    /* Gives back the space of overwritten and removed values; returns when that is done. */
    kvs_status (*compact)(struct kvs_db *db, struct kvs_error *err);

    /* Checks every byte of the store in config->data_dir, which no one has open. KVS_OK: sound;
       KVS_CORRUPT: each finding was reported. Changes nothing. */
    kvs_status (*verify)(const struct kvs_engine_config *config, kvs_report_fn report, void *arg,
                         struct kvs_error *err);

    /* Salvages what is sound of the store in config->data_dir (unopened, unchanged) into a new
       store in the empty directory target_dir, reporting what was lost. KVS_OK: nothing was;
       KVS_CORRUPT: the new store is there, and each loss was reported; after any other status
       there is none. */
    kvs_status (*repair)(const struct kvs_engine_config *config, const char *target_dir,
                         kvs_report_fn report, void *arg, struct kvs_error *err);

    /* Takes a new value of a RELOADABLE option (already checked by the host), or KVS_UNSUPPORTED.
     */
    kvs_status (*reconfigure)(struct kvs_db *db, const char *name,
                              const struct kvs_option_value *value, struct kvs_error *err);
};

#ifdef __cplusplus
}
#endif

#endif
