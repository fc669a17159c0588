/*
 * Requests as they are sent, all that go out at once in one piece. Most pipelines of a load are alike:
 * so one is made by writing what differs, keys and stamps and ids, into the one before.
 *
 * Belongs to one thread.
 */
#ifndef BENCH_LOAD_PIPELINE_H
#define BENCH_LOAD_PIPELINE_H

#include "load/draw.h"
#include "load/plan.h"
#include "load/wire.h"

/* A request that is to be made, or is under way. */
struct pipeline_slot {
    uint64_t start_ns; /* from here its latency counts */
    uint64_t index;    /* of its key (data.h) */
    uint64_t identity; /* of its key, written when the request is made */
    enum draw_kind kind;
};

struct pipeline {
    struct data data;
    struct wire_template templates[WIRE_COMMAND_COUNT];
    uint8_t *value;    /* of data.value_size bytes, of no key yet; owned */
    uint64_t version;  /* of the last value that was made */
    uint64_t next_id;  /* of the next request */
    uint32_t capacity; /* requests */

    uint8_t *bytes; /* the requests; room for capacity of any kind; owned */
    uint32_t size;
    uint64_t first_id; /* of them; they count up */
    /* What stands in bytes, request by request up to the first that is PIPELINE_NOTHING: their commands.
       capacity + 1; owned. */
    uint8_t *commands;
};

#define PIPELINE_NOTHING 0xffu

/* Requests of a plan, up to capacity of them. Aborts without memory. */
void pipeline_init(struct pipeline *pipeline, const struct plan *plan, uint32_t capacity);
void pipeline_deinit(struct pipeline *pipeline);

/* Makes the requests of the first count slots, in place of those before. */
void pipeline_make(struct pipeline *pipeline, struct pipeline_slot *slots, uint32_t count);

static inline enum wire_command pipeline_command(enum draw_kind kind)
{
    return kind == DRAW_GET || kind == DRAW_CHANGE ? WIRE_GET : WIRE_SET;
}

#endif
