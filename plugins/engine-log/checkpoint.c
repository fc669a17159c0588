/*
 * See checkpoint.h. Runs on the caller's thread.
 *
 * I1  What the copy holds is what the log was at one moment: under the append and manifest locks no
 *     frame is added and no segment comes, is sealed or goes, and `end` is behind a whole frame. So it
 *     is a prefix of what was ever written: batches whole, nothing missing that was acknowledged before.
 * I2  From that moment until the last file is linked or copied the keeper removes no file and frees no
 *     segment (kvs_db.holds), whatever the compactor drops.
 * I3  Only sealed segments are linked. Whoever opens a store cuts off and writes anew the tail of the
 *     unsealed ones, so these must not be shared; nothing ever changes a sealed one.
 * I4  The manifest is made last, when all that it names is on stable storage.
 */
#include "checkpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appender.h"
#include "keeper.h"

#define COPY_BYTES  ((uint64_t)1 << 20)
#define SPARE_COUNT 64u /* segments that may come while memory for them is got */

/* One segment of the copy. */
struct piece {
    struct manifest_segment entry;
    struct segment *segment; /* NULL: it has no file, only an entry */
    bool placed;             /* its name is in the folder */
};

struct checkpoint {
    struct kvs_db *db;
    struct disk *to;
    struct piece *pieces; /* owned */
    uint32_t count;
    uint32_t cap;
    uint64_t next_generation; /* of the store */
};

/* ---- the moment --------------------------------------------------------------------------- */

static void take_segment(struct checkpoint *checkpoint, const struct manifest_segment *known)
{
    struct piece piece = {.entry = *known};
    if (!known->removing) {
        piece.segment = segment_at(&checkpoint->db->table, known->number);
        if (piece.segment == NULL) /* on its way out, and empty */
            return;
        if (!known->sealed) {
            piece.entry.bytes = atomic_load_explicit(&piece.segment->end, memory_order_acquire);
            if (piece.entry.bytes <= SEGMENT_HEADER_BYTES)
                return;
        }
    }
    checkpoint->pieces[checkpoint->count++] = piece;
}

/* Takes the append and the manifest lock. Writers do not wait while the manifest is being synced. */
static void lock_both(struct kvs_db *db)
{
    for (;;) {
        (void)pthread_mutex_lock(&db->append_lock);
        if (pthread_mutex_trylock(&db->manifest_lock) == 0)
            return;
        appender_unlock(db);
        (void)pthread_mutex_lock(&db->manifest_lock);
        (void)pthread_mutex_unlock(&db->manifest_lock);
    }
}

/* False: there are more segments than there is room for. */
static bool take_all(struct checkpoint *checkpoint)
{
    struct kvs_db *db = checkpoint->db;
    lock_both(db); /* I1 */
    uint32_t count = manifest_segment_count(db->manifest);
    bool fits = count <= checkpoint->cap;
    for (uint32_t i = 0; fits && i < count; i++)
        take_segment(checkpoint, manifest_segment_at(db->manifest, i));
    if (fits) {
        checkpoint->next_generation = manifest_next_generation(db->manifest);
        (void)pthread_mutex_lock(&db->keeper_lock);
        db->holds++; /* I2 */
        (void)pthread_mutex_unlock(&db->keeper_lock);
    }
    (void)pthread_mutex_unlock(&db->manifest_lock);
    appender_unlock(db);
    return fits;
}

static kvs_status capture(struct checkpoint *checkpoint, struct kvs_error *err)
{
    struct kvs_db *db = checkpoint->db;
    do {
        (void)pthread_mutex_lock(&db->manifest_lock);
        checkpoint->cap = manifest_segment_count(db->manifest) + SPARE_COUNT;
        (void)pthread_mutex_unlock(&db->manifest_lock);
        struct piece *pieces =
            realloc(checkpoint->pieces, checkpoint->cap * sizeof(checkpoint->pieces[0]));
        if (pieces == NULL)
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for a checkpoint");
        checkpoint->pieces = pieces;
    } while (!take_all(checkpoint));
    return KVS_OK;
}

/* ---- files -------------------------------------------------------------------------------- */

