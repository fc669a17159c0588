/*
 * See repair.h. The order of things:
 *
 * 1. The manifest, as far as it can be read (repair_manifest.c): the secret, and which segments there
 *    are. What it does not name, or says is being removed, holds nothing that is needed; if it is
 *    damaged, every segment's file is looked at.
 * 2. How far a start would take the unsealed segments (repair_sequence.c).
 * 3. Each file's entries (repair_collect.c): 40 bytes for each record, all of them in memory.
 * 4. The ends of unsealed segments that a start would refuse, now that it is known how far the log was
 *    durable.
 * 5. The newest entry of each key is chosen, and what is lost is told (repair_choose.c).
 * 6. The new store is written, file by file (repair_write.c).
 *
 * One thread; the source is not changed and no file of it is mapped.
 */
#include "repair.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "footer.h"
#include "repair_internal.h"

/* ---- the files ---------------------------------------------------------------------------- */

/* One that is to be looked at. */
static bool is_wanted(const struct repair *repair, const struct manifest_segment *known)
{
    return known != NULL ? !known->removing : !repair->manifest.sound;
}

struct listing {
    struct repair *repair;
    uint64_t cap;
    uint32_t segments; /* files of segments, wanted or not */
    bool enough;
};

static void visit_file(void *arg, const char *name)
{
    struct listing *listing = arg;
    struct repair *repair = listing->repair;
    struct repair_file file = {.known = NULL};
    if (!segment_name_parse(name, &file.number))
        return;
    listing->segments++;
    file.known = manifest_table_find(&repair->manifest.table, file.number);
    if (!is_wanted(repair, file.known))
        return;
    if (repair->file_count == listing->cap) {
        uint64_t cap = 2 * listing->cap + 16;
        struct repair_file *files = realloc(repair->files, cap * sizeof(files[0]));
        listing->enough = listing->enough && files != NULL;
        if (files == NULL)
            return;
        repair->files = files;
        listing->cap = cap;
    }
    segment_name(file.number, file.name);
    repair->files[repair->file_count++] = file;
}

static int by_number(const void *a, const void *b)
{
    uint32_t one = ((const struct repair_file *)a)->number;
    uint32_t two = ((const struct repair_file *)b)->number;
    return (one > two) - (one < two);
}

/* Segments that the manifest names and that have no file. */
static void report_missing(struct repair *repair)
{
    for (uint32_t i = 0; i < repair->manifest.table.count; i++) {
        const struct manifest_segment *known = &repair->manifest.table.segments[i];
        const struct repair_file key = {.number = known->number};
        if (known->removing ||
            (repair->file_count > 0 && bsearch(&key, repair->files, repair->file_count,
                                               sizeof(repair->files[0]), by_number) != NULL))
            continue;
        repair->unknown++;
        repair->lacks_unsealed = repair->lacks_unsealed || !known->sealed;
        if (known->sealed)
            findings_add(&repair->findings, KVS_LOG_ERROR,
                         "%08" PRIu32 ".seg is missing, and with it %" PRIu64
                         " records with numbers from %" PRIu64 " to %" PRIu64,
                         known->number, known->records, known->sequence_min, known->sequence_max);
        else
            findings_add(&repair->findings, KVS_LOG_ERROR,
                         "%08" PRIu32 ".seg is missing; what was in it is not known",
                         known->number);
    }
}

