/*
 * See reader.h. A lookup is: hash, index bucket, record; the key is compared in the record and its CRC
 * is checked before the value is shown, in place, inside the read section.
 *
 * A candidate with another key is nearly always another key's (the index keeps 16 bits of the hash).
 * But it may be the record that is looked for with a damaged key, so its CRC is checked before it is
 * passed over: where no sound record has the key, damage is reported, never answered with "not found".
 *
 * A page that the disk does not deliver reads as zeros, and marks its segment (sigbus.h): what is not
 * sound there is KVS_IO, and what was shown from there is looked at once more afterwards.
 */
#include "reader.h"

#include <inttypes.h>
#include <string.h>

#include "publish.h"
#include "store.h"

#define MANY_GROUP 16u /* lookups whose cache misses overlap */

/* What is fetched of a record before it is looked at: its head and the key, or the value too. */
#define CACHE_LINE     64u
#define LINES_OF_KEY   2u
#define LINES_OF_VALUE 3u

/* What a record's lengths begin with where its key has no bytes and it has a value. */
#define KIND_SET ((uint64_t)RECORD_SET << RECORD_KIND_SHIFT)

/* What a lookup came to. */
struct sight {
    const struct segment *segment;
    const uint8_t *from; /* the record, in the segment's memory */
    struct kvs_bytes value;
};

static inline uint64_t sight_limit(const struct sight *sight)
{
    return sight->segment->bytes - (uint64_t)(sight->from - sight->segment->memory);
}

/* True: there is a sound record. */
static bool sight_is_sound(const struct sight *sight, struct record *ret_record)
{
    return record_view(sight->from, sight_limit(sight), ret_record) &&
           record_is_sound(sight->from, sight->segment->salt, ret_record);
}

static kvs_status sight_take(const struct kvs_db *db, uint64_t place, struct sight *ret,
                             struct record *ret_record, struct kvs_error *err)
{
    ret->from = store_record_at(db, place, &ret->segment);
    return sight_is_sound(ret, ret_record) ? KVS_OK : store_say_damaged(db, place, err);
}

static kvs_status sight_check_again(const struct sight *sight, struct kvs_error *err)
{
    struct record record;
    return sight_is_sound(sight, &record) ? KVS_OK : segment_say_failed(sight->segment, err);
}

/* After the record was shown: what was sound before may have been gone by then. Zeros that took the
   place of a page stay there, so a record that is still sound was so all the time. */
static inline kvs_status sight_check(const struct sight *sight, struct kvs_error *err)
{
    return segment_failed(sight->segment) ? sight_check_again(sight, err) : KVS_OK;
}

/* True: the record at this place has the key and is sound. */
static bool sight_fits(const struct kvs_db *db, uint64_t place, struct kvs_bytes key,
                       struct sight *ret, struct record *ret_record)
{
    ret->from = store_record_at(db, place, &ret->segment);
    return record_view(ret->from, sight_limit(ret), ret_record) &&
           bytes_equal(ret_record->key, key) &&
           record_is_sound(ret->from, ret->segment->salt, ret_record);
}

/* What to make of a record that does not fit. KVS_NOT_FOUND: it is another key's. */
static kvs_status sight_misfit(const struct kvs_db *db, uint64_t place, struct kvs_error *err)
{
    return store_is_sound(db, place) ? KVS_NOT_FOUND : store_say_damaged(db, place, err);
}

/* From a record that fits to what is visible of its key: itself, or what was there before the batch
   that is being published. */
static kvs_status find_past(const struct kvs_db *db, uint64_t place, struct kvs_bytes key,
                            struct sight *sight, struct record *record, struct kvs_error *err)
{
    for (;;) {
        uint64_t visible = publish_visible(db, place, record->sequence);
        if (visible == PLACE_NONE)
            return KVS_NOT_FOUND;
        if (visible == place) {
            sight->value = record->value;
            return record->kind == RECORD_SET ? KVS_OK : KVS_NOT_FOUND;
        }
        place = visible;
        if (!sight_fits(db, place, key, sight, record))
            return sight_misfit(db, place, err);
    }
}

