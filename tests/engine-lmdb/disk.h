/*
 * A disk between LMDB and the kernel, for tests: it counts what reaches data.mdb, fails what it is
 * told to, and can keep a record of writes and flushes from which it makes the file as a power loss
 * at some moment might have left it.
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

/* ---- power loss ---- */

/* What a power loss may have left, and what the test knew at that moment. */
struct disk_image {
    uint8_t *data;
    uint64_t size;
    uint64_t note; /* disk_set_note's last */
};

/*
 * Begins to record data.mdb in dir, which is synced and idle. Every few operations it takes two
 * images: one of what was flushed, and one with a random part of the rest, by pages of 4096 bytes.
 */
void disk_record_begin(const char *dir, uint64_t seed);
/* Ends it and gives out the images, count of them; free with disk_images_free. */
struct disk_image *disk_record_end(unsigned *ret_count);
void disk_images_free(struct disk_image *images, unsigned count);

/* A number that goes into each image from now on: what has been acknowledged. Any thread. */
void disk_set_note(uint64_t note);

#endif
