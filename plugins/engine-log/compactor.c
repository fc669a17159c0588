/*
 * See compactor.h. One victim at a time. A record is live if the index leads to it; live ones are copied to
 * the output (copier.h) with their numbers, and each slot is moved only if it still leads to the old place.
 *
 * Which records those are is found in one of two ways:
 *   - by the index: it is walked over for places in the victim, which are marked in a map; then the marked
 *     records are read, in the order of the file. What is dead is never read. For a victim without
 *     tombstones in a store with not too many keys, as long as the map can be had;
 *   - by the file: the victim is read from begin to end, and each record is looked up, GROUP_RECORDS at
 *     once, so that the cache misses of their lookups overlap.
 *
 * I1  The victim is dropped only after the output is synced and the manifest says how far: whatever
 *     happens, one of the two copies is there. If both are, they are equal, and either may win. What is
 *     not copied because something newer took its place goes only after that is durable too.
 * I2  Every record's CRC is checked before it is copied, and by the file also before anything else it says
 *     is believed. A victim with a damaged record that was met so is left alone for good: its damage is
 *     reported by whoever reads that record, and nothing is lost by compacting. What is dead may be
 *     damaged and go.
 * I3  A tombstone is kept as long as another segment may hold an older record of its key: one that was
 *     made (its birth) before the tombstone was written. Segments made later hold only records
 *     that were alive then. It is not needed when the key has been set again. The birth of an output
 *     is a number up to which all was durable and in the index before its first record was looked at.
 *     Tombstones are not in the index, so a victim that has any is gone through by the file.
 * I4  No slot leads into the victim after the pass: it was complete and published before it was sealed, so
 *     from then on slots only cease to lead to it. One that still does at the end of the walk over the
 *     index did so all the while, and a walk shows every key that is there all the while.
 */
#include "compactor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "committer.h"
#include "copier.h"
#include "keeper.h"
#include "space.h"

#define GROUP_RECORDS 32u   /* of the victim that are looked up at once */
#define WALK_GROUPS   4096u /* of the index, shown in one read section */
#define KEYS_MAX      8u    /* in the store for each record of the victim, to go by the index */

#define PACE_STEP_BYTES                                                                            \
    ((uint64_t)8 << 20) /* of a victim, after which the writers' pace is set anew */

/* A record of the victim of which it is to be found out whether it is needed. */
struct candidate {
    struct record record;
    uint64_t offset;
    uint64_t hash;
};

/* What the pass over one victim knows. */
struct pass {
    struct copier *copier;
    struct segment *victim;
    uint64_t end;          /* of its frames */
    uint64_t oldest_birth; /* of all other segments (I3) */
    uint64_t paced_at;     /* offset at which the pace was set last */
    struct candidate group[GROUP_RECORDS];
    uint32_t count;
    uint64_t *map; /* a bit for each PLACE_UNIT bytes of the file: a live record begins there */
};

/* ---- what is needed of a victim ---------------------------------------------------------- */

static bool is_live(const struct kvs_db *db, uint64_t hash, uint64_t place)
{
    struct index_cursor cursor;
    uint64_t candidate;
    bool found = false;
    epoch_begin();
    index_cursor_begin(&cursor, db->index, hash);
    while (!found && (candidate = index_cursor_next(&cursor)) != PLACE_NONE)
        found = candidate == place;
    epoch_end();
    return found;
}

/* I3. oldest_birth: of all segments but the victim. */
static bool is_needed(const struct kvs_db *db, const struct record *tombstone, uint64_t hash,
                      uint64_t oldest_birth)
{
    struct record record;
    if (oldest_birth > tombstone->sequence)
        return false;
    epoch_begin();
    bool is_set_again = store_find(db, hash, tombstone->key, &record) != PLACE_NONE;
    epoch_end();
    return !is_set_again;
}

static bool stopping(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->compact_lock);
    bool stop = db->compactor_stop;
    (void)pthread_mutex_unlock(&db->compact_lock);
    return stop;
}

/* To be called now and then, at this offset of the victim. KVS_CLOSED: the store is closing. */
static kvs_status pass_step(struct pass *pass, uint64_t at)
{
    struct kvs_db *db = pass->copier->db;
    if (at - pass->paced_at >= PACE_STEP_BYTES) {
        space_set_pace(db);
        pass->paced_at = at;
    }
    return stopping(db) ? KVS_CLOSED : KVS_OK;
}

