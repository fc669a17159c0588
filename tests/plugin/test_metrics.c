/* Registered metrics: numbers, kinds, and sums from many threads. */
#include "support/support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "plugin/metrics.h"

#define THREADS 4
#define ROUNDS  20000

struct figures {
    struct {
        char name[METRIC_NAME_MAX + 8];
        uint64_t value;
    } items[METRICS_MAX * 3];
    size_t count;
};

static void collect(void *arg, const char *name, uint64_t value)
{
    struct figures *figures = arg;
    (void)snprintf(figures->items[figures->count].name, sizeof(figures->items[0].name), "%s", name);
    figures->items[figures->count++].value = value;
}

static uint64_t figure(struct metrics *metrics, const char *name)
{
    static struct figures figures;
    figures.count = 0;
    metrics_visit(metrics, collect, &figures);
    for (size_t i = 0; i < figures.count; i++) {
        if (strcmp(figures.items[i].name, name) == 0)
            return figures.items[i].value;
    }
    fail_msg("no figure '%s'", name);
    return 0;
}

static void each_kind_shows_its_figures(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    uint32_t counter, gauge, histogram;
    assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, "hits", "", &counter), KVS_OK);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, "open", "", &gauge), KVS_OK);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_HISTOGRAM, "wait_ns", "", &histogram),
                     KVS_OK);
    metrics_add(metrics, counter, 3);
    metrics_add(metrics, counter, -1); /* a counter only grows */
    metrics_add(metrics, gauge, 5);
    metrics_add(metrics, gauge, -2);
    metrics_observe(metrics, histogram, 7);
    metrics_observe(metrics, histogram, 4);
    assert_int_equal(figure(metrics, "hits"), 3);
    assert_int_equal(figure(metrics, "open"), 3);
    assert_int_equal(figure(metrics, "wait_ns_count"), 2);
    assert_int_equal(figure(metrics, "wait_ns_sum"), 11);
    assert_int_equal(figure(metrics, "wait_ns_max"), 7);
    metrics_add(metrics, gauge, -10);
    assert_int_equal(figure(metrics, "open"), 0);
    metrics_free(metrics);
    metrics_free(NULL);
}

static void wrong_numbers_and_kinds_are_ignored(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    uint32_t counter, histogram;
    assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, "a", "", &counter), KVS_OK);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_HISTOGRAM, "b", "", &histogram), KVS_OK);
    metrics_add(metrics, 2, 1);
    metrics_add(metrics, UINT32_MAX, 1);
    metrics_observe(metrics, UINT32_MAX, 1);
    metrics_observe(metrics, counter, 1);
    metrics_add(metrics, histogram, 1);
    assert_int_equal(figure(metrics, "a"), 0);
    assert_int_equal(figure(metrics, "b_sum"), 0);
    metrics_free(metrics);
}

static void names_are_registered_once(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    uint32_t first, other, again, untouched = 99;
    char name[] = "same", help[] = "help";
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, name, help, &first), KVS_OK);
    name[0] = help[0] = 'X'; /* both are copied */
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, "other", "", &other), KVS_OK);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, "same", "", &again), KVS_OK);
    assert_int_equal(first, again);
    assert_int_not_equal(first, other);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, "same", "", &untouched),
                     KVS_INVALID);
    assert_int_equal(metrics_register(metrics, 0, "kind", "", &untouched), KVS_INVALID);
    assert_int_equal(metrics_register(metrics, 4, "kind", "", &untouched), KVS_INVALID);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, "Upper", "", &untouched),
                     KVS_INVALID);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, "", "", &untouched), KVS_INVALID);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, NULL, "", &untouched),
                     KVS_INVALID);
    assert_int_equal(untouched, 99);
    metrics_free(metrics);
}

static void full_table_says_busy(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    uint32_t id;
    char name[32];
    for (uint32_t i = 0; i < METRICS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "m%u", i);
        assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, name, "", &id), KVS_OK);
    }
    assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, "more", "", &id), KVS_BUSY);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, "m5", "", &id), KVS_OK);
    assert_int_equal(id, 5);
    metrics_free(metrics);
}

/* Each thread registers the shared metrics itself, and many of its own in between. */
static void *hammer(void *arg)
{
    struct metrics *metrics = arg;
    uint32_t counter, gauge, histogram, own;
    char name[32];
    assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, "counter", "", &counter),
                     KVS_OK);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_GAUGE, "gauge", "", &gauge), KVS_OK);
    assert_int_equal(metrics_register(metrics, KVS_METRIC_HISTOGRAM, "histogram", "", &histogram),
                     KVS_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        metrics_add(metrics, counter, 2);
        metrics_add(metrics, gauge, i % 2 == 0 ? 1 : -1);
        metrics_observe(metrics, histogram, i);
        if (i % (ROUNDS / 10) == 0) {
            (void)snprintf(name, sizeof(name), "own_%u", i);
            assert_int_equal(metrics_register(metrics, KVS_METRIC_COUNTER, name, "", &own), KVS_OK);
            metrics_add(metrics, own, 1);
            struct figures seen = {.count = 0};
            metrics_visit(metrics, collect, &seen);
        }
    }
    return NULL;
}

static void many_threads_add_up(void **state)
{
    (void)state;
    struct metrics *metrics = metrics_new();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, metrics), 0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(figure(metrics, "counter"), 2 * THREADS * ROUNDS);
    assert_int_equal(figure(metrics, "gauge"), 0);
    assert_int_equal(figure(metrics, "histogram_count"), THREADS * ROUNDS);
    assert_int_equal(figure(metrics, "histogram_max"), ROUNDS - 1);
    assert_int_equal(figure(metrics, "histogram_sum"),
                     (uint64_t)THREADS * ROUNDS * (ROUNDS - 1) / 2);
    assert_int_equal(figure(metrics, "own_0"), THREADS);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_shows_its_figures),
        cmocka_unit_test(wrong_numbers_and_kinds_are_ignored),
        cmocka_unit_test(names_are_registered_once),
        cmocka_unit_test(full_table_says_busy),
        cmocka_unit_test(many_threads_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
