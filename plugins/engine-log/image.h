/*
 * A segment's file in memory, for looking at stores that may be damaged. It is read, not mapped: a
 * place that the disk cannot deliver is a hole of zeros, not a signal.
 */
#ifndef ENGINE_LOG_IMAGE_H
#define ENGINE_LOG_IMAGE_H

#include <stdint.h>

#include <kvs/types.h>

#include "disk.h"

struct image_hole {
    uint64_t begin;
    uint64_t end;
};

struct image {
    uint8_t *memory;          /* owned; zeros behind the file up to SEGMENT_HEADER_BYTES at least */
    uint64_t bytes;           /* of the file */
    struct image_hole *holes; /* owned; what could not be read, in order */
    uint32_t hole_count;
};

/* Reads the whole file. KVS_OK (also with holes), KVS_MISSING, KVS_NO_MEMORY, KVS_IO (not even its
   size is known). */
KVS_MUST_USE kvs_status image_read(struct disk *disk, const char *name, struct image *ret_image,
                                   struct kvs_error *err);
void image_deinit(struct image *image);

#endif
