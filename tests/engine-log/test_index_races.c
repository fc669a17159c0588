/*
 * Readers of the index against mutators, at the level of the model: a place is a number, its record
 * a cell that says whose it is. A cell that was replaced or removed is poisoned a grace period
 * later and then given out again, as a segment that is dropped and recycled.
 *
 * Every lookup checks (the numbers are those of index.c):
 *   - a key that is always there is found (I1 to I5);
 *   - a key that is never there is not;
 *   - no candidate is a poisoned cell (I1, I5, I6).
 * In many short rounds a small index grows from nothing while it is read; in a long one it grows
 * and shrinks until its memory has been reused many times over.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "index.h"
#include "support/support.h"

#define POISON UINT32_MAX
#define NO_KEY (UINT32_MAX - 1) /* of a cell that was not given out yet */
#define NEVER  1000000000u      /* keys from here on are never there */

#if defined(__SANITIZE_ADDRESS__) || defined(EPOCH_TSAN)
#define ROUNDS     600u
#define LONG_STEPS 60000u
#else
#define ROUNDS     1000u
#define LONG_STEPS 300000u
#endif

struct retired_place {
    struct epoch_retired retired;
    struct world *world;
    uint64_t place;
};

/* The keys of a round: those below stable are always there, the others come and go. */
struct world {
    struct epoch *epoch;
    struct index *index;
    uint32_t stable;
    uint32_t keys;
    atomic_uint *cells; /* by place: the key whose record it is */

    pthread_mutex_t places_lock; /* guards the places below */
    uint32_t *free_places;
    uint32_t free_count;
    uint32_t next_place;
    uint32_t places;

    atomic_bool stop;
    atomic_uint lookups; /* that were checked */
    atomic_uint scans;   /* whole ones */
    atomic_uint wrong;   /* what should never be */
    uint64_t steps;      /* of each mutator */
    uint64_t seed[2];
};

struct worker {
    struct world *world;
    uint64_t random;
    pthread_t id;
    bool *present; /* the appender's: by key */
};

static uint64_t worker_random(struct worker *worker, uint64_t bound)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (worker->random * UINT64_C(0x9E3779B97F4A7C15) >> 32) % bound;
}

/* Lets another thread in, now and then, in the middle of what the worker does. */
static void worker_pause(struct worker *worker)
{
    if (worker_random(worker, 64) == 0)
        sched_yield();
}

static void world_wrong(struct world *world)
{
    atomic_fetch_add_explicit(&world->wrong, 1, memory_order_relaxed);
}

/* ---- places ------------------------------------------------------------------------------- */

static uint64_t place_take(struct world *world, uint32_t key)
{
    pthread_mutex_lock(&world->places_lock);
    uint32_t place =
        world->free_count > 0 ? world->free_places[--world->free_count] : world->next_place++;
    if (place >= world->places)
        abort();
    pthread_mutex_unlock(&world->places_lock);
    /* Relaxed: that readers see it is what publishing in the index promises. */
    atomic_store_explicit(&world->cells[place], key, memory_order_relaxed);
    return place;
}

static void place_poison(struct epoch_retired *retired)
{
    struct retired_place *gone = (struct retired_place *)(void *)retired;
    struct world *world = gone->world;
    atomic_store_explicit(&world->cells[gone->place], POISON, memory_order_relaxed);
    pthread_mutex_lock(&world->places_lock);
    world->free_places[world->free_count++] = (uint32_t)gone->place;
    pthread_mutex_unlock(&world->places_lock);
    free(gone);
}

static void place_retire(struct world *world, uint64_t place)
{
    struct retired_place *gone = malloc(sizeof(*gone));
    if (gone == NULL)
        abort();
    gone->world = world;
    gone->place = place;
    epoch_retire(world->epoch, &gone->retired, place_poison);
}

/* ---- lookups ------------------------------------------------------------------------------ */

static uint64_t key_hash(const struct world *world, uint32_t key)
{
    return index_hash(world->index, bytes_of(&key, sizeof(key)));
}

/* Inside a section: the place of key, or PLACE_NONE. */
static uint64_t look_up(struct worker *worker, uint32_t key)
{
    struct world *world = worker->world;
    struct index_cursor cursor;
    uint64_t place;
    index_cursor_begin(&cursor, world->index, key_hash(world, key));
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE) {
        worker_pause(worker);
        uint32_t owner = atomic_load_explicit(&world->cells[place], memory_order_relaxed);
        if (owner == POISON || owner == NO_KEY)
            world_wrong(world);
        if (owner == key)
            return place;
        worker_pause(worker);
    }
    return PLACE_NONE;
}

