/*
 * One open store: what the parts of the engine share. Each part has its own file and header; this
 * one says which field belongs to whom.
 *
 * Threads: any number of callers; the committer (committer.c), the keeper (keeper.c), the maker
 * (maker.c), the compactor (compactor.c), the epoch's thread.
 *
 * Locks, in the order in which they may be taken together:
 *     compact_lock  >  append_lock  >  commit_lock  >  manifest_lock  >  keeper_lock  >  publish_lock
 *     >  the index's own
 * Readers take none.
 */
#ifndef ENGINE_LOG_STORE_H
#define ENGINE_LOG_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/engine.h>

#include "disk.h"
#include "epoch.h"
#include "index.h"
#include "manifest.h"
#include "pending.h"
#include "rounds.h"
#include "segment.h"

#define STORE_BATCH_OPS_MAX   65536u
#define STORE_BATCH_BYTES_MAX (UINT64_C(256) << 20)
#define STORE_FAULT_MAX       256u /* bytes of a message that says what failed */

/* One batch on its way, in the memory that the batch has for its engine (engine_data). */
struct write {
    struct write *next;             /* in the queue, and then in the list of unsynced writes */
    struct pending_record *records; /* appended, not yet published; in order */
    kvs_status status;              /* what its completion will say, if nothing fails */
};

/* Segments in the order in which they came, and how many ever came and were dealt with. */
struct segment_queue {
    struct segment *first;
    struct segment *last;
    uint64_t pushed;
    uint64_t done;
};

/* How a try to make a segment failed; status KVS_OK: it did not. */
struct make_failure {
    kvs_status status;
    int32_t os_errno;
    uint64_t until_ns; /* no other try before that */
    char message[STORE_FAULT_MAX];
};

/* An operation of the batch at hand. */
struct staged {
    struct placed placed;
    struct pending_record *pending; /* or NULL */
};

/* Who runs commit rounds. */
enum leader {
    LEADER_NONE,
    LEADER_CALLER,    /* a thread that waits for its write anyway */
    LEADER_COMMITTER, /* the committer's thread */
};

struct kvs_db {
    /* Constant while it is open. */
    const struct kvs_host *host;
    void (*progress)(void *arg, uint64_t done, uint64_t total); /* of opening; may be NULL */
    void *progress_arg;
    struct disk *disk;
    struct epoch *epoch;
    struct index *index;
    struct segment_table table;
    uint32_t durability; /* KVS_DURABILITY_* */
    uint64_t sync_interval_ms;
    uint64_t segment_bytes;
    bool zero_ahead; /* write zeros into new segments */
    bool huge_pages; /* segments in huge pages while they are written (segment.h) */
    bool read_only;

    /* Guarded by append_lock: the appender's. */
    _Alignas(64) pthread_mutex_t append_lock;
    struct segment *active; /* NULL: nothing is appended any more */
    uint64_t sequence;      /* the next one */
    struct pending_table pending;
    struct staged *staged; /* scratch of the batch at hand */
    uint64_t staged_cap;
    uint8_t *scratch; /* a frame, where the active segment is not mapped for writing */
    uint64_t scratch_cap;
    struct write *stalled_first; /* not appended: they wait, in order, for a segment that is made */
    struct write *stalled_last;
    struct write *unsynced_first; /* appended, waiting for the disk */
    struct write *unsynced_last;
    struct segment *rolled; /* complete, not yet synced; newest first */
    bool sync_wanted;       /* the active segment is to be synced though no write waits for it */
    uint64_t round;         /* number of the commit round that will take all this along */
    enum leader leader;     /* of commit rounds: see committer.c */
    /* All up to this number is durable and in the index. Written under the lock, release; read by
       threads without it, acquire. */
    _Atomic uint64_t durable_sequence;
    uint64_t pace_debt_ns; /* what writers still have to wait, so that compaction keeps up */
    uint64_t appended_records;
    uint64_t appended_bytes;
    kvs_status refusing; /* why the last write that makes the store larger got no segment; logged */
    bool committer_runs; /* its thread can be made the leader */

    /* Batches that came while another thread had the append lock. Pushed by any thread (release),
       taken whole by the holder of the lock (acquire). */
    _Alignas(64) _Atomic(struct write *) queued;

    /*
     * While a batch of several operations goes into the index: the sequence number of its first
     * record, else UINT64_MAX. Written by the publisher (publish.c), release; read by readers after
     * they found a record, acquire: a record with this number or a later one is not visible yet, and
     * old_places says what is instead.
     */
    _Alignas(64) _Atomic uint64_t publishing_from;
    _Atomic uint64_t *old_places; /* STORE_BATCH_OPS_MAX, by sequence number - publishing_from */
    pthread_mutex_t publish_lock; /* held meanwhile; innermost but for the index's own */

    struct rounds rounds; /* those that are over, for the callers that wait */

    /* Guarded by commit_lock: the committer's thread. */
    _Alignas(64) pthread_mutex_t commit_lock;
    pthread_cond_t commit_wanted; /* it has something to do */
    bool commit_called;           /* it was made the leader */
    bool committer_stop;
    pthread_t committer;

    /* Guarded by manifest_lock, which is held while the disk syncs a change of the manifest. */
    _Alignas(64) pthread_mutex_t manifest_lock;
    struct manifest *manifest;
    uint32_t next_number; /* where the search for a free number begins */
    bool has_kept;        /* kept_number is an entry without a file (keeper.c, I5) */
    uint32_t kept_number;

