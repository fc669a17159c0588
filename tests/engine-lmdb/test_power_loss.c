/*
 * Power loss at every kind of moment, simulated (trace.h, cuts.h): whatever of the unflushed writes and names
 * the disk took, the folder opens, is sound and holds what the mode promises, or is refused where the mode
 * says so. Moments are those of making a store, of commits, flushes, compaction, stops and starts, and the
 * start of a store that a power loss has left. In some lives a flush fails, and what it was to bring to the
 * disk is not tried again by the kernel.
 *
 * Step n is one batch: it sets or removes one of a few keys, and sets "latest" to n. So "latest" says which
 * step a store has reached, and that decides what every key must hold.
 *
 * KVS_TEST_SEED=N begins with that life, and leaves the fixed ones out; KVS_TEST_STATES=N goes on until so
 * many states were looked at. A run of one seed has the same operations and cuts each time.
 */
#include "engine-lmdb/cuts.h"
#include "engines/harness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* States of each test. Each is opened in a process of its own, which ASan makes slow. */
#if defined(__SANITIZE_ADDRESS__)
#define STATES 100u
#else
#define STATES 400u
#endif

#define STATES_LIFE   100u /* looked at of each life */
#define STATES_LIE    400u
#define LIVES_WORLD   4u /* each goes on with what a power loss left of the one before it */
#define STEPS_LIFE    120u
#define STEPS_MAX     (LIVES_WORLD * 2 * STEPS_LIFE + 1)
#define STEPS_AFTER   10u /* on a store that is looked at, to see that it can be written */
#define KEYS          40u
#define VALUE_MAX     12000u
#define FIXED_SEED    1u
#define MARKER        "unsynced"
#define MEMORY_FOLDER "/dev/shm"
#define HOUR_MS       3600000u

static const char *const map_options[] = {"map-size=1m"};

/* What looking at a store gave; the child that looks writes it. */
enum verdict_kind {
    VERDICT_NONE, /* the child did not get so far */
    VERDICT_WRONG,
    VERDICT_REFUSED, /* as it has to be */
    VERDICT_OPENED,
};

struct verdict {
    enum verdict_kind kind;
    uint64_t reached;
    char text[64 + KVS_ERROR_MESSAGE_MAX];
};

struct world {
    uint32_t durability;
    enum cuts_lie lie;
    uint64_t seed;
    uint64_t random;
    bool happened[STEPS_MAX]; /* step n: it was not taken back */
    uint64_t begun;
    uint64_t acknowledged;
    uint64_t before; /* the step acknowledged before that one */
    uint64_t flushed;
    bool is_raised; /* none, but commits are flushed */
    uint64_t boot;
    uint64_t states;
    uint64_t refused;
    uint64_t wrong;
    unsigned lives;
    unsigned failed_syncs;
    unsigned compactions;
    struct cut next; /* where the next life begins; count 0: with nothing */
    uint64_t next_reached;
    uint64_t shown; /* cuts of this life from which that was chosen */
    struct verdict *verdict;
};

static uint64_t draw(struct world *world, uint64_t below)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (world->random >> 8) % below;
}

static struct session_config config_of(const struct world *world)
{
    return (struct session_config){.durability = world->durability,
                                   .interval_ms =
                                       HOUR_MS, /* no flush but those that are asked for */
                                   .options = map_options,
                                   .option_count = 1};
}

/* ---- steps -------------------------------------------------------------------------------------- */

/* Sizes move between a corner of a page and several pages. */
static uint64_t size_of_step(uint64_t step)
{
    static const uint64_t sizes[] = {PATTERN_MIN, 200, 900, 1900, 3000, VALUE_MAX};
    return sizes[step * 2654435761u / 7 % 6];
}

static unsigned key_of_step(uint64_t step)
{
    return (unsigned)(step * 2246822519u / 3 % KEYS);
}

static bool removes(uint64_t step)
{
    return step % 7 == 3;
}

