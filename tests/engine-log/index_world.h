/*
 * What the tests of the index share: a world of numbered keys, an index of them, and the model that
 * it is compared with, an array that says for each key where it is. One thread.
 */
#ifndef TESTS_INDEX_WORLD_H
#define TESTS_INDEX_WORLD_H

#include <stdint.h>

#include "index.h"

#define SECRET_TEXT "sixteen or more bytes of secret"
#define SHOWN       0x80000000u /* in owner: a scan has shown the place */

/* A store of numbered keys: key i is at place[i] or absent; owner says whose place it is. */
struct world {
    struct epoch *epoch;
    struct index *index;
    uint64_t (*hash)(const struct world *world, uint32_t key);
    uint32_t keys;       /* key numbers are below */
    uint64_t *place;     /* by key; 0: absent */
    uint32_t *owner;     /* by place: the key's number + 1 */
    uint64_t places;     /* of owner */
    uint64_t next_place; /* never reused */
    uint64_t present;
    uint64_t random;
    uint32_t match_key; /* what match() looks for */
    uint64_t matched;   /* candidates that match() was asked about */
};

/* Hashes: as the index makes them; few shards and very few tags; one shard and one tag for all. */
uint64_t hash_good(const struct world *world, uint32_t key);
uint64_t hash_weak(const struct world *world, uint32_t key);
uint64_t hash_same(const struct world *world, uint32_t key);

uint64_t random_next(uint64_t *state);
uint64_t random_below(struct world *world, uint64_t bound);

/* The index that each world begins with; always the same secret. shard_bits 0: the default. */
struct index *index_make(struct epoch *epoch, uint32_t shard_bits, uint64_t memory_max_bytes);

void world_init(struct world *world, uint32_t shard_bits, uint32_t keys, uint64_t places,
                uint64_t (*hash)(const struct world *, uint32_t));
void world_deinit(struct world *world);

/* A place that was never used, noted as the key's. */
uint64_t world_new_place(struct world *world, uint32_t key);

/* The place of key as the index says, 0 if absent; by callback and by cursor. */
uint64_t world_find(struct world *world, uint32_t key);

/* Change index and model, and check what the call said. */
void world_insert(struct world *world, uint32_t key);
void world_replace(struct world *world, uint32_t key);
void world_remove(struct world *world, uint32_t key);

/* Random changes with a growing, then a shrinking number of keys. */
void world_churn(struct world *world, unsigned steps);

/* The index says of each key what the model says. */
void world_check_all(struct world *world);

/* A visitor of index_scan (arg: the world) that marks the places it is shown. */
bool world_show(void *arg, uint64_t place);

#endif
