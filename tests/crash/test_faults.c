/*
 * The real server with system calls that fail, each kind in turn, at its first call, its second, and so
 * on to where a run makes no more: from starting to stopping. Each time the server says what is wrong
 * or works; it never dies of a signal; and a start without faults finds everything that was
 * acknowledged, and no half of a batch.
 *
 * KVS_TEST_SEED repeats a run; KVS_TEST_ROUNDS is how many faults each engine meets, 0: all of them. Then
 * KVS_TEST_CALL=NAME leaves all other kinds of calls out, KVS_TEST_SYNC is the mode (always), and
 * KVS_TEST_LASTS=1 lets all calls fail from the n-th on, until the steps are done. KVS_TEST_NUMBER is the
 * first n, and KVS_TEST_VERBOSE=1 shows what came of each.
 */
#include "crash/check.h"
#include "crash/fault_kinds.h"
#include "crash/faults.h"
#include "crash/ledger.h"
#include "crash/requests.h"
#include "system/expect.h"
#include "system/matrix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

#define ROUNDS        10u
#define STEPS         90u
#define STEP_SAVE     50u /* a checkpoint begins after so many */
#define MAPS_FAILED   9u
#define KEYS          3u  /* of a writer: the first one has large values, which fills segments */
#define ALL_IN_TURN   20u /* of calls beyond so many, only some fail */
#define LINE_MAX_SIZE 1024u

static const char *shim; /* the path of faults.so */

/* What happens in one server's life. */
struct plan {
    const struct pair *pair;
    const struct fault *fault; /* NULL: none */
    uint64_t number;           /* of the call that fails */
    const char *sync;          /* the mode */
    bool lasts;                /* so do those after it */
    unsigned seed;
};

static const char *const sync_modes[] = {"always", "interval:5", "none"};
#define SYNC_MODES (sizeof(sync_modes) / sizeof(sync_modes[0]))

struct world {
    const struct plan *plan;
    const struct pair *pair;
    const struct fault *fault;
    unsigned seed;
    char *dir;
    struct faults *faults; /* shared with the server */
    char *faults_path;
    struct ledger *ledger;
    struct server_process server;
    bool ended;      /* the server, by itself */
    bool trusts;     /* the next one, what may be damaged: it was refused */
    int fd;          /* of the client; -1: none */
    uint32_t writer; /* whose steps come next */
    unsigned errors;
    unsigned done_after; /* steps acknowledged after an error that surely wrote */
    char last_error[LINE_MAX_SIZE];
};

/* ---- the world ---------------------------------------------------------------------------- */