static kvs_status submit_step(struct session *session, uint64_t step, uint32_t flags)
{
    char text[KEY_TEXT_MAX];
    uint8_t latest[PATTERN_MIN];
    static uint8_t value[VALUE_MAX];
    struct kvs_bytes key = key_make(text, "step", key_of_step(step));
    struct kvs_bytes latest_key = bytes_of_text("latest");
    pattern_make(key, step, value, size_of_step(step));
    pattern_make(latest_key, step, latest, sizeof(latest));
    struct kvs_op ops[] = {removes(step) ? op_remove(key)
                                         : op_set(key, bytes_of(value, size_of_step(step))),
                           op_set(latest_key, bytes_of(latest, sizeof(latest)))};
    return session_submit(session, NULL, ops, 2, flags, NULL);
}

/* Tells the record what a power loss may take back from now on. */
static void promise(const struct world *world)
{
    bool is_interval = world->durability == KVS_DURABILITY_INTERVAL || world->is_raised;
    uint64_t least = world->durability == KVS_DURABILITY_ALWAYS ? world->acknowledged
                     : is_interval                              ? world->before
                                                                : 0;
    trace_promise(least > world->flushed ? least : world->flushed, world->begun);
}

/* All that was acknowledged was flushed. */
static void note_flush(struct world *world)
{
    world->flushed = world->acknowledged;
    promise(world);
}

/* False: the store takes no more. */
static bool do_step(struct world *world, struct session *session, uint32_t flags)
{
    world->begun++;
    promise(world);
    if (submit_step(session, world->begun, flags) != KVS_OK)
        return false;
    world->happened[world->begun] = true;
    world->before = world->acknowledged;
    world->acknowledged = world->begun;
    world->is_raised |= flags != 0 && world->durability == KVS_DURABILITY_NONE;
    if (flags != 0)
        note_flush(world);
    promise(world);
    return true;
}

/* ---- looking at a store ------------------------------------------------------------------------- */

/* The last step up to reached that changed the key and was not taken back; 0: none. */
static uint64_t last_step_on(const struct world *world, unsigned index, uint64_t reached)
{
    for (uint64_t step = reached; step > 0; step--) {
        if (world->happened[step] && key_of_step(step) == index)
            return step;
    }
    return 0;
}

/* Which number the key's value has; 0: there is no such key. False: it has what nobody wrote. */
static bool read_number(struct session *session, struct kvs_bytes key, uint64_t *ret_number)
{
    struct copy copy = {NULL, 0, 0};
    *ret_number = 0;
    kvs_status status = session_get(session, NULL, key, &copy, NULL);
    bool is_sound =
        status == KVS_NOT_FOUND ||
        (status == KVS_OK && pattern_check(key, bytes_of(copy.data, copy.len), ret_number));
    copy_deinit(&copy);
    return is_sound;
}

/* The step that the store has reached goes to ret_reached. False, with a text: it is not as it must be. */
static bool check_steps(struct world *world, struct session *session, uint64_t least, uint64_t most,
                        struct verdict *verdict)
{
    uint64_t number;
    if (!read_number(session, bytes_of_text("latest"), &verdict->reached)) {
        (void)snprintf(verdict->text, sizeof(verdict->text), "\"latest\" has what nobody wrote");
        return false;
    }
    if (verdict->reached < least || verdict->reached > most) {
        (void)snprintf(verdict->text, sizeof(verdict->text),
                       "step %" PRIu64 " was reached, expected %" PRIu64 " to %" PRIu64,
                       verdict->reached, least, most);
        return false;
    }
    if (verdict->reached == most) /* it may be on its way, and then it has happened */
        world->happened[most] = true;
    for (unsigned index = 0; index < KEYS; index++) {
        char text[KEY_TEXT_MAX];
        uint64_t step = last_step_on(world, index, verdict->reached);
        uint64_t expected = removes(step) ? 0 : step;
        if (read_number(session, key_make(text, "step", index), &number) && number == expected)
            continue;
        (void)snprintf(verdict->text, sizeof(verdict->text),
                       "at step %" PRIu64 " key %u has %" PRIu64 ", expected %" PRIu64,
                       verdict->reached, index, number, expected);
        return false;
    }
    return true;
}

