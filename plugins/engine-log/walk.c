/*
 * See walk.h. After damage the next sound frame is looked for at every multiple of 8; its CRC is
 * salted, so no value that happens to look like a frame is taken for one.
 */
#include "walk.h"

#include <string.h>

#include "bytes.h"
#include "segment.h"

void walk_begin(struct walk *walk, const uint8_t *memory, uint32_t salt, uint64_t end, bool sealed)
{
    uint64_t content_end = end;
    while (!sealed && content_end > SEGMENT_HEADER_BYTES && memory[content_end - 1] == 0)
        content_end--;
    *walk = (struct walk){
        .memory = memory,
        .salt = salt,
        .at = SEGMENT_HEADER_BYTES,
        .end = end,
        .content_end = content_end,
    };
}

bool walk_next(struct walk *walk, struct walk_piece *ret_piece)
{
    struct walk_piece piece = {.begin = walk->at};
    if (walk->at >= walk->content_end)
        return false;
    if (frame_check(walk->memory + walk->at, walk->end - walk->at, walk->salt, &piece.header)) {
        piece.sound = true;
        piece.end = walk->at + piece.header.bytes;
    } else {
        struct frame_header next;
        piece.end = walk->at;
        do {
            piece.end += RECORD_ALIGNMENT;
        } while (piece.end < walk->content_end &&
                 !frame_check(walk->memory + piece.end, walk->end - piece.end, walk->salt, &next));
        if (piece.end > walk->end)
            piece.end = walk->end;
    }
    walk->at = piece.end;
    *ret_piece = piece;
    return true;
}

/* ---- what is in a damaged piece ------------------------------------------------------------- */

static bool sound_record_at(const struct ruin_walk *walk, uint64_t at, struct record *ret_record)
{
    const uint8_t *from = walk->memory + at;
    struct record record;
    if (!record_view(from, walk->end - at, &record) || !record_is_sound(from, walk->salt, &record))
        return false;
    *ret_record = record;
    return true;
}

static void find_sound(struct ruin_walk *walk)
{
    struct record record;
    uint64_t at = walk->at;
    while (at < walk->end && !sound_record_at(walk, at, &record))
        at += RECORD_ALIGNMENT;
    walk->next_sound = at < walk->end ? at : walk->end;
}

void ruin_begin(struct ruin_walk *walk, const uint8_t *memory, uint32_t salt,
                const struct walk_piece *piece)
{
    *walk =
        (struct ruin_walk){.memory = memory, .salt = salt, .at = piece->begin, .end = piece->end};
    find_sound(walk);
}

/* What is at walk->at, in front of the next sound record. */
static struct ruin ruin_in_gap(const struct ruin_walk *walk)
{
    struct ruin ruin = {.kind = RUIN_BYTES, .begin = walk->at, .end = walk->next_sound};
    const uint8_t *from = walk->memory + walk->at;
    uint64_t gap = walk->next_sound - walk->at;
    struct record record;
    /* A piece begins where a frame did. */
    if (gap >= FRAME_HEADER_BYTES && (walk->at == walk->begin || load_le32(from) == FRAME_MAGIC)) {
        ruin.kind = RUIN_HEADER;
        ruin.end = walk->at + FRAME_HEADER_BYTES;
    } else if (record_view(from, gap, &record)) {
        ruin.kind = RUIN_SUSPECT;
        ruin.end = walk->at + record_bytes(record.key.len, record.value.len);
        ruin.record = record;
    }
    return ruin;
}

bool ruin_next(struct ruin_walk *walk, struct ruin *ret_ruin)
{
    struct ruin ruin = {.kind = RUIN_RECORD, .begin = walk->at};
    if (walk->at >= walk->end)
        return false;
    if (walk->at < walk->next_sound) {
        ruin = ruin_in_gap(walk);
        walk->at = ruin.end;
    } else {
        (void)sound_record_at(walk, walk->at, &ruin.record);
        ruin.end = walk->at + record_bytes(ruin.record.key.len, ruin.record.value.len);
        walk->at = ruin.end;
        find_sound(walk);
    }
    *ret_ruin = ruin;
    return true;
}

bool walk_find_salt(const uint8_t *memory, uint64_t bytes, uint32_t *ret_salt)
{
    for (uint64_t at = SEGMENT_HEADER_BYTES; at + FRAME_HEADER_BYTES <= bytes;
         at += RECORD_ALIGNMENT) {
        struct frame_header header;
        uint32_t salt;
        if (load_le32(memory + at) == FRAME_MAGIC && frame_salt(memory + at, bytes - at, &salt) &&
            frame_check(memory + at, bytes - at, salt, &header)) {
            *ret_salt = salt;
            return true;
        }
    }
    return false;
}