static kvs_status find_files(struct repair *repair, struct kvs_error *err)
{
    struct listing listing = {.repair = repair, .enough = true};
    kvs_status status = disk_list(repair->disk, visit_file, &listing, err);
    if (status != KVS_OK)
        return status;
    repair->tails = calloc((size_t)repair->file_count + 1, sizeof(repair->tails[0]));
    if (!listing.enough || repair->tails == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the files");
    if (!repair->manifest.found && listing.segments == 0)
        return kvs_error_set(err, KVS_MISSING, 0, "there is no store of engine log here");
    if (repair->file_count > 0)
        qsort(repair->files, repair->file_count, sizeof(repair->files[0]), by_number);
    report_missing(repair);
    if (!repair->manifest.sound)
        findings_add(&repair->findings, KVS_LOG_WARN,
                     MANIFEST_NAME " is %s: all %" PRIu32
                                   " segments are used as they are. If the store was killed while "
                                   "it removed one, keys that were removed may be back",
                     repair->manifest.found ? "damaged" : "missing", repair->file_count);
    return KVS_OK;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static kvs_status make_hash(struct repair *repair, struct kvs_error *err)
{
    struct index_config config = {
        .size = (uint32_t)sizeof(config),
        .shard_bits = INDEX_SHARD_BITS_MIN,
        .secret = {repair->manifest.secret, MANIFEST_SECRET_BYTES},
    };
    kvs_status status = epoch_new(&repair->epoch, err);
    if (status != KVS_OK)
        return status;
    config.epoch = repair->epoch;
    repair->check_seed = footer_seed(config.secret);
    return index_new(&config, &repair->index, err);
}

/* Of sealed segments all was durable. */
static void note_sealed(struct repair *repair)
{
    for (uint32_t i = 0; i < repair->manifest.table.count; i++) {
        const struct manifest_segment *known = &repair->manifest.table.segments[i];
        if (known->sealed && known->sequence_max > repair->claimed)
            repair->claimed = known->sequence_max;
    }
}

static kvs_status salvage(struct repair *repair, const struct repair_target *target,
                          struct kvs_error *err)
{
    kvs_status status = repair_manifest_read(repair, err);
    if (status == KVS_OK)
        status = find_files(repair, err);
    if (status == KVS_OK)
        status = make_hash(repair, err);
    if (status == KVS_OK)
        status = repair_judge(repair, err);
    for (uint32_t i = 0; i < repair->file_count && status == KVS_OK; i++)
        status = repair_collect(repair, i, err);
    note_sealed(repair);
    for (uint32_t i = 0; i < repair->tail_count && status == KVS_OK; i++)
        status = repair_collect_tail(repair, &repair->tails[i], err);
    if (status == KVS_OK) {
        repair_report_missing(repair);
        status = repair_choose(repair, err);
    }
    if (status == KVS_OK)
        status = repair_report(repair, err);
    if (status == KVS_OK)
        status = repair_write(repair, target, err);
    if (status != KVS_OK)
        return status;
    if (repair->unknown > 0)
        findings_add(&repair->findings, KVS_LOG_WARN,
                     "Of %" PRIu64 " damaged places it is not certain what was there: keys whose "
                     "newest version it was have an older value in the new store if "
                     "there is one, also where it removed the key",
                     repair->unknown);
    findings_add(&repair->findings, KVS_LOG_INFO, "%" PRIu64 " keys were brought back",
                 repair->entry_count);
    if (repair->findings.damages == 0)
        return KVS_OK;
    return kvs_error_set(err, KVS_CORRUPT, 0,
                         "the new store lacks what was damaged: %" PRIu64 " losses were reported",
                         repair->findings.damages);
}

static bool option_keep_older(const struct kvs_host *host)
{
    struct kvs_option_value value = {.size = (uint32_t)sizeof(value)};
    return host->config_get(host, "repair-older", &value) == KVS_OK && value.u64 != 0;
}

kvs_status repair_disk_to(struct disk *disk, const struct kvs_host *host,
                          const struct repair_target *target, kvs_report_fn report, void *arg,
                          struct kvs_error *err)
{
    struct repair repair = {
        .disk = disk,
        .host = host,
        .keep_older = option_keep_older(host),
        .findings = {.report = report, .arg = arg},
    };
    kvs_status status = salvage(&repair, target, err);
    index_free(repair.index);
    epoch_free(repair.epoch);
    manifest_table_deinit(&repair.manifest.table);
    free(repair.files);
    free(repair.entries);
    free(repair.losses);
    free(repair.tails);
    return status;
}

static kvs_status open_real(const struct repair_target *target, struct disk **ret_disk,
                            struct kvs_error *err)
{
    return disk_open_real(target->name, ret_disk, err);
}

kvs_status repair_disk(struct disk *disk, const struct kvs_host *host, const char *target_dir,
                       kvs_report_fn report, void *arg, struct kvs_error *err)
{
    const struct repair_target target = {.name = target_dir, .open = open_real};
    return repair_disk_to(disk, host, &target, report, arg, err);
}

kvs_status repair_store(const struct kvs_engine_config *config, const char *target_dir,
                        kvs_report_fn report, void *arg, struct kvs_error *err)
{
    struct disk *disk;
    kvs_status status = disk_open_real(config->data_dir, &disk, err);
    if (status != KVS_OK)
        return status;
    status = repair_disk(disk, config->host, target_dir, report, arg, err);
    disk_close(disk);
    return status;
}
