/* Whose the data are, and what becomes of them: the engine that made them, a second server on them,
   signals, kill -9 while serving and while starting. */
#include "system/matrix.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/wire.h"
#include "system/expect.h"
#include "system/run_client.h"
#include "system/tree.h"

#define ARGUMENTS_MAX 16
#define KEYS          50u
#define START_KILLS   12u
#define IDLE          20u
#define NOBODY        "65534"
#define FAILED        1   /* exit statuses: trying again may help */
#define WRONG         2   /* it does not */
#define CANNOT_RUN    126 /* exit status of setpriv and prlimit for what they cannot start */

/* ---- the engine that made them ------------------------------------------------------------ */

/* Checks that the server does not start on these data. */
static void expect_refused(const char *data_dir, const char *const *words, const char *const *parts,
                           int exit_status)
{
    const char *argv[ARGUMENTS_MAX] = {program_server(), "--addr", "127.0.0.1:0", "--data-dir",
                                       data_dir};
    size_t count = 5;
    for (; *words != NULL; words++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = *words;
    }
    struct program_result result = program_run(argv, NULL, 0);
    assert_int_equal(result.exit_status, exit_status);
    for (; *parts != NULL; parts++)
        expect_in(result.err, *parts);
    program_result_deinit(&result);
}

static void expect_other_engines_refused(const struct pair *pair, const char *data_dir)
{
    char made_by[128];
    (void)snprintf(made_by, sizeof(made_by), "made by engine %s, not ", pair->engine);
    for (const char *const *other = matrix_engines(); *other != NULL; other++) {
        if (strcmp(*other, pair->engine) != 0)
            expect_refused(data_dir, WORDS("--engine", *other, "--pool", pair->pool),
                           WORDS(data_dir, made_by, *other, "--data-dir"), WRONG);
    }
}

