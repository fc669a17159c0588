/*
 * What an acknowledged write survives: kill -9 at any moment, in every mode of --sync.
 *
 * Several clients set and remove keys of their own, one operation at a time, so that for each key
 * there are two states that may be found after the kill: that of the last operation that was
 * acknowledged, and that of the one that was under way. Values say in each byte which operation
 * wrote them, so a torn or mixed one shows. Rounds go on with the data that the kill left behind.
 */
#include "system/matrix.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "base/clock.h"

#define WRITERS     6u
#define KEYS        20u /* of each writer */
#define ROUNDS      3u
#define ACKS_MIN    50u /* acknowledged writes before the kill, at least */
#define ACKS_SPREAD 600u
#define VALUE_MAX   5000u
#define TEXT_MAX    32u
#define REMOVE_EACH 5u /* one operation in so many is a removal */

/* The state of one key: the number of the operation that set it, or 0: there is no such key. */
struct key_state {
    uint64_t acknowledged;
    uint64_t under_way; /* what the key becomes if the last operation happened */
    bool is_under_way;
};

struct writer {
    /* Constant during a round. */
    char address[sizeof(((struct server_process *)NULL)->address)];
    unsigned number;
    unsigned seed;
    _Atomic uint64_t *acknowledged; /* of all writers; relaxed, only counted */
    pthread_t thread;
    /* The thread's while it runs, the test's after the join. */
    uint64_t operation; /* the last number used, never used twice */
    struct key_state keys[KEYS];
    struct test_error error; /* a failure that is not the server's end */
};

static void name_key(char key[TEXT_MAX], unsigned writer, unsigned index)
{
    (void)snprintf(key, TEXT_MAX, "writer %u key %u", writer, index);
}

/* The value that operation gives to the key: of a size and with bytes that tell both. */
static struct kvs_bytes make_value(uint8_t to[VALUE_MAX], unsigned writer, unsigned index,
                                   uint64_t operation)
{
    uint64_t mixed = (operation * KEYS + index) * WRITERS + writer + 1;
    mixed *= UINT64_C(0x9E3779B97F4A7C15);
    size_t size = sizeof(mixed) + mixed % (VALUE_MAX - sizeof(mixed));
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(mixed >> (8 * (i % sizeof(mixed)))) ^ (uint8_t)(i / sizeof(mixed));
    return bytes_of(to, size);
}

static kvs_status write_once(struct writer *writer, struct kvs_client *client,
                             struct kvs_error *err)
{
    char name[TEXT_MAX];
    uint8_t bytes[VALUE_MAX];
    unsigned index = (unsigned)rand_r(&writer->seed) % KEYS;
    struct key_state *state = &writer->keys[index];
    bool is_removal = (unsigned)rand_r(&writer->seed) % REMOVE_EACH == 0;
    uint64_t operation = ++writer->operation;
    name_key(name, writer->number, index);
    struct kvs_bytes key = bytes_of_text(name);
    state->under_way = is_removal ? 0 : operation;
    state->is_under_way = true;
    kvs_status status =
        is_removal
            ? kvs_client_remove(client, key, err)
            : kvs_client_set(client, key, make_value(bytes, writer->number, index, operation), err);
    if (status < 0)
        return status;
    if (is_removal && (status == KVS_OK) != (state->acknowledged != 0))
        return kvs_error_set(err, KVS_INTERNAL, 0, "rm of '%s' gave %d", name, status);
    state->acknowledged = state->under_way;
    state->is_under_way = false;
    (void)atomic_fetch_add_explicit(writer->acknowledged, 1, memory_order_relaxed);
    return KVS_OK;
}

static void *write_until_the_end(void *arg)
{
    struct writer *writer = arg;
    struct kvs_client *client = NULL;
    struct kvs_error *err = &writer->error.error;
    struct kvs_client_config config = {.size = sizeof(config), .address = writer->address};
    kvs_status status = kvs_client_new(&config, &client, err);
    while (status == KVS_OK)
        status = write_once(writer, client, err);
    if (status == KVS_NETWORK) /* the server's end, which is what we are here for */
        err->status = KVS_OK;
    kvs_client_free(client);
    return NULL;
}

static bool enough_acknowledged(void *arg)
{
    _Atomic uint64_t *const *numbers = arg;
    return atomic_load(numbers[0]) >= atomic_load(numbers[1]);
}

