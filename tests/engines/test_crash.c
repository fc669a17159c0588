/*
 * kill -9 of a process that writes: all that it acknowledged is there afterwards, and each batch is
 * there as a whole or not at all, in each durability mode and over several rounds on one store.
 *
 * The child tells the parent over a pipe what was acknowledged; the parent kills it in the middle
 * and looks. Each of the child's threads numbers its steps: step n sets the pair "left-n" and
 * "right-n" in one batch (or one key where the engine has no batches), overwrites "latest" with n,
 * and removes "left-(n-8)".
 *
 * In some rounds one more thread compacts all the time, and tells when that begins and ends; then the kill
 * comes a moment after a beginning, and rounds go on until one of them surely fell between the two. The
 * seed of the moments is printed; KVS_TEST_SEED repeats it, KVS_TEST_ROUNDS makes it longer.
 */
#include "engines/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS      4u
#define ROUNDS       4u
#define STEPS_BEFORE 60u /* acknowledged steps, of all threads, before the kill */
#define LAG          8u  /* "left-n" goes LAG steps after it came */
#define COMPACTOR                                                                                  \
    WRITERS /* the number by which the compacting thread acknowledges: odd steps begin */
#define ROUNDS_MAX    100u /* until a kill falls into a compaction */
#define MOMENT_MAX_US 3000u

/* One line of the pipe: written in one write, so whole or not there. */
struct acknowledgement {
    uint32_t writer;
    uint32_t step;
};

struct writers {
    struct session *session;
    int pipe_fd;
    uint32_t first_step[WRITERS];
};

static struct kvs_bytes step_key(char text[KEY_TEXT_MAX], const char *kind, unsigned writer,
                                 uint32_t step)
{
    char prefix[32];
    (void)snprintf(prefix, sizeof(prefix), "%s-%u", kind, writer);
    return key_make(text, prefix, step);
}

/* Runs in the child: ends the process at any surprise. */
static void child_require(bool condition)
{
    if (!condition)
        _exit(3);
}

static void write_pair(struct session *session, struct kvs_tls *tls, unsigned writer, uint32_t step)
{
    char texts[2][KEY_TEXT_MAX];
    uint8_t values[2][600];
    const uint64_t size = step % 5 == 0 ? 600 : PATTERN_MIN;
    struct kvs_op ops[2];
    for (unsigned i = 0; i < 2; i++) {
        struct kvs_bytes key = step_key(texts[i], i == 0 ? "left" : "right", writer, step);
        pattern_make(key, step, values[i], size);
        ops[i] = op_set(key, bytes_of(values[i], size));
        if (!engine_has(KVS_ENGINE_HAS_SUBMIT))
            child_require(session_set(session, tls, key, ops[i].value, NULL) == KVS_OK);
    }
    if (engine_has(KVS_ENGINE_HAS_SUBMIT))
        child_require(session_submit(session, tls, ops, 2, 0, NULL) == KVS_OK);
}

static void child_write(void *arg, unsigned writer)
{
    struct writers *writers = arg;
    struct session *session = writers->session;
    struct kvs_tls *tls = session_attach(session);
    for (uint32_t step = writers->first_step[writer];; step++) {
        char text[KEY_TEXT_MAX];
        uint8_t value[PATTERN_MIN];
        write_pair(session, tls, writer, step);
        struct kvs_bytes key = step_key(text, "latest", writer, 0);
        pattern_make(key, step, value, sizeof(value));
        child_require(session_set(session, tls, key, bytes_of(value, sizeof(value)), NULL) ==
                      KVS_OK);
        if (step >= LAG) {
            kvs_status status =
                session_remove(session, tls, step_key(text, "left", writer, step - LAG), NULL);
            child_require(status == KVS_OK || status == KVS_NOT_FOUND);
        }
        struct acknowledgement acknowledgement = {writer, step};
        child_require(write(writers->pipe_fd, &acknowledgement, sizeof(acknowledgement)) ==
                      (ssize_t)sizeof(acknowledgement));
    }
}