static kvs_status copy_content(const struct segment *segment, struct disk_file *to, uint64_t bytes,
                               struct kvs_error *err)
{
    uint8_t *buffer = malloc(COPY_BYTES);
    kvs_status status = KVS_OK;
    if (buffer == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for a checkpoint");
    for (uint64_t at = 0; at < bytes && status == KVS_OK; at += COPY_BYTES) {
        uint64_t wanted = bytes - at < COPY_BYTES ? bytes - at : COPY_BYTES;
        uint64_t got = 0;
        status = disk_file_read(segment->file, at, buffer, wanted, &got, err);
        if (status == KVS_OK && got != wanted)
            status = kvs_error_set(err, KVS_CORRUPT, 0,
                                   "%08" PRIu32 ".seg ends at offset %" PRIu64
                                   ", where there should be more",
                                   segment->number, at + got);
        if (status == KVS_OK)
            status = disk_file_write(to, at, buffer, wanted, err);
    }
    free(buffer);
    return status;
}

static kvs_status copy_file(struct checkpoint *checkpoint, struct piece *piece, const char *name,
                            struct kvs_error *err)
{
    struct disk_file *file = NULL;
    kvs_status status = disk_file_open(checkpoint->to, name, DISK_CREATE, &file, err);
    if (status != KVS_OK)
        return status;
    piece->placed = true;
    status = copy_content(piece->segment, file, piece->entry.bytes, err);
    if (status == KVS_OK)
        status = disk_file_sync(file, err);
    disk_file_close(file);
    return status;
}

static kvs_status place(struct checkpoint *checkpoint, struct piece *piece, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    if (piece->segment == NULL)
        return KVS_OK;
    segment_name(piece->entry.number, name);
    kvs_status status = KVS_UNSUPPORTED;
    if (piece->entry.sealed) /* I3 */
        status = disk_link(checkpoint->db->disk, name, checkpoint->to, name, err);
    if (status == KVS_UNSUPPORTED)
        return copy_file(checkpoint, piece, name, err);
    piece->placed = status == KVS_OK;
    return status;
}

/* ---- the manifest ------------------------------------------------------------------------- */

static kvs_status write_manifest(const struct checkpoint *checkpoint, struct kvs_error *err)
{
    struct manifest_segment *entries =
        malloc((checkpoint->count + UINT64_C(1)) * sizeof(entries[0]));
    if (entries == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for a checkpoint");
    for (uint32_t i = 0; i < checkpoint->count; i++)
        entries[i] = checkpoint->pieces[i].entry;
    kvs_status status =
        manifest_create_copy(checkpoint->to, manifest_secret(checkpoint->db->manifest),
                             checkpoint->next_generation, entries, checkpoint->count, err);
    free(entries);
    return status;
}

static kvs_status place_all(struct checkpoint *checkpoint, struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < checkpoint->count && status == KVS_OK; i++)
        status = place(checkpoint, &checkpoint->pieces[i], err);
    if (status == KVS_OK)
        status = disk_sync_folder(checkpoint->to, err); /* I4 */
    if (status == KVS_OK)
        status = write_manifest(checkpoint, err);
    return status;
}

/* The manifest first: without it what is left is no store. */
static void take_back(const struct checkpoint *checkpoint)
{
    char name[SEGMENT_NAME_MAX];
    (void)!disk_remove(checkpoint->to, MANIFEST_NAME, NULL);
    (void)!disk_remove(checkpoint->to, MANIFEST_NAME ".new", NULL);
    for (uint32_t i = 0; i < checkpoint->count; i++) {
        if (!checkpoint->pieces[i].placed)
            continue;
        segment_name(checkpoint->pieces[i].entry.number, name);
        (void)!disk_remove(checkpoint->to, name, NULL);
    }
}

/* ---- all of it ---------------------------------------------------------------------------- */

static void visit_file(void *arg, const char *name)
{
    bool *is_empty = arg;
    if (strncmp(name, "kvs.", 4) != 0) /* the host's */
        *is_empty = false;
}

kvs_status checkpoint_write_to(struct kvs_db *db, struct disk *to, struct kvs_error *err)
{
    bool is_empty = true;
    kvs_status status = disk_list(to, visit_file, &is_empty, err);
    if (status != KVS_OK)
        return status;
    if (!is_empty)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a checkpoint needs an empty directory, and there are files in this");
    struct checkpoint checkpoint = {.db = db, .to = to};
    status = capture(&checkpoint, err);
    if (status == KVS_OK) {
        status = place_all(&checkpoint, err);
        keeper_release(db);
        if (status != KVS_OK)
            take_back(&checkpoint);
    }
    free(checkpoint.pieces);
    return status;
}

kvs_status checkpoint_write(struct kvs_db *db, const char *path, struct kvs_error *err)
{
    struct disk *to;
    kvs_status status = disk_open_real(path, &to, err);
    if (status != KVS_OK)
        return status;
    status = checkpoint_write_to(db, to, err);
    disk_close(to);
    return status;
}
