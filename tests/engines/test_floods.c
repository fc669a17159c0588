/* Batches from many threads at once: each is completed exactly once, none is lost or torn. */
#include "engines/harness.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* ---- many threads, many outstanding batches ------------------------------------------------- */

#define SUBMITTERS  8u
#define OUTSTANDING 16u
#define ROUNDS      40u

struct flood {
    struct session *session;
    struct faults faults;
    atomic_uint completed; /* completions that ran */
    atomic_uint pending;   /* calls that returned KVS_PENDING */
};

/* One of many batches of a thread: sets two keys of its own to one number. */
struct drop {
    struct flood *flood;
    struct kvs_batch batch;
    struct kvs_op ops[2];
    char keys[2][KEY_TEXT_MAX];
    uint8_t values[2][PATTERN_MIN];
    atomic_uint under_way; /* 1 from before submit until its answer */
};

static void drop_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct drop *drop = arg;
    if (batch != &drop->batch)
        faults_add(&drop->flood->faults, "a completion for another batch");
    if (status != KVS_OK || drop->ops[0].status != KVS_OK || drop->ops[1].status != KVS_OK)
        faults_add(&drop->flood->faults, "status %d, %d, %d", status, drop->ops[0].status,
                   drop->ops[1].status);
    (void)atomic_fetch_add(&drop->flood->completed, 1);
    /* The last touch: from here on the submitter may use it again, at once, from another thread. */
    if (atomic_exchange(&drop->under_way, 0) != 1)
        faults_add(&drop->flood->faults, "completed twice");
}

static void drop_start(struct drop *drop, struct kvs_tls *tls, unsigned thread, unsigned slot,
                       unsigned round)
{
    struct flood *flood = drop->flood;
    for (unsigned i = 0; i < 2; i++) {
        struct kvs_bytes key =
            key_make(drop->keys[i], i == 0 ? "left" : "right", thread * OUTSTANDING + slot);
        pattern_make(key, round, drop->values[i], PATTERN_MIN);
        drop->ops[i] = op_set(key, bytes_of(drop->values[i], PATTERN_MIN));
    }
    drop->batch = (struct kvs_batch){.size = sizeof(drop->batch),
                                     .ops = drop->ops,
                                     .op_count = 2,
                                     .complete = drop_complete,
                                     .arg = drop};
    atomic_store(&drop->under_way, 1);
    if (!engine_has(KVS_ENGINE_CONCURRENT_WRITERS))
        (void)pthread_mutex_lock(&flood->session->write_lock);
    kvs_status status = engine_ops()->submit(flood->session->db, tls, &drop->batch);
    if (!engine_has(KVS_ENGINE_CONCURRENT_WRITERS))
        (void)pthread_mutex_unlock(&flood->session->write_lock);
    if (status == KVS_PENDING) {
        (void)atomic_fetch_add(&flood->pending, 1);
    } else {
        if (status != KVS_OK)
            faults_add(&flood->faults, "submit gave %d", status);
        if (atomic_exchange(&drop->under_way, 0) != 1)
            faults_add(&flood->faults, "completed although it was not pending");
    }
}

/* Waits for the answer; false, with a fault, when none comes. */
static bool drop_await(struct drop *drop)
{
    uint64_t deadline = clock_now_ns() + support_wait_ms() * NS_PER_MS;
    while (atomic_load(&drop->under_way) != 0) {
        if (clock_now_ns() > deadline) {
            faults_add(&drop->flood->faults, "a batch was never completed");
            return false;
        }
        (void)sched_yield();
    }
    return true;
}

static void flood_thread(void *arg, unsigned index)
{
    struct flood *flood = arg;
    struct kvs_tls *tls = session_attach(flood->session);
    struct drop *drops = calloc(OUTSTANDING, sizeof(*drops));
    bool answered = true;
    for (unsigned slot = 0; slot < OUTSTANDING; slot++)
        drops[slot].flood = flood;
    for (unsigned round = 1; round <= ROUNDS && answered; round++) {
        for (unsigned slot = 0; slot < OUTSTANDING && answered; slot++) {
            answered = drop_await(&drops[slot]);
            if (answered)
                drop_start(&drops[slot], tls, index, slot, round);
        }
    }
    for (unsigned slot = 0; slot < OUTSTANDING && answered; slot++)
        answered = drop_await(&drops[slot]);
    if (answered) /* else the engine may still write to them */
        free(drops);
    session_detach(flood->session, tls);
}

static void run_flood(uint32_t durability)
{
    engine_require(KVS_ENGINE_HAS_SUBMIT);
    const struct session_config config = {.durability = durability, .interval_ms = 5};
    struct session session;
    struct flood flood = {.session = &session};
    char key[KEY_TEXT_MAX];
    char *dir = temp_dir_new();
    session_open(&session, dir, &config);
    run_threads(SUBMITTERS, flood_thread, &flood);
    faults_check(&flood.faults);
    assert_int_equal(atomic_load(&flood.pending), atomic_load(&flood.completed));
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < SUBMITTERS * OUTSTANDING; i++) {
            check_pattern(&session, key_make(key, "left", i), ROUNDS);
            check_pattern(&session, key_make(key, "right", i), ROUNDS);
        }
        session_reopen(&session, dir, &config);
    }
    session_close(&session);
    temp_dir_free(dir);
}