static void *reader_main(void *arg)
{
    struct worker *worker = arg;
    struct world *world = worker->world;
    while (!atomic_load_explicit(&world->stop, memory_order_relaxed)) {
        uint32_t stable = (uint32_t)worker_random(worker, world->stable);
        uint32_t any = (uint32_t)worker_random(worker, world->keys);
        epoch_begin();
        if (look_up(worker, stable) == PLACE_NONE)
            world_wrong(world);
        if (look_up(worker, NEVER + any) != PLACE_NONE)
            world_wrong(world);
        (void)look_up(worker, any);
        epoch_end();
        atomic_fetch_add_explicit(&world->lookups, 3, memory_order_relaxed);
    }
    return NULL;
}

/* A thread for a few lookups, as a pool makes that has a thread per job. */
static void *short_reader_main(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < 20; i++) {
        epoch_begin();
        if (look_up(worker, (uint32_t)worker_random(worker, worker->world->stable)) == PLACE_NONE)
            world_wrong(worker->world);
        epoch_end();
    }
    return NULL;
}

static void *spawner_main(void *arg)
{
    struct worker *worker = arg;
    while (!atomic_load_explicit(&worker->world->stop, memory_order_relaxed)) {
        struct worker child = {.world = worker->world, .random = worker->random | 1};
        (void)worker_random(worker, 2);
        if (pthread_create(&child.id, NULL, short_reader_main, &child) != 0)
            abort();
        pthread_join(child.id, NULL);
    }
    return NULL;
}

struct shown {
    struct worker *worker;
    uint8_t *seen; /* by stable key */
};

static bool scan_visit(void *arg, uint64_t place)
{
    struct shown *shown = arg;
    struct world *world = shown->worker->world;
    worker_pause(shown->worker);
    uint32_t owner = atomic_load_explicit(&world->cells[place], memory_order_relaxed);
    if (owner == POISON || owner == NO_KEY)
        world_wrong(world);
    else if (owner < world->stable)
        shown->seen[owner] = 1;
    return true;
}

/* Whole scans, a section for each group: each key that is always there is shown. */
static void *scanner_main(void *arg)
{
    struct worker *worker = arg;
    struct world *world = worker->world;
    struct shown shown = {worker, malloc(world->stable)};
    if (shown.seen == NULL)
        abort();
    while (!atomic_load_explicit(&world->stop, memory_order_relaxed)) {
        uint64_t cursor = 0;
        bool more = true;
        memset(shown.seen, 0, world->stable);
        while (more && !atomic_load_explicit(&world->stop, memory_order_relaxed)) {
            epoch_begin();
            more = index_scan(world->index, &cursor, scan_visit, &shown);
            epoch_end();
        }
        for (uint32_t key = 0; !more && key < world->stable; key++)
            if (!shown.seen[key])
                world_wrong(world);
        atomic_fetch_add_explicit(&world->scans, !more, memory_order_relaxed);
    }
    free(shown.seen);
    return NULL;
}

/* ---- mutators ----------------------------------------------------------------------------- */

/* Puts key at a new place where it is now, wherever the compactor has moved it. */
static void append_replace(struct worker *worker, uint32_t key)
{
    struct world *world = worker->world;
    uint64_t hash = key_hash(world, key);
    uint64_t place = place_take(world, key);
    for (;;) {
        epoch_begin();
        uint64_t old = look_up(worker, key);
        bool done = old != PLACE_NONE && index_replace(world->index, hash, old, place);
        epoch_end();
        if (old == PLACE_NONE)
            world_wrong(world);
        if (done || old == PLACE_NONE) {
            place_retire(world, done ? old : place);
            return;
        }
    }
}

static void append_remove(struct worker *worker, uint32_t key)
{
    struct world *world = worker->world;
    uint64_t hash = key_hash(world, key);
    bool done = false;
    while (!done) {
        epoch_begin();
        uint64_t old = look_up(worker, key);
        done = old != PLACE_NONE && index_remove(world->index, hash, old);
        epoch_end();
        if (old == PLACE_NONE) {
            world_wrong(world);
            return;
        }
        if (done)
            place_retire(world, old);
    }
}

static void append_insert(struct worker *worker, uint32_t key)
{
    struct world *world = worker->world;
    uint64_t hash = key_hash(world, key);
    uint64_t place = place_take(world, key);
    if (worker_random(worker, 2) == 0) {
        if (index_insert(world->index, hash, place) != KVS_OK)
            abort();
        return;
    }
    if (index_reserve(world->index, &hash, 1) != KVS_OK)
        abort();
    worker_pause(worker);
    index_insert_reserved(world->index, hash, place);
}

static void append_step(struct worker *worker, bool growing)
{
    struct world *world = worker->world;
    uint32_t moving = world->keys - world->stable;
    uint32_t key = world->stable + (uint32_t)worker_random(worker, moving);
    if (worker_random(worker, 4) == 0) {
        append_replace(worker, (uint32_t)worker_random(worker, world->stable));
    } else if (worker->present[key] && (!growing || worker_random(worker, 8) == 0)) {
        append_remove(worker, key);
        worker->present[key] = false;
    } else if (!worker->present[key] && growing) {
        append_insert(worker, key);
        worker->present[key] = true;
    }
}

