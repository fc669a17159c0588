/* See scan.h. Behind the last frame everything should be zero. What is not is a frame that was being
   written, or frames that the disk wrote in another order; sound ones among them are looked for, since
   they may say that what is missing before them was durable. */
#include "scan.h"

#include <string.h>

/* The offset behind the last byte that is not zero, not before `from`. */
static uint64_t last_content(const struct segment *segment, uint64_t from)
{
    uint64_t at = segment->bytes & ~(uint64_t)7;
    while (at > from) {
        uint64_t word;
        memcpy(&word, segment->memory + at - sizeof(word), sizeof(word));
        if (word != 0)
            return at;
        at -= sizeof(word);
    }
    return from;
}

static void count_records(const uint8_t *frame, const struct frame_header *header,
                          struct scan_result *result)
{
    const uint8_t *at = frame + FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < header->records; i++) {
        struct record record;
        if (!record_view(at, UINT64_MAX, &record))
            return; /* cannot be: the frame was checked */
        if (result->sequence_min == 0 || record.sequence < result->sequence_min)
            result->sequence_min = record.sequence;
        if (record.sequence > result->sequence_max)
            result->sequence_max = record.sequence;
        at += record_bytes(record.key.len, record.value.len);
    }
    result->records += header->records;
}

static void claim(struct scan_result *result, uint64_t durable_sequence)
{
    if (durable_sequence > result->durable_sequence)
        result->durable_sequence = durable_sequence;
}

/* Looks for sound frames in what lies behind the end. */
static void look_behind(const struct segment *segment, uint64_t content_end,
                        struct scan_result *result)
{
    uint64_t at = result->end;
    while (at < content_end) {
        struct frame_header header;
        if (!frame_check(segment->memory + at, segment->bytes - at, segment->salt, &header)) {
            at += RECORD_ALIGNMENT;
            continue;
        }
        claim(result, header.durable_sequence);
        if (result->behind_sequence == 0)
            result->behind_sequence = header.sequence;
        at += header.bytes;
    }
}

void scan_segment(const struct segment *segment, struct scan_result *ret)
{
    struct scan_result result = {.end = SEGMENT_HEADER_BYTES};
    struct frame_header header;
    while (frame_check(segment->memory + result.end, segment->bytes - result.end, segment->salt,
                       &header)) {
        if (segment->kind == SEGMENT_APPENDED && result.next_sequence != 0 &&
            header.sequence != result.next_sequence)
            break;
        if (result.first_sequence == 0)
            result.first_sequence = header.sequence;
        result.next_sequence = header.sequence + header.records;
        claim(&result, header.durable_sequence);
        count_records(segment->memory + result.end, &header, &result);
        result.end += header.bytes;
    }
    uint64_t content_end = last_content(segment, result.end);
    result.behind_bytes = content_end - result.end;
    look_behind(segment, content_end, &result);
    *ret = result;
}
