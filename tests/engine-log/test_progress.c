/* What a start says about how far it is: to the host each step, in the log at most a line a second. */
#include <string.h>

#include "progress.h"
#include "support/support.h"

struct fixture {
    struct kvs_host host;
    struct kvs_db db;
    uint64_t now_ns;
    unsigned lines;
    char last_line[128];
    uint64_t done;
    uint64_t total;
};

static void take_line(const struct kvs_host *host, uint32_t level, const char *message)
{
    struct fixture *fixture = host->context;
    assert_int_equal(KVS_LOG_INFO, level);
    fixture->lines++;
    (void)strncpy(fixture->last_line, message, sizeof(fixture->last_line) - 1);
}

static int32_t is_enabled(const struct kvs_host *host, uint32_t level)
{
    (void)host;
    (void)level;
    return 1;
}

static uint64_t now(const struct kvs_host *host)
{
    return ((const struct fixture *)host->context)->now_ns;
}

static void take_progress(void *arg, uint64_t done, uint64_t total)
{
    struct fixture *fixture = arg;
    fixture->done = done;
    fixture->total = total;
}

static void begin(struct fixture *fixture, struct progress *progress, enum progress_part part)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->host = (struct kvs_host){.size = sizeof(fixture->host),
                                      .context = fixture,
                                      .log = take_line,
                                      .log_enabled = is_enabled,
                                      .now_ns = now};
    fixture->db.host = &fixture->host;
    fixture->db.progress = take_progress;
    fixture->db.progress_arg = fixture;
    fixture->now_ns = 5;
    progress_begin(progress, &fixture->db, "walking", 200, part);
}

static void step(struct fixture *fixture, struct progress *progress, uint64_t ms)
{
    fixture->now_ns += ms * 1000000;
    progress_step(progress);
}

static void a_line_a_second(void **state)
{
    (void)state;
    struct fixture fixture;
    struct progress progress;
    begin(&fixture, &progress, PROGRESS_NONE);
    for (unsigned i = 0; i < 99; i++)
        step(&fixture, &progress, 10);
    assert_int_equal(0, fixture.lines);
    step(&fixture, &progress, 10);
    assert_int_equal(1, fixture.lines);
    assert_string_equal("walking: 100 of 200 (50 %)", fixture.last_line);
    step(&fixture, &progress, 999);
    assert_int_equal(1, fixture.lines);
    step(&fixture, &progress, 1);
    assert_int_equal(2, fixture.lines);
    assert_int_equal(0, fixture.total); /* the host is not told of this part */
}

static void no_line_at_the_end(void **state)
{
    (void)state;
    struct fixture fixture;
    struct progress progress;
    begin(&fixture, &progress, PROGRESS_NONE);
    for (unsigned i = 0; i < 199; i++)
        step(&fixture, &progress, 1);
    step(&fixture, &progress, 5000);
    assert_int_equal(0, fixture.lines);
}

static void the_host_hears_of_halves(void **state)
{
    (void)state;
    struct fixture fixture;
    struct progress progress;
    begin(&fixture, &progress, PROGRESS_FIRST_HALF);
    step(&fixture, &progress, 0);
    assert_int_equal(1, fixture.done);
    assert_int_equal(400, fixture.total);
    begin(&fixture, &progress, PROGRESS_SECOND_HALF);
    for (unsigned i = 0; i < 200; i++)
        step(&fixture, &progress, 0);
    assert_int_equal(400, fixture.done);
    assert_int_equal(400, fixture.total);
    fixture.db.progress = NULL;
    step(&fixture, &progress, 0);
}

static void the_host_hears_of_a_whole(void **state)
{
    (void)state;
    struct fixture fixture;
    struct progress progress;
    begin(&fixture, &progress, PROGRESS_WHOLE);
    step(&fixture, &progress, 2000);
    assert_int_equal(1, fixture.lines);
    assert_int_equal(1, fixture.done);
    assert_int_equal(200, fixture.total);
    progress_begin(&progress, NULL, "walking", 200, PROGRESS_WHOLE);
    progress_step(&progress); /* says nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_a_second),
        cmocka_unit_test(no_line_at_the_end),
        cmocka_unit_test(the_host_hears_of_halves),
        cmocka_unit_test(the_host_hears_of_a_whole),
    };
    return cmocka_run_group_tests_name("engine-log/progress", tests, NULL, NULL);
}