static void world_init(struct world *world, const struct plan *plan)
{
    memset(world, 0, sizeof(*world));
    world->plan = plan;
    world->pair = plan->pair;
    world->fault = plan->fault;
    world->seed = plan->seed;
    world->fd = -1;
    world->dir = temp_dir_new();
    world->ledger = ledger_new();
    world->ledger->key_limit = KEYS;
    world->faults_path = path_join(world->dir, "faults");
    int fd = open(world->faults_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, sizeof(struct faults)), 0);
    world->faults = mmap(NULL, sizeof(struct faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(world->faults != MAP_FAILED);
    (void)close(fd);
}

static void world_deinit(struct world *world)
{
    (void)munmap(world->faults, sizeof(struct faults));
    ledger_free(world->ledger);
    free(world->faults_path);
    temp_dir_free(world->dir);
}

/* A failure says which fault it was. */
static void explain(const struct world *world)
{
    if (world->fault != NULL)
        print_error("%s, sync %s, %s at call %llu of %s%s\n", world->pair->engine,
                    world->plan->sync,
                    world->fault->error == FAULTS_SHORT ? "short" : strerror(world->fault->error),
                    (unsigned long long)world->plan->number, world->fault->name,
                    world->plan->lasts ? " and after it" : "");
}

/* ---- the server --------------------------------------------------------------------------- */

/* Checks what a server that ended by itself, or did not start, leaves behind. */
static void expect_clear_end(const struct world *world, int status, const char *log)
{
    if (status == 1 && strstr(log, "kvs-server: ") != NULL)
        return;
    explain(world);
    print_error("%s", log);
    fail_msg("the server ended with %d", status);
}

/* LMDB's file may be damaged after a flush failed, but for the mode in which each commit is flushed in
   order; it is then opened only by who says that he trusts it. The page cache has everything. */
static bool may_be_refused(const struct world *world)
{
    return strcmp(world->pair->engine, "lmdb") == 0 && strcmp(world->plan->sync, "always") != 0;
}

/* False: it did not start, and said why. */
static bool start(struct world *world, bool with_faults)
{
    char *preload = NULL;
    char *control = NULL;
    char *data_dir = path_join(world->dir, "data");
    char *checkpoint_dir = path_join(world->dir, "checkpoints");
    bool is_log = strcmp(world->pair->engine, "log") == 0;
    assert_true(asprintf(&preload, "LD_PRELOAD=%s", with_faults ? shim : "") > 0);
    assert_true(asprintf(&control, "KVS_TEST_FAULTS=%s", world->faults_path) > 0);
    (void)mkdir(checkpoint_dir, 0700);
    const char *const argv[] = {"/usr/bin/env",
                                preload,
                                control,
                                program_server(),
                                "--addr",
                                "127.0.0.1:0",
                                "--data-dir",
                                data_dir,
                                "--engine",
                                world->pair->engine,
                                "--pool",
                                world->pair->pool,
                                "--sync",
                                world->plan->sync,
                                "--threads",
                                "2",
                                "--checkpoint-dir",
                                checkpoint_dir,
                                "--engine-opt",
                                is_log ? "segment-size=1m" : "map-size=1m",
                                world->trusts ? "--engine-opt" : NULL,
                                "trust-unsynced=yes",
                                NULL};
    char *log = NULL;
    int status = 0;
    bool started = server_process_start_argv(&world->server, argv, &log, &status);
    if (!started) {
        world->trusts = !with_faults && !world->trusts && may_be_refused(world) &&
                        strstr(log, "trust-unsynced=yes") != NULL;
        if (!with_faults && !world->trusts)
            status = -1;
        expect_clear_end(world, status, log);
        free(log);
    }
    free(preload);
    free(control);
    free(data_dir);
    free(checkpoint_dir);
    return started;
}

static void stop(struct world *world)
{
    if (world->ended)
        return;
    (void)kill(world->server.pid, SIGTERM);
    int status = server_process_end(&world->server, 0);
    if (status > 1) {
        explain(world);
        fail_msg("the server ended with %d after SIGTERM", status);
    }
}

/* ---- the client --------------------------------------------------------------------------- */

static bool reconnect(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(world->server.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = support_wait_ms() / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        world->fd = fd;
        return true;
    }
    (void)close(fd);
    char *log = server_process_log(&world->server);
    expect_clear_end(world, server_process_end(&world->server, 0), log);
    free(log);
    world->ended = true;
    return false;
}

static void disconnect(struct world *world)
{
    if (world->fd >= 0)
        (void)close(world->fd);
    world->fd = -1;
}

/*
 * Of a transaction whose commands ran, those that failed did nothing: the others were acknowledged. The
 * step becomes these.
 */
static void drop_failed(struct world *world, const bool *failed)
{
    struct ledger_writer *writer = &world->ledger->writers[world->writer];
    struct ledger_step *step = &writer->under_way[0];
    uint32_t kept = 0;
    for (uint32_t i = 0; i < step->count; i++) {
        if (!failed[i])
            step->changes[kept++] = step->changes[i];
    }
    step->count = kept;
}

/* Reads so many lines. An error among them goes to text, which is "" without one. False: the
   connection has ended, or nobody knows how many lines come now. */
static bool read_lines(struct world *world, uint32_t lines, char text[LINE_MAX_SIZE])
{
    char line[LINE_MAX_SIZE];
    size_t size = 0;
    bool in_array = false;
    bool failed[LEDGER_CHANGES] = {false};
    uint32_t commands = lines / 2 - 1; /* of a transaction */
    text[0] = '\0';
    while (lines > 0) {
        ssize_t received = recv(world->fd, line + size, 1, 0);
        if (received < 0 && errno == EAGAIN) {
            explain(world);
            fail_msg("no reply within %u ms", support_wait_ms());
        }
        if (received <= 0)
            return false;
        if (line[size] != '\n') {
            size += size < sizeof(line) - 2;
            continue;
        }
        line[size > 0 ? size - 1 : 0] = '\0';
        size = 0;
        lines--;
        if (line[0] == '*')
            in_array = true;
        if (line[0] != '-')
            continue;
        memcpy(text, line, sizeof(line));
        if (!in_array)
            return lines == 0; /* of a transaction there may be fewer lines now */
        failed[commands - 1 - lines] = true;
    }
    if (in_array && text[0] != '\0')
        drop_failed(world, failed);
    return true;
}

static bool send_command(struct world *world, const void *bytes, size_t size, uint32_t lines,
                         char text[LINE_MAX_SIZE])
{
    if (send_all(world->fd, bytes, size) && read_lines(world, lines, text))
        return true;
    disconnect(world);
    return false;
}

/* A removal may find nothing to do, and what expires may be gone before. */
static bool writes_surely(const struct ledger_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        if (step->changes[i].to.version != 0 && step->changes[i].to.expires_ms == 0)
            return true;
    }
    return false;
}

/* True: it was refused before the store had it, since the mark that nothing in there expires could not be
   taken away. Nothing is wrong with the store then. */
