/*
 * Clients do operations on few keys at once, over every engine and pool, also with the server killed
 * in between; what they saw must be linearizable, key by key. KVS_TEST_SEED repeats a run's choices
 * (not its timing), KVS_TEST_ROUNDS makes it longer.
 */
#include "support/program.h"
#include "support/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "linearizability/history.h"
#include "linearizability/register_client.h"
#include "system/matrix.h"

#define CLIENTS        6u
#define KEYS           3u
#define OPERATIONS_MAX 250u /* of a client in a round */
#define ROUNDS_MAX     200u
#define CRASH_ROUNDS   3u

struct recorded {
    struct operation operation;
    uint32_t key;
};

struct worker {
    pthread_t thread;
    uint16_t port;
    unsigned seed;
    uint32_t first_value; /* values from here on are this worker's in this round */
    struct recorded *recorded;
    size_t count;
};

static unsigned seed_of_run(void)
{
    const char *text = getenv("KVS_TEST_SEED");
    unsigned seed = text != NULL ? (unsigned)strtoul(text, NULL, 10)
                                 : (unsigned)time(NULL) ^ (unsigned)getpid();
    print_message("KVS_TEST_SEED=%u\n", seed);
    return seed;
}

static unsigned rounds_of_run(unsigned fewest)
{
    const char *text = getenv("KVS_TEST_ROUNDS");
    unsigned rounds = text != NULL ? (unsigned)strtoul(text, NULL, 10) : fewest;
    return rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
}

/* Mostly reads and plain writes; every kind comes up. */
static enum operation_kind choose_kind(unsigned *seed)
{
    static const enum operation_kind kinds[] = {
        OPERATION_GET,      OPERATION_GET,      OPERATION_GET,         OPERATION_SET,
        OPERATION_SET,      OPERATION_REMOVE,   OPERATION_SET_ABSENT,  OPERATION_SET_ABSENT,
        OPERATION_EXCHANGE, OPERATION_EXCHANGE, OPERATION_COMPARE_SET,
    };
    return kinds[(unsigned)rand_r(seed) % (sizeof(kinds) / sizeof(kinds[0]))];
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct register_client client;
    if (!register_client_open(&client, worker->port))
        return NULL;
    for (uint32_t i = 0; i < OPERATIONS_MAX; i++) {
        char key[16];
        struct recorded *recorded = &worker->recorded[worker->count];
        recorded->key = (uint32_t)rand_r(&worker->seed) % KEYS;
        recorded->operation = (struct operation){.kind = choose_kind(&worker->seed),
                                                 .value = worker->first_value + i};
        (void)snprintf(key, sizeof(key), "key%u", recorded->key);
        enum register_result result = register_client_do(&client, key, &recorded->operation);
        if (result != REGISTER_NOTHING)
            worker->count++;
        if (result == REGISTER_UNKNOWN)
            break;
    }
    register_client_close(&client);
    return NULL;
}

struct run {
    struct worker workers[CLIENTS];
    uint32_t next_value;
    unsigned seed;
};

static void run_init(struct run *run, unsigned rounds)
{
    memset(run, 0, sizeof(*run));
    run->seed = seed_of_run();
    run->next_value = 1;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct worker *worker = &run->workers[i];
        worker->seed = (unsigned)rand_r(&run->seed);
        worker->recorded = calloc((size_t)rounds * OPERATIONS_MAX, sizeof(struct recorded));
        assert_non_null(worker->recorded);
    }
}

static void run_begin(struct run *run, uint16_t port)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct worker *worker = &run->workers[i];
        worker->port = port;
        worker->first_value = run->next_value;
        run->next_value += OPERATIONS_MAX;
        assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
    }
}

static void run_join(struct run *run)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(run->workers[i].thread, NULL), 0);
}

static void check_key(const struct run *run, uint32_t key)
{
    size_t count = 0;
    for (unsigned i = 0; i < CLIENTS; i++)
        count += run->workers[i].count;
    struct operation *history = calloc(count + 1, sizeof(*history));
    assert_non_null(history);
    count = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct worker *worker = &run->workers[i];
        for (size_t j = 0; j < worker->count; j++) {
            if (worker->recorded[j].key == key)
                history[count++] = worker->recorded[j].operation;
        }
    }
    bool good = history_is_linearizable(history, count);
    for (size_t i = 0; !good && i < count; i++) {
        char line[256];
        operation_format(&history[i], line, sizeof(line));
        print_error("%s\n", line);
    }
    if (!good)
        fail_msg("key%u: what its %zu operations saw is not linearizable", key, count);
    free(history);
}

static void run_check(struct run *run)
{
    for (uint32_t key = 0; key < KEYS; key++)
        check_key(run, key);
    for (unsigned i = 0; i < CLIENTS; i++)
        free(run->workers[i].recorded);
}

static void start(struct server_process *server, const struct pair *pair, const char *data_dir,
                  const char *sync)
{
    const char *const arguments[] = {"--sync", sync, NULL};
    pair_start(server, pair, data_dir, arguments);
}

static void clients_at_once(const struct pair *pair)
{
    char *dir = temp_dir_new();
    struct server_process server;
    struct run run;
    run_init(&run, 1);
    start(&server, pair, dir, "none");
    run_begin(&run, server.port);
    run_join(&run);
    server_process_stop(&server);
    run_check(&run);
    temp_dir_free(dir);
}

/* Some milliseconds, so that the kill comes at a moment that nobody chose. */
static void wait_a_moment(unsigned *seed)
{
    struct timespec moment = {.tv_nsec = (long)((unsigned)rand_r(seed) % 150000000u)};
    while (nanosleep(&moment, &moment) != 0 && errno == EINTR)
        continue;
}

static void kills_in_between(const struct pair *pair, const char *sync)
{
    char *dir = temp_dir_new();
    struct server_process server;
    struct run run;
    unsigned rounds = rounds_of_run(CRASH_ROUNDS);
    run_init(&run, rounds);
    for (unsigned round = 0; round < rounds; round++) {
        start(&server, pair, dir, sync);
        run_begin(&run, server.port);
        if (round + 1 < rounds) {
            wait_a_moment(&run.seed);
            (void)server_process_end(&server, SIGKILL);
        }
        run_join(&run);
    }
    server_process_stop(&server);
    run_check(&run);
    temp_dir_free(dir);
}

static void killed_when_it_never_syncs(const struct pair *pair)
{
    kills_in_between(pair, "none");
}

static void killed_when_it_always_syncs(const struct pair *pair)
{
    kills_in_between(pair, "always");
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(clients_at_once, MATRIX_PAIRS),
        MATRIX_TEST(killed_when_it_never_syncs, MATRIX_PAIRS),
        MATRIX_TEST(killed_when_it_always_syncs, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
