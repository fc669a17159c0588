/*
 * A disk between LMDB and the kernel, for tests: it counts what reaches data.mdb and fails what it is told to.
 * What a power loss leaves is another one's: trace.h.
 *
 * It works by defining pwrite, writev and fdatasync in the test program, which the dynamic linker
 * finds before the C library's; so there is one disk per program.
 */
#ifndef TESTS_ENGINE_LMDB_DISK_H
#define TESTS_ENGINE_LMDB_DISK_H

#include <stdint.h>

enum disk_op {
    DISK_DATA, /* a write of pages */
    DISK_META, /* a write into a meta page */
    DISK_SYNC, /* fdatasync */
    DISK_OPS
};

/* How many reached data.mdb files so far. */
uint64_t disk_count(enum disk_op op);

/* The next count operations of this kind fail with error; 0: none. */
void disk_fail(enum disk_op op, int error, unsigned count);

#endif