    /* Guarded by keeper_lock, which nobody holds while he waits for the disk: the keeper's and the
       maker's. */
    _Alignas(64) pthread_mutex_t keeper_lock;
    pthread_cond_t keeper_wanted;
    pthread_cond_t keeper_done;
    struct segment *spare;            /* made, in the manifest, empty */
    bool spare_lent;                  /* its space went to the compactor: none is to be made now */
    uint64_t wanted_bytes;            /* of a segment that the appender waits for; 0: it does not */
    struct segment *large;            /* made for a value that is too large for a spare */
    struct make_failure make_failure; /* of the last try */
    struct make_failure make_answer;  /* the same, for who asked for it; not told yet */
    pthread_cond_t maker_wanted;
    pthread_cond_t maker_done;
    bool maker_stop;
    bool maker_runs;
    pthread_t maker;
    /* Not 0 while wanted_bytes is not. Written under the lock; read by the holder of append_lock,
       acquire: what was asked for is there, or why not. */
    _Atomic uint32_t making;
    _Atomic uint32_t maker_hurry;  /* somebody waits: write no more zeros ahead; relaxed */
    _Atomic uint32_t maker_cancel; /* set by maker_stop: what takes long gives up; relaxed */
    /* spare is NULL. Written under the lock, read by the appender, relaxed: only how soon. */
    _Atomic uint32_t has_no_spare;
    struct segment_queue complete; /* to be sealed */
    struct segment *unsealed; /* complete, but the disk was full: to be sealed when it is not */
    struct segment *warming;  /* the last one that was given out; kept warm ahead of the appender */
    struct segment *warmed_now;   /* the keeper's thread is at it: it must not be freed */
    struct segment_queue dropped; /* no reader can reach them any more: to be removed */
    uint64_t retiring;            /* segments ever dropped: those whose file is not gone yet are */
                                  /* retiring - dropped.done */
    uint32_t holds; /* checkpoints at work: no file is removed, no dropped segment freed */
    bool keeper_stop;
    bool keeper_runs;
    pthread_t keeper;

    /* Guarded by compact_lock: the compactor's (compactor.c). The lock comes before all others. */
    _Alignas(64) pthread_mutex_t compact_lock;
    pthread_cond_t compact_wanted;
    pthread_cond_t compact_done;
    bool compact_look;          /* a segment was sealed: see whether one is worth it */
    uint64_t compact_requested; /* counts requests to compact everything, ... */
    uint64_t compact_finished;  /* ... and those that were done */
    kvs_status compact_status;  /* of the last request that was done */
    bool compactor_stop;
    bool compactor_runs;
    pthread_t compactor;
    /* The compactor's thread's own. */
    struct segment *compact_output;
    uint64_t compact_birth; /* of the next output: see compactor.c, I3 */

    /* Set by the compactor, read by writers; relaxed: only speed. */
    _Atomic uint64_t pace_ns_per_mib; /* how long a writer waits for each MiB that it appends */
    _Atomic uint32_t compact_victim; /* number of the segment that is being emptied, + 1; 0: none */

    /* Set once by whoever meets the fault (fault_lock), then read by all: acquire. */
    pthread_mutex_t fault_lock;
    _Atomic kvs_status fault;
    char fault_message[STORE_FAULT_MAX];

    /* Statistics: relaxed. */
    _Atomic uint64_t syncs;
    _Atomic uint64_t compacted_bytes;
    _Atomic uint64_t compacted_segments;
};

static inline struct write *write_of(struct kvs_batch *batch)
{
    return (struct write *)(void *)batch->engine_data;
}

static inline struct kvs_batch *batch_of(struct write *write)
{
    return (struct kvs_batch *)(void *)((char *)write - offsetof(struct kvs_batch, engine_data));
}

_Static_assert(sizeof(struct write) <= sizeof(((struct kvs_batch *)NULL)->engine_data),
               "a write lives in its batch");

/* Logs through the host. */
KVS_PRINTF(3, 4)
void store_log(const struct kvs_db *db, uint32_t level, const char *format, ...);

/* Makes the store read-only because of a fault of the disk, and says so, once. */
void store_fail(struct kvs_db *db, const struct kvs_error *cause);

/* KVS_OK while writes may go on, else KVS_READ_ONLY with the reason in err. */
kvs_status store_check_writable(struct kvs_db *db, struct kvs_error *err);

/*
 * The record at a place. Only inside a read section, for a place that the index gave in it (or of a
 * segment that the caller keeps alive).
 */
static inline const uint8_t *store_record_at(const struct kvs_db *db, uint64_t place,
                                             const struct segment **ret_segment)
{
    const struct segment *segment = segment_at(&db->table, place_segment(place));
    *ret_segment = segment;
    return segment->memory + place_offset_bytes(place);
}

/* True when the record at this place has this key. As above. */
bool store_has_key(const struct kvs_db *db, uint64_t place, struct kvs_bytes key,
                   struct record *ret_record);

/* True when the record at this place is what was written there. As above. */
bool store_is_sound(const struct kvs_db *db, uint64_t place);

/* KVS_CORRUPT, or KVS_IO where the disk does not deliver it: the record at this place, for the caller's
   caller. As above. */
kvs_status store_say_damaged(const struct kvs_db *db, uint64_t place, struct kvs_error *err);

/* The place of a key's newest record in the index (which may be a tombstone on its way out), or
   PLACE_NONE. Inside a read section; for writers: it sees what is being published. A record whose bytes
   are damaged is found too, where its segment's footer says whose it is, or nothing says that it is another
   key's: its value is then only a length. The bytes of no record are believed: see store_is_sound. */
uint64_t store_find(const struct kvs_db *db, uint64_t hash, struct kvs_bytes key,
                    struct record *ret_record);

#endif
