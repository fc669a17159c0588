/*
 * See publish.h. A batch of several records becomes visible at one moment without readers waiting:
 *
 * I1  publishing_from is set before the first record of the batch can be found, and lifted after the
 *     last one can. A reader that finds a record of the batch (acquire, from its slot) sees
 *     publishing_from as it was then or later: set, and it reads what was there before; or lifted,
 *     and then every other record of the batch is in the index for it too.
 * I2  old_places[i] is written before the slot that it is the past of. A record that was itself of
 *     the batch leads further back, so a reader follows until it is out of the batch.
 * I3  Keys that the batch removes keep a slot, which leads to the tombstone, until the mark is
 *     lifted; a tombstone is read as absence.
 * I4  A place in old_places may have left the index, and its segment may be about to be dropped. The
 *     compactor calls publish_barrier between the two, so such a reader's section began before the
 *     grace period.
 * I5  A slot may be replaced between its being found and our replacing it: by the compactor, which
 *     moves records but never adds or removes one, or by an earlier record of the same batch. Then
 *     we look again.
 * I6  old_places is used again by the next batch. Its entries are written (release) after its
 *     publishing_from, which no earlier batch had: a reader that gets such an entry (acquire) sees in
 *     publishing_from that its own batch is over.
 */
#include "publish.h"

#include <string.h>
#include <sys/mman.h>

#define OLD_PLACES_BYTES (STORE_BATCH_OPS_MAX * sizeof(uint64_t))

kvs_status publish_init(struct kvs_db *db, struct kvs_error *err)
{
    void *memory = mmap(NULL, OLD_PLACES_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    db->old_places = memory;
    atomic_store_explicit(&db->publishing_from, UINT64_MAX, memory_order_relaxed);
    return KVS_OK;
}

void publish_deinit(struct kvs_db *db)
{
    if (db->old_places != NULL)
        (void)munmap((void *)(uintptr_t)db->old_places, OLD_PLACES_BYTES);
    db->old_places = NULL;
}

/* ---- counting ----------------------------------------------------------------------------- */

static void count_live(struct kvs_db *db, uint64_t place, int64_t bytes)
{
    struct segment *segment = segment_at(&db->table, place_segment(place));
    (void)atomic_fetch_add_explicit(&segment->live_bytes, bytes, memory_order_relaxed);
}

/* What the new record makes dead is dead, and the new one is alive. */
static void count_change(struct kvs_db *db, const struct placed *placed, const struct past *past)
{
    if (past->bytes != 0)
        count_live(db, past->place, -(int64_t)past->bytes);
    if (placed->op->kind == KVS_OP_SET) {
        count_live(db, placed->place, placed->bytes);
        return;
    }
    struct segment *segment = segment_at(&db->table, place_segment(placed->place));
    (void)atomic_fetch_add_explicit(&segment->tombstone_bytes, placed->bytes, memory_order_relaxed);
}

/* ---- the index ---------------------------------------------------------------------------- */

static void settle_reservation(struct kvs_db *db, const struct placed *placed)
{
    if (placed->reserved)
        index_unreserve(db->index, &placed->hash, 1);
}

static void insert(struct kvs_db *db, const struct placed *placed)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    if (placed->reserved) {
        index_insert_reserved(db->index, placed->hash, placed->place);
        return;
    }
    /* The key had a slot when this was decided. It has it still, but the disk does not deliver the
       record any more that says so. */
    if (index_insert(db->index, placed->hash, placed->place) == KVS_OK)
        return;
    (void)kvs_error_set(&error, KVS_NO_MEMORY, 0, "out of memory for the index");
    store_fail(db, &error);
}

static struct past find_past(const struct kvs_db *db, const struct placed *placed)
{
    struct record old;
    uint64_t place = store_find(db, placed->hash, placed->op->key, &old);
    return publish_past(place, &old);
}

/* What the key's slot leads to: as it was found before, unless that was not looked for. */
static struct past past_of(const struct kvs_db *db, const struct placed *placed)
{
    return placed->found.place != PLACE_NONE ? placed->found : find_past(db, placed);
}

/* Puts the record's place where the key's slot is, or into a new one. Returns what was there. */
static struct past put(struct kvs_db *db, const struct placed *placed)
{
    struct past past = past_of(db, placed);
    for (;; past = find_past(db, placed)) { /* I5 */
        if (past.place == PLACE_NONE)
            insert(db, placed);
        else if (index_replace(db->index, placed->hash, past.place, placed->place))
            settle_reservation(db, placed);
        else
            continue;
        return past;
    }
}

static struct past take_out(struct kvs_db *db, const struct placed *placed)
{
    struct past past = past_of(db, placed);
    while (past.place != PLACE_NONE && !index_remove(db->index, placed->hash, past.place)) /* I5 */
        past = find_past(db, placed);
    return past;
}

void publish_one(struct kvs_db *db, const struct placed *placed)
{
    struct past past = placed->op->kind == KVS_OP_SET ? put(db, placed) : take_out(db, placed);
    count_change(db, placed, &past);
}

/* ---- batches ------------------------------------------------------------------------------ */

void publish_begin(struct kvs_db *db, uint64_t first_sequence)
{
    (void)pthread_mutex_lock(&db->publish_lock);
    atomic_store_explicit(&db->publishing_from, first_sequence, memory_order_release); /* I1 */
}

void publish_add(struct kvs_db *db, const struct placed *placed)
{
    uint64_t from = atomic_load_explicit(&db->publishing_from, memory_order_relaxed);
    _Atomic uint64_t *old_place = &db->old_places[placed->sequence - from];
    struct past past = past_of(db, placed);
    for (;; past = find_past(db, placed)) {
        atomic_store_explicit(old_place, past.place, memory_order_release); /* I2 */
        if (past.place != PLACE_NONE) {
            if (!index_replace(db->index, placed->hash, past.place, placed->place))
                continue; /* I5 */
            settle_reservation(db, placed);
        } else if (placed->op->kind == KVS_OP_SET) {
            insert(db, placed);
        }
        count_change(db, placed, &past);
        return;
    }
}

void publish_end(struct kvs_db *db)
{
    atomic_store_explicit(&db->publishing_from, UINT64_MAX, memory_order_release); /* I1 */
    (void)pthread_mutex_unlock(&db->publish_lock);
}

void publish_settle(struct kvs_db *db, const struct placed *placed)
{
    /* I3. False: a later record of the batch took the slot over. */
    if (placed->op->kind == KVS_OP_REMOVE)
        (void)index_remove(db->index, placed->hash, placed->place);
}

void publish_barrier(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->publish_lock);
    (void)pthread_mutex_unlock(&db->publish_lock);
}
