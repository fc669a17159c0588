/*
 * See power_sim.h. What must be found after an end of a machine, in states of the model:
 *
 * P1  It opens, whatever the disk kept of what was not durable.
 * P2  It holds exactly one state that the store went through, from the last one that was promised to
 *     the last one that was begun: nothing is missing in between, mixed, invented, or back again.
 * P3  Promised are, in each mode, what the engine itself holds for durable, and what a sync or a batch with
 *     KVS_BATCH_DURABLE was told; with KVS_DURABILITY_ALWAYS all that was answered or read.
 * P4  After the end of the process alone, all that was answered or read is promised.
 * P5  What an opened store has shown stays, whatever ends it then.
 * P6  A checkpoint that was told to be done opens as a store, with what was there when it began. One that was
 *     cut off has no manifest, or is whole.
 * P7  A repair says that nothing was lost, brings back what a start finds (or one whole write more, of
 *     which only a frame's header was torn), and leaves the store as it is, wherever the power is
 *     lost meanwhile. When it is done, the new store is there after a power loss.
 * P8  Verifying finds no damage: all that is there is what a crash leaves.
 */
#include "power_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "life.h"
#include "repair.h"
#include "support/support.h"
#include "verify.h"

#define LIVES        3u
#define FATES        3u  /* ends of each moment */
#define NEST_MAX     3u  /* power losses in a row, without a life in between */
#define NEST_CHANGES 40u /* in the opening and closing of a store, about */
#define SALVAGES     8u  /* one state of so many is salvaged */
#define NEW_FOLDER   "salvaged"
#define REPORT_MAX   300u /* bytes of a line that a repair or verifying reports */

struct world {
    uint64_t seed;
    struct sim_random random;
    struct life_config config;
    struct model *model;
    struct power_counts *counts;
};

struct bounds {
    uint32_t least;
    uint32_t most;
    uint32_t durable; /* least, when the power is lost before this was opened */
};

/* ---- opening what is left ----------------------------------------------------------------- */

static void describe(const struct world *world, const struct bounds *bounds, const char *what)
{
    print_error(
        "KVS_TEST_SEED=%llu: %s, durability %u%s, segments of %llu bytes; states %u to %u may "
        "be there\n",
        (unsigned long long)world->seed, what, world->config.durability,
        world->config.may_fail ? ", failing syncs" : "",
        (unsigned long long)world->config.segment_bytes, bounds->least, bounds->most);
}

static void print_state(const char *name, const struct model_state *state)
{
    print_error("%8s", name);
    for (uint32_t key = 0; key < MODEL_KEYS; key++)
        print_error(" %u", state->versions[key]);
    print_error("\n");
}

/* P2. Gives the number of the state that the open store has. */
static uint32_t find_state(const struct world *world, struct life *life,
                           const struct bounds *bounds, const char *what,
                           struct model_state *ret_state)
{
    life_read_all(life, ret_state);
    uint32_t found = model_find(world->model, ret_state, bounds->least, bounds->most);
    if (found != UINT32_MAX)
        return found;
    uint32_t anywhere = model_find(world->model, ret_state, 0, world->model->steps);
    describe(world, bounds, what);
    print_state("found", ret_state);
    print_state("least", &world->model->states[bounds->least]);
    print_state("most", &world->model->states[bounds->most]);
    if (anywhere != UINT32_MAX)
        fail_msg("what is there is state %u: %s", anywhere,
                 anywhere < bounds->least ? "something was lost" : "it had not begun");
    fail_msg("what is there was never there");
    return 0;
}

static void must_open(const struct world *world, struct life *life, struct disk_sim *machine,
                      const char *folder, uint32_t flags, const struct bounds *bounds,
                      const char *what)
{
    struct test_error error;
    test_error_init(&error);
    struct life_config config = world->config;
    config.may_fail = false;
    disk_sim_set_capacity(machine, UINT64_MAX); /* somebody has made room */
    kvs_status status = life_open_folder(life, machine, folder, flags, &config, &error.error);
    if (status == KVS_OK)
        return;
    describe(world, bounds, what); /* P1 */
    fail_msg("it does not open: %s: %s", kvs_status_text(status), error.message);
}

/* ---- a power loss while it is opened ------------------------------------------------------ */

struct nest {
    struct life *life;
    uint64_t at; /* the change before which the machine is kept */
    bool was_open;
    struct disk_sim *kept; /* under the machine's lock */
};

static void watch_nest(void *arg, struct disk_sim *sim, uint64_t nth)
{
    struct nest *nest = arg;
    if (nth != nest->at || nest->kept != NULL)
        return;
    nest->was_open = atomic_load(&nest->life->db) != NULL;
    nest->kept = disk_sim_keep(sim);
}

