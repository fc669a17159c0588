/* See matrix.h. The plugins are what the real server prints with --list-plugins. */
#include "system/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX     16
#define ARGUMENTS_MAX 48
#define EXIT_SKIPPED  77 /* what Meson takes for it */

struct names {
    const char *list[NAMES_MAX + 1];
    size_t count;
};

struct instance {
    const struct matrix_test *test;
    struct pair pair;
};

/* The list's own text of this name, or NULL. */
static const char *names_find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i], name) == 0)
            return names->list[i];
    }
    return NULL;
}

/* An engine that keeps nothing has no place in a test that stops the server and starts it again. */
static bool keeps_data(const char *paragraph)
{
    const char *end = strstr(paragraph, "\n\n");
    const char *word = strstr(paragraph, "    durable");
    return word != NULL && (end == NULL || word < end);
}

/* Collects NAME of each line that begins with "KIND NAME "; what should come first does. Engines
   that are not durable are left out. */
static void find_names(struct names *names, const char *listing, const char *kind,
                       const char *const *known)
{
    struct names found = {.count = 0};
    size_t kind_size = strlen(kind);
    for (const char *line = listing; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, kind, kind_size) == 0 && line[kind_size] == ' ' &&
            (strcmp(kind, "engine") != 0 || keeps_data(line))) {
            const char *name = line + kind_size + 1;
            assert_true(found.count < NAMES_MAX);
            found.list[found.count++] = strndup(name, strcspn(name, " \n"));
        }
        if (strchr(line, '\n') == NULL)
            break;
    }
    for (; *known != NULL; known++) {
        const char *name = names_find(&found, *known);
        if (name != NULL)
            names->list[names->count++] = name;
        else
            print_message("skipped: this build has no %s '%s'\n", kind, *known);
    }
    for (size_t i = 0; i < found.count; i++) {
        if (names_find(names, found.list[i]) == NULL)
            names->list[names->count++] = found.list[i];
    }
}

static struct names engines;
static struct names pools;

static void find_plugins(void)
{
    static const char *const known_engines[] = {"log", "lmdb", NULL};
    static const char *const known_pools[] = {"shared-queue", "naive", "inline", "glib", NULL};
    if (engines.count > 0)
        return;
    struct program_result result =
        program_run((const char *const[]){program_server(), "--list-plugins", NULL}, NULL, 0);
    assert_int_equal(result.exit_status, 0);
    find_names(&engines, result.out, "engine", known_engines);
    find_names(&pools, result.out, "pool", known_pools);
    program_result_deinit(&result);
}

const char *const *matrix_engines(void)
{
    find_plugins();
    return engines.list;
}

static void run_instance(void **state)
{
    const struct instance *instance = *state;
    instance->test->run(&instance->pair);
}

/* A test that failed leaves servers and descriptors: they must not fail the tests behind it. */
static int clean_up(void **state)
{
    (void)state;
    program_kill_leftovers();
    return close_range(STDERR_FILENO + 1, ~0U, 0);
}

static void add_instance(struct CMUnitTest *unit, const struct matrix_test *test, struct pair pair)
{
    struct instance *instance = calloc(1, sizeof(*instance));
    char *name = NULL;
    *instance = (struct instance){test, pair};
    int size = test->over == MATRIX_ONCE
                   ? asprintf(&name, "%s", test->name)
                   : asprintf(&name, "%s (%s, %s)", test->name, pair.engine, pair.pool);
    assert_true(size > 0);
    *unit = (struct CMUnitTest){.name = name,
                                .test_func = run_instance,
                                .teardown_func = clean_up,
                                .initial_state = instance};
}

int matrix_run(const struct matrix_test *tests, size_t count)
{
    find_plugins();
    if (engines.count == 0 || pools.count == 0) {
        print_message("skipped: this build has no %s\n", engines.count == 0 ? "engine" : "pool");
        return EXIT_SKIPPED;
    }
    struct CMUnitTest *units = calloc(count * engines.count * pools.count, sizeof(*units));
    size_t unit_count = 0;
    for (size_t t = 0; t < count; t++) {
        enum matrix_over over = tests[t].over;
        size_t engine_count = over == MATRIX_PAIRS || over == MATRIX_ENGINES ? engines.count : 1;
        size_t pool_count = over == MATRIX_PAIRS || over == MATRIX_POOLS ? pools.count : 1;
        for (size_t e = 0; e < engine_count; e++) {
            for (size_t p = 0; p < pool_count; p++)
                add_instance(&units[unit_count++], &tests[t],
                             (struct pair){engines.list[e], pools.list[p]});
        }
    }
    if (getenv("KVS_TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("KVS_TEST_FILTER"));
    int failed = _cmocka_run_group_tests("system", units, unit_count, NULL, NULL);
    for (size_t i = 0; i < unit_count; i++) {
        free((void *)(uintptr_t)units[i].name);
        free(units[i].initial_state);
    }
    free(units);
    return failed;
}

static void start(struct server_process *server, const struct pair *pair, const char *data_dir,
                  const char *const *first, const char *const *more)
{
    const char *all[ARGUMENTS_MAX] = {"--engine", pair->engine, "--pool", pair->pool};
    size_t count = 4;
    char *log = NULL;
    int status = 0;
    for (; *first != NULL; first++)
        all[count++] = *first;
    for (; more != NULL && *more != NULL; more++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        all[count++] = *more;
    }
    if (server_process_start(server, data_dir, all, &log, &status))
        return;
    print_error("%s", log);
    free(log);
    fail_msg("kvs-server with engine %s and pool %s ended with %d", pair->engine, pair->pool,
             status);
}

void pair_start(struct server_process *server, const struct pair *pair, const char *data_dir,
                const char *const *arguments)
{
    static const char *const small_files[] = {"--engine-opt", "segment-size=4m", NULL};
    start(server, pair, data_dir, strcmp(pair->engine, "log") == 0 ? small_files : small_files + 2,
          arguments);
}

void pair_start_plain(struct server_process *server, const struct pair *pair, const char *data_dir,
                      const char *const *arguments)
{
    static const char *const nothing[] = {NULL};
    start(server, pair, data_dir, nothing, arguments);
}
