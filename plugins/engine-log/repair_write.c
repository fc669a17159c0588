/*
 * Reporting what is lost, and writing what is not: into a store that is opened and closed like any
 * other, so that it is whole and durable when it is closed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appender.h"
#include "engine.h"
#include "footer.h"
#include "image.h"
#include "repair_internal.h"
#include "snapshot.h"

#define OLDER_MAX 160u /* bytes of the text about an older version */

static uint64_t offset_of(const struct repair_entry *entry)
{
    return (uint64_t)entry->offset * RECORD_ALIGNMENT;
}

/* ---- losses ------------------------------------------------------------------------------- */

/* Reads the key that stands at an entry's place. 0: it is not that of the entry. */
static uint64_t read_key(const struct repair *repair, const struct repair_entry *entry,
                         uint8_t key[RECORD_KEY_MAX])
{
    uint8_t header[RECORD_HEADER_BYTES];
    struct disk_file *file = NULL;
    uint64_t got = 0;
    uint64_t key_bytes = 0;
    const char *name = repair->files[entry->file].name;
    if (disk_file_open(repair->disk, name, DISK_READ_ONLY, &file, NULL) != KVS_OK)
        return 0;
    if (disk_file_read(file, offset_of(entry), header, sizeof(header), &got, NULL) == KVS_OK &&
        got == sizeof(header))
        key_bytes = record_key_bytes(header);
    if (key_bytes > RECORD_KEY_MAX ||
        disk_file_read(file, offset_of(entry) + sizeof(header), key, key_bytes, &got, NULL) !=
            KVS_OK ||
        got != key_bytes)
        key_bytes = 0;
    disk_file_close(file);
    struct kvs_bytes view = {key, key_bytes};
    if (key_bytes == 0 || index_hash(repair->index, view) != entry->hash ||
        footer_check_of(repair->check_seed, view) != entry->check)
        return 0;
    return key_bytes;
}

static void describe_older(const struct repair *repair, const struct repair_loss *loss,
                           char text[OLDER_MAX])
{
    text[0] = '\0';
    if (loss->has_older)
        (void)snprintf(text, OLDER_MAX,
                       "; an older version, number %" PRIu64 " at %s offset %" PRIu64
                       ", is sound and was %s",
                       loss->older.sequence, repair->files[loss->older.file].name,
                       offset_of(&loss->older), repair->keep_older ? "brought back" : "left out");
    else if (loss->is_newer_sound)
        (void)snprintf(text, OLDER_MAX, "; a newer version of that key is sound");
}

static void report_loss(struct repair *repair, const struct repair_loss *loss,
                        uint8_t key[RECORD_KEY_MAX])
{
    char key_text[FINDINGS_KEY_MAX];
    char older[OLDER_MAX];
    const struct repair_entry *entry = &loss->entry;
    uint64_t key_bytes = read_key(repair, entry, key);
    if (key_bytes == 0 && loss->has_older)
        key_bytes = read_key(repair, &loss->older, key);
    describe_older(repair, loss, older);
    findings_add(&repair->findings, KVS_LOG_ERROR,
                 "%s offset %" PRIu64 ": lost: %s %s%s, number %" PRIu64 ", %" PRIu64 " bytes%s",
                 repair->files[entry->file].name, offset_of(entry),
                 (entry->flags & REPAIR_TOMBSTONE) != 0 ? "removing key" : "key",
                 key_bytes > 0 ? findings_key((struct kvs_bytes){key, key_bytes}, key_text)
                               : "(not readable)",
                 (entry->flags & REPAIR_GUESS) != 0 ? " (as far as can be read)" : "",
                 entry->sequence, (uint64_t)entry->size * RECORD_ALIGNMENT, older);
}

