/*
 * A disk in front of another one that fails when it is told to. Calls are counted, so that a test
 * can let each call of a run fail in turn:
 *
 *     for (uint64_t nth = 0; ; nth++) {
 *         struct disk *disk = disk_faulty_new(below);
 *         disk_faulty_fail(disk, DISK_CALLS_CHANGING, nth, 1, KVS_IO, DISK_FAIL_BEFORE);
 *         run(disk);
 *         if (disk_faulty_failures(disk) == 0) break;   the run had no nth call
 *         ...
 *     }
 *
 * Threads: any, like a disk.
 */
#ifndef TESTS_DISK_FAULTY_H
#define TESTS_DISK_FAULTY_H

#include "disk.h"

/* The kinds of calls, as bits. */
enum {
    DISK_CALL_OPEN = 1u << 0,
    DISK_CALL_SIZE = 1u << 1, /* and links */
    DISK_CALL_RESERVE = 1u << 2,
    DISK_CALL_TRUNCATE = 1u << 3,
    DISK_CALL_WRITE = 1u << 4,
    DISK_CALL_READ = 1u << 5,
    DISK_CALL_MAP = 1u << 6,
    DISK_CALL_SYNC = 1u << 7,
    DISK_CALL_SYNC_FOLDER = 1u << 8,
    DISK_CALL_RENAME = 1u << 9,
    DISK_CALL_REMOVE = 1u << 10,
    DISK_CALL_LINK = 1u << 11,
    DISK_CALL_LIST = 1u << 12,
    DISK_CALL_FREE_BYTES = 1u << 13,
    DISK_CALL_CREATE = 1u << 14, /* an open with DISK_CREATE */
};
#define DISK_CALLS_ALL ((1u << 15) - 1)
#define DISK_CALLS_CHANGING                                                                        \
    (DISK_CALL_CREATE | DISK_CALL_RESERVE | DISK_CALL_TRUNCATE | DISK_CALL_WRITE |                 \
     DISK_CALL_SYNC | DISK_CALL_SYNC_FOLDER | DISK_CALL_RENAME | DISK_CALL_REMOVE |                \
     DISK_CALL_LINK)

#define DISK_FAULTY_FOREVER UINT64_MAX

enum disk_fail_when {
    DISK_FAIL_BEFORE, /* nothing is done */
    DISK_FAIL_HALF,   /* of a write, half of the bytes are written; of others, nothing is done */
    DISK_FAIL_AFTER,  /* all is done, and then said to have failed; opens and maps: nothing */
};

/* below stays the caller's and must live longer. */
struct disk *disk_faulty_new(struct disk *below);

/* From now on: after `skip` calls of these kinds, the next `count` of them fail with status. Takes
   the place of what was said before; count 0: nothing fails. */
void disk_faulty_fail(struct disk *disk, uint32_t calls, uint64_t skip, uint64_t count,
                      kvs_status status, enum disk_fail_when when);

/* Calls this once, right after the next file was mapped. */
void disk_faulty_after_map(struct disk *disk, void (*call)(void *arg), void *arg);

/* Calls that failed since the last disk_faulty_fail(). */
uint64_t disk_faulty_failures(struct disk *disk);

/* Calls of these kinds so far. */
uint64_t disk_faulty_calls(struct disk *disk, uint32_t calls);

#endif