static void child_compact(struct writers *writers)
{
    for (uint32_t step = 1;; step++) {
        struct acknowledgement acknowledgement = {COMPACTOR, step};
        child_require(write(writers->pipe_fd, &acknowledgement, sizeof(acknowledgement)) ==
                      (ssize_t)sizeof(acknowledgement));
        if (step % 2 == 1)
            child_require(engine_ops()->compact(writers->session->db, NULL) == KVS_OK);
    }
}

static void child_thread(void *arg, unsigned index)
{
    if (index == COMPACTOR)
        child_compact(arg);
    else
        child_write(arg, index);
}

static void child_run(const char *dir, const struct session_config *config, int pipe_fd,
                      const uint32_t next_step[WRITERS], bool compacts)
{
    struct session session;
    struct test_error error;
    struct writers writers = {.session = &session, .pipe_fd = pipe_fd};
    memcpy(writers.first_step, next_step, sizeof(writers.first_step));
    test_error_init(&error);
    child_require(session_try_open(&session, dir, config, &error) == KVS_OK);
    run_threads(compacts ? WRITERS + 1 : WRITERS, child_thread, &writers);
    _exit(4);
}

static void wait_us(unsigned us)
{
    struct timespec moment = {.tv_nsec = (long)us * 1000};
    while (nanosleep(&moment, &moment) != 0 && errno == EINTR)
        continue;
}

/* Reads until the child has acknowledged enough, kills it, and reads the rest. seed is NULL unless it is to be
   killed in a compaction. True: it was in one. */
static bool kill_in_the_middle(pid_t child, int pipe_fd, uint32_t acknowledged[WRITERS],
                               unsigned *seed)
{
    struct acknowledgement acknowledgement;
    unsigned count = 0;
    bool is_killed = false;
    bool is_compacting = false;
    int status;
    for (;;) {
        ssize_t size = read(pipe_fd, &acknowledgement, sizeof(acknowledgement));
        if (size < 0 && errno == EINTR)
            continue;
        if (size != (ssize_t)sizeof(acknowledgement))
            break;
        if (acknowledgement.writer == COMPACTOR)
            is_compacting = acknowledgement.step % 2 == 1;
        else
            acknowledged[acknowledgement.writer] = acknowledgement.step;
        count += acknowledgement.writer != COMPACTOR;
        if (is_killed || count < STEPS_BEFORE || (seed != NULL && !is_compacting))
            continue;
        if (seed != NULL)
            wait_us((unsigned)rand_r(seed) % MOMENT_MAX_US);
        assert_int_equal(0, kill(child, SIGKILL));
        is_killed = true;
    }
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(SIGKILL, WTERMSIG(status));
    assert_true(count >= STEPS_BEFORE);
    return is_compacting;
}

/* Whether a key is there; if so it has to be what step wrote. */
static bool is_there(struct session *session, const char *kind, unsigned writer, uint32_t step)
{
    char text[KEY_TEXT_MAX];
    struct copy copy = {NULL, 0, 0};
    uint64_t number = 0;
    struct kvs_bytes key = step_key(text, kind, writer, step);
    kvs_status status = session_get(session, NULL, key, &copy, NULL);
    if (status == KVS_OK) {
        assert_true(pattern_check(key, bytes_of(copy.data, copy.len), &number));
        assert_int_equal(step, number);
    } else {
        assert_int_equal(KVS_NOT_FOUND, status);
    }
    copy_deinit(&copy);
    return status == KVS_OK;
}