static void set_birth(struct kvs_db *db)
{
    db->compact_birth =
        atomic_load_explicit(&db->durable_sequence, memory_order_acquire) + 1; /* I3 */
}

/* ---- by the file -------------------------------------------------------------------------- */

/* Copies what is needed of the group. */
static kvs_status pass_group(struct pass *pass, struct kvs_error *err)
{
    struct kvs_db *db = pass->copier->db;
    bool needed[GROUP_RECORDS];
    set_birth(db);
    for (uint32_t i = 0; i < pass->count; i++) {
        const struct candidate *each = &pass->group[i];
        uint64_t place = place_make(pass->victim->number, each->offset);
        needed[i] = each->record.kind == RECORD_TOMBSTONE
                        ? is_needed(db, &each->record, each->hash, pass->oldest_birth)
                        : is_live(db, each->hash, place);
    }
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < pass->count && status == KVS_OK; i++) {
        const struct candidate *each = &pass->group[i];
        uint64_t place = place_make(pass->victim->number, each->offset);
        if (needed[i])
            status = copier_add(pass->copier, &each->record, each->hash, place, err);
    }
    pass->count = 0;
    return status;
}

/* Adds the record at this offset to the group. *ret_end: the offset behind it. */
static kvs_status pass_record(struct pass *pass, uint64_t at, uint64_t frame_end, uint64_t *ret_end,
                              struct kvs_error *err)
{
    const struct segment *victim = pass->victim;
    const struct index *index = pass->copier->db->index;
    struct candidate *candidate = &pass->group[pass->count];
    struct record *record = &candidate->record;
    if (!record_view(victim->memory + at, frame_end - at, record) ||
        !record_is_sound(victim->memory + at, victim->salt, record)) /* I2 */
        return copier_say_damaged(victim, at, err);
    candidate->offset = at;
    candidate->hash = index_hash(index, record->key);
    index_prefetch(index, candidate->hash);
    *ret_end = at + record_bytes(record->key.len, record->value.len);
    return ++pass->count == GROUP_RECORDS ? pass_group(pass, err) : KVS_OK;
}

/* Goes through the victim's frames. KVS_CLOSED: the store is closing. */
static kvs_status pass_by_file(struct pass *pass, struct kvs_error *err)
{
    const struct segment *victim = pass->victim;
    uint64_t at = SEGMENT_HEADER_BYTES;
    kvs_status status = KVS_OK;
    while (at < pass->end && status == KVS_OK) {
        struct frame_header header;
        if (!frame_view(victim->memory + at, pass->end - at, &header))
            return copier_say_damaged(victim, at, err);
        uint64_t frame_end = at + header.bytes;
        at += FRAME_HEADER_BYTES;
        while (at < frame_end && status == KVS_OK)
            status = pass_record(pass, at, frame_end, &at, err);
        if (status == KVS_OK)
            status = pass_step(pass, at);
    }
    return status == KVS_OK ? pass_group(pass, err) : status;
}

/* ---- by the index ------------------------------------------------------------------------- */

static bool note_place(void *arg, uint64_t place)
{
    struct pass *pass = arg;
    uint64_t unit = place_offset_bytes(place) / PLACE_UNIT;
    if (place_segment(place) == pass->victim->number && place_offset_bytes(place) < pass->end)
        pass->map[unit / 64] |= UINT64_C(1) << unit % 64;
    return true;
}

/* Marks all records of the victim to which the index leads (I4). */
static kvs_status mark_live(struct pass *pass)
{
    struct kvs_db *db = pass->copier->db;
    uint64_t cursor = 0;
    bool more = true;
    set_birth(db);
    while (more) {
        epoch_begin();
        for (uint32_t i = 0; i < WALK_GROUPS && more; i++)
            more = index_scan(db->index, &cursor, note_place, pass);
        epoch_end();
        if (stopping(db))
            return KVS_CLOSED;
    }
    return KVS_OK;
}

/* Copies the record at this offset. */
static kvs_status pass_marked(struct pass *pass, uint64_t at, struct kvs_error *err)
{
    const struct segment *victim = pass->victim;
    struct record record;
    if (!record_view(victim->memory + at, pass->end - at, &record) ||
        !record_is_sound(victim->memory + at, victim->salt, &record)) /* I2 */
        return copier_say_damaged(victim, at, err);
    uint64_t hash = index_hash(pass->copier->db->index, record.key);
    return copier_add(pass->copier, &record, hash, place_make(victim->number, at), err);
}

