/*
 * See appender_internal.h: what becomes of each operation of a batch. Nothing is changed but scratch, the
 * pending table and reservations in the index, all of which can be taken back. The invariants' numbers
 * are those of appender.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "appender_internal.h"
#include "publish.h"

/* What a key holds for the operation at hand. */
struct current {
    bool present;
    struct past past; /* what its slot in the index leads to */
    struct kvs_bytes value;
};

/* KVS_CORRUPT, KVS_IO: the operation asks for a value that cannot be read. */
static kvs_status find_current(struct kvs_db *db, struct batch_plan *plan, uint64_t hash,
                               const struct kvs_op *op, struct current *ret)
{
    struct record record;
    const struct pending_record *pending = pending_find(&db->pending, hash, op->key);
    *ret = (struct current){.present = false};
    if (pending != NULL) {
        plan->waits = db->durability == KVS_DURABILITY_ALWAYS;
        ret->present = pending->placed.op->kind == KVS_OP_SET;
        ret->value = pending->placed.op->value;
        return KVS_OK;
    }
    uint64_t place = store_find(db, hash, op->key, &record);
    if (place == PLACE_NONE)
        return KVS_OK;
    if (op->condition == KVS_IF_EQUAL && !store_is_sound(db, place))
        return store_say_damaged(db, place, plan->batch->err);
    ret->past = publish_past(place, &record);
    ret->present = record.kind == RECORD_SET;
    ret->value = record.value;
    return KVS_OK;
}

static bool condition_holds(const struct kvs_op *op, const struct current *current)
{
    switch (op->condition) {
    case KVS_IF_ABSENT:
        return !current->present;
    case KVS_IF_PRESENT:
        return current->present;
    case KVS_IF_EQUAL:
        return current->present && current->value.len == op->expected.len &&
               (op->expected.len == 0 ||
                memcmp(current->value.ptr, op->expected.ptr, op->expected.len) == 0);
    default:
        return true;
    }
}

static kvs_status check_op(const struct kvs_op *op, struct kvs_error *err)
{
    if (op->key.len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    if (op->key.len > RECORD_KEY_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a key of %" PRIu64 " bytes is over the limit of %u bytes",
                             op->key.len, RECORD_KEY_MAX);
    if (op->kind == KVS_OP_SET && op->value.len > RECORD_VALUE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a value of %" PRIu64 " bytes is over the limit of %" PRIu64 " bytes",
                             op->value.len, RECORD_VALUE_MAX);
    if (op->kind < KVS_OP_SET || op->kind > KVS_OP_CHECK || op->condition > KVS_IF_EQUAL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "operation kind %u with condition %u does not exist", op->kind,
                             op->condition);
    return KVS_OK;
}

void appender_forget_staged(struct kvs_db *db, struct batch_plan *plan)
{
    for (uint64_t i = 0; i < plan->count; i++) {
        struct staged *staged = &db->staged[i];
        if (staged->placed.reserved)
            index_unreserve(db->index, &staged->placed.hash, 1);
        if (staged->pending != NULL)
            pending_remove(&db->pending, staged->pending);
    }
    plan->count = 0;
    plan->bytes = 0;
}

/* Enters an operation that will be written. found: its key's slot; PLACE_NONE: not to be relied on. */
static kvs_status stage(struct kvs_db *db, struct batch_plan *plan, struct kvs_op *op,
                        uint64_t hash, struct past found)
{
    struct staged *staged = &db->staged[plan->count];
    *staged = (struct staged){.placed = {.op = op, .hash = hash, .found = found}};
    uint64_t bytes = record_bytes(op->key.len, op->kind == KVS_OP_SET ? op->value.len : 0);
    staged->placed.bytes = (uint32_t)bytes;
    if (op->kind == KVS_OP_SET && found.place == PLACE_NONE) { /* I2 */
        if (index_reserve(db->index, &hash, 1) != KVS_OK)
            return kvs_error_set(plan->batch->err, KVS_NO_MEMORY, 0, "out of memory for the index");
        staged->placed.reserved = true;
    }
    if (plan->use_pending) {
        staged->pending = pending_add(&db->pending, hash, op);
        if (staged->pending == NULL) {
            if (staged->placed.reserved)
                index_unreserve(db->index, &hash, 1);
            return kvs_error_set(plan->batch->err, KVS_NO_MEMORY, 0, "out of memory");
        }
    }
    plan->count++;
    plan->bytes += bytes;
    return KVS_OK;
}

/* Decides one operation: its status says how it ended, or KVS_OK when it is staged. */
static kvs_status decide_op(struct kvs_db *db, struct batch_plan *plan, struct kvs_op *op)
{
    op->status = check_op(op, plan->batch->err);
    if (op->status != KVS_OK)
        return KVS_OK;
    struct current current = {.present = false};
    uint64_t hash = index_hash(db->index, op->key);
    /* Published at once, and no operation takes away the slot that another one found. */
    bool keeps_slots = !plan->use_pending;
    bool is_looked_at = keeps_slots || op->kind == KVS_OP_REMOVE || op->condition != KVS_IF_ALWAYS;
    if (is_looked_at)
        op->status = find_current(db, plan, hash, op, &current);
    if (op->status != KVS_OK)
        return KVS_OK;
    if (!condition_holds(op, &current))
        op->status = KVS_CONDITION_FAILED;
    else if (op->kind == KVS_OP_REMOVE && !current.present)
        op->status = KVS_NOT_FOUND;
    else if (op->kind != KVS_OP_CHECK)
        return stage(db, plan, op, hash, keeps_slots ? current.past : (struct past){0});
    return KVS_OK;
}

static kvs_status make_staged_room(struct kvs_db *db, uint64_t count)
{
    if (count <= db->staged_cap)
        return KVS_OK;
    struct staged *larger = realloc(db->staged, count * sizeof(*larger));
    if (larger == NULL)
        return KVS_NO_MEMORY;
    db->staged = larger;
    db->staged_cap = count;
    return KVS_OK;
}

/* Earlier operations of a batch are looked up by later ones, unless none needs that. */
static bool needs_pending(const struct kvs_db *db, const struct kvs_batch *batch)
{
    if (db->durability == KVS_DURABILITY_ALWAYS)
        return true;
    if (batch->op_count == 1)
        return false;
    for (uint64_t i = 0; i < batch->op_count; i++) {
        if (batch->ops[i].kind == KVS_OP_REMOVE || batch->ops[i].condition != KVS_IF_ALWAYS)
            return true;
    }
    return false;
}

kvs_status appender_decide(struct kvs_db *db, struct batch_plan *plan)
{
    struct kvs_batch *batch = plan->batch;
    bool all_or_none = (batch->flags & KVS_BATCH_ALL_OR_NONE) != 0;
    bool failed = false;
    if (make_staged_room(db, batch->op_count) != KVS_OK)
        return kvs_error_set(batch->err, KVS_NO_MEMORY, 0, "out of memory");
    plan->use_pending = needs_pending(db, batch);
    for (uint64_t i = 0; i < batch->op_count; i++) {
        kvs_status status = decide_op(db, plan, &batch->ops[i]);
        if (status == KVS_OK && all_or_none && batch->ops[i].status < 0)
            status = batch->ops[i].status;
        failed = failed || batch->ops[i].status == KVS_CONDITION_FAILED;
        if (status != KVS_OK) {
            appender_forget_staged(db, plan);
            return status;
        }
    }
    if (all_or_none && failed) {
        appender_forget_staged(db, plan);
        return KVS_CONDITION_FAILED;
    }
    return KVS_OK;
}