static void read_only_look(struct world *world, struct disk_sim *machine,
                           const struct bounds *bounds, const char *what)
{
    struct life *life = sim_alloc(sizeof(*life));
    struct model_state state;
    uint64_t changes = disk_sim_changes(machine);
    char message[KVS_ERROR_MESSAGE_MAX];
    struct kvs_error error = KVS_ERROR_INIT(message);
    kvs_status status =
        life_open_folder(life, machine, LIFE_FOLDER, KVS_OPEN_READ_ONLY, &world->config, &error);
    if (status == KVS_OK) {
        (void)find_state(world, life, bounds, what, &state);
        life_close(life);
    } else if (status != KVS_MISSING || bounds->least > 0) {
        describe(world, bounds, what);
        fail_msg("it does not open for reading: %s: %s", kvs_status_text(status), message);
    }
    assert_int_equal(changes, disk_sim_changes(machine));
    free(life);
}

/* ---- salvaging ---------------------------------------------------------------------------- */

static kvs_status open_new_folder(const struct repair_target *target, struct disk **ret_disk,
                                  struct kvs_error *err)
{
    (void)err;
    *ret_disk = disk_sim_folder(target->arg, target->name);
    return KVS_OK;
}

static void take_report(void *arg, uint32_t level, const char *message)
{
    char *first = arg; /* of what is called damage */
    if (level == KVS_LOG_ERROR && first[0] == '\0')
        (void)snprintf(first, REPORT_MAX, "%s", message);
    if (getenv("KVS_TEST_LOG") != NULL)
        print_error("%u %s\n", level, message);
}

static void examine(struct world *world, struct disk_sim *machine, struct bounds bounds,
                    const char *what, uint32_t depth);

/* P8 */
static void must_be_sound(const struct world *world, struct disk *disk, const struct kvs_host *host,
                          const struct bounds *bounds)
{
    struct test_error error;
    char first[REPORT_MAX] = "";
    test_error_init(&error);
    kvs_status status = verify_disk(disk, host, take_report, first, &error.error);
    if (status == KVS_OK || (status == KVS_MISSING && bounds->least == 0))
        return;
    describe(world, bounds, "verifying");
    fail_msg("it finds damage where none is: %s: %s: %s", kvs_status_text(status), error.message,
             first);
}

/* What a repair has left in a folder of this machine, after a power loss. */
static void look_at_salvaged(struct world *world, struct disk_sim *workshop,
                             const struct bounds *bounds, struct model_state *ret_state)
{
    struct life *life = sim_alloc(sizeof(*life));
    uint64_t seed = sim_random_next(&world->random);
    struct disk_sim *after = disk_sim_power_cut(workshop, seed, DISK_SIM_TEAR_SECTORS);
    world->counts->salvaged++;
    must_open(world, life, after, NEW_FOLDER, 0, bounds, "a store that was salvaged");
    (void)find_state(world, life, bounds, "a store that was salvaged", ret_state);
    life_close(life);
    disk_sim_free(after);
    free(life);
}

/* P7, P8. Does not change the store on the machine. False: there is none. */
static bool salvage(struct world *world, struct disk_sim *machine, const struct bounds *bounds,
                    struct model_state *ret_state)
{
    struct life *life = sim_alloc(sizeof(*life));
    struct test_error error;
    char first[REPORT_MAX] = "";
    test_error_init(&error);
    struct disk_sim *workshop = disk_sim_kill(machine);
    struct repair_target target = {NEW_FOLDER, open_new_folder, workshop};
    struct disk *from = disk_sim_folder(workshop, LIFE_FOLDER);
    life_host_init(life, &world->config);
    must_be_sound(world, from, &life->host, bounds);
    disk_sim_set_capacity(workshop, UINT64_MAX);
    disk_sim_freeze_at(workshop,
                       disk_sim_changes(workshop) + sim_random_below(&world->random, NEST_CHANGES));
    kvs_status status =
        repair_disk_to(from, &life->host, &target, take_report, first, &error.error);
    disk_close(from);
    struct disk_sim *frozen = disk_sim_take_frozen(workshop);
    if (status == KVS_OK) {
        look_at_salvaged(world, workshop, bounds, ret_state);
    } else if (status != KVS_MISSING || bounds->least > 0) {
        describe(world, bounds, "a repair");
        fail_msg("something was lost in it: %s: %s: %s", kvs_status_text(status), error.message,
                 first);
    }
    if (frozen != NULL)
        examine(world,
                disk_sim_power_cut(frozen, sim_random_next(&world->random), DISK_SIM_TEAR_SECTORS),
                (struct bounds){bounds->durable, bounds->most, bounds->durable},
                "the power was lost in a repair", NEST_MAX);
    disk_sim_free(frozen);
    disk_sim_free(workshop);
    free(life);
    return status == KVS_OK;
}

