/*
 * kill -9 of the real server at the worst moments, with 50 clients writing. After each restart
 * everything that was acknowledged is there, nothing that was never sent, each batch as a whole or not
 * at all, and nothing that has expired.
 *
 * KVS_TEST_SEED repeats the choices of a run, though not the scheduler's; KVS_TEST_ROUNDS is how many
 * rounds each engine and mode gets.
 */
#include "crash/check.h"
#include "crash/ledger.h"
#include "crash/writers.h"
#include "support/wire.h"
#include "system/matrix.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define ROUNDS       5u
#define KEYS_FIRST   40u /* of each writer; so many more each round, and the index grows */
#define OPENINGS_MAX 3u  /* how often the next start is killed as well */
#define US_PER_MS    1000u

/* When the server is killed. */
enum moment {
    MOMENT_WRITING,
    MOMENT_COMPACTING,
    MOMENT_SAVING,   /* a checkpoint is being written */
    MOMENT_STOPPING, /* it was told to stop in order */
    MOMENT_OPENING,  /* the next start is killed too, some times */
    MOMENTS
};

static const char *const moment_names[MOMENTS] = {"writing", "compacting", "saving", "stopping",
                                                  "opening"};

struct run {
    const struct pair *pair;
    const char *sync;
    const char *data_dir;
    const char *checkpoint_dir;
    unsigned seed;
    unsigned kills[MOMENTS];
    struct ledger *ledger;
    struct server_process server;
};

/* ---- chance ------------------------------------------------------------------------------- */

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* Up to so long, so that what comes next comes at a moment that nobody chose. */
static void wait_up_to(struct run *run, unsigned most_ms)
{
    unsigned us = (unsigned)rand_r(&run->seed) % (most_ms * US_PER_MS);
    struct timespec moment = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    while (nanosleep(&moment, &moment) != 0 && errno == EINTR)
        continue;
}

/* ---- the server --------------------------------------------------------------------------- */

static void start(struct run *run)
{
    bool is_log = strcmp(run->pair->engine, "log") == 0;
    const char *const arguments[] = {"--sync",
                                     run->sync,
                                     "--checkpoint-dir",
                                     run->checkpoint_dir,
                                     "--engine-opt",
                                     is_log ? "segment-size=1m" : "map-size=1m",
                                     NULL};
    const char *const argv[] = {program_server(), "--addr",     "127.0.0.1:0",     "--data-dir",
                                run->data_dir,    "--engine",   run->pair->engine, "--pool",
                                run->pair->pool,  arguments[0], arguments[1],      arguments[2],
                                arguments[3],     arguments[4], arguments[5],      NULL};
    char *log = NULL;
    int status = 0;
    if (server_process_start_argv(&run->server, argv, &log, &status))
        return;
    print_error("%s", log);
    fail_msg("kvs-server ended with %d instead of opening its store after a kill", status);
}

static void kill_it(struct run *run, enum moment moment)
{
    assert_int_equal(server_process_end(&run->server, SIGKILL), 128 + SIGKILL);
    run->kills[moment]++;
}

/* Starts the server and kills it while it opens its store, or just after. */
static void kill_openings(struct run *run)
{
    for (unsigned left = 1 + (unsigned)rand_r(&run->seed) % OPENINGS_MAX; left > 0; left--) {
        const char *const argv[] = {program_server(), "--addr",   "127.0.0.1:0",     "--data-dir",
                                    run->data_dir,    "--engine", run->pair->engine, "--sync",
                                    run->sync,        NULL};
        server_process_spawn(&run->server, argv);
        wait_up_to(run, 40);
        kill_it(run, MOMENT_OPENING);
    }
}

static uint64_t compacted(const struct run *run)
{
    return fetch_stat(run->server.port, "engine_compacted_bytes");
}

static bool compacts(void *arg)
{
    return compacted(arg) > 0;
}

static void kill_at(struct run *run, enum moment moment)
{
    wait_up_to(run, 60);
    switch (moment) {
    case MOMENT_COMPACTING:
        wait_until(compacts, run);
        wait_up_to(run, 10);
        break;
    case MOMENT_SAVING: {
        char *reply = ask(run->server.port, "BGSAVE");
        assert_string_equal(reply, "+Background saving started");
        free(reply);
        wait_up_to(run, 15);
        break;
    }
    case MOMENT_STOPPING:
        assert_int_equal(kill(run->server.pid, SIGTERM), 0);
        wait_up_to(run, 15);
        (void)server_process_end(&run->server, SIGKILL);
        run->kills[moment]++;
        return;
    case MOMENT_WRITING:
    case MOMENT_OPENING:
    case MOMENTS:
    default:
        break;
    }
    kill_it(run, moment == MOMENT_OPENING ? MOMENT_WRITING : moment);
}

/* ---- rounds ------------------------------------------------------------------------------- */

static void run_round(struct run *run, unsigned round)
{
    enum moment moment = (enum moment)(round % MOMENTS);
    if (moment == MOMENT_COMPACTING && strcmp(run->pair->engine, "log") != 0)
        moment = MOMENT_WRITING; /* it compacts when it is asked to, not by itself */
    unsigned keys = KEYS_FIRST * (round + 1);
    run->ledger->key_limit = keys < LEDGER_KEYS ? keys : LEDGER_KEYS;
    start(run);
    check_store(run->ledger, run->server.port);
    pid_t writers = writers_start(run->ledger, run->server.port, (unsigned)rand_r(&run->seed));
    kill_at(run, moment);
    writers_join(run->ledger, writers);
    if (moment == MOMENT_OPENING)
        kill_openings(run);
}

static void print_summary(const struct run *run)
{
    uint64_t acknowledged = 0;
    for (unsigned i = 0; i < LEDGER_WRITERS; i++)
        acknowledged += run->ledger->writers[i].acknowledged;
    print_message("%llu acknowledged steps, none lost; kills:", (unsigned long long)acknowledged);
    for (unsigned i = 0; i < MOMENTS; i++)
        print_message(" %u %s", run->kills[i], moment_names[i]);
    print_message("\n");
}

static void run_rounds(const struct pair *pair, const char *sync)
{
    char *data_dir = temp_dir_new();
    char *checkpoint_dir = temp_dir_new();
    unsigned rounds = number_from("KVS_TEST_ROUNDS", ROUNDS);
    struct run run = {.pair = pair,
                      .sync = sync,
                      .data_dir = data_dir,
                      .checkpoint_dir = checkpoint_dir,
                      .seed = number_from("KVS_TEST_SEED", (unsigned)clock_now_ns()),
                      .ledger = ledger_new()};
    print_message("KVS_TEST_SEED=%u\n", run.seed);
    for (unsigned round = 0; round < rounds; round++)
        run_round(&run, round);
    start(&run);
    check_store(run.ledger, run.server.port);
    server_process_stop(&run.server);
    start(&run);
    check_store(run.ledger, run.server.port);
    server_process_stop(&run.server);
    print_summary(&run);
    ledger_free(run.ledger);
    temp_dir_free(checkpoint_dir);
    temp_dir_free(data_dir);
}

static void killed_with_always(const struct pair *pair)
{
    run_rounds(pair, "always");
}

static void killed_with_interval(const struct pair *pair)
{
    run_rounds(pair, "interval:50");
}

static void killed_with_none(const struct pair *pair)
{
    run_rounds(pair, "none");
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(killed_with_always, MATRIX_ENGINES),
        MATRIX_TEST(killed_with_interval, MATRIX_ENGINES),
        MATRIX_TEST(killed_with_none, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
