/*
 * Power loss at every kind of moment, simulated (disk.h): whatever part of the unflushed writes the
 * disk took, the store opens, is sound, and holds what the mode promises.
 *
 * Step n is one batch: it sets one of a few keys, and "latest", to n. So "latest" says which step a
 * store has reached, and that decides what every key must hold.
 */
#include "engine-lmdb/disk.h"
#include "engines/harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEPS   900u
#define KEYS    60u
#define SETTLED 300u /* steps before the recording: free pages to reuse */

/* Sizes move between a corner of a page and several pages. */
static uint64_t size_of_step(uint64_t step)
{
    static const uint64_t sizes[] = {PATTERN_MIN, 200, 900, 1900, 3000, 12000};
    return sizes[step * 2654435761u / 7 % 6];
}

static unsigned key_of_step(uint64_t step)
{
    return (unsigned)(step * 2246822519u / 3 % KEYS);
}

static void do_step(struct session *session, uint64_t step)
{
    char text[KEY_TEXT_MAX];
    uint8_t latest[PATTERN_MIN];
    uint8_t value[12000];
    struct kvs_bytes key = key_make(text, "step", key_of_step(step));
    struct kvs_bytes latest_key = bytes_of_text("latest");
    pattern_make(key, step, value, size_of_step(step));
    pattern_make(latest_key, step, latest, sizeof(latest));
    struct kvs_op ops[] = {op_set(key, bytes_of(value, size_of_step(step))),
                           op_set(latest_key, bytes_of(latest, sizeof(latest)))};
    assert_int_equal(KVS_OK, session_submit(session, NULL, ops, 2, 0, NULL));
    disk_set_note(step);
}

/* The last step up to reached that set the key; 0: none. */
static uint64_t last_step_on(unsigned index, uint64_t reached)
{
    while (reached > 0 && key_of_step(reached) != index)
        reached--;
    return reached;
}

static void check_store(struct session *session, uint64_t step_min, uint64_t step_max)
{
    struct copy copy = {NULL, 0, 0};
    uint64_t reached = 0;
    struct kvs_bytes latest = bytes_of_text("latest");
    assert_int_equal(KVS_OK, session_get(session, NULL, latest, &copy, NULL));
    assert_true(pattern_check(latest, bytes_of(copy.data, copy.len), &reached));
    copy_deinit(&copy);
    if (reached < step_min || reached > step_max)
        print_error("step %llu was reached, expected %llu to %llu\n", (unsigned long long)reached,
                    (unsigned long long)step_min, (unsigned long long)step_max);
    assert_true(reached >= step_min && reached <= step_max);
    for (unsigned index = 0; index < KEYS; index++) {
        char text[KEY_TEXT_MAX];
        uint64_t step = last_step_on(index, reached);
        if (step > 0)
            check_pattern(session, key_make(text, "step", index), step);
        else
            check_missing(session, key_make(text, "step", index));
    }
}

static void report(void *arg, uint32_t level, const char *message)
{
    (void)level;
    print_error("verify: %s\n", message);
    ++*(unsigned *)arg;
}

/* Opens it as it is, checks it, and if asked for also writes to it. */
static void check_image(const struct disk_image *image, uint64_t lag, bool is_written_to)
{
    const struct session_config read_only = {.flags = KVS_OPEN_READ_ONLY};
    struct session session;
    unsigned findings = 0;
    char *dir = temp_dir_new();
    char *path = path_join(dir, "data.mdb");
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(image->size, write(fd, image->data, image->size));
    (void)close(fd);
    session_open(&session, dir, is_written_to ? NULL : &read_only);
    check_store(&session, image->note - lag, image->note + 1);
    for (unsigned i = 0; is_written_to && i < 50; i++)
        check_set_pattern(&session, bytes_of(&i, sizeof(i)), i, 5000);
    struct kvs_engine_config config = {.size = sizeof(config),
                                       .durability = KVS_DURABILITY_ALWAYS,
                                       .data_dir = dir,
                                       .host = plugin_host_services(session.host)};
    assert_int_equal(KVS_OK, engine_ops()->close(session.db, NULL));
    assert_int_equal(KVS_OK, engine_ops()->verify(&config, report, &findings, NULL));
    assert_int_equal(0, findings);
    plugin_host_free(session.host);
    free(path);
    temp_dir_free(dir);
}

/* lag: how many acknowledged steps a power loss may take back. */
static void run(const struct session_config *config, uint64_t lag)
{
    struct session session;
    unsigned count;
    char *dir = temp_dir_new();
    session_open(&session, dir, config);
    for (uint64_t step = 1; step <= SETTLED; step++)
        do_step(&session, step);
    assert_int_equal(KVS_OK, engine_ops()->sync(session.db, NULL));
    session_reopen(&session, dir, config);
    if (config->durability == KVS_DURABILITY_NONE) {
        struct kvs_op op = op_set(bytes_of_text("raise"), bytes_of_text("the mode"));
        assert_int_equal(KVS_OK, session_submit(&session, NULL, &op, 1, KVS_BATCH_DURABLE, NULL));
    }
    disk_record_begin(dir, 42);
    for (uint64_t step = SETTLED + 1; step <= STEPS; step++)
        do_step(&session, step);
    struct disk_image *images = disk_record_end(&count);
    session_close(&session);
    assert_true(count >= 60);
    for (unsigned i = 0; i < count; i++)
        check_image(&images[i], lag, i % 16 == 0);
    disk_images_free(images, count);
    temp_dir_free(dir);
}

static void test_always(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_ALWAYS};
    run(&config, 0);
}

/* The interval is long, so that no flush but the commits' own saves the store. */
static void test_interval(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_INTERVAL,
                                          .interval_ms = 3600000};
    run(&config, 1);
}

/* none, once a durable batch was asked for: as interval. */
static void test_none_raised(void **state)
{
    (void)state;
    const struct session_config config = {.durability = KVS_DURABILITY_NONE};
    run(&config, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_none_raised),
    };
    return engine_tests_run(argc, argv, "power loss", tests, sizeof(tests) / sizeof(tests[0]));
}
