/*
 * See verify.h: the store as a whole. The manifest, each segment by itself (verify_segment.c), then
 * whether any number is missing (sequence.h), the snapshot
 * (verify_snapshot.c), and the files that do not belong to it.
 */
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sequence.h"
#include "snapshot.h"
#include "verify_internal.h"

#define HASH_SHARD_BITS INDEX_SHARD_BITS_MIN

/* ---- the manifest ------------------------------------------------------------------------- */

static int by_generation(const void *a, const void *b)
{
    const struct verified *one = a;
    const struct verified *two = b;
    return (one->known.generation > two->known.generation) -
           (one->known.generation < two->known.generation);
}

static kvs_status take_segments(struct verify *verify, struct kvs_error *err)
{
    uint32_t count = manifest_segment_count(verify->manifest);
    verify->segments = calloc((size_t)count + 1, sizeof(verify->segments[0]));
    if (verify->segments == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the segments");
    for (uint32_t i = 0; i < count; i++) {
        const struct manifest_segment *known = manifest_segment_at(verify->manifest, i);
        if (known->sealed && known->sequence_max > verify->sealed_max)
            verify->sealed_max = known->sequence_max; /* also of one that is gone */
        if (known->removing)
            continue;
        struct verified *segment = &verify->segments[verify->count++];
        segment->known = *known;
        segment_name(known->number, segment->name);
    }
    qsort(verify->segments, verify->count, sizeof(verify->segments[0]), by_generation);
    return KVS_OK;
}

static void count_segment(void *arg, const char *name)
{
    uint32_t number;
    *(uint32_t *)arg += segment_name_parse(name, &number);
}

/* There is no manifest: no store, or the heart of one was lost. */
static kvs_status manifest_is_missing(struct verify *verify, struct kvs_error *err)
{
    uint32_t segments = 0;
    kvs_status status = disk_list(verify->disk, count_segment, &segments, err);
    if (status != KVS_OK)
        return status;
    if (segments == 0)
        return kvs_error_set(err, KVS_MISSING, 0, "there is no store of engine log here");
    findings_add(&verify->findings, KVS_LOG_ERROR,
                 "there are %" PRIu32 " segments but no " MANIFEST_NAME
                 ", which says what they are",
                 segments);
    return KVS_OK;
}

static kvs_status open_manifest(struct verify *verify, struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = manifest_open(verify->disk, true, &verify->manifest, &error);
    if (status == KVS_MISSING)
        return manifest_is_missing(verify, err);
    if (status == KVS_CORRUPT || status == KVS_IO) {
        findings_add(&verify->findings, KVS_LOG_ERROR, "%s", message);
        return KVS_OK;
    }
    if (status != KVS_OK)
        return kvs_error_set(err, status, error.os_errno, "%s", message);
    if (manifest_torn_bytes(verify->manifest) > 0)
        findings_add(&verify->findings, KVS_LOG_WARN,
                     MANIFEST_NAME ": %" PRIu64
                                   " bytes at its end are no whole entry; the next start drops "
                                   "them as a change that was not finished",
                     manifest_torn_bytes(verify->manifest));
    verify->secret = (struct kvs_bytes){manifest_secret(verify->manifest), MANIFEST_SECRET_BYTES};
    return take_segments(verify, err);
}

/* ---- the sequence ------------------------------------------------------------------------- */

static void report_verdict(struct verify *verify, const struct sequence_verdict *verdict,
                           const struct sequence_segment *segments, uint32_t count)
{
    if (verdict->damaged) {
        const struct verified *where = &verify->segments[verdict->where];
        findings_add(&verify->findings, KVS_LOG_ERROR,
                     "%s offset %" PRIu64 ": the write with number %" PRIu64
                     " was on the disk once and is not there any more",
                     where->name, where->end, verdict->missing);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct verified *segment = &verify->segments[segments[i].user];
        if (segments[i].dropped && segment->records > 0)
            findings_add(&verify->findings, KVS_LOG_WARN,
                         "%s: its %" PRIu64 " writes follow one that was not finished; the next "
                         "start drops them, they were not acknowledged",
                         segment->name, segment->records);
    }
}

/* What recovery would say to the numbers. */
static kvs_status verify_sequence(struct verify *verify, struct kvs_error *err)
{
    struct sequence_segment *segments = calloc((size_t)verify->count + 1, sizeof(segments[0]));
    uint32_t count = 0;
    if (segments == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the segments");
    for (uint32_t i = 0; i < verify->count; i++) {
        const struct verified *segment = &verify->segments[i];
        if (segment->readable && segment->kind == SEGMENT_APPENDED && !segment->known.sealed)
            segments[count++] = (struct sequence_segment){.scan = segment->scan, .user = i};
    }
    struct sequence_verdict verdict = sequence_judge(verify->sealed_max, segments, count);
    report_verdict(verify, &verdict, segments, count);
    free(segments);
    return KVS_OK;
}

/* ---- other files -------------------------------------------------------------------------- */

static void visit_file(void *arg, const char *name)
{
    struct verify *verify = arg;
    uint32_t number;
    bool leftover = strcmp(name, SNAPSHOT_NEW_NAME) == 0 || strcmp(name, MANIFEST_NAME ".new") == 0;
    if (segment_name_parse(name, &number)) {
        const struct manifest_segment *known = manifest_find(verify->manifest, number);
        leftover = known == NULL || known->removing;
    }
    if (leftover)
        findings_add(&verify->findings, KVS_LOG_INFO,
                     "%s holds nothing that is needed; the next start removes it", name);
}

/* ---- all of it ---------------------------------------------------------------------------- */

static kvs_status make_hash(struct verify *verify, struct kvs_error *err)
{
    struct index_config config = {
        .size = (uint32_t)sizeof(config),
        .shard_bits = HASH_SHARD_BITS,
        .secret = verify->secret,
    };
    kvs_status status = epoch_new(&verify->epoch, err);
    if (status != KVS_OK)
        return status;
    config.epoch = verify->epoch;
    return index_new(&config, &verify->index, err);
}

static kvs_status verify_segments(struct verify *verify, struct kvs_error *err)
{
    kvs_status status = make_hash(verify, err);
    for (uint32_t i = 0; i < verify->count && status == KVS_OK; i++)
        status = verify_segment(verify, &verify->segments[i], err);
    if (status != KVS_OK)
        return status;
    status = verify_sequence(verify, err);
    if (status == KVS_OK)
        status = verify_snapshot(verify, err);
    if (status == KVS_OK)
        status = disk_list(verify->disk, visit_file, verify, err);
    return status;
}

static void verify_deinit(struct verify *verify)
{
    index_free(verify->index);
    epoch_free(verify->epoch);
    manifest_free(verify->manifest);
    free(verify->segments);
}

kvs_status verify_disk(struct disk *disk, const struct kvs_host *host, kvs_report_fn report,
                       void *arg, struct kvs_error *err)
{
    struct verify verify = {
        .disk = disk,
        .host = host,
        .findings = {.report = report, .arg = arg},
    };
    kvs_status status = open_manifest(&verify, err);
    if (status == KVS_OK && verify.manifest != NULL)
        status = verify_segments(&verify, err);
    verify_deinit(&verify);
    if (status == KVS_OK && verify.findings.damages > 0)
        status = kvs_error_set(err, KVS_CORRUPT, 0,
                               "the store is damaged in %" PRIu64
                               " places; salvage it with --repair, or "
                               "bring it back from a backup",
                               verify.findings.damages);
    return status;
}

kvs_status verify_store(const struct kvs_engine_config *config, kvs_report_fn report, void *arg,
                        struct kvs_error *err)
{
    struct disk *disk;
    kvs_status status = disk_open_real(config->data_dir, &disk, err);
    if (status != KVS_OK)
        return status;
    status = verify_disk(disk, config->host, report, arg, err);
    disk_close(disk);
    return status;
}
