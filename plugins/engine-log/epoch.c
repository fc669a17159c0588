/*
 * Deferred reclamation over liburcu's "memb" flavour.
 *
 * Why this flavour: a section costs two plain stores to a line of the thread's own, because
 * membarrier(2) puts the barriers on the waiting side (where the kernel lacks it, liburcu falls
 * back to fences by itself). "qsbr" would need every pool thread to announce that it is quiet, "bp"
 * reads as fast but unmaps its registry when the process exits, under threads that still run.
 *
 * Threads: any thread begins and ends sections and retires; one thread per struct epoch (the
 * "reclaimer") waits for grace periods and runs what was retired, a batch at a time.
 *
 * Invariants:
 * I1  epoch_is_registered is set exactly while the thread is in liburcu's registry, and epoch_reader is
 *     not NULL at most then: both change after registering and before leaving. A key destructor of somebody else that runs after ours
 *     and begins a section registers the thread again, and ours runs once more.
 * I2  Of each node, next and run belong to the retirer before epoch_retire, to the epoch's lock
 *     while it is queued, and to the reclaimer afterwards; run() may free the node.
 * I3  The reclaimer takes the whole queue before it waits: every section that was open when a node
 *     was queued is one that this grace period waits for.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "epoch.h"

/* A grace period interrupts every running thread of the process, so there are at most this many
   apart: what is retired meanwhile shares one. */
#define EPOCH_GATHER_NS 500000

struct epoch {
    pthread_t reclaimer;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct epoch_retired *first; /* the queue, oldest first */
    struct epoch_retired **last; /* where the next node is linked */
    uint64_t queued;             /* nodes ever queued */
    uint64_t done;               /* nodes ever run */
    uint32_t hurry;              /* threads in epoch_barrier */
    bool stop;
};

__thread struct urcu_reader *epoch_reader;
static __thread bool epoch_is_registered;
#ifdef EPOCH_TSAN
char epoch_tsan_order;
#endif

/* ---- threads ---------------------------------------------------------------------------- */

/* The key is the process's, like liburcu's registry; made once, never deleted. */
static pthread_key_t epoch_key;
static pthread_once_t epoch_key_once = PTHREAD_ONCE_INIT;
static bool epoch_key_made;

static void epoch_thread_ends(void *mark)
{
    (void)mark;
    epoch_reader = NULL; /* I1 */
    epoch_is_registered = false;
    urcu_memb_unregister_thread();
}

static void epoch_key_make(void)
{
    epoch_key_made = pthread_key_create(&epoch_key, epoch_thread_ends) == 0;
}

void epoch_register(void)
{
    if (epoch_is_registered)
        return;
    (void)pthread_once(&epoch_key_once, epoch_key_make);
    urcu_memb_register_thread();
    epoch_is_registered = true;
    if (urcu_memb_has_sys_membarrier)
        epoch_reader = &URCU_TLS(urcu_memb_reader);
    (void)pthread_setspecific(epoch_key, &epoch_key); /* anything but NULL */
}

#ifndef EPOCH_TSAN

void epoch_begin_slowly(void)
{
    epoch_register();
    urcu_memb_read_lock();
}

void epoch_end_slowly(void)
{
    urcu_memb_read_unlock();
}

#endif

void epoch_synchronize(void)
{
    assert(!epoch_inside());
    urcu_memb_synchronize_rcu();
#ifdef EPOCH_TSAN
    __tsan_acquire(&epoch_tsan_order);
#endif
}

/* ---- the reclaimer ---------------------------------------------------------------------- */

static void epoch_run_all(struct epoch *epoch, struct epoch_retired *first)
{
    uint64_t count = 0;
    while (first != NULL) {
        struct epoch_retired *retired = first;
        first = retired->next; /* I2: run() may free it */
        retired->run(retired);
        count++;
    }
    pthread_mutex_lock(&epoch->lock);
    epoch->done += count;
    pthread_cond_broadcast(&epoch->changed);
    pthread_mutex_unlock(&epoch->lock);
}

/* Lets things gather for a moment, unless somebody waits for them. The lock is held. */
static void epoch_gather(struct epoch *epoch)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += EPOCH_GATHER_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (epoch->hurry == 0 && !epoch->stop &&
           pthread_cond_timedwait(&epoch->changed, &epoch->lock, &until) == 0)
        ;
}

static void *epoch_reclaim(void *arg)
{
    struct epoch *epoch = arg;
    for (;;) {
        pthread_mutex_lock(&epoch->lock);
        while (epoch->first == NULL && !epoch->stop)
            pthread_cond_wait(&epoch->changed, &epoch->lock);
        epoch_gather(epoch);
        struct epoch_retired *first = epoch->first; /* I3 */
        epoch->first = NULL;
        epoch->last = &epoch->first;
        pthread_mutex_unlock(&epoch->lock);
        if (first == NULL)
            return NULL;
        epoch_synchronize();
        epoch_run_all(epoch, first);
    }
}

kvs_status epoch_new(struct epoch **ret_epoch, struct kvs_error *err)
{
    (void)pthread_once(&epoch_key_once, epoch_key_make);
    if (!epoch_key_made)
        return kvs_error_set(err, KVS_NO_MEMORY, 0,
                             "the process has no thread-specific key left for read sections");
    struct epoch *epoch = calloc(1, sizeof(*epoch));
    if (epoch == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the reclaimer's queue");
    pthread_mutex_init(&epoch->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&epoch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    epoch->last = &epoch->first;
    int failed = pthread_create(&epoch->reclaimer, NULL, epoch_reclaim, epoch);
    if (failed != 0) {
        pthread_cond_destroy(&epoch->changed);
        pthread_mutex_destroy(&epoch->lock);
        free(epoch);
        return kvs_error_set(err, KVS_NO_MEMORY, failed, "cannot start the reclaimer's thread: %s",
                             strerror(failed));
    }
    *ret_epoch = epoch;
    return KVS_OK;
}

void epoch_free(struct epoch *epoch)
{
    if (epoch == NULL)
        return;
    pthread_mutex_lock(&epoch->lock);
    epoch->stop = true;
    pthread_cond_broadcast(&epoch->changed);
    pthread_mutex_unlock(&epoch->lock);
    pthread_join(epoch->reclaimer, NULL);
    assert(epoch->first == NULL && epoch->done == epoch->queued);
    pthread_cond_destroy(&epoch->changed);
    pthread_mutex_destroy(&epoch->lock);
    free(epoch);
}

void epoch_retire(struct epoch *epoch, struct epoch_retired *retired,
                  void (*run)(struct epoch_retired *retired))
{
    retired->next = NULL;
    retired->run = run;
    pthread_mutex_lock(&epoch->lock);
    bool was_empty = epoch->first == NULL;
    *epoch->last = retired;
    epoch->last = &retired->next;
    epoch->queued++;
    if (was_empty)
        pthread_cond_broadcast(&epoch->changed);
    pthread_mutex_unlock(&epoch->lock);
}

void epoch_barrier(struct epoch *epoch)
{
    assert(!epoch_inside());
    pthread_mutex_lock(&epoch->lock);
    uint64_t until = epoch->queued;
    epoch->hurry++;
    pthread_cond_broadcast(&epoch->changed);
    while (epoch->done < until)
        pthread_cond_wait(&epoch->changed, &epoch->lock);
    epoch->hurry--;
    pthread_mutex_unlock(&epoch->lock);
}
