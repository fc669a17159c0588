/*
 * Deferred reclamation: what a reader may still be looking at is taken away only when that reader
 * is done. A thin face over liburcu, so that its flavour is known in one place.
 *
 *     epoch_begin();                        a read section: a few ns, no shared line is written
 *     ... follow pointers ...
 *     epoch_end();
 *
 *     unpublish(thing);                     a mutator: from here on no new section can reach it
 *     epoch_retire(epoch, &thing->retired, thing_free);
 *
 * Sections belong to the process (liburcu's registry), a struct epoch to a store: it has one thread
 * that waits for grace periods and runs what was retired, however many calls retire something.
 *
 * Threads register themselves at their first section and leave when they end, through a
 * thread-specific key; short-lived threads are fine. A thread that ends (pthread_exit,
 * cancellation) inside a section is a bug of its owner: the section never ends.
 */
#ifndef ENGINE_LOG_EPOCH_H
#define ENGINE_LOG_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define EPOCH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EPOCH_TSAN 1
#endif
#endif

#ifdef EPOCH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define _LGPL_SOURCE /* inline sections: allowed to any program, see liburcu's static headers */
#include <urcu/urcu-memb.h>
#undef _LGPL_SOURCE

#include <kvs/types.h>

/* The thread's place in liburcu's registry; NULL until its first section, and where membarrier(2) is
   missing, as sections need fences then. Written by its own thread only. In static thread storage (8 bytes), which saves the call that a plugin's thread-local
   variables cost otherwise: 2 ns for a section instead of 9. */
#ifdef __GLIBC__
extern __thread struct urcu_reader *epoch_reader
    __attribute__((visibility("hidden"), tls_model("initial-exec")));
#else
extern __thread struct urcu_reader *epoch_reader __attribute__((visibility("hidden")));
#endif

/* Registers the calling thread, if it is not yet. */
void epoch_register(void);

/* ---- read sections ---------------------------------------------------------------------- */

/* Begins a section. May nest. Never waits (the first one of a thread takes the registry's lock). */
static inline void epoch_begin(void);

/* Ends a section. */
static inline void epoch_end(void);

/* True inside a section; for assertions. */
static inline bool epoch_inside(void);

/* Waits until every section that is open now has ended. Not inside a section. */
void epoch_synchronize(void);

/* ---- retiring --------------------------------------------------------------------------- */

struct epoch;

/* Embedded in what is retired. The epoch's from epoch_retire() until run() is called. */
struct epoch_retired {
    struct epoch_retired *next;
    void (*run)(struct epoch_retired *retired);
};

/* Makes an epoch with its thread. KVS_OK, KVS_NO_MEMORY (nor a thread to be had). */
KVS_MUST_USE kvs_status epoch_new(struct epoch **ret_epoch, struct kvs_error *err);

/* Runs all that was retired, after a grace period, ends the thread and frees the epoch. Not inside
   a section. NULL is fine. */
void epoch_free(struct epoch *epoch);

/*
 * Has run(retired) called once every section that is open now has ended. From any thread, inside a
 * section too; cannot fail, never waits. run() is called on the epoch's thread, in the order of
 * the retiring; it may retire further things, and must not begin a section, wait for the epoch, or
 * block for long.
 */
void epoch_retire(struct epoch *epoch, struct epoch_retired *retired,
                  void (*run)(struct epoch_retired *retired));

/* Returns when all that was retired before the call has been run. Not inside a section, not from a
   run(). */
void epoch_barrier(struct epoch *epoch);

/* ---- inline ----------------------------------------------------------------------------- */

#ifndef EPOCH_TSAN

/* What sections are without a place in the registry at hand. */
void epoch_begin_slowly(void);
void epoch_end_slowly(void);

/* The bodies of liburcu's _urcu_memb_read_lock() and _urcu_memb_read_unlock(), on a register that
   is already at hand, of a kernel that has membarrier(2). */

static inline void epoch_begin(void)
{
    struct urcu_reader *reader = epoch_reader;
    if (__builtin_expect(reader == NULL, 0)) {
        epoch_begin_slowly();
        return;
    }
    unsigned long nesting = reader->ctr;
    if (__builtin_expect((nesting & URCU_GP_CTR_NEST_MASK) == 0, 1))
        _CMM_STORE_SHARED(reader->ctr, _CMM_LOAD_SHARED(urcu_memb_gp.ctr));
    else
        _CMM_STORE_SHARED(reader->ctr, nesting + URCU_GP_COUNT);
    cmm_barrier();
}

static inline void epoch_end(void)
{
    struct urcu_reader *reader = epoch_reader;
    if (__builtin_expect(reader == NULL, 0)) {
        epoch_end_slowly();
        return;
    }
    unsigned long nesting = reader->ctr;
    cmm_barrier();
    _CMM_STORE_SHARED(reader->ctr, nesting - URCU_GP_COUNT);
    cmm_barrier();
    if (__builtin_expect((nesting & URCU_GP_CTR_NEST_MASK) == URCU_GP_COUNT, 1))
        urcu_common_wake_up_gp(&urcu_memb_gp);
}

static inline bool epoch_inside(void)
{
    return urcu_memb_read_ongoing() != 0;
}

#else

/* ThreadSanitizer does not see what liburcu orders: sections call the library's own functions,
   which it does not watch, and it is told that a grace period (epoch.c) comes after the sections
   before. */
extern char epoch_tsan_order __attribute__((visibility("hidden")));

static inline void epoch_begin(void)
{
    epoch_register();
    urcu_memb_flavor.read_lock();
}

static inline void epoch_end(void)
{
    __tsan_release(&epoch_tsan_order);
    urcu_memb_flavor.read_unlock();
}

static inline bool epoch_inside(void)
{
    return urcu_memb_flavor.read_ongoing() != 0;
}

#endif

#endif
