/* See model.h. */
#include "model.h"

#include <string.h>

#include "store_support.h"

void model_begin(struct model *model, const struct model_state *found, uint32_t version)
{
    memset(model, 0, sizeof(*model));
    model->states[0] = *found;
    model->version = version;
}

uint32_t model_value_bytes(uint32_t key, uint32_t version)
{
    struct sim_random random = sim_random_of((uint64_t)version << 8 | key);
    uint64_t most = sim_random_below(&random, 8) == 0 ? MODEL_VALUE_MAX : 700;
    return STORE_VALUE_LEAST + (uint32_t)sim_random_below(&random, most - STORE_VALUE_LEAST);
}

uint32_t model_find(const struct model *model, const struct model_state *state, uint32_t least,
                    uint32_t most)
{
    for (uint32_t i = most + 1; i-- > least;)
        if (memcmp(&model->states[i], state, sizeof(*state)) == 0)
            return i;
    return UINT32_MAX;
}

uint32_t model_find_version(const struct model *model, uint32_t key, uint32_t version,
                            uint32_t least, uint32_t most)
{
    for (uint32_t i = least; i <= most; i++)
        if (model->states[i].versions[key] == version)
            return i;
    return UINT32_MAX;
}

/* ---- steps -------------------------------------------------------------------------------- */

static void draw_op(struct model_op *op, const struct model_state *state, struct sim_random *random)
{
    uint64_t kind = sim_random_below(random, 8);
    op->kind = kind < 5 ? KVS_OP_SET : kind < 7 ? KVS_OP_REMOVE : KVS_OP_CHECK;
    op->key = (uint32_t)sim_random_below(random, MODEL_KEYS);
    op->condition = KVS_IF_ALWAYS;
    op->expected = 0;
    if (op->kind == KVS_OP_SET && sim_random_below(random, 3) != 0)
        return;
    if (op->kind == KVS_OP_REMOVE && sim_random_below(random, 2) != 0)
        return;
    uint32_t now = state->versions[op->key];
    op->condition = KVS_IF_ABSENT + (uint32_t)sim_random_below(random, 3);
    /* Mostly one that holds, so that batches with several are not all in vain. */
    if (sim_random_below(random, 4) != 0)
        op->condition = now == 0                           ? KVS_IF_ABSENT
                        : sim_random_below(random, 2) == 0 ? KVS_IF_PRESENT
                                                           : KVS_IF_EQUAL;
    if (op->condition == KVS_IF_EQUAL)
        op->expected = now != 0 && sim_random_below(random, 4) != 0 ? now : now + 1;
}

static bool holds(const struct model_op *op, uint32_t version)
{
    switch (op->condition) {
    case KVS_IF_ABSENT:
        return version == 0;
    case KVS_IF_PRESENT:
        return version != 0;
    case KVS_IF_EQUAL:
        return version != 0 && version == op->expected;
    default:
        return true;
    }
}

/* Takes one operation. True: it writes a record. */
static bool take_op(struct model_op *op, struct model_state *state, uint32_t version)
{
    uint32_t *now = &state->versions[op->key];
    op->status = KVS_OK;
    if (!holds(op, *now))
        op->status = KVS_CONDITION_FAILED;
    else if (op->kind == KVS_OP_REMOVE && *now == 0)
        op->status = KVS_NOT_FOUND;
    if (op->status != KVS_OK || op->kind == KVS_OP_CHECK)
        return false;
    *now = op->kind == KVS_OP_SET ? version : 0;
    return true;
}

static void draw_ops(struct model_step *step, const struct model_state *before,
                     struct sim_random *random)
{
    uint64_t sort = sim_random_below(random, 10);
    step->count = sort < 6 ? 1 : 2 + (uint32_t)sim_random_below(random, MODEL_OPS - 1);
    step->flags = step->count > 1 && sort < 9 ? KVS_BATCH_ALL_OR_NONE : 0;
    if (sim_random_below(random, 12) == 0)
        step->flags |= KVS_BATCH_DURABLE;
    for (uint32_t i = 0; i < step->count; i++)
        draw_op(&step->ops[i], before, random);
}

/* True: an earlier operation of the step writes the key of this one. */
static bool is_own(const struct model_step *step, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (step->ops[i].key == step->ops[index].key && step->ops[i].kind != KVS_OP_CHECK &&
            step->ops[i].status == KVS_OK)
            return true;
    return false;
}

/* When a step writes nothing, its answer tells only how the keys are that it looked at. */
static uint32_t find_reason(const struct model *model, const struct model_step *step)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < step->count; i++) {
        const struct model_op *op = &step->ops[i];
        bool looks = op->kind == KVS_OP_REMOVE || op->condition != KVS_IF_ALWAYS;
        if (looks && !is_own(step, i) && model->changed_at[op->key] > last)
            last = model->changed_at[op->key];
    }
    return last;
}

void model_draw(struct model *model, struct sim_random *random, struct model_step *ret_step)
{
    const struct model_state *before = &model->states[model->steps];
    struct model_state after = *before;
    struct model_step step = {.number = model->steps + 1, .version = ++model->version};
    uint64_t records = 0;
    bool failed = false;
    draw_ops(&step, before, random);
    for (uint32_t i = 0; i < step.count; i++) {
        records += take_op(&step.ops[i], &after, step.version);
        failed = failed || step.ops[i].status == KVS_CONDITION_FAILED;
    }
    step.status = KVS_OK;
    if ((step.flags & KVS_BATCH_ALL_OR_NONE) != 0 && failed) {
        step.status = KVS_CONDITION_FAILED;
        after = *before;
        records = 0;
    }
    step.writes = records > 0;
    step.rests_on = step.writes ? step.number : find_reason(model, &step);
    for (uint32_t i = 0; i < step.count && step.writes; i++)
        if (step.ops[i].kind != KVS_OP_CHECK && step.ops[i].status == KVS_OK)
            model->changed_at[step.ops[i].key] = step.number;
    model->records[step.number] = model->records[step.number - 1] + records;
    model->states[step.number] = after;
    model->steps = step.number;
    *ret_step = step;
}