/* P7. What a repair brought back and what a start finds, which is state number `found`. */
static void compare_salvaged(const struct world *world, const struct bounds *bounds,
                             const struct model_state *salvaged, const struct model_state *opened,
                             uint32_t found)
{
    if (memcmp(salvaged, opened, sizeof(*opened)) == 0 ||
        (found < bounds->most &&
         model_find(world->model, salvaged, found + 1, bounds->most) != UINT32_MAX))
        return;
    describe(world, bounds, "a repair");
    print_state("salvaged", salvaged);
    print_state("opened", opened);
    fail_msg("it brought back less than a start finds");
}

/* Opens what an end has left of a machine, which it takes, and loses the power again meanwhile. */
static void examine(struct world *world, struct disk_sim *machine, struct bounds bounds,
                    const char *what, uint32_t depth)
{
    struct life *life = sim_alloc(sizeof(*life));
    struct nest nest = {.life = life,
                        .at = disk_sim_changes(machine) +
                              sim_random_below(&world->random, NEST_CHANGES)};
    struct model_state state;
    struct model_state salvaged;
    bool is_salvaged = false;
    world->counts->states++;
    if (sim_random_below(&world->random, 8) == 0)
        read_only_look(world, machine, &bounds, what);
    if (depth < NEST_MAX && sim_random_below(&world->random, SALVAGES) == 0)
        is_salvaged = salvage(world, machine, &bounds, &salvaged);
    if (depth < NEST_MAX)
        disk_sim_watch(machine, watch_nest, &nest);
    must_open(world, life, machine, LIFE_FOLDER, KVS_OPEN_CREATE, &bounds, what);
    uint32_t found = find_state(world, life, &bounds, what, &state);
    if (is_salvaged)
        compare_salvaged(world, &bounds, &salvaged, &state, found);
    if (sim_random_below(&world->random, 4) == 0)
        life_close(life);
    else
        life_abandon(life);
    disk_sim_free(machine);
    if (nest.kept != NULL) {
        world->counts->again++;
        bounds.least = bounds.durable;
        if (nest.was_open) /* P5; a state that looks the same is as good */
            bounds = (struct bounds){found, found, found};
        uint64_t seed = sim_random_next(&world->random);
        struct disk_sim *after = disk_sim_power_cut(nest.kept, seed, DISK_SIM_TEAR_SECTORS);
        disk_sim_free(nest.kept);
        examine(world, after, bounds, "the power was lost while it was opened", depth + 1);
    }
    free(life);
}

/* ---- moments ------------------------------------------------------------------------------ */

static struct bounds after_power_loss(const struct life *life, const struct moment *moment)
{
    uint32_t durable = life_durable_at(life, moment);
    return (struct bounds){durable, moment->most, durable};
}

/* True: the folder's names have a manifest. */
static bool has_manifest(struct disk_sim *machine, const char *folder)
{
    struct disk *disk = disk_sim_folder(machine, folder);
    struct disk_file *file = NULL;
    bool has = disk_file_open(disk, MANIFEST_NAME, DISK_READ_ONLY, &file, NULL) == KVS_OK;
    disk_file_close(file);
    disk_close(disk);
    return has;
}

static void examine_copy(struct world *world, const struct life *life, const struct moment *moment,
                         struct disk_sim *machine)
{
    struct life *copy = sim_alloc(sizeof(*copy));
    struct model_state state;
    struct bounds bounds = {moment->copy_least, moment->copy_most, moment->copy_least};
    const char *what = "a checkpoint after a power loss";
    /* One that was cut off has no manifest; one that has is whole. */
    if (moment->copy_state != LIFE_COPY_DONE && !has_manifest(machine, life->copy_folder)) {
        free(copy);
        return;
    }
    must_open(world, copy, machine, life->copy_folder, 0, &bounds, what); /* P6 */
    world->counts->copies++;
    (void)find_state(world, copy, &bounds, what, &state);
    life_close(copy);
    free(copy);
}

static void examine_moment(struct world *world, const struct life *life,
                           const struct moment *moment)
{
    for (uint32_t fate = 0; fate < FATES; fate++) {
        uint64_t seed = sim_random_next(&world->random);
        struct disk_sim *after = disk_sim_power_cut(moment->machine, seed, DISK_SIM_TEAR_SECTORS);
        if (moment->copy_state != LIFE_COPY_NONE)
            examine_copy(world, life, moment, after);
        examine(world, after, after_power_loss(life, moment), "the power was lost", 0);
    }
    /* P4. After a failed sync memory may have what the disk lacks. */
    uint32_t kills = life->failed ? FATES : sim_random_below(&world->random, 3) == 0;
    for (; kills > 0; kills--) {
        struct bounds bounds = after_power_loss(life, moment);
        bounds.least = moment->visible;
        world->counts->kills++;
        examine(world, disk_sim_kill(moment->machine), bounds, "the process was ended", 0);
    }
}

