/*
 * See pipeline.h.
 *
 * I1  What stands at a request's place is one of the same command as long as all before it have the
 *     commands that they had: then it begins at the same byte.
 * I2  Behind the first request that differs nothing that stood there counts.
 */
#include "load/pipeline.h"

#include <assert.h>

#include <glib.h>

void pipeline_init(struct pipeline *pipeline, const struct plan *plan, uint32_t capacity)
{
    const struct wire *wire = plan->endpoint.wire;
    *pipeline = (struct pipeline){
        .data = {plan->seed, plan->keys, plan->value_size},
        .value = g_malloc(plan->value_size + 1),
        .next_id = 1,
        .capacity = capacity,
    };
    for (enum wire_command i = 0; i < WIRE_COMMAND_COUNT; i++)
        wire->describe(i, plan->value_size, &pipeline->templates[i]);
    data_value_init(&pipeline->data, pipeline->value);
    uint64_t request_max =
        MAX(pipeline->templates[WIRE_GET].size, pipeline->templates[WIRE_SET].size);
    pipeline->bytes = g_malloc(request_max * capacity);
    pipeline->commands = g_malloc((gsize)capacity + 1);
    pipeline->commands[0] = PIPELINE_NOTHING;
}

void pipeline_deinit(struct pipeline *pipeline)
{
    g_free(pipeline->value);
    g_free(pipeline->bytes);
    g_free(pipeline->commands);
    *pipeline = (struct pipeline){0};
}

void pipeline_make(struct pipeline *pipeline, struct pipeline_slot *slots, uint32_t count)
{
    const bool stamped = pipeline->data.value_size >= DATA_STAMP_SIZE;
    uint8_t *to = pipeline->bytes;
    bool stands = true; /* I1 */
    assert(count <= pipeline->capacity);
    pipeline->first_id = pipeline->next_id;
    pipeline->next_id += count;
    for (uint32_t i = 0; i < count; i++) {
        struct pipeline_slot *slot = &slots[i];
        const enum wire_command command = pipeline_command(slot->kind);
        const struct wire_template *template = &pipeline->templates[command];
        stands = stands && pipeline->commands[i] == command;
        if (!stands) {
            wire_put_around(template, pipeline->value, pipeline->data.value_size, to);
            pipeline->commands[i] = (uint8_t)command;
        }
        slot->identity = data_identity(&pipeline->data, slot->index);
        data_identity_key(slot->identity, to + template->key_at);
        if (template->id_at != WIRE_NOTHING)
            store_le64(to + template->id_at, pipeline->first_id + i);
        if (template->value_at != WIRE_NOTHING && stamped)
            data_identity_stamp(slot->identity, ++pipeline->version, to + template->value_at);
        to += template->size;
    }
    if (!stands)
        pipeline->commands[count] = PIPELINE_NOTHING; /* I2 */
    pipeline->size = (uint32_t)(to - pipeline->bytes);
}