static void test_flood_always(void **state)
{
    (void)state;
    run_flood(KVS_DURABILITY_ALWAYS);
}

static void test_flood_interval(void **state)
{
    (void)state;
    run_flood(KVS_DURABILITY_INTERVAL);
}

static void test_flood_none(void **state)
{
    (void)state;
    run_flood(KVS_DURABILITY_NONE);
}

/* ---- threads that all submit one batch and then all wait ------------------------------------- */

#define TOGETHER_THREADS 12u
#define TOGETHER_ROUNDS  400u
#define TOGETHER_OPS     64u /* so that a batch takes a while, and others come meanwhile */

struct together {
    struct session *session;
    struct faults faults;
    pthread_barrier_t barrier;
};

/* Nobody comes later who would take along what was left lying. */
static void submit_together(void *arg, unsigned index)
{
    struct together *together = arg;
    struct kvs_op ops[TOGETHER_OPS];
    unsigned keys[TOGETHER_OPS];
    for (unsigned round = 0; round < TOGETHER_ROUNDS; round++) {
        for (unsigned i = 0; i < TOGETHER_OPS; i++) {
            keys[i] = index * TOGETHER_OPS + i;
            ops[i] = op_set(bytes_of(&keys[i], sizeof(keys[i])), bytes_of(&round, sizeof(round)));
        }
        (void)pthread_barrier_wait(&together->barrier);
        kvs_status status = session_submit(together->session, NULL, ops, TOGETHER_OPS, 0, NULL);
        if (status != KVS_OK)
            faults_add(&together->faults, "round %u: status %d", round, status);
    }
}

static void test_together(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SUBMIT);
    struct session session;
    struct together together = {.session = &session};
    const unsigned last = TOGETHER_ROUNDS - 1;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    (void)pthread_barrier_init(&together.barrier, NULL, TOGETHER_THREADS);
    run_threads(TOGETHER_THREADS, submit_together, &together);
    (void)pthread_barrier_destroy(&together.barrier);
    faults_check(&together.faults);
    for (unsigned index = 0; index < TOGETHER_THREADS * TOGETHER_OPS; index++)
        check_value(&session, bytes_of(&index, sizeof(index)), bytes_of(&last, sizeof(last)));
    session_close(&session);
    temp_dir_free(dir);
}

/* ---- threads that contend for one key by conditions ------------------------------------------ */

#define COUNTERS 6u
#define COUNTS   150u

struct contest {
    struct session *session;
    struct faults faults;
};

static void count_up(void *arg, unsigned index)
{
    struct contest *contest = arg;
    struct copy copy = {NULL, 0, 0};
    struct kvs_tls *tls = session_attach(contest->session);
    (void)index;
    for (unsigned done = 0; done < COUNTS;) {
        uint64_t number;
        if (session_get(contest->session, tls, bytes_of_text("counter"), &copy, NULL) != KVS_OK) {
            faults_add(&contest->faults, "the counter is gone");
            break;
        }
        memcpy(&number, copy.data, sizeof(number));
        number++;
        struct kvs_op op = op_set(bytes_of_text("counter"), bytes_of(&number, sizeof(number)));
        op.condition = KVS_IF_EQUAL;
        op.expected = bytes_of(copy.data, copy.len);
        kvs_status status = session_submit(contest->session, tls, &op, 1, 0, NULL);
        if (status != KVS_OK || (op.status != KVS_OK && op.status != KVS_CONDITION_FAILED)) {
            faults_add(&contest->faults, "status %d, %d", status, op.status);
            break;
        }
        if (op.status == KVS_OK)
            done++;
    }
    session_detach(contest->session, tls);
    copy_deinit(&copy);
}

static void test_counting_by_conditions(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_SUBMIT);
    struct session session;
    struct contest contest = {.session = &session};
    uint64_t number = 0;
    char *dir = temp_dir_new();
    session_open(&session, dir, NULL);
    check_set(&session, bytes_of_text("counter"), bytes_of(&number, sizeof(number)));
    run_threads(COUNTERS, count_up, &contest);
    faults_check(&contest.faults);
    number = COUNTERS * COUNTS;
    check_value(&session, bytes_of_text("counter"), bytes_of(&number, sizeof(number)));
    session_close(&session);
    temp_dir_free(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_always),
        cmocka_unit_test(test_flood_interval),
        cmocka_unit_test(test_flood_none),
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_counting_by_conditions),
    };
    return engine_tests_run(argc, argv, "floods", tests, sizeof(tests) / sizeof(tests[0]));
}