/* Checks all that writer did up to what it acknowledged, and what was on its way. */
static void check_writer(struct session *session, unsigned writer, uint32_t acknowledged,
                         uint32_t *ret_next_step)
{
    char text[KEY_TEXT_MAX];
    struct copy copy = {NULL, 0, 0};
    uint64_t latest = 0;
    for (uint32_t step = 1; step <= acknowledged; step++) {
        assert_true(is_there(session, "right", writer, step));
        if (step + LAG <= acknowledged)
            assert_false(is_there(session, "left", writer, step));
        else if (step + LAG > acknowledged + 1) /* the next step may have removed that one */
            assert_true(is_there(session, "left", writer, step));
    }
    bool has_next = is_there(session, "right", writer, acknowledged + 1);
    if (engine_has(KVS_ENGINE_BATCH_ATOMIC))
        assert_int_equal(has_next, is_there(session, "left", writer, acknowledged + 1));
    assert_false(is_there(session, "right", writer, acknowledged + 2));
    struct kvs_bytes key = step_key(text, "latest", writer, 0);
    if (acknowledged > 0) {
        assert_int_equal(KVS_OK, session_get(session, NULL, key, &copy, NULL));
        assert_true(pattern_check(key, bytes_of(copy.data, copy.len), &latest));
        assert_true(latest == acknowledged || (has_next && latest == acknowledged + 1));
    }
    copy_deinit(&copy);
    *ret_next_step = acknowledged + 1;
}

/* One child's life, and what it left. seed as for kill_in_the_middle. */
static bool run_round(const char *dir, const struct session_config *config,
                      uint32_t next_step[WRITERS], uint32_t acknowledged[WRITERS], unsigned *seed)
{
    struct session session;
    int fds[2];
    assert_int_equal(0, pipe(fds));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(fds[0]);
        child_run(dir, config, fds[1], next_step, seed != NULL);
    }
    (void)close(fds[1]);
    bool was_compacting = kill_in_the_middle(child, fds[0], acknowledged, seed);
    (void)close(fds[0]);
    session_open(&session, dir, config);
    for (unsigned writer = 0; writer < WRITERS; writer++)
        check_writer(&session, writer, acknowledged[writer], &next_step[writer]);
    session_close(&session);
    return was_compacting;
}

static void run_rounds(uint32_t durability)
{
    const struct session_config config = {.durability = durability, .interval_ms = 10};
    uint32_t next_step[WRITERS] = {1, 1, 1, 1};
    uint32_t acknowledged[WRITERS] = {0};
    char *dir = temp_dir_new();
    for (unsigned round = 0; round < ROUNDS; round++)
        (void)run_round(dir, &config, next_step, acknowledged, NULL);
    temp_dir_free(dir);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void run_compacting_rounds(uint32_t durability)
{
    const struct session_config config = {.durability = durability, .interval_ms = 10};
    uint32_t next_step[WRITERS] = {1, 1, 1, 1};
    uint32_t acknowledged[WRITERS] = {0};
    unsigned rounds = number_from("KVS_TEST_ROUNDS", ROUNDS);
    unsigned seed = number_from("KVS_TEST_SEED", (unsigned)time(NULL));
    unsigned round = 0;
    unsigned compacting = 0;
    char *dir = temp_dir_new();
    print_message("KVS_TEST_SEED=%u\n", seed);
    for (; round < rounds || (compacting == 0 && round < ROUNDS_MAX); round++)
        compacting += run_round(dir, &config, next_step, acknowledged, &seed);
    print_message("mode %u: %u of %u kills while it compacted\n", durability, compacting, round);
    assert_true(compacting > 0);
    temp_dir_free(dir);
}

static void test_compacting(void **state)
{
    (void)state;
    engine_require(KVS_ENGINE_HAS_COMPACT);
    for (uint32_t mode = KVS_DURABILITY_ALWAYS; mode <= KVS_DURABILITY_NONE; mode++)
        run_compacting_rounds(mode);
}

static void test_always(void **state)
{
    (void)state;
    run_rounds(KVS_DURABILITY_ALWAYS);
}

static void test_interval(void **state)
{
    (void)state;
    run_rounds(KVS_DURABILITY_INTERVAL);
}

static void test_none(void **state)
{
    (void)state;
    run_rounds(KVS_DURABILITY_NONE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_compacting),
    };
    return engine_tests_run(argc, argv, "crash", tests, sizeof(tests) / sizeof(tests[0]));
}
