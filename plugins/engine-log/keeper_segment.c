/*
 * See keeper.h: what changes which segments there are, and the manifest with it. Any thread: manifest_lock
 * makes it one change at a time. The invariants' numbers are those of keeper.c.
 */
#include "keeper.h"

#include <assert.h>
#include <inttypes.h>

#include "compactor.h"
#include "footer.h"
#include "space.h"

/* ---- making ------------------------------------------------------------------------------- */

/* A number that no segment has. manifest_lock is held. */
static kvs_status pick_number(struct kvs_db *db, uint32_t *ret_number, struct kvs_error *err)
{
    for (uint32_t i = 0; i < SEGMENT_NUMBER_COUNT; i++) {
        uint32_t number = db->next_number;
        db->next_number = (number + 1) % SEGMENT_NUMBER_COUNT;
        if (segment_at(&db->table, number) == NULL && manifest_find(db->manifest, number) == NULL) {
            *ret_number = number;
            return KVS_OK;
        }
    }
    return kvs_error_set(err, KVS_NO_SPACE, 0, "all %u segments that a store can have are in use",
                         SEGMENT_NUMBER_COUNT);
}

/* Enters a new segment in the manifest. manifest_lock is held. */
static kvs_status enter_segment(struct kvs_db *db, const struct segment *segment,
                                struct kvs_error *err)
{
    struct manifest_segment entry = {
        .number = segment->number,
        .generation = segment->generation,
        .bytes = segment->bytes,
    };
    manifest_begin(db->manifest);
    (void)!manifest_put(db->manifest, &entry); /* a commit without it fails */
    return manifest_commit(db->manifest, err); /* I1 */
}

/* A failed sync is never tried again and believed, whatever it failed for. */
static kvs_status sync_names(struct kvs_db *db, struct kvs_error *err)
{
    kvs_status status = disk_sync_folder(db->disk, err);
    if (status != KVS_OK && err != NULL)
        err->status = KVS_IO;
    return status == KVS_OK ? KVS_OK : KVS_IO;
}

/* One that stays is met again at the next start. */
static void remove_file(struct kvs_db *db, uint32_t number)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(number, name);
    (void)!disk_remove(db->disk, name, NULL);
}

kvs_status keeper_make_segment(struct kvs_db *db, uint64_t bytes, enum segment_kind kind,
                               uint64_t reserve, bool zero, struct segment **ret_segment,
                               struct kvs_error *err)
{
    struct segment *segment = NULL;
    struct segment_config config = {
        .kind = kind,
        .bytes = bytes,
        .birth = kind == SEGMENT_COMPACTED ? db->compact_birth : 0,
        .reserve = reserve,
        .zero = zero,
        .huge_pages = db->huge_pages || kind == SEGMENT_COMPACTED, /* that is synced once */
        .secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES},
        .cancel = zero ? &db->maker_cancel : NULL,
        .hurry = zero ? &db->maker_hurry : NULL,
    };
    (void)pthread_mutex_lock(&db->manifest_lock);
    kvs_status status = pick_number(db, &config.number, err);
    if (status == KVS_OK)
        config.generation = manifest_next_generation(db->manifest);
    (void)pthread_mutex_unlock(&db->manifest_lock);
    if (status == KVS_OK)
        status = segment_create(db->disk, &config, &segment, err);
    if (status != KVS_OK)
        return status;
    status = sync_names(db, err);
    (void)pthread_mutex_lock(&db->manifest_lock);
    if (status == KVS_OK)
        status = enter_segment(db, segment, err);
    if (status == KVS_OK)
        segment_table_set(&db->table, segment->number, segment);
    (void)pthread_mutex_unlock(&db->manifest_lock);
    if (status != KVS_OK) {
        segment_free(segment);
        if (disk_is_short(status)) /* the manifest does not name it: it would only take space */
            remove_file(db, config.number);
        return status;
    }
    segment->db = db;
    *ret_segment = segment;
    return KVS_OK;
}

/* ---- sealing ------------------------------------------------------------------------------ */

