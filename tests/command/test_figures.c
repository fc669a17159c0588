/* The server's figures by name. */
#include "support/support.h"

#include <stdio.h>

#include "command/figures.h"

static void visit_stats(void *arg, kvs_stat_fn visit, void *visit_arg)
{
    char name[32];
    for (uint32_t i = 0; i < *(uint32_t *)arg; i++) {
        (void)snprintf(name, sizeof(name), "figure_%u", i);
        visit(visit_arg, name, i);
    }
}

static struct figures figures;

static void figures_are_found_by_name(void **state)
{
    (void)state;
    uint32_t count = 3;
    const struct command_context context = {.visit_stats = visit_stats, .visit_stats_arg = &count};
    figures_take(&figures, &context);
    assert_int_equal(figures.count, 3);
    assert_int_equal(figures_get(&figures, "figure_2"), 2);
    assert_int_equal(figures_get(&figures, "figure_3"), 0);
}

static void too_many_are_left_out(void **state)
{
    (void)state;
    uint32_t count = FIGURES_MAX + 5;
    const struct command_context context = {.visit_stats = visit_stats, .visit_stats_arg = &count};
    figures_take(&figures, &context);
    assert_int_equal(figures.count, FIGURES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_found_by_name),
        cmocka_unit_test(too_many_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
