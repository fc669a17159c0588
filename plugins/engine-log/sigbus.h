/*
 * Reading mapped files that the disk cannot deliver. The kernel raises SIGBUS in the thread that
 * touches such a page (a read error, a file cut short by somebody else); without more ado that is
 * the end of the process. Here a range of mapped memory is made known. When a page in it cannot be
 * had, a page of zeros takes its place, the range is marked as failed, and the thread goes on:
 *
 *     read, compare, check the CRC, show the value ...
 *     if (sigbus_failed(range)) ... all of that may have been zeros: KVS_IO
 *
 * The mark is there before the zeros are, for every thread. So data counts as read when it was used
 * first and the range was not marked afterwards; a mismatch in a marked range is the disk's failure
 * (KVS_IO), not damage (KVS_CORRUPT). A mark stays until the range is removed, as do the zeros.
 *
 * Writing into such a page goes to memory that nobody ever stores: whoever writes to a mapping looks
 * at the mark after the sync and before he says that anything is durable.
 *
 * The cost is nothing per access and a load per look. One handler serves the whole process; what is
 * not about a known range goes on to whoever handled SIGBUS before.
 *
 * Threads: any. A thread that touches a range must not block SIGBUS: the kernel kills the process
 * then. System calls that are given a failed page (write, send) give EFAULT instead of a signal.
 */
#ifndef ENGINE_LOG_SIGBUS_H
#define ENGINE_LOG_SIGBUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#define SIGBUS_NONE UINT64_MAX

struct sigbus_range {
    /* Offset of the first page that failed, or SIGBUS_NONE. Written once by the handler, release,
       before the zeros are mapped; read by all, acquire. */
    _Atomic uint64_t failed_at;
};

/* Sets the handler; each install is matched by an uninstall, and the last one puts the former handler
   back, if ours is still the one that is set. KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status sigbus_install(struct kvs_error *err);
void sigbus_uninstall(void);

/* Makes a mapping known, between install and uninstall. writable: as it was mapped. It belongs to
   this module; sigbus_remove() gives it back. KVS_OK, KVS_NO_MEMORY. */
KVS_MUST_USE kvs_status sigbus_add(const void *memory, uint64_t bytes, bool writable,
                                   struct sigbus_range **ret_range, struct kvs_error *err);

/* Before the memory is unmapped; nobody touches it any more. NULL is fine. */
void sigbus_remove(struct sigbus_range *range);

/* True: what was read from the range so far may have been zeros instead. */
static inline bool sigbus_failed(const struct sigbus_range *range)
{
    return atomic_load_explicit(&range->failed_at, memory_order_acquire) != SIGBUS_NONE;
}

/* Offset in the range of the first page that failed, for messages; SIGBUS_NONE. */
static inline uint64_t sigbus_failed_at(const struct sigbus_range *range)
{
    return atomic_load_explicit(&range->failed_at, memory_order_acquire);
}

#endif