static bool is_before_the_store(const char *error)
{
    return strstr(error, "cannot write to data directory") != NULL;
}

/* Does one step. A writer whose step has failed writes no more, so that what became of it is settled
   at the end. False: the step failed. */
static bool do_step(struct world *world)
{
    char text[LINE_MAX_SIZE] = "";
    struct buffer out = {0};
    if (world->fd < 0 && !reconnect(world))
        return false;
    struct ledger_step step = request_choose(world->ledger, world->writer, &world->seed);
    ledger_begin(&world->ledger->writers[world->writer], &step);
    uint32_t lines = request_put_resp(&out, world->writer, &step);
    bool done = send_command(world, buffer_content(&out), buffer_size(&out), lines, text) &&
                text[0] == '\0';
    buffer_deinit(&out);
    if (done) {
        ledger_acknowledge(&world->ledger->writers[world->writer]);
        world->done_after += world->errors > 0 && writes_surely(&step);
        return true;
    }
    if (text[0] != '\0') {
        memcpy(world->last_error, text, sizeof(text));
        world->errors += !is_before_the_store(text);
        if (getenv("KVS_TEST_VERBOSE") != NULL)
            print_error("    writer %u: %s\n", world->writer, text);
    }
    world->writer++;
    return false;
}

static void do_steps(struct world *world)
{
    char text[LINE_MAX_SIZE];
    for (uint32_t i = 0; i < STEPS && !world->ended && world->writer < LEDGER_WRITERS; i++) {
        (void)do_step(world);
        if (i == STEP_SAVE && world->fd >= 0)
            (void)send_command(world, "BGSAVE\r\n", 8, 1, text);
    }
    /* Whatever happened, reading goes on, unless LMDB has lost its map. */
    bool may_fail = world->fault != NULL && world->fault->call == FAULT_MMAP &&
                    strcmp(world->pair->engine, "lmdb") == 0;
    if (!world->ended && !may_fail && (world->fd >= 0 || reconnect(world)) &&
        send_command(world, "EXISTS writer:0:key:0\r\n", 23, 1, text) && text[0] != '\0') {
        explain(world);
        fail_msg("reading fails as well: %s", text);
    }
}

/* ---- one fault ---------------------------------------------------------------------------- */

static bool writes_again(void *arg)
{
    struct world *world = arg;
    return world->ended || world->writer >= LEDGER_WRITERS || do_step(world);
}

/*
 * LMDB's commit that met a full disk, while writing or while flushing, leaves only pages that no tree
 * has: what was committed before was flushed before, so it may go on. The log engine goes on when it
 * gets the descriptors and the memory for a segment.
 */
static enum outcome expected_outcome(const struct world *world)
{
    int error = world->fault->error;
    bool is_space = error == ENOSPC || error == EDQUOT;
    bool is_short = error == EMFILE || error == ENFILE || error == ENOMEM;
    bool is_lmdb = strcmp(world->pair->engine, "lmdb") == 0;
    return (is_lmdb ? is_space : is_short) ? OUTCOME_SPACE : world->fault->outcome;
}

static void expect_outcome(struct world *world)
{
    if (world->fault == NULL || world->errors == 0 || world->ended)
        return;
    enum outcome outcome = expected_outcome(world);
    if (outcome == OUTCOME_SPACE) {
        atomic_store(&world->faults->call, FAULT_NONE);
        wait_until(writes_again, world);
    }
    if (outcome == OUTCOME_READ_ONLY &&
        (world->done_after > 0 ||
         (world->errors > 1 && strstr(world->last_error, "read-only") == NULL))) {
        explain(world);
        fail_msg("%u writes after an error; the last one: '%s'", world->done_after,
                 world->last_error);
    }
}

static void report(const struct world *world, bool started)
{
    if (getenv("KVS_TEST_VERBOSE") == NULL || world->fault == NULL)
        return;
    explain(world);
    print_error("    %s; %u errors, %u steps after; %s\n",
                !started       ? "did not start"
                : world->ended ? "ended"
                               : "served",
                world->errors, world->done_after, world->last_error);
}

static void set_fault(struct faults *faults, const struct plan *plan)
{
    const struct fault *fault = plan->fault;
    if (fault == NULL)
        return;
    uint64_t lasting = fault->lasting > 0 ? fault->lasting : UINT64_MAX;
    atomic_store(&faults->error, fault->error);
    atomic_store(&faults->first, plan->number);
    atomic_store(&faults->times, plan->lasts ? lasting : 1);
    atomic_store(&faults->call, (uint32_t)fault->call);
}

/* A server's whole life with one fault, and the next one's without. False: the life had fewer such
   calls. ret_counts (may be NULL): how many calls it had of each kind. */