/* Looks at every candidate. */
static __attribute__((noinline)) kvs_status find_among_all(const struct kvs_db *db, uint64_t hash,
                                                           struct kvs_bytes key, struct sight *ret,
                                                           struct kvs_error *err)
{
    struct index_cursor cursor;
    struct record record;
    uint64_t place;
    kvs_status damage = KVS_NOT_FOUND;
    index_cursor_begin(&cursor, db->index, hash);
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE) {
        if (sight_fits(db, place, key, ret, &record))
            return find_past(db, place, key, ret, &record, err);
        kvs_status status = sight_misfit(db, place, err);
        if (status < 0)
            damage = status; /* perhaps another key's */
    }
    return damage;
}

/* True: the record has the key and a value, and is sound. Its lengths are believed as far as its segment
   goes; if they are wrong, so is the CRC. */
static inline bool glance_fits(struct sight *sight, struct kvs_bytes key)
{
    const uint8_t *from = sight->from;
    uint64_t limit = sight_limit(sight);
    if (limit < RECORD_HEADER_BYTES || load_le32(from + RECORD_KEY_AT) != KIND_SET + key.len)
        return false;
    uint64_t value_bytes = load_le32(from + RECORD_VALUE_AT);
    uint64_t bytes = record_bytes(key.len, value_bytes);
    if (bytes > limit ||
        !bytes_equal((struct kvs_bytes){from + RECORD_HEADER_BYTES, key.len}, key) ||
        !record_crc_fits(from, sight->segment->salt, bytes))
        return false;
    sight->value = (struct kvs_bytes){from + RECORD_HEADER_BYTES + key.len, value_bytes};
    return true;
}

/*
 * Finds the record of a key as it is visible now. Inside a read section. fetch: its lines were not
 * asked for yet.
 *
 * A get waits for memory twice, for the bucket and for the record. The processor begins as much of the
 * next one meanwhile as the instructions between them let it, so there are few: the usual case, that
 * the first candidate is it, inline and by itself, all else in find_among_all().
 */
static inline kvs_status find_visible(const struct kvs_db *db, uint64_t hash, struct kvs_bytes key,
                                      bool fetch, struct sight *ret, struct kvs_error *err)
{
    uint64_t place = index_first(db->index, hash);
    if (place == PLACE_NONE)
        return KVS_NOT_FOUND;
    ret->from = store_record_at(db, place, &ret->segment);
    if (fetch) {
        for (unsigned line = 1; line < LINES_OF_VALUE; line++)
            __builtin_prefetch(ret->from + (size_t)line * CACHE_LINE);
    }
    if (__builtin_expect(
            glance_fits(ret, key) &&
                publish_visible(db, place, load_le64(ret->from + RECORD_SEQUENCE_AT)) == place,
            1))
        return KVS_OK;
    return find_among_all(db, hash, key, ret, err);
}

kvs_status reader_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                      kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    (void)tls;
    struct sight sight;
    uint64_t hash = index_hash(db->index, key);
    epoch_begin();
    kvs_status status = find_visible(db, hash, key, true, &sight, err);
    if (status == KVS_OK) {
        bool stopped = visit(arg, sight.value) != 0;
        status = sight_check(&sight, err);
        if (status == KVS_OK && stopped)
            status = KVS_STOPPED;
    }
    epoch_end();
    return status;
}

/* ---- many --------------------------------------------------------------------------------- */

/* Fetches the first candidate's record of each key, so many cache lines of it, while the others are on
   their way. */
static inline void prefetch_records(const struct kvs_db *db, const uint64_t *hashes, uint64_t count,
                                    unsigned lines)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t place = index_first(db->index, hashes[i]);
        if (place == PLACE_NONE)
            continue;
        const struct segment *segment;
        const uint8_t *record = store_record_at(db, place, &segment);
        for (unsigned line = 0; line < lines; line++)
            __builtin_prefetch(record + (size_t)line * CACHE_LINE);
    }
}

void reader_prefetch(struct kvs_db *db, const struct kvs_op *ops, uint64_t count)
{
    uint64_t hashes[MANY_GROUP];
    for (uint64_t first = 0; first < count; first += MANY_GROUP) {
        uint64_t group = count - first < MANY_GROUP ? count - first : MANY_GROUP;
        for (uint64_t i = 0; i < group; i++) {
            hashes[i] = index_hash(db->index, ops[first + i].key);
            index_prefetch(db->index, hashes[i]);
        }
        epoch_begin();
        prefetch_records(db, hashes, group, LINES_OF_KEY);
        epoch_end();
    }
}

