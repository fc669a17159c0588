/*
 * The bytes of the manifest: a header, then frames. Pure: no disk, no state.
 *
 *     header   0  magic "KVSLOGMF"          8
 *              8  format                    4    1
 *             12  bytes of the header       4    72; its last 4 are its checksum, in every format
 *             16  next generation           8
 *             24  rewrites                  8    how often this store's manifest was written anew
 *             32  secret                   32
 *             64  0                         4
 *             68  CRC-32C of 0 to 67        4
 *     frame    0  magic                     4
 *              4  bytes of the frame        4    32 + 64 * entries
 *              8  entries                   4    0 in a seal
 *             12  CRC-32C                   4    of the header's checksum, the frame's offset in the
 *                                                file (8 bytes) and the frame without this field
 *             16  durable                   8    all of the file before this offset was on stable
 *                                                storage when the frame was written
 *             24  next generation           8
 *     entry    0  kind                      4    1 put, 2 remove
 *              4  segment's number          4
 *              8  flags                     4    1 sealed, 2 removing
 *             12  CRC-32C                   4    of the entry without this field
 *             16  generation, bytes, end, records, smallest and largest sequence number: 8 each; all
 *                 0 in a remove
 *
 * All numbers are little-endian. A frame is one commit: all its entries count, or none. The file
 * may be longer than its content; what follows the last frame is zeros.
 */
#ifndef ENGINE_LOG_MANIFEST_FORMAT_H
#define ENGINE_LOG_MANIFEST_FORMAT_H

#include "manifest.h"

#define MANIFEST_HEADER_BYTES 72u
#define MANIFEST_FRAME_BYTES  32u /* of a frame without entries */
#define MANIFEST_ENTRY_BYTES  64u
#define MANIFEST_FRAME_ALIGN  8u /* offsets of frames */

#define MANIFEST_NUMBER_MAX 0xFFFFFu /* of a segment: the index has 20 bits for it */

/* No store comes to larger ones, and counting on from here does not begin anew. */
#define MANIFEST_GENERATION_MAX (UINT64_C(1) << 63)

struct manifest_header {
    uint64_t next_generation;
    uint64_t rewrites;
    uint8_t secret[MANIFEST_SECRET_BYTES];
};

struct manifest_frame {
    uint32_t entries;
    uint64_t durable;
    uint64_t next_generation;
};

static inline uint64_t manifest_frame_bytes(uint32_t entries)
{
    return MANIFEST_FRAME_BYTES + (uint64_t)MANIFEST_ENTRY_BYTES * entries;
}

/* Gives the header's checksum, with which those of the frames begin. */
uint32_t manifest_encode_header(uint8_t to[MANIFEST_HEADER_BYTES],
                                const struct manifest_header *header);

/* KVS_OK, KVS_CORRUPT, KVS_INCOMPATIBLE. bytes: those of the file. */
KVS_MUST_USE kvs_status manifest_decode_header(const uint8_t *from, uint64_t bytes,
                                               struct manifest_header *ret_header,
                                               uint32_t *ret_checksum, struct kvs_error *err);

void manifest_encode_put(uint8_t to[MANIFEST_ENTRY_BYTES], const struct manifest_segment *segment);
void manifest_encode_remove(uint8_t to[MANIFEST_ENTRY_BYTES], uint32_t number);

/* Completes a frame whose entries are in place behind the room for its own fields. */
void manifest_encode_frame(uint8_t *frame, const struct manifest_frame *content,
                           uint32_t header_checksum, uint64_t offset);

/* True: a whole and undamaged frame is at `from`, where `bytes` of the file are left. */
bool manifest_decode_frame(const uint8_t *from, uint64_t bytes, uint32_t header_checksum,
                           uint64_t offset, struct manifest_frame *ret_frame);

/* One entry of a good frame. KVS_OK, KVS_CORRUPT, KVS_INCOMPATIBLE (of a later version), without a
   message. */
KVS_MUST_USE kvs_status manifest_decode_entry(const uint8_t from[MANIFEST_ENTRY_BYTES],
                                              struct manifest_segment *ret_segment,
                                              bool *ret_remove);

#endif
