/*
 * Checksums of the log engine's files, made right in what a fuzzer has made of a file, so that what lies
 * behind the checks is reached. Everything else stays as wrong as it is.
 */
#ifndef TESTS_FUZZ_MEND_H
#define TESTS_FUZZ_MEND_H

#include <stdint.h>

#include <kvs/types.h>

/* Of the header, the entries and the frames. */
void mend_manifest(uint8_t *content, uint64_t bytes);

/* Of the header of a segment; of records and frames that lie between two offsets; of the footer at the
   end. */
void mend_segment_header(uint8_t *content, uint64_t bytes);
void mend_frames(uint8_t *content, uint64_t begin, uint64_t end, uint32_t salt);
void mend_footer(uint8_t *content, uint64_t bytes, uint32_t salt);

/* All of a segment; its salt is made of the secret and the generation in its header. */
void mend_segment(uint8_t *content, uint64_t bytes, struct kvs_bytes secret);

/* Of the header, the tables and the chunks. */
void mend_snapshot(uint8_t *content, uint64_t bytes);

#endif
