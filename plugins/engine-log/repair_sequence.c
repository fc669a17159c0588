/*
 * Which frames of unsealed segments a start would take (sequence.h): a repair takes the same ones, and
 * what lies behind them is an unfinished write to it as well, no loss. That holds where a start would
 * not refuse the unsealed segments. Where it would, or where the manifest is damaged, nobody knows
 * what was finished: then all that is sound is brought back, and what is not is told.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "image.h"
#include "repair_internal.h"
#include "sequence.h"

/* Looks at one unsealed segment. ret_kind 0: a start would refuse it. */
static kvs_status scan_file(const struct repair *repair, const struct repair_file *file,
                            enum segment_kind *ret_kind, struct scan_result *ret_scan,
                            struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct kvs_bytes secret = {repair->manifest.secret, MANIFEST_SECRET_BYTES};
    struct segment_header header;
    struct image image;
    *ret_kind = 0;
    kvs_status status = image_read(repair->disk, file->name, &image, &error);
    if (status == KVS_NO_MEMORY)
        return kvs_error_set(err, status, 0, "%s", message);
    if (status != KVS_OK)
        return KVS_OK;
    if (image.hole_count == 0 && image.bytes >= SEGMENT_HEADER_BYTES &&
        segment_header_read(image.memory, &header) && header.format <= SEGMENT_FORMAT &&
        header.number == file->number && header.generation == file->known->generation) {
        const struct segment segment = {
            .memory = image.memory,
            .bytes = image.bytes,
            .number = file->number,
            .generation = header.generation,
            .salt = record_salt(secret, header.generation),
            .kind = header.kind,
        };
        scan_segment(&segment, ret_scan);
        *ret_kind = header.kind;
    }
    image_deinit(&image);
    return KVS_OK;
}

static uint64_t find_sealed_max(const struct manifest_table *table)
{
    uint64_t max = 0;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->segments[i].sealed && table->segments[i].sequence_max > max)
            max = table->segments[i].sequence_max;
    return max;
}

/* What the judge says of the segments that were appended to. */
static void judge(struct repair *repair, struct sequence_segment *tails, uint32_t count)
{
    struct sequence_verdict verdict =
        sequence_judge(find_sealed_max(&repair->manifest.table), tails, count);
    repair->next = verdict.next;
    repair->is_missing = verdict.damaged;
    repair->missing = verdict.missing;
    repair->found = verdict.found;
    for (uint32_t i = 0; i < count && !verdict.damaged; i++) {
        struct repair_file *file = &repair->files[tails[i].user];
        file->is_judged = true;
        file->is_dropped = tails[i].dropped && tails[i].scan.first_sequence != 0;
        file->end = file->is_dropped ? SEGMENT_HEADER_BYTES : tails[i].scan.end;
    }
}

kvs_status repair_judge(struct repair *repair, struct kvs_error *err)
{
    if (!repair->manifest.sound)
        return KVS_OK;
    struct sequence_segment *tails = calloc((size_t)repair->file_count + 1, sizeof(tails[0]));
    kvs_status status = KVS_OK;
    uint32_t count = 0;
    if (tails == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the segments");
    bool is_sure = !repair->lacks_unsealed;
    for (uint32_t i = 0; i < repair->file_count && status == KVS_OK; i++) {
        struct repair_file *file = &repair->files[i];
        struct scan_result scan = {0};
        enum segment_kind kind;
        if (file->known == NULL || file->known->sealed)
            continue;
        status = scan_file(repair, file, &kind, &scan, err);
        is_sure = is_sure && kind != 0;
        if (kind == SEGMENT_APPENDED) {
            tails[count++] = (struct sequence_segment){.scan = scan, .user = i};
        } else if (kind == SEGMENT_COMPACTED && scan.end >= file->known->end) {
            file->is_judged = true; /* of what follows the originals are there */
            file->end = scan.end;
        }
    }
    if (status == KVS_OK && is_sure)
        judge(repair, tails, count);
    free(tails);
    return status;
}

void repair_report_missing(struct repair *repair)
{
    if (!repair->is_missing)
        return;
    uint64_t last = repair->found != 0 ? repair->found - 1 : repair->claimed;
    uint64_t seen = 0; /* sound, or told */
    for (uint64_t i = 0; i < repair->entry_count; i++)
        seen +=
            repair->entries[i].sequence >= repair->missing && repair->entries[i].sequence <= last;
    if (last < repair->missing || seen > last - repair->missing)
        return;
    repair->unknown++;
    findings_add(&repair->findings, KVS_LOG_ERROR,
                 "of the records with numbers from %" PRIu64 " to %" PRIu64 ", %" PRIu64
                 " are not there any more, and what was in them is not known",
                 repair->missing, last, last - repair->missing + 1 - seen);
}