static void note_finding(void *arg, uint32_t level, const char *message)
{
    struct verdict *verdict = arg;
    (void)level;
    (void)snprintf(verdict->text, sizeof(verdict->text), "verify: %s", message);
}

/* After it was closed. False: verifying it finds something. */
static bool is_verified(const struct session *session, const char *dir, struct verdict *verdict)
{
    struct kvs_engine_config config = {.size = sizeof(config),
                                       .durability = KVS_DURABILITY_ALWAYS,
                                       .data_dir = dir,
                                       .host = plugin_host_services(session->host)};
    verdict->text[0] = '\0';
    return engine_ops()->verify(&config, note_finding, verdict, NULL) == KVS_OK &&
           verdict->text[0] == '\0';
}

static bool is_written(struct world *world, struct session *session, struct verdict *verdict)
{
    uint64_t reached = verdict->reached;
    for (uint64_t step = reached + 1; step <= world->begun; step++)
        world->happened[step] = false;
    for (uint64_t step = world->begun + 1; step <= world->begun + STEPS_AFTER; step++) {
        if (step >= STEPS_MAX)
            return true;
        world->happened[step] = true;
        if (submit_step(session, step, 0) == KVS_OK &&
            check_steps(world, session, step, step, verdict))
            continue;
        if (verdict->text[0] == '\0')
            (void)snprintf(verdict->text, sizeof(verdict->text), "it cannot be written");
        return false;
    }
    verdict->reached = reached;
    return true;
}