/* The one that inserts and removes. Its keys come in waves, so that the index grows and shrinks. */
static void *appender_main(void *arg)
{
    struct worker *worker = arg;
    uint64_t wave = 4 * (uint64_t)worker->world->keys;
    for (uint64_t i = 0; i < worker->world->steps; i++)
        append_step(worker, i % wave < wave / 2);
    return NULL;
}

/* The one that moves records on: a lookup, and a replace that loses against the appender. */
static void *compactor_main(void *arg)
{
    struct worker *worker = arg;
    struct world *world = worker->world;
    for (uint64_t i = 0; i < world->steps; i++) {
        uint32_t key = (uint32_t)worker_random(worker, world->keys);
        epoch_begin();
        uint64_t old = look_up(worker, key);
        epoch_end(); /* the record may go now; its place is not reused while it is in the index */
        worker_pause(worker);
        if (old == PLACE_NONE)
            continue;
        uint64_t place = place_take(world, key);
        epoch_begin();
        bool same = look_up(worker, key) == old;
        bool done = same && index_replace(world->index, key_hash(world, key), old, place);
        epoch_end();
        place_retire(world, done ? old : place);
    }
    return NULL;
}

/* ---- rounds ------------------------------------------------------------------------------- */

/* An empty index, with the keys that are always there. */
static void round_init(struct world *world, uint32_t stable, uint32_t keys, uint64_t steps)
{
    struct test_error error;
    test_error_init(&error);
    world->stable = stable;
    world->keys = keys;
    world->steps = steps;
    world->next_place = 1;
    world->free_count = 0;
    struct index_config config = {
        .size = sizeof(config),
        .shard_bits = INDEX_SHARD_BITS_MIN,
        .secret = bytes_of(world->seed, sizeof(world->seed)),
        .epoch = world->epoch,
    };
    assert_status(KVS_OK, index_new(&config, &world->index, &error.error), &error);
    struct worker loader = {.world = world, .random = world->seed[0] | 1};
    for (uint32_t key = 0; key < stable; key++)
        append_insert(&loader, key);
}

/* Runs the mutators to their end, beside all kinds of readers. */
static void round_run(struct world *world)
{
    static void *(*const mains[])(void *) = {appender_main, compactor_main, reader_main,
                                             reader_main,   scanner_main,   spawner_main};
    enum {
        MUTATORS = 2,
        WORKERS = sizeof(mains) / sizeof(mains[0])
    };
    struct worker workers[WORKERS];
    bool *present = calloc(world->keys, sizeof(present[0]));
    assert_non_null(present);
    atomic_store(&world->stop, false);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){
            .world = world, .random = (world->seed[0] + i * 2) | 1, .present = present};
        assert_int_equal(pthread_create(&workers[i].id, NULL, mains[i], &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        if (i == MUTATORS)
            atomic_store(&world->stop, true);
        pthread_join(workers[i].id, NULL);
    }
    free(present);
}

static void round_deinit(struct world *world)
{
    epoch_barrier(world->epoch);
    index_free(world->index);
    assert_int_equal(atomic_load(&world->wrong), 0);
}

static void world_init(struct world *world, uint32_t places, uint64_t seed)
{
    struct test_error error;
    test_error_init(&error);
    memset(world, 0, sizeof(*world));
    world->seed[0] = seed;
    world->places = places;
    world->cells = malloc(places * sizeof(world->cells[0]));
    world->free_places = malloc(places * sizeof(world->free_places[0]));
    assert_true(world->cells != NULL && world->free_places != NULL);
    for (uint32_t i = 0; i < places; i++)
        atomic_init(&world->cells[i], NO_KEY);
    pthread_mutex_init(&world->places_lock, NULL);
    assert_status(KVS_OK, epoch_new(&world->epoch, &error.error), &error);
}

static void world_deinit(struct world *world)
{
    assert_true(atomic_load(&world->lookups) > 0);
    epoch_free(world->epoch);
    pthread_mutex_destroy(&world->places_lock);
    free(world->cells);
    free(world->free_places);
}

static void test_many_short_rounds(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4096, 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        world.seed[0] = i * UINT64_C(0x9E3779B97F4A7C15);
        round_init(&world, 1 + i % 50, 60 + i % 300, 150);
        round_run(&world);
        round_deinit(&world);
    }
    world_deinit(&world);
}

static void test_a_long_round(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 4 * LONG_STEPS, 7);
    round_init(&world, 500, 6000, LONG_STEPS);
    round_run(&world);
    round_deinit(&world);
    assert_true(atomic_load(&world.scans) > 0);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_short_rounds),
        cmocka_unit_test(test_a_long_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
