/*
 * See durable.h for the modes. The leader calls before and after each commit; the thread here wakes
 * up at half the interval, so that one that just missed a commit still flushes it in time.
 *
 * I1  While a commit without flushes may be on its way to the disk, the marker is durable: it is
 *     set before the first such commit, and cleared only after a flush before which every commit
 *     that has begun until now had ended. begun is counted under the lock that clearing takes.
 * I2  A flush that failed is never repeated: it turns the store read-only, and every later flush
 *     reports that instead.
 */
#include "durable.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <lmdb.h>

#include "fault.h"
#include "marker.h"
#include "thread.h"

#define IDLE_MS 5000u /* none: how long nothing is written before it is flushed */

unsigned durable_env_flags(uint32_t mode)
{
    switch (mode) {
    case KVS_DURABILITY_NONE:
        return MDB_NOSYNC;
    case KVS_DURABILITY_INTERVAL:
        return MDB_NOMETASYNC;
    default:
        return 0;
    }
}

bool durable_commit_waits(const struct durable *durable)
{
    return durable->mode != KVS_DURABILITY_NONE ||
           atomic_load_explicit(&durable->raised, memory_order_relaxed);
}

/* Whether commits flush nothing. */
static bool is_loose(const struct durable *durable)
{
    return !durable_commit_waits(durable);
}

void durable_condemn(struct durable *durable)
{
    if (durable->mode == KVS_DURABILITY_ALWAYS)
        return;
    (void)pthread_mutex_lock(&durable->marker_lock);
    int code = marker_condemn(durable->store->dir_fd);
    durable->is_condemned = true;
    (void)pthread_mutex_unlock(&durable->marker_lock);
    if (code != 0)
        health_log(durable->health, KVS_LOG_ERROR,
                   "%s: cannot write the file %s (%s): do not trust the store after a restart",
                   durable->store->dir, MARKER_FILE, mdb_strerror(code));
}

void durable_block(struct durable *durable)
{
    (void)pthread_rwlock_wrlock(&durable->env_lock);
}

static void set_raised_flags(const struct durable *durable)
{
    (void)mdb_env_set_flags(durable->store->env, MDB_NOMETASYNC, 1);
    (void)mdb_env_set_flags(durable->store->env, MDB_NOSYNC, 0);
}

void durable_unblock(struct durable *durable)
{
    if (durable->store->env != NULL && atomic_load_explicit(&durable->raised, memory_order_relaxed))
        set_raised_flags(durable);
    (void)pthread_rwlock_unlock(&durable->env_lock);
}

/* One flush of the whole file (I2). 0 or a code. */
static int flush(struct durable *durable)
{
    uint64_t commits = atomic_load_explicit(&durable->commits, memory_order_acquire);
    if (health_check(durable->health, NULL) != KVS_OK)
        return EROFS;
    (void)pthread_rwlock_rdlock(&durable->env_lock);
    int code = durable->store->env != NULL ? mdb_env_sync(durable->store->env, 1) : MDB_PANIC;
    (void)pthread_rwlock_unlock(&durable->env_lock);
    if (code != 0) {
        health_fail(durable->health, code, "a flush failed");
        durable_condemn(durable);
        return code;
    }
    (void)atomic_fetch_add_explicit(&durable->syncs, 1, memory_order_relaxed);
    if (atomic_load_explicit(&durable->synced, memory_order_relaxed) < commits)
        atomic_store_explicit(&durable->synced, commits, memory_order_relaxed);
    return 0;
}

kvs_status durable_sync(struct durable *durable, struct kvs_error *err)
{
    if (durable->mode == KVS_DURABILITY_ALWAYS && health_check(durable->health, NULL) == KVS_OK)
        return KVS_OK; /* each commit was flushed before it was answered */
    kvs_status status = health_check(durable->health, err);
    if (status != KVS_OK)
        return status;
    int code = flush(durable);
    return code == 0 ? KVS_OK : fault_set(err, code, "cannot flush data.mdb");
}

/* Takes the marker away if nothing began since the flush that covers commits (I1). */
static void clear_marker(struct durable *durable, uint64_t commits)
{
    int code = 0;
    (void)pthread_mutex_lock(&durable->marker_lock);
    if (durable->marked && !durable->is_condemned && durable->begun == commits) {
        code = marker_clear(durable->store->dir_fd);
        durable->marked = code != 0;
    }
    (void)pthread_mutex_unlock(&durable->marker_lock);
    if (code != 0)
        health_log(durable->health, KVS_LOG_WARN, "%s: cannot remove the file %s: %s",
                   durable->store->dir, MARKER_FILE, mdb_strerror(code));
}

/* From here on commits keep the store sound: all so far is flushed first. 0 or a code. */
static int raise_mode(struct durable *durable)
{
    int code = flush(durable);
    if (code != 0)
        return code;
    clear_marker(durable, atomic_load_explicit(&durable->commits, memory_order_relaxed));
    atomic_store_explicit(&durable->raised, true, memory_order_relaxed);
    durable_block(durable);
    durable_unblock(durable); /* with the new flags */
    health_log(durable->health, KVS_LOG_INFO,
               "%s: a durable batch was asked for: commits are flushed from now on",
               durable->store->dir);
    return 0;
}

/*
 * The first loose commit is only made once the marker is durable. A disk that cannot flush that gets no second
 * try (I2); what it holds is sound and needs no condemning, since nothing loose began.
 */