kvs_status repair_report(struct repair *repair, struct kvs_error *err)
{
    if (repair->loss_count == 0)
        return KVS_OK;
    uint8_t *key = malloc(RECORD_KEY_MAX);
    if (key == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for what is lost");
    for (uint64_t i = 0; i < repair->loss_count; i++)
        report_loss(repair, &repair->losses[i], key);
    free(key);
    return KVS_OK;
}

/* ---- the new store ------------------------------------------------------------------------ */

/* Writes one record. One that was sound and is not any more, on a disk that fails, is lost. */
static kvs_status write_record(struct repair *repair, struct kvs_db *db, const struct image *image,
                               const struct repair_entry *entry, struct kvs_error *err)
{
    const struct repair_file *file = &repair->files[entry->file];
    uint64_t offset = offset_of(entry);
    struct record record;
    if (offset < image->bytes &&
        record_view(image->memory + offset, image->bytes - offset, &record) &&
        record_is_sound(image->memory + offset, file->salt, &record))
        return appender_set(db, NULL, record.key, record.value, err);
    findings_add(&repair->findings, KVS_LOG_ERROR,
                 "%s offset %" PRIu64 ": lost: a record of %" PRIu64 " bytes, number %" PRIu64
                 ", which could be read before and cannot any more",
                 file->name, offset, (uint64_t)entry->size * RECORD_ALIGNMENT, entry->sequence);
    return KVS_OK;
}

/* Writes the entries of one file, which begin at *at. */
static kvs_status write_file(struct repair *repair, struct kvs_db *db, uint64_t *at,
                             struct kvs_error *err)
{
    struct image image;
    uint32_t file = repair->entries[*at].file;
    kvs_status status = image_read(repair->disk, repair->files[file].name, &image, err);
    if (status != KVS_OK)
        return status;
    for (; *at < repair->entry_count && repair->entries[*at].file == file && status == KVS_OK;
         ++*at)
        status = write_record(repair, db, &image, &repair->entries[*at], err);
    image_deinit(&image);
    return status;
}

struct clearing {
    struct disk *disk;
};

static void clear_file(void *arg, const char *name)
{
    const struct clearing *clearing = arg;
    uint32_t number;
    if (segment_name_parse(name, &number) || strcmp(name, MANIFEST_NAME) == 0 ||
        strcmp(name, MANIFEST_NEW_NAME) == 0 || strcmp(name, SNAPSHOT_NAME) == 0 ||
        strcmp(name, SNAPSHOT_NEW_NAME) == 0)
        (void)!disk_remove(clearing->disk, name, NULL);
}

/* Removes what was made of the new store. */
static void clear(const struct repair_target *target)
{
    struct clearing clearing;
    if (target->open(target, &clearing.disk, NULL) != KVS_OK)
        return;
    (void)!disk_list(clearing.disk, clear_file, &clearing, NULL);
    disk_close(clearing.disk);
}

static void visit_file(void *arg, const char *name)
{
    bool *is_empty = arg;
    if (strncmp(name, "kvs.", 4) != 0) /* the host's */
        *is_empty = false;
}

static kvs_status check_target(const struct repair_target *target, struct kvs_error *err)
{
    bool is_empty = true;
    struct disk *disk;
    kvs_status status = target->open(target, &disk, err);
    if (status != KVS_OK)
        return status;
    status = disk_list(disk, visit_file, &is_empty, err);
    disk_close(disk);
    if (status == KVS_OK && !is_empty)
        status = kvs_error_set(err, KVS_INVALID, 0,
                               "a repair needs an empty directory, and there are files in %s",
                               target->name);
    return status;
}

kvs_status repair_write(struct repair *repair, const struct repair_target *target,
                        struct kvs_error *err)
{
    struct kvs_db *db;
    struct disk *disk;
    const struct kvs_engine_config config = {
        .size = (uint32_t)sizeof(config),
        .flags = KVS_OPEN_CREATE,
        .durability = KVS_DURABILITY_NONE, /* closing syncs it all */
        .data_dir = target->name,
        .host = repair->host,
    };
    kvs_status status = check_target(target, err);
    if (status != KVS_OK)
        return status;
    status = target->open(target, &disk, err);
    if (status == KVS_OK)
        status = engine_open_on(disk, &config, &db, err);
    if (status == KVS_OK) {
        for (uint64_t at = 0; at < repair->entry_count && status == KVS_OK;)
            status = write_file(repair, db, &at, err);
        kvs_status closed = engine_log_ops.close(db, status == KVS_OK ? err : NULL);
        status = status == KVS_OK ? closed : status;
    }
    if (status != KVS_OK)
        clear(target);
    if (status == KVS_NO_SPACE)
        return kvs_error_set(err, status, ENOSPC,
                             "the disk of %s is full: salvage into a directory on a larger one",
                             target->name);
    return status;
}