/* Lets the writers write, and kills the server at a random moment. */
static void write_and_kill(struct server_process *server, struct writer *writers, unsigned *seed)
{
    _Atomic uint64_t acknowledged = 0;
    _Atomic uint64_t enough = ACKS_MIN + (unsigned)rand_r(seed) % ACKS_SPREAD;
    for (unsigned i = 0; i < WRITERS; i++) {
        memcpy(writers[i].address, server->address, sizeof(writers[i].address));
        writers[i].seed = (unsigned)rand_r(seed);
        writers[i].acknowledged = &acknowledged;
        test_error_init(&writers[i].error);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_until_the_end, &writers[i]),
                         0);
    }
    _Atomic uint64_t *numbers[] = {&acknowledged, &enough};
    wait_until(enough_acknowledged, numbers);
    int status = server_process_end(server, SIGKILL);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    assert_int_equal(status, 128 + SIGKILL);
    for (unsigned i = 0; i < WRITERS; i++) {
        if (writers[i].error.error.status != KVS_OK)
            fail_msg("writer %u: %s", i, writers[i].error.message);
    }
}

/* True if what was found (status, value) is what operation leaves behind. */
static bool is_state(unsigned writer, unsigned index, uint64_t operation, kvs_status status,
                     struct kvs_bytes value)
{
    uint8_t bytes[VALUE_MAX];
    if (operation == 0)
        return status == KVS_NOT_FOUND;
    return status == KVS_OK && bytes_equal(value, make_value(bytes, writer, index, operation));
}

static void check_key(struct writer *writer, unsigned index, struct kvs_client *client)
{
    char name[TEXT_MAX];
    struct test_error error;
    struct kvs_bytes value = {NULL, 0};
    struct key_state *state = &writer->keys[index];
    test_error_init(&error);
    name_key(name, writer->number, index);
    kvs_status status = kvs_client_get(client, bytes_of_text(name), &value, &error.error);
    if (status < 0)
        fail_msg("get '%s': %s", name, error.message);
    if (state->is_under_way && is_state(writer->number, index, state->under_way, status, value))
        state->acknowledged = state->under_way;
    else if (!is_state(writer->number, index, state->acknowledged, status, value))
        fail_msg("'%s' should have the value of operation %llu; it has %s", name,
                 (unsigned long long)state->acknowledged,
                 status == KVS_NOT_FOUND ? "none" : "another one");
    state->is_under_way = false;
}

static void check_all(const struct server_process *server, struct writer *writers)
{
    struct kvs_client *client = NULL;
    struct kvs_client_config config = {.size = sizeof(config), .address = server->address};
    assert_int_equal(kvs_client_new(&config, &client, NULL), KVS_OK);
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned n = 0; n < KEYS; n++)
            check_key(&writers[i], n, client);
    }
    kvs_client_free(client);
}

/* KVS_TEST_SEED repeats the choices of a run, though not the scheduler's. */
static unsigned choose_seed(void)
{
    const char *from = getenv("KVS_TEST_SEED");
    unsigned seed = from != NULL ? (unsigned)strtoul(from, NULL, 10) : (unsigned)clock_now_ns();
    print_message("KVS_TEST_SEED=%u\n", seed);
    return seed;
}

static void run_rounds(const struct pair *pair, const char *sync)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    struct writer *writers = calloc(WRITERS, sizeof(*writers));
    unsigned seed = choose_seed();
    for (unsigned i = 0; i < WRITERS; i++)
        writers[i].number = i;
    for (unsigned round = 0; round < ROUNDS; round++) {
        pair_start(&server, pair, data_dir, (const char *const[]){"--sync", sync, NULL});
        check_all(&server, writers);
        write_and_kill(&server, writers, &seed);
    }
    pair_start(&server, pair, data_dir, NULL);
    check_all(&server, writers);
    server_process_stop(&server);
    pair_start(&server, pair, data_dir, NULL);
    check_all(&server, writers);
    server_process_stop(&server);
    free(writers);
    temp_dir_free(data_dir);
}

static void always_survives_kill_9(const struct pair *pair)
{
    run_rounds(pair, "always");
}

static void interval_survives_kill_9(const struct pair *pair)
{
    run_rounds(pair, "interval:50");
}

static void none_survives_kill_9(const struct pair *pair)
{
    run_rounds(pair, "none");
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(always_survives_kill_9, MATRIX_PAIRS),
        MATRIX_TEST(interval_survives_kill_9, MATRIX_PAIRS),
        MATRIX_TEST(none_survives_kill_9, MATRIX_PAIRS),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
