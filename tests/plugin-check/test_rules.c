/* The list of rules itself, and the command line. */
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <kvs/plugin.h>

#include "plugin-check/rules.h"

static const char *program;
static const char *plugin;

static void names_are_unique_and_well_formed(void **state)
{
    (void)state;
    for (uint32_t kind = KVS_PLUGIN_ENGINE; kind <= KVS_PLUGIN_POOL; kind++) {
        const struct rule *rules[RULES_MAX];
        size_t count = rules_of(kind, rules);
        assert_true(count > 30);
        for (size_t i = 0; i < count; i++) {
            const char *name = rules[i]->name;
            const char *first = strchr(name, '.');
            assert_non_null(first);
            assert_non_null(strchr(first + 1, '.'));
            assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz.-"), strlen(name));
            assert_true(strlen(rules[i]->meaning) > 10 && strlen(rules[i]->meaning) < 120);
            for (size_t other = 0; other < i; other++)
                assert_string_not_equal(name, rules[other]->name);
            for (uint64_t bit = 1; bit != 0; bit <<= 1) {
                if (((rules[i]->needs | rules[i]->not_for) & bit) != 0)
                    assert_string_not_equal(rules_capability_text(kind, bit), "something");
            }
        }
    }
}

/* The exit status of the program with these arguments. */
static int run(const char *arguments)
{
    char *command = NULL;
    assert_true(asprintf(&command, "'%s' %s >/dev/null 2>&1", program, arguments) > 0);
    int status = system(command); /* NOLINT: the arguments are this test's own */
    free(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void exit_status_tells_usage(void **state)
{
    char arguments[600];
    (void)state;
    assert_int_equal(run("--help"), 0);
    assert_int_equal(run("--version"), 0);
    assert_int_equal(run("--list-rules"), 0);
    assert_int_equal(run(""), 2);
    assert_int_equal(run("one two"), 2);
    assert_int_equal(run("--no-such-flag x"), 2);
    assert_int_equal(run("--timeout never x"), 2);
    assert_int_equal(run("--option x y"), 2);
    assert_int_equal(run("/nowhere/kvs-engine-x.so"), 2);
    assert_int_equal(run("/dev/null"), 2);
    (void)snprintf(arguments, sizeof(arguments), "--only 'no.such.*' '%s'", plugin);
    assert_int_equal(run(arguments), 2);
    (void)snprintf(arguments, sizeof(arguments), "--only engine.get.found '%s'", plugin);
    assert_int_equal(run(arguments), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique_and_well_formed),
        cmocka_unit_test(exit_status_tells_usage),
    };
    if (argc < 3)
        return EXIT_FAILURE;
    program = argv[1];
    plugin = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
