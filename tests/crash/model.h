/*
 * What a store should hold: every state that one life of it goes through, step by step, and how each
 * step should end. A step is a batch; random ones are drawn here.
 *
 * A life begins with the state that a start has found, as state 0. Keys are numbers below MODEL_KEYS; a
 * version is the number of the step that wrote it, counted through all lives, so that what was lost in
 * one and comes back in a later one is seen. A key and a version say the whole value.
 *
 * Threads: one that draws; others may look at states that were there when they were started, or told.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include <kvs/engine.h>

#include "disk_sim_internal.h"

#define MODEL_KEYS      20u
#define MODEL_STEPS     160u /* in one life, at most */
#define MODEL_OPS       5u   /* in one step, at most */
#define MODEL_VALUE_MAX 6000u

struct model_state {
    uint32_t versions[MODEL_KEYS]; /* 0: there is none */
};

struct model {
    uint32_t steps; /* in this life, so far */
    uint32_t version;
    struct model_state states[MODEL_STEPS + 1];
    uint64_t records[MODEL_STEPS + 1]; /* that were written by all steps so far */
    uint32_t changed_at[MODEL_KEYS];   /* the last step of this life that changed it */
};

struct model_op {
    uint32_t kind;
    uint32_t condition;
    uint32_t key;
    uint32_t expected; /* KVS_IF_EQUAL: a version */
    kvs_status status; /* as it should be */
};

struct model_step {
    uint32_t number; /* in this life, from 1 */
    uint32_t version;
    uint32_t flags; /* KVS_BATCH_* */
    uint32_t count;
    struct model_op ops[MODEL_OPS];
    kvs_status status; /* of the whole, as it should be */
    bool writes;
    uint32_t rests_on; /* the last step that decided how this one ends; itself when it writes */
};

/* Begins a life with the state that was found. version: the last one that was ever used. */
void model_begin(struct model *model, const struct model_state *found, uint32_t version);

/* Draws the next step, and takes it. */
void model_draw(struct model *model, struct sim_random *random, struct model_step *ret_step);

/* The last of the states from least to most that is this one, or UINT32_MAX. */
uint32_t model_find(const struct model *model, const struct model_state *state, uint32_t least,
                    uint32_t most);

/* The first of the states from least to most in which this key has this version, or UINT32_MAX. */
uint32_t model_find_version(const struct model *model, uint32_t key, uint32_t version,
                            uint32_t least, uint32_t most);

/* The value's size. */
uint32_t model_value_bytes(uint32_t key, uint32_t version);

#endif