/* Copies what the index leads to. KVS_CLOSED: the store is closing. */
static kvs_status pass_by_index(struct pass *pass, struct kvs_error *err)
{
    kvs_status status = mark_live(pass);
    uint64_t words = pass->end / PLACE_UNIT / 64 + 1;
    for (uint64_t i = 0; i < words && status == KVS_OK; i++) {
        for (uint64_t bits = pass->map[i]; bits != 0 && status == KVS_OK; bits &= bits - 1)
            status =
                pass_marked(pass, (i * 64 + (unsigned)__builtin_ctzll(bits)) * PLACE_UNIT, err);
        if (i % 256 == 0 && status == KVS_OK) /* 128 KiB of the file */
            status = pass_step(pass, i * 64 * PLACE_UNIT);
    }
    return status;
}

/* Copies what is needed of the victim. */
static kvs_status pass_victim(struct copier *copier, struct segment *victim, uint64_t oldest_birth,
                              struct kvs_error *err)
{
    struct pass pass = {
        .copier = copier,
        .victim = victim,
        .end = atomic_load_explicit(&victim->end, memory_order_acquire),
        .oldest_birth = oldest_birth,
    };
    bool by_index =
        atomic_load_explicit(&victim->tombstone_bytes, memory_order_relaxed) == 0 && /* I3 */
        index_count(copier->db->index) <= KEYS_MAX * victim->records;
    if (by_index)
        pass.map = calloc(pass.end / PLACE_UNIT / 64 + 1, sizeof(pass.map[0]));
    kvs_status status = pass.map != NULL ? pass_by_index(&pass, err) : pass_by_file(&pass, err);
    free(pass.map);
    return status == KVS_OK ? copier_flush(copier, err) : status;
}

/* Empties and drops one segment. */
static kvs_status compact_one(struct copier *copier, struct segment *victim, uint64_t oldest_birth,
                              struct kvs_error *err)
{
    struct kvs_db *db = copier->db;
    copier_begin(copier, victim);
    atomic_store_explicit(&db->compact_victim, victim->number + 1, memory_order_relaxed);
    kvs_status status = pass_victim(copier, victim, oldest_birth, err);
    if (status == KVS_CLOSED || status == KVS_CORRUPT)
        (void)!copier_flush(copier, NULL); /* what was copied is as good as the original */
    if (status == KVS_OK)
        status = copier_sync(db, err); /* I1 */
    if (status == KVS_OK && db->durability != KVS_DURABILITY_ALWAYS)
        status = committer_sync(db, err); /* I1; with ALWAYS only what is durable is in the index */
    if (status == KVS_OK)
        status = keeper_drop(db, victim, err);
    if (status == KVS_OK)
        (void)atomic_fetch_add_explicit(&db->compacted_segments, 1, memory_order_relaxed);
    if (status == KVS_CORRUPT)
        victim->damaged = true;
    atomic_store_explicit(&db->compact_victim, 0, memory_order_relaxed);
    return status;
}

/* ---- the thread --------------------------------------------------------------------------- */

/* Compacts one segment if one is worth it. KVS_NOT_FOUND: none is. */
static kvs_status compact_next(struct copier *copier, bool everything)
{
    struct kvs_db *db = copier->db;
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct space_choice choice;
    if (store_check_writable(db, NULL) != KVS_OK)
        return KVS_READ_ONLY;
    if (!space_choose(db, everything, &choice))
        return KVS_NOT_FOUND;
    kvs_status status = compact_one(copier, choice.victim, choice.oldest_birth, &error);
    if (status == KVS_CORRUPT)
        store_log(db, KVS_LOG_ERROR, "%s", message);
    else if (status == KVS_IO)
        store_fail(db, &error);
    return status == KVS_CORRUPT ? KVS_OK : status;
}