static void put_files(const char *dir, const struct cut *cut)
{
    for (unsigned i = 0; i < cut->count; i++) {
        char *path = path_join(dir, cut->files[i].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        bool is_put = fd >= 0 && write(fd, cut->files[i].data, cut->files[i].size) ==
                                     (ssize_t)cut->files[i].size;
        if (!is_put)
            abort();
        (void)close(fd);
        free(path);
    }
}

/* In a process of its own, which what is wrong with the store may end. */
static void look(struct world *world, const struct cut *cut, const char *dir)
{
    struct session session;
    struct test_error error;
    struct verdict *verdict = world->verdict;
    const struct session_config config = config_of(world);
    verdict->kind = VERDICT_WRONG;
    test_error_init(&error);
    kvs_status status = session_try_open(&session, dir, &config, &error);
    if (cut_find(cut, MARKER) != NULL) {
        if (status == KVS_CORRUPT && strstr(error.message, "may be damaged") != NULL)
            verdict->kind = VERDICT_REFUSED;
        else
            (void)snprintf(verdict->text, sizeof(verdict->text), "it is not refused");
        return;
    }
    if (status != KVS_OK) {
        (void)snprintf(verdict->text, sizeof(verdict->text), "it does not open: %s", error.message);
        return;
    }
    bool is_sound = check_steps(world, &session, cut->least, cut->most, verdict);
    if (is_sound && world->states % 4 == 0)
        is_sound = is_written(world, &session, verdict);
    if (engine_ops()->close(session.db, NULL) != KVS_OK)
        is_sound = false;
    if (is_sound && is_verified(&session, dir, verdict))
        verdict->kind = VERDICT_OPENED;
}

/* True as long as nothing is wrong. */
static bool judge(struct world *world, const struct cut *cut, int status)
{
    struct verdict *verdict = world->verdict;
    if (status != 0)
        (void)snprintf(verdict->text, sizeof(verdict->text), "it ends the process (status %#x)",
                       (unsigned)status);
    world->states++;
    if (status == 0 && verdict->kind == VERDICT_REFUSED) {
        world->refused++;
        return true;
    }
    if (status == 0 && verdict->kind == VERDICT_OPENED) {
        if (draw(world, ++world->shown) != 0)
            return true;
        cut_free(&world->next); /* each has the same chance to be where the next life begins */
        world->next = cut_copy(cut);
        world->next_reached = verdict->reached;
        return true;
    }
    world->wrong++;
    if (world->lie == LIE_NONE)
        print_error("seed %" PRIu64 ", life %u, before operation %zu, state %" PRIu64 ": %s\n",
                    world->seed, world->lives, cut->moment, world->states, verdict->text);
    return false;
}

static bool show(void *arg, const struct cut *cut)
{
    struct world *world = arg;
    int status;
    char *dir = temp_dir_new();
    put_files(dir, cut);
    memset(world->verdict, 0, sizeof(*world->verdict));
    trace_set_boot(++world->boot);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        look(world, cut, dir);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    temp_dir_free(dir);
    return judge(world, cut, status);
}

/* ---- lives -------------------------------------------------------------------------------------- */

/* The store has just been opened: it has what it must have, and all of it is flushed. */
static void opened(struct world *world, struct session *session)
{
    struct verdict verdict = {0};
    if (!check_steps(world, session, world->acknowledged, world->begun, &verdict))
        fail_msg("seed %" PRIu64 ", life %u: opened again: %s", world->seed, world->lives,
                 verdict.text);
    world->acknowledged = verdict.reached;
    world->before = verdict.reached;
    for (uint64_t step = verdict.reached + 1; step <= world->begun; step++)
        world->happened[step] = false;
    world->is_raised = false;
    note_flush(world);
}

/* A stop and a start. False, and it is not open: one of them failed. */
static bool restart(struct world *world, struct session *session, const char *dir)
{
    struct test_error error;
    const struct session_config config = config_of(world);
    bool is_stopped = session_try_close(session, NULL) == KVS_OK;
    if (is_stopped)
        note_flush(world);
    test_error_init(&error);
    if (!is_stopped || session_try_open(session, dir, &config, &error) != KVS_OK) {
        session->db = NULL;
        return false;
    }
    opened(world, session);
    return true;
}

/* False: the store takes no more. */
static bool do_something(struct world *world, struct session *session, const char *dir)
{
    switch (draw(world, 100)) {
    case 0:
        return restart(world, session, dir);
    case 1:
        world->compactions++;
        return engine_ops()->compact(session->db, NULL) == KVS_OK;
    case 2:
    case 3:
        if (engine_ops()->sync(session->db, NULL) != KVS_OK)
            return false;
        note_flush(world);
        return true;
    case 4: /* with none half of the lives get none of these, since it changes the mode */
        return do_step(world, session,
                       world->durability != KVS_DURABILITY_NONE || world->lives % 2 == 0
                           ? KVS_BATCH_DURABLE
                           : 0);
    default:
        return do_step(world, session, 0);
    }
}

/* After a flush failed: always goes on where it was, with the others the store may be refused. */
static void go_on(struct world *world, struct session *session, const char *dir)
{
    struct test_error error;
    const struct session_config config = config_of(world);
    world->failed_syncs++;
    if (session->db != NULL)
        (void)session_try_close(session, NULL);
    test_error_init(&error);
    kvs_status status = session_try_open(session, dir, &config, &error);
    if (status == KVS_CORRUPT && world->durability != KVS_DURABILITY_ALWAYS &&
        strstr(error.message, "a flush of it failed") != NULL) {
        session->db = NULL;
        return;
    }
    assert_status(KVS_OK, status, &error);
    opened(world, session);
    for (unsigned i = 0; i < STEPS_LIFE / 4; i++)
        assert_true(do_step(world, session, 0));
}

static void live(struct world *world)
{
    struct session session;
    const struct session_config config = config_of(world);
    char *dir = temp_dir_new();
    put_files(dir, &world->next);
    cut_free(&world->next);
    world->shown = 0;
    trace_set_boot(++world->boot);
    world->acknowledged = world->before = world->flushed = world->next_reached;
    world->is_raised = false;
    promise(world);
    trace_begin(dir);
    session_open(&session, dir, &config);
    opened(world, &session);
    if (draw(world, 2) == 0)
        trace_fail_sync(1 + draw(world, world->durability == KVS_DURABILITY_NONE ? STEPS_LIFE / 40
                                                                                 : STEPS_LIFE));
    uint64_t end = world->begun + STEPS_LIFE;
    while (world->begun < end && do_something(world, &session, dir))
        continue;
    if (world->begun < end)
        go_on(world, &session, dir);
    if (session.db != NULL && session_try_close(&session, NULL) == KVS_OK)
        note_flush(world);
    struct trace trace = trace_end();
    cuts_show(&trace, world->seed + world->lives, STATES_LIFE,
              world->lives > 0 ? world->lie : LIE_NONE, show, world);
    trace_free(&trace);
    temp_dir_free(dir);
    world->lives++;
}

static void world_begin(struct world *world, uint64_t seed)
{
    cut_free(&world->next);
    memset(world->happened, 0, sizeof(world->happened));
    world->begun = world->next_reached = world->shown = 0;
    world->seed = seed;
    world->random = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

/* A store, and what power losses leave of it; until something is wrong. */
static void run_world(struct world *world, uint64_t seed)
{
    world_begin(world, seed);
    world->lives = 0;
    for (unsigned i = 0; i < LIVES_WORLD && world->wrong == 0; i++)
        live(world);
}

static struct verdict *verdict_new(void)
{
    void *memory = mmap(NULL, sizeof(struct verdict), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void run_worlds(uint32_t durability, uint64_t seed)
{
    struct world world = {.durability = durability, .verdict = verdict_new()};
    uint64_t states = number_of("KVS_TEST_STATES", STATES);
    unsigned worlds = 0;
    print_message("KVS_TEST_SEED=%" PRIu64 "\n", seed);
    while (world.states < states && world.wrong == 0)
        run_world(&world, seed + worlds++);
    print_message("%" PRIu64 " states in %u worlds, %" PRIu64
                  " of them refused; %u failed flushes, %u compactions\n",
                  world.states, worlds, world.refused, world.failed_syncs, world.compactions);
    cut_free(&world.next);
    (void)munmap(world.verdict, sizeof(*world.verdict));
    assert_int_equal(world.wrong, 0);
}

static void run_mode(uint32_t durability)
{
    if (getenv("KVS_TEST_SEED") == NULL)
        run_worlds(durability, FIXED_SEED);
    run_worlds(durability, number_of("KVS_TEST_SEED", (uint64_t)time(NULL) * 1000));
}

static void test_always(void **state)
{
    (void)state;
    run_mode(KVS_DURABILITY_ALWAYS);
}

static void test_interval(void **state)
{
    (void)state;
    run_mode(KVS_DURABILITY_INTERVAL);
}

static void test_none(void **state)
{
    (void)state;
    run_mode(KVS_DURABILITY_NONE);
}

/* A disk that does not do what it says, once the store is made, is found out in each mode that needs it. */
static void test_lies_are_found(void **state)
{
    (void)state;
    static const struct {
        uint32_t durability;
        enum cuts_lie lie;
    } lies[] = {
        {KVS_DURABILITY_ALWAYS, LIE_DATA},     {KVS_DURABILITY_ALWAYS, LIE_DSYNC},
        {KVS_DURABILITY_ALWAYS, LIE_FOLDER},   {KVS_DURABILITY_INTERVAL, LIE_DATA},
        {KVS_DURABILITY_INTERVAL, LIE_FOLDER}, {KVS_DURABILITY_NONE, LIE_DATA},
        {KVS_DURABILITY_NONE, LIE_FOLDER},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct world world = {
            .durability = lies[i].durability, .lie = lies[i].lie, .verdict = verdict_new()};
        for (uint64_t seed = FIXED_SEED; world.wrong == 0 && world.states < STATES_LIE; seed++)
            run_world(&world, seed);
        print_message("mode %u, lie %u: found after %" PRIu64 " states: %s\n", lies[i].durability,
                      lies[i].lie, world.states, world.verdict->text);
        assert_true(world.wrong > 0);
        cut_free(&world.next);
        (void)munmap(world.verdict, sizeof(*world.verdict));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_lies_are_found),
    };
    if (access(MEMORY_FOLDER, W_OK) ==
        0) /* the disk is simulated: no need to wait for a real one */
        (void)setenv("TMPDIR", MEMORY_FOLDER, 1);
    return engine_tests_run(argc, argv, "power loss", tests, sizeof(tests) / sizeof(tests[0]));
}