static kvs_status get_group(struct kvs_db *db, struct kvs_get_many *request, uint64_t first,
                            uint64_t count)
{
    uint64_t hashes[MANY_GROUP];
    for (uint64_t i = 0; i < count; i++) {
        hashes[i] = index_hash(db->index, request->lookups[first + i].key);
        index_prefetch(db->index, hashes[i]);
    }
    kvs_status status = KVS_OK;
    epoch_begin();
    prefetch_records(db, hashes, count, LINES_OF_VALUE);
    for (uint64_t i = 0; i < count && status == KVS_OK; i++) {
        struct kvs_lookup *lookup = &request->lookups[first + i];
        struct sight sight;
        lookup->status = find_visible(db, hashes[i], lookup->key, false, &sight, request->err);
        if (lookup->status != KVS_OK)
            continue;
        if (request->visit(request->arg, first + i, sight.value) != 0)
            status = KVS_STOPPED;
        lookup->status = sight_check(&sight, request->err);
    }
    epoch_end();
    return status;
}

kvs_status reader_get_many(struct kvs_db *db, struct kvs_tls *tls, struct kvs_get_many *request)
{
    (void)tls;
    kvs_status status = KVS_OK;
    for (uint64_t first = 0; first < request->lookup_count && status == KVS_OK;
         first += MANY_GROUP) {
        uint64_t left = request->lookup_count - first;
        status = get_group(db, request, first, left < MANY_GROUP ? left : MANY_GROUP);
    }
    return status;
}

/* ---- scanning ----------------------------------------------------------------------------- */

struct scan_state {
    const struct kvs_db *db;
    struct kvs_scan *scan;
    struct kvs_error *err;
    uint64_t shown;
    kvs_status status;
};

static bool has_prefix(struct kvs_bytes key, struct kvs_bytes prefix)
{
    return key.len >= prefix.len &&
           (prefix.len == 0 || memcmp(key.ptr, prefix.ptr, prefix.len) == 0);
}

/* The record at a place as it is visible now; KVS_NOT_FOUND: none is. */
static kvs_status visible_at(const struct kvs_db *db, uint64_t place, struct sight *ret,
                             struct record *ret_record, struct kvs_error *err)
{
    for (;;) {
        kvs_status status = sight_take(db, place, ret, ret_record, err);
        if (status != KVS_OK)
            return status;
        uint64_t visible = publish_visible(db, place, ret_record->sequence);
        if (visible == place)
            return ret_record->kind == RECORD_SET ? KVS_OK : KVS_NOT_FOUND;
        if (visible == PLACE_NONE)
            return KVS_NOT_FOUND;
        place = visible;
    }
}

static bool show_place(void *arg, uint64_t place)
{
    struct scan_state *state = arg;
    struct kvs_scan *scan = state->scan;
    struct sight sight = {.from = NULL}; /* gcc does not know that damage is never KVS_OK */
    struct record record = {.sequence = 0};
    kvs_status status = visible_at(state->db, place, &sight, &record, state->err);
    if (status == KVS_NOT_FOUND || (status == KVS_OK && !has_prefix(record.key, scan->prefix)))
        return true;
    if (status != KVS_OK) {
        state->status = status;
        return false;
    }
    state->shown++;
    struct kvs_bytes value =
        (scan->flags & KVS_SCAN_KEYS_ONLY) != 0 ? (struct kvs_bytes){NULL, 0} : record.value;
    bool stopped = scan->visit(scan->arg, record.key, value) != 0;
    state->status = sight_check(&sight, state->err);
    if (state->status == KVS_OK && stopped)
        state->status = KVS_STOPPED;
    return state->status == KVS_OK;
}

kvs_status reader_scan(struct kvs_db *db, struct kvs_tls *tls, struct kvs_scan *scan,
                       struct kvs_error *err)
{
    (void)tls;
    if (scan->from.len != 0 || scan->to.len != 0 || (scan->flags & KVS_SCAN_REVERSE) != 0)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                             "engine log keeps keys in no order: it can scan by prefix only");
    if (!index_scan_knows(db->index, scan->cursor))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "the cursor %" PRIu64 " never came from a scan: begin again with 0",
                             scan->cursor);
    struct scan_state state = {.db = db, .scan = scan, .err = err, .status = KVS_OK};
    bool more = true;
    /* A section for each small group of keys: a slow visitor holds up no reclamation for long. */
    while (more && state.status == KVS_OK && (scan->limit == 0 || state.shown < scan->limit)) {
        epoch_begin();
        more = index_scan(db->index, &scan->cursor, show_place, &state);
        epoch_end();
    }
    return state.status;
}