/* Says in the manifest what the segment has now. */
static kvs_status enter_content(struct kvs_db *db, const struct segment *segment, bool sealed,
                                struct kvs_error *err)
{
    uint64_t bytes = 0;
    kvs_status status = disk_file_size(segment->file, &bytes, err);
    if (status != KVS_OK)
        return status;
    struct manifest_segment entry = {
        .number = segment->number,
        .sealed = sealed,
        .generation = segment->generation,
        .bytes = bytes,
        .end = atomic_load_explicit(&segment->end, memory_order_acquire),
        .records = segment->records,
        .sequence_min = segment->sequence_min,
        .sequence_max = segment->sequence_max,
    };
    (void)pthread_mutex_lock(&db->manifest_lock);
    bool supersedes =
        sealed && db->has_kept &&
        manifest_find(db->manifest, db->kept_number)->sequence_max <= entry.sequence_max;
    manifest_begin(db->manifest);
    (void)!manifest_put(db->manifest, &entry); /* a commit without it fails */
    if (supersedes)
        manifest_remove(db->manifest, db->kept_number); /* I5 */
    status = manifest_commit(db->manifest, err);
    if (status == KVS_OK && supersedes)
        db->has_kept = false;
    (void)pthread_mutex_unlock(&db->manifest_lock);
    return status;
}

kvs_status keeper_note_durable(struct kvs_db *db, const struct segment *segment,
                               struct kvs_error *err)
{
    return enter_content(db, segment, false, err);
}

kvs_status keeper_seal(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    struct footer_entries entries = {0};
    struct kvs_bytes secret = {manifest_secret(db->manifest), MANIFEST_SECRET_BYTES};
    /* What is emptied soon is not worth a footer. */
    bool omit = space_is_emptied_soon(segment);
    kvs_status status =
        omit ? KVS_OK : footer_collect(segment, db->index, secret, false, &entries, err);
    if (segment_failed(segment)) /* what was written to it may be nowhere */
        status = segment_say_failed(segment, err);
    if (status == KVS_OK)
        status = omit ? footer_omit(segment, err) : footer_write(segment, &entries, err);
    footer_entries_deinit(&entries);
    segment_settle(segment);
    /* Without a footer the segment is as good, only slower to open. */
    if (status != KVS_OK && status != KVS_NO_SPACE && status != KVS_NO_MEMORY)
        return status;
    status = enter_content(db, segment, true, err);
    if (status == KVS_OK)
        atomic_store_explicit(&segment->sealed, 1, memory_order_release);
    else if (status == KVS_NO_SPACE || status == KVS_NO_MEMORY)
        keeper_seal_later(db, segment);
    compactor_look(db);
    return status;
}

/* ---- removing ----------------------------------------------------------------------------- */

kvs_status keeper_mark_removing(struct kvs_db *db, uint32_t number, struct kvs_error *err)
{
    const struct manifest_segment *known = manifest_find(db->manifest, number);
    assert(known != NULL);
    struct manifest_segment entry = *known;
    if (entry.removing)
        return KVS_OK;
    entry.removing = true;
    manifest_begin(db->manifest);
    (void)!manifest_put(db->manifest, &entry); /* a commit without it fails */
    return manifest_commit(db->manifest, err);
}

/* I5: true when the manifest has no other sealed segment that reaches as far as this one. */
static bool reaches_farthest(const struct kvs_db *db, uint32_t number)
{
    const struct manifest_segment *one = manifest_find(db->manifest, number);
    if (one == NULL || !one->sealed)
        return false;
    for (uint32_t i = 0; i < manifest_segment_count(db->manifest); i++) {
        const struct manifest_segment *other = manifest_segment_at(db->manifest, i);
        if (other->number != number && other->sealed && other->sequence_max >= one->sequence_max)
            return false;
    }
    return true;
}

kvs_status keeper_forget(struct kvs_db *db, uint32_t number, struct kvs_error *err)
{
    bool is_kept = reaches_farthest(db, number);
    if (is_kept && !db->has_kept) {
        db->has_kept = true;
        db->kept_number = number;
        return KVS_OK;
    }
    manifest_begin(db->manifest);
    manifest_remove(db->manifest, is_kept ? db->kept_number : number);
    kvs_status status = manifest_commit(db->manifest, err);
    if (status == KVS_OK && is_kept)
        db->kept_number = number;
    return status;
}

kvs_status keeper_remove(struct kvs_db *db, struct segment *segment, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    uint32_t number = segment->number;
    segment_name(number, name);
    segment_free(segment);
    (void)pthread_mutex_lock(&db->manifest_lock);
    kvs_status status = keeper_mark_removing(db, number, err); /* I2: before the file goes */
    (void)pthread_mutex_unlock(&db->manifest_lock);
    if (status == KVS_OK)
        status = disk_remove(db->disk, name, err);
    if (status == KVS_OK)
        status = disk_sync_folder(db->disk, err);
    if (status != KVS_OK)
        return status;
    (void)pthread_mutex_lock(&db->manifest_lock);
    status = keeper_forget(db, number, err); /* I2 */
    (void)pthread_mutex_unlock(&db->manifest_lock);
    return status;
}