/* ---- lives -------------------------------------------------------------------------------- */

/* What the store is after a life: as it was closed, or as an end at one of the moments left it. */
static struct disk_sim *choose_end(struct world *world, const struct life *life,
                                   struct disk_sim *machine, struct bounds *ret_bounds)
{
    uint64_t seed = sim_random_next(&world->random);
    uint64_t choice = sim_random_below(&world->random, 8);
    if (life->moment_count > 0 && choice > 1) {
        const struct moment *moment =
            &life->moments[sim_random_below(&world->random, life->moment_count)];
        *ret_bounds = after_power_loss(life, moment);
        if (choice > 3)
            return disk_sim_power_cut(moment->machine, seed, DISK_SIM_TEAR_SECTORS);
        ret_bounds->least = moment->visible;
        return disk_sim_kill(moment->machine);
    }
    /* It was closed; where that failed, as far as it came. */
    uint32_t steps = world->model->steps;
    *ret_bounds = (struct bounds){steps, steps, steps};
    if (life->failed) {
        ret_bounds->least = atomic_load(&life->visible);
        ret_bounds->durable = atomic_load(&life->durable);
        return disk_sim_kill(machine);
    }
    return choice == 0 ? disk_sim_kill(machine)
                       : disk_sim_power_cut(machine, seed, DISK_SIM_TEAR_SECTORS);
}

static void take_compacted(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, "compacted_segments") == 0)
        *(uint64_t *)arg += value;
}

/* What goes wrong in this life: syncs of files, of folders, or there is no room. */
static void let_it_fail(struct world *world, struct disk_sim *machine, struct life *life)
{
    uint64_t kind = sim_random_below(&world->random, 3);
    uint64_t skip = sim_random_below(&world->random, 40);
    if (kind == 0) {
        disk_sim_fail_syncs(machine, skip, 1 + sim_random_below(&world->random, 3),
                            sim_random_next(&world->random));
    } else if (kind == 1) {
        disk_sim_fail_folder_syncs(machine, skip / 4);
    } else {
        life->config.one_by_one = true;
        disk_sim_set_room(machine, skip * DISK_SIM_BLOCK_BYTES);
    }
}

/* One life, and everything that can come after it. Gives the machine for the next one. */
static struct disk_sim *live(struct world *world, struct disk_sim *machine, struct bounds *bounds)
{
    struct life *life = sim_alloc(sizeof(*life));
    struct model_state state;
    must_open(world, life, machine, LIFE_FOLDER, KVS_OPEN_CREATE, bounds, "the next life");
    (void)find_state(world, life, bounds, "the next life", &state);
    model_begin(world->model, &state, world->model->version);
    life->config.may_fail = world->config.may_fail;
    if (world->config.may_fail)
        let_it_fail(world, machine, life);
    uint32_t steps = 20 + (uint32_t)sim_random_below(&world->random, MODEL_STEPS - 20);
    life_run(life, world->model, &world->random, steps);
    engine_log_ops.stats(atomic_load(&life->db), take_compacted, &world->counts->compacted);
    life_close(life);
    world->counts->failed_syncs += life->failed;
    for (uint32_t i = 0; i < life->moment_count; i++)
        examine_moment(world, life, &life->moments[i]);
    struct disk_sim *next = choose_end(world, life, machine, bounds);
    for (uint32_t i = 0; i < life->moment_count; i++)
        disk_sim_free(life->moments[i].machine);
    disk_sim_free(machine);
    free(life);
    return next;
}

void power_world(uint64_t seed, struct power_counts *counts)
{
    static const uint64_t sizes[] = {16384, 32768, 65536};
    struct world world = {.seed = seed, .random = sim_random_of(seed), .counts = counts};
    struct disk_sim *machine = disk_sim_new();
    struct bounds bounds = {0};
    world.model = sim_alloc(sizeof(*world.model));
    world.config.durability =
        KVS_DURABILITY_ALWAYS + (uint32_t)sim_random_below(&world.random, 4) % 3;
    world.config.segment_bytes = sizes[sim_random_below(&world.random, 3)];
    world.config.may_fail = sim_random_below(&world.random, 4) == 0;
    disk_sim_set_can_reserve(machine, sim_random_below(&world.random, 4) != 0);
    for (uint32_t i = 0; i < LIVES; i++)
        machine = live(&world, machine, &bounds);
    examine(&world, machine, bounds, "the last end", 0);
    counts->worlds++;
    free(world.model);
}