static void data_belong_to_the_engine_that_made_them(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    char part[64];
    const char *const *engines = matrix_engines();
    if (engines[1] == NULL)
        print_message("skipped in part: this build has no other engine to try on %s's data\n",
                      pair->engine);
    pair_start(&server, pair, data_dir, NULL);
    client_set(&server, "key", "value");
    server_process_stop(&server);
    char *before = tree_describe(data_dir);
    expect_other_engines_refused(pair, data_dir);
    tree_expect_untouched(data_dir, before);

    /* Without --engine it is the one that made them, whatever the default is. */
    char *log = NULL;
    if (!server_process_start(&server, data_dir, WORDS("--pool", pair->pool), &log, NULL))
        fail_msg("kvs-server did not start: %s", log);
    (void)snprintf(part, sizeof(part), "; engine %s ", pair->engine);
    expect_in_log(&server, part);
    client_expect(&server, "key", "value");
    /* Also while it is served. */
    expect_other_engines_refused(pair, data_dir);
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* A start that fails late, because no threads can be made, says so and leaves data that the next
   start can use. Limits on processes do not bind root, so somebody else tries. */
static void a_start_without_threads_fails_cleanly(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    const char *const argv[] = {"/usr/bin/setpriv",
                                "--reuid",
                                NOBODY,
                                "--regid",
                                NOBODY,
                                "--clear-groups",
                                "/usr/bin/prlimit",
                                "--nproc=1",
                                program_server(),
                                "--addr",
                                "127.0.0.1:0",
                                "--data-dir",
                                data_dir,
                                "--engine",
                                pair->engine,
                                "--pool",
                                "shared-queue",
                                "--threads",
                                "16",
                                NULL};
    assert_int_equal(chmod(data_dir, 0777), 0);
    struct program_result result = program_run(geteuid() == 0 ? argv : argv + 6, NULL, 0);
    if (result.exit_status >= CANNOT_RUN) {
        print_message("skipped: another user cannot run %s: %s\n", program_server(), result.err);
    } else {
        assert_int_equal(result.exit_status, 1);
        expect_in(result.err, "kvs-server: ");
        expect_in(result.err, "thread");
    }
    program_result_deinit(&result);
    pair_start(&server, pair, data_dir, NULL);
    client_set(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* ---- a second server ---------------------------------------------------------------------- */

static void a_second_server_is_refused(const struct pair *pair)
{
    struct server_process server;
    struct server_process next;
    char *data_dir = temp_dir_new();
    char process[32];
    pair_start(&server, pair, data_dir, NULL);
    client_set(&server, "key", "value");
    (void)snprintf(process, sizeof(process), "process %d)", (int)server.pid);
    const char *const *words = WORDS("--engine", pair->engine, "--pool", pair->pool);
    expect_refused(data_dir, words, WORDS(data_dir, "used by another server", process), FAILED);
    expect_refused(data_dir, words, WORDS(process), FAILED); /* still the first one's number */
    client_expect(&server, "key", "value");
    client_set(&server, "key", "still mine");
    assert_int_equal(server_process_end(&server, SIGKILL), 128 + SIGKILL);

    pair_start(&next, pair, data_dir, NULL);
    client_expect(&next, "key", "still mine");
    (void)snprintf(process, sizeof(process), "process %d)", (int)next.pid);
    expect_refused(data_dir, words, WORDS(process), FAILED);
    server_process_stop(&next);
    temp_dir_free(data_dir);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void set_keys(const struct server_process *server, unsigned round)
{
    int fd = connect_to(server->port);
    char key[16];
    char value[32];
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i);
        (void)snprintf(value, sizeof(value), "round %u value %u", round, i);
        send_request(fd, i, REQUEST_SET, key, value);
    }
    for (unsigned i = 0; i < KEYS; i++)
        expect_reply(fd, i, KVS_OK, "");
    (void)close(fd);
}

static void expect_keys(const struct server_process *server, unsigned round)
{
    int fd = connect_to(server->port);
    char key[16];
    char value[32];
    for (unsigned i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key %u", i);
        (void)snprintf(value, sizeof(value), "round %u value %u", round, i);
        send_request(fd, i, REQUEST_GET, key, NULL);
        expect_reply(fd, i, KVS_OK, value);
    }
    (void)close(fd);
}

/* With idle connections, one in the middle of a frame, and requests that were just sent. */
static void signals_stop_in_order(const struct pair *pair)
{
    static const int signals[] = {SIGTERM, SIGINT};
    static const uint8_t half[] = {NATIVE_MAGIC_REQUEST, NATIVE_VERSION, REQUEST_SET};
    char *data_dir = temp_dir_new();
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct server_process server;
        int idle[IDLE];
        pair_start(&server, pair, data_dir, NULL);
        for (unsigned n = 0; n < IDLE; n++)
            idle[n] = connect_to(server.port);
        assert_true(send_all(idle[0], half, sizeof(half)));
        set_keys(&server, (unsigned)i);
        assert_int_equal(server_process_end(&server, signals[i]), 0);
        for (unsigned n = 0; n < IDLE; n++) {
            expect_closed(idle[n]);
            (void)close(idle[n]);
        }
        pair_start(&server, pair, data_dir, NULL);
        expect_keys(&server, (unsigned)i);
        server_process_stop(&server);
    }
    temp_dir_free(data_dir);
}

/* Also a signal that comes the moment the server says that it listens. */
static void an_early_signal_stops_in_order(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    assert_int_equal(server_process_end(&server, SIGTERM), 0);
    pair_start(&server, pair, data_dir, NULL);
    assert_int_equal(server_process_end(&server, SIGINT), 0);
    temp_dir_free(data_dir);
}

static void acknowledged_writes_survive_kill_9(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    for (unsigned round = 0; round < 3; round++) {
        pair_start(&server, pair, data_dir, NULL);
        if (round > 0)
            expect_keys(&server, round - 1);
        set_keys(&server, round);
        assert_int_equal(server_process_end(&server, SIGKILL), 128 + SIGKILL);
    }
    pair_start(&server, pair, data_dir, NULL);
    expect_keys(&server, 2);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* ---- killed while starting ---------------------------------------------------------------- */

/* A start may have failed before the kill: then its log says why. */
static void expect_killed(struct server_process *server)
{
    siginfo_t end;
    assert_int_equal(waitid(P_PID, (id_t)server->pid, &end, WEXITED | WNOWAIT), 0);
    if (end.si_code != CLD_KILLED) {
        char *log = server_process_log(server);
        print_error("%s", log);
        free(log);
        fail_msg("the server ended with %d before it was killed", end.si_status);
    }
    (void)server_process_end(server, 0);
}

/* Kills starting servers after random parts of a start's usual time. */
static void kill_starts(const struct pair *pair, const char *data_dir, uint64_t start_ns)
{
    unsigned seed = (unsigned)clock_now_ns();
    print_message("seed %u\n", seed);
    for (unsigned i = 0; i < START_KILLS; i++) {
        struct server_process server;
        uint64_t delay_ns = start_ns * (unsigned)(rand_r(&seed) % 1000) / 1000;
        struct timespec delay = {(time_t)(delay_ns / NS_PER_S), (long)(delay_ns % NS_PER_S)};
        server_process_spawn(&server,
                             WORDS(program_server(), "--addr", "127.0.0.1:0", "--data-dir",
                                   data_dir, "--engine", pair->engine, "--pool", pair->pool));
        (void)nanosleep(&delay, NULL); /* what is tested is any moment, not a condition */
        (void)kill(server.pid, SIGKILL);
        expect_killed(&server);
    }
}

static void a_killed_start_harms_nothing(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    uint64_t begin_ns = clock_now_ns();
    pair_start(&server, pair, data_dir, NULL);
    uint64_t start_ns = clock_now_ns() - begin_ns;
    set_keys(&server, 7);
    assert_int_equal(server_process_end(&server, SIGKILL), 128 + SIGKILL);
    kill_starts(pair, data_dir, start_ns);
    pair_start(&server, pair, data_dir, NULL);
    expect_keys(&server, 7);
    server_process_stop(&server);
    temp_dir_free(data_dir);

    /* The same where there were no data yet. */
    data_dir = temp_dir_new();
    kill_starts(pair, data_dir, start_ns);
    pair_start(&server, pair, data_dir, NULL);
    set_keys(&server, 8);
    expect_keys(&server, 8);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(data_belong_to_the_engine_that_made_them, MATRIX_PAIRS),
        MATRIX_TEST(a_start_without_threads_fails_cleanly, MATRIX_ENGINES),
        MATRIX_TEST(a_second_server_is_refused, MATRIX_PAIRS),
        MATRIX_TEST(signals_stop_in_order, MATRIX_PAIRS),
        MATRIX_TEST(an_early_signal_stops_in_order, MATRIX_PAIRS),
        MATRIX_TEST(acknowledged_writes_survive_kill_9, MATRIX_PAIRS),
        MATRIX_TEST(a_killed_start_harms_nothing, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