static bool live(const struct plan *plan, uint64_t *ret_counts)
{
    struct world world;
    world_init(&world, plan);
    set_fault(world.faults, plan);
    bool started = start(&world, true);
    if (started) {
        do_steps(&world);
        expect_outcome(&world);
        disconnect(&world);
        stop(&world);
    }
    report(&world, started);
    bool failed = atomic_load(&world.faults->failed) > 0;
    for (unsigned i = 0; ret_counts != NULL && i < FAULT_CALLS; i++)
        ret_counts[i] = atomic_load(&world.faults->counts[i]);
    world.ended = false;
    if (!start(&world, false))
        (void)start(&world, false); /* and trusts it */
    check_store(world.ledger, world.server.port);
    server_process_stop(&world.server);
    world_deinit(&world);
    return failed;
}

/* ---- all faults --------------------------------------------------------------------------- */

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* The plan without a fault. */
static struct plan plan_of(const struct pair *pair, unsigned seed)
{
    return (struct plan){.pair = pair, .sync = sync_modes[0], .seed = seed};
}

/* Each call in turn; of many, each of the first ones and every so many of the others. */
static unsigned run_all(const struct pair *pair, unsigned seed)
{
    const char *only = getenv("KVS_TEST_CALL");
    const char *sync = getenv("KVS_TEST_SYNC");
    struct plan plan = plan_of(pair, seed);
    unsigned lives = 0;
    plan.lasts = number_from("KVS_TEST_LASTS", 0) != 0;
    plan.sync = sync != NULL ? sync : plan.sync;
    for (size_t i = 0; i < fault_kind_count; i++) {
        plan.fault = &fault_kinds[i];
        if ((only != NULL && strcmp(only, plan.fault->name) != 0) ||
            (plan.lasts && !fault_can_last(plan.fault)))
            continue;
        plan.number = number_from("KVS_TEST_NUMBER", 1);
        while (live(&plan, NULL)) {
            plan.number += plan.number < ALL_IN_TURN ? 1 : plan.number / 4;
            lives++;
        }
    }
    return lives;
}

/* Each thread that a server starts. */
static void says_which_thread_it_cannot_start(const struct pair *pair)
{
    static const struct fault fault = {FAULT_THREAD, "pthread_create", EAGAIN, OUTCOME_ANY, 0};
    struct plan plan = plan_of(pair, 1);
    plan.fault = &fault;
    for (plan.number = 1; live(&plan, NULL); plan.number++)
        continue;
}

/* LMDB's map moves while it grows. */
static void survives_a_map_that_fails(const struct pair *pair)
{
    static const struct fault fault = {FAULT_MMAP, "mmap", ENOMEM, OUTCOME_ANY, 0};
    struct plan plan = plan_of(pair, 1);
    plan.fault = &fault;
    for (plan.number = 1; plan.number <= MAPS_FAILED && live(&plan, NULL); plan.number++)
        continue;
}

/* Each kind of fault as often as the other ones, at calls drawn among those that a life has, in any mode;
   some of them last. */
static unsigned run_some(const struct pair *pair, unsigned seed, unsigned rounds)
{
    uint64_t counts[FAULT_CALLS];
    struct plan plan = plan_of(pair, seed);
    unsigned lives = 0;
    (void)live(&plan, counts);
    size_t next = (unsigned)rand_r(&seed) % fault_kind_count;
    for (unsigned tried = 0; lives < rounds && tried < rounds + fault_kind_count; tried++) {
        plan.fault = &fault_kinds[next++ % fault_kind_count];
        if (counts[plan.fault->call] == 0)
            continue;
        plan.number = 1 + (unsigned)rand_r(&seed) % counts[plan.fault->call];
        plan.sync = sync_modes[(unsigned)rand_r(&seed) % SYNC_MODES];
        plan.lasts = rand_r(&seed) % 4 == 0 && fault_can_last(plan.fault);
        plan.seed = seed;
        lives += live(&plan, NULL);
    }
    return lives;
}

static void survives_calls_that_fail(const struct pair *pair)
{
    unsigned seed = number_from("KVS_TEST_SEED", (unsigned)clock_now_ns());
    unsigned rounds = number_from("KVS_TEST_ROUNDS", ROUNDS);
    print_message("KVS_TEST_SEED=%u\n", seed);
    unsigned lives = rounds == 0 ? run_all(pair, seed) : run_some(pair, seed, rounds);
    print_message("%u faults met, nothing lost\n", lives);
}

int main(int argc, char **argv)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(survives_calls_that_fail, MATRIX_ENGINES),
        MATRIX_TEST(survives_a_map_that_fails, MATRIX_ENGINES),
        MATRIX_TEST(says_which_thread_it_cannot_start, MATRIX_ENGINES),
    };
    if (argc < 2)
        return 2;
    shim = argv[1];
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