/* Seals the output when nobody else would tell what went wrong. */
static kvs_status finish_output(struct kvs_db *db)
{
    char message[STORE_FAULT_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status = store_check_writable(db, NULL);
    if (status == KVS_OK)
        status = copier_seal(db, &error);
    if (status == KVS_IO)
        store_fail(db, &error);
    return status;
}

/* Serves a request to compact all that is sealed now. Output made meanwhile is not compacted again. */
static kvs_status compact_everything(struct copier *copier)
{
    struct kvs_db *db = copier->db;
    kvs_status status;
    kvs_status sealed = finish_output(db);
    space_mark_all(db);
    do
        status = compact_next(copier, true);
    while (status == KVS_OK);
    if (status == KVS_NOT_FOUND)
        status = sealed == KVS_OK ? finish_output(db) : sealed;
    return status;
}

static void sleep_until_wanted(struct kvs_db *db, bool retry)
{
    struct timespec until;
    if (!retry) {
        (void)pthread_cond_wait(&db->compact_wanted, &db->compact_lock);
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    (void)pthread_cond_timedwait(&db->compact_wanted, &db->compact_lock, &until);
}

/* Serves requests and looks until it is to stop. compact_lock is held. */
static void compactor_loop(struct copier *copier)
{
    struct kvs_db *db = copier->db;
    bool retry = false; /* a full disk: try again by and by */
    while (!db->compactor_stop) {
        if (db->compact_finished != db->compact_requested) {
            uint64_t request = db->compact_requested;
            (void)pthread_mutex_unlock(&db->compact_lock);
            kvs_status status = compact_everything(copier);
            (void)pthread_mutex_lock(&db->compact_lock);
            db->compact_status = status;
            db->compact_finished = request;
            (void)pthread_cond_broadcast(&db->compact_done);
            continue;
        }
        if (!db->compact_look && !retry) {
            sleep_until_wanted(db, false);
            continue;
        }
        db->compact_look = false;
        (void)pthread_mutex_unlock(&db->compact_lock);
        kvs_status status = compact_next(copier, false);
        space_set_pace(db);
        (void)pthread_mutex_lock(&db->compact_lock);
        retry = status == KVS_NO_SPACE || status == KVS_NO_MEMORY;
        db->compact_look = db->compact_look || status == KVS_OK;
        if (retry && !db->compactor_stop)
            sleep_until_wanted(db, true);
    }
    if (db->compact_finished != db->compact_requested)
        db->compact_status = KVS_CLOSED;
    db->compact_finished = db->compact_requested;
    (void)pthread_cond_broadcast(&db->compact_done);
}

static void *compactor_main(void *arg)
{
    struct copier *copier = arg;
    struct kvs_db *db = copier->db;
    (void)pthread_mutex_lock(&db->compact_lock);
    compactor_loop(copier);
    (void)pthread_mutex_unlock(&db->compact_lock);
    (void)!finish_output(db);
    copier_deinit(copier);
    free(copier);
    return NULL;
}

kvs_status compactor_start(struct kvs_db *db, struct kvs_error *err)
{
    struct copier *copier = malloc(sizeof(*copier));
    if (copier == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    copier_init(copier, db);
    (void)pthread_mutex_lock(&db->compact_lock); /* the keeper runs already */
    db->compact_look = true;
    (void)pthread_mutex_unlock(&db->compact_lock);
    int error = pthread_create(&db->compactor, NULL, compactor_main, copier);
    if (error != 0) {
        free(copier);
        return kvs_error_set(err, KVS_NO_MEMORY, error, "cannot start the compactor's thread: %s",
                             strerror(error));
    }
    db->compactor_runs = true;
    return KVS_OK;
}

void compactor_stop(struct kvs_db *db)
{
    if (!db->compactor_runs)
        return;
    (void)pthread_mutex_lock(&db->compact_lock);
    db->compactor_stop = true;
    (void)pthread_cond_signal(&db->compact_wanted);
    (void)pthread_mutex_unlock(&db->compact_lock);
    (void)pthread_join(db->compactor, NULL);
    db->compactor_runs = false;
}

void compactor_look(struct kvs_db *db)
{
    (void)pthread_mutex_lock(&db->compact_lock);
    db->compact_look = true;
    (void)pthread_cond_signal(&db->compact_wanted);
    (void)pthread_mutex_unlock(&db->compact_lock);
}

kvs_status compactor_run_all(struct kvs_db *db, struct kvs_error *err)
{
    (void)pthread_mutex_lock(&db->compact_lock);
    uint64_t request = ++db->compact_requested;
    (void)pthread_cond_signal(&db->compact_wanted);
    while (db->compact_finished < request)
        (void)pthread_cond_wait(&db->compact_done, &db->compact_lock);
    kvs_status status = db->compact_status;
    (void)pthread_mutex_unlock(&db->compact_lock);
    if (status == KVS_OK)
        return KVS_OK;
    return kvs_error_set(err, status < 0 ? status : KVS_INTERNAL, 0,
                         "compacting ended early: %s; the log says more", kvs_status_text(status));
}