static int set_marker(struct durable *durable)
{
    int code = marker_set(durable->store->dir_fd);
    if (code != 0 && !fault_is_passing(code))
        health_fail(durable->health, code, "cannot write the file " MARKER_FILE);
    return code;
}

int durable_before_commit(struct durable *durable, bool must_last)
{
    int code = 0;
    if (must_last && is_loose(durable))
        code = raise_mode(durable);
    if (code != 0 || !is_loose(durable))
        return code;
    (void)pthread_mutex_lock(&durable->marker_lock);
    if (!durable->marked)
        code = set_marker(durable);
    if (code == 0) {
        durable->marked = true;
        durable->begun++;
    }
    (void)pthread_mutex_unlock(&durable->marker_lock);
    return code;
}

void durable_after_commit(struct durable *durable)
{
    (void)atomic_fetch_add_explicit(&durable->commits, 1, memory_order_release);
}

int durable_finish(struct durable *durable)
{
    return durable->mode == KVS_DURABILITY_ALWAYS ? 0 : flush(durable);
}

/* Waits for one round of the thread; false when it should end. */
static bool wait_round(struct durable *durable, uint64_t wait_ms)
{
    struct timespec deadline;
    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)(wait_ms / 1000);
    deadline.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&durable->stop_lock);
    int code = 0;
    while (!durable->stopping && code == 0)
        code = pthread_cond_timedwait(&durable->stop_changed, &durable->stop_lock, &deadline);
    bool go_on = !durable->stopping;
    (void)pthread_mutex_unlock(&durable->stop_lock);
    return go_on;
}

static void *run(void *arg)
{
    struct durable *durable = arg;
    bool idle_only = durable->mode == KVS_DURABILITY_NONE;
    uint64_t seen = 0;
    while (wait_round(durable, durable->interval_ms)) {
        uint64_t commits = atomic_load_explicit(&durable->commits, memory_order_acquire);
        bool busy = commits != seen;
        seen = commits;
        if (atomic_load_explicit(&durable->synced, memory_order_relaxed) >= commits)
            continue;
        if (idle_only && busy)
            continue;
        if (flush(durable) == 0 && idle_only)
            clear_marker(durable, commits);
    }
    return NULL;
}

/*
 * What a run before this one left to the kernel is flushed before anybody sees it. If that fails the next start
 * must not try again and call it done (I2): where the marker says that commits were loose they may be damaged
 * now. Without it each one flushed its pages, and at most the last one is taken back. 0 or a code.
 */
static int settle(const struct durable *durable)
{
    enum marker marker;
    int code = mdb_env_sync(durable->store->env, 1);
    if (code == 0)
        return marker_clear(durable->store->dir_fd);
    if (marker_look(durable->store->dir_fd, &marker) == 0 && marker != MARKER_NONE &&
        marker_condemn(durable->store->dir_fd) != 0)
        health_log(durable->health, KVS_LOG_ERROR,
                   "%s: cannot write the file %s: do not trust the store after a restart",
                   durable->store->dir, MARKER_FILE);
    return code;
}

static void init_locks(struct durable *durable)
{
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&durable->marker_lock, NULL);
    (void)pthread_rwlock_init(&durable->env_lock, NULL);
    (void)pthread_mutex_init(&durable->stop_lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&durable->stop_changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void deinit_locks(struct durable *durable)
{
    (void)pthread_cond_destroy(&durable->stop_changed);
    (void)pthread_mutex_destroy(&durable->stop_lock);
    (void)pthread_rwlock_destroy(&durable->env_lock);
    (void)pthread_mutex_destroy(&durable->marker_lock);
}

static uint64_t round_ms(uint32_t mode, uint64_t interval_ms)
{
    switch (mode) {
    case KVS_DURABILITY_NONE:
        return IDLE_MS;
    case KVS_DURABILITY_INTERVAL:
        return interval_ms < 2 ? 1 : interval_ms / 2;
    default:
        return 0;
    }
}

kvs_status durable_start(struct durable *durable, struct store *store, struct reader_pool *readers,
                         struct health *health, uint32_t mode, uint64_t interval_ms,
                         struct kvs_error *err)
{
    memset(durable, 0, sizeof(*durable));
    durable->store = store;
    durable->readers = readers;
    durable->health = health;
    durable->mode = mode;
    durable->interval_ms = store->read_only ? 0 : round_ms(mode, interval_ms);
    int code = store->read_only ? 0 : settle(durable);
    if (code != 0)
        return fault_set(err, code, "cannot flush what an earlier run left in data.mdb");
    init_locks(durable);
    if (durable->interval_ms != 0)
        code = thread_start(&durable->thread, "kvs-lmdb-sync", run, durable);
    if (code != 0) {
        deinit_locks(durable);
        return kvs_error_set(err, KVS_NO_MEMORY, code, "cannot start the flushing thread: %s",
                             strerror(code));
    }
    durable->started = true;
    return KVS_OK;
}

kvs_status durable_stop(struct durable *durable, struct kvs_error *err)
{
    if (!durable->started)
        return KVS_OK;
    durable->started = false;
    if (durable->interval_ms != 0) {
        (void)pthread_mutex_lock(&durable->stop_lock);
        durable->stopping = true;
        (void)pthread_cond_signal(&durable->stop_changed);
        (void)pthread_mutex_unlock(&durable->stop_lock);
        (void)pthread_join(durable->thread, NULL);
    }
    kvs_status status = KVS_OK;
    if (!durable->health->opened_read_only)
        status = durable_sync(durable, err);
    if (status == KVS_OK)
        clear_marker(durable, durable->begun);
    deinit_locks(durable);
    return status;
}
