/*
 * When what was written reaches the disk: the durability modes in LMDB's terms, and the thread that
 * flushes in the background.
 *
 *   always    Each commit flushes its pages, then its meta page, before it is answered or visible:
 *             LMDB's default, two flushes. Survives power loss as it says.
 *   interval  Each commit flushes its pages before it writes its meta page, and leaves that to the
 *             kernel (MDB_NOMETASYNC: one flush); the background thread flushes it in time. A power
 *             loss takes back at most the last commit, and never damages the store. The flag that
 *             would save the remaining flush, MDB_NOSYNC, lets the kernel write a meta page before
 *             the pages that it points to: after a power loss the whole store can be lost, not just
 *             an interval's writes, so it cannot keep what interval promises.
 *   none      MDB_NOSYNC: no commit flushes anything. kill -9 loses nothing, because the kernel has
 *             it. After a power loss LMDB could open a damaged store without noticing (it keeps no
 *             checksums), so a marker in the directory says that there are unsynced writes and
 *             whose they are; a store whose marker is from before the last boot is refused. The
 *             background thread flushes, and takes the marker away, when nothing was written for a
 *             while, and so does close.
 *
 * A flush that fails in interval or none may have lost commits that were answered: the kernel drops
 * what it could not write, but goes on showing it. The marker then says so, and the next open
 * refuses the store too. (In always only a commit can fail, and that one was not answered.)
 *
 * A batch with KVS_BATCH_DURABLE is flushed completely before it is answered. With none that could
 * still be lost to the damage that later commits risk, so the first such batch moves the store from
 * none to what interval does, until it is closed.
 */
#ifndef ENGINE_LMDB_DURABLE_H
#define ENGINE_LMDB_DURABLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/engine.h>

#include "reader.h"
#include "store.h"

struct durable {
    /* Constant after start. */
    struct store *store;
    struct reader_pool *readers;
    struct health *health;
    uint32_t mode;        /* KVS_DURABILITY_* */
    uint64_t interval_ms; /* how often the thread looks; 0: there is no thread */
    bool started;

    atomic_bool raised;       /* none behaves as interval; the leader sets it */
    _Atomic uint64_t commits; /* that have ended; by the leader, release: who sees one flushes it */
    _Atomic uint64_t synced;  /* how many of them a flush covers; relaxed, only a hint */
    _Atomic uint64_t syncs;   /* flushes besides the commits' own; relaxed */

    pthread_mutex_t marker_lock;
    uint64_t begun;    /* commits without flushes that have begun; marker_lock */
    bool marked;       /* the marker is there; marker_lock */
    bool is_condemned; /* and stays; marker_lock */

    pthread_rwlock_t env_lock; /* the store's environment and its flags: a flush reads them */

    pthread_t thread; /* when interval_ms is not 0 */
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_changed;
    bool stopping; /* stop_lock */
};

/* The flags that mode opens an environment with. */
unsigned durable_env_flags(uint32_t mode);

/*
 * Begins; interval_ms is the mode's (KVS_DURABILITY_INTERVAL). Makes durable what an earlier run
 * left in the kernel's memory only. On failure nothing is left behind. KVS_IO, KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status durable_start(struct durable *durable, struct store *store,
                                      struct reader_pool *readers, struct health *health,
                                      uint32_t mode, uint64_t interval_ms, struct kvs_error *err);

/* Ends the thread and flushes all. KVS_OK, or what failed. Also when it was never started. */
KVS_MUST_USE kvs_status durable_stop(struct durable *durable, struct kvs_error *err);

/* Whether a commit waits for the disk, so that no caller's thread should make it. */
bool durable_commit_waits(const struct durable *durable);

/*
 * The leader, around each commit. must_last: it holds a KVS_BATCH_DURABLE. before gives 0, or a
 * code and then the commit does not happen and after is not called; after is called whatever the
 * commit gave.
 */
KVS_MUST_USE int durable_before_commit(struct durable *durable, bool must_last);
void durable_after_commit(struct durable *durable);

/* The leader, after a commit that must_last and was made: flushes what the commit did not. 0 or a
   code; the store is read-only then. */
KVS_MUST_USE int durable_finish(struct durable *durable);

/* The leader, around the replacing of the store's environment: no flush runs meanwhile, and
   afterwards the new one has the flags that it needs. */
void durable_block(struct durable *durable);
void durable_unblock(struct durable *durable);

/* After a flush failed that was to keep what is committed already: the store is not opened again
   unless it is told to trust the disk. */
void durable_condemn(struct durable *durable);

/* Flushes all that was committed before the call. From any thread. A failure turns the store
   read-only. */
KVS_MUST_USE kvs_status durable_sync(struct durable *durable, struct kvs_error *err);

#endif
