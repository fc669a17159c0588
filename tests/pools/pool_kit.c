/* See pool_kit.h. */
#include "pools/pool_kit.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOLS_MAX   16u
#define FILE_PREFIX "kvs-pool-"
#define FILE_SUFFIX ".so"

/* Written before the first test. */
static unsigned threads_at_rest;
/* A test failed half-way, so its pool is still there: threads are not counted any more. */
static bool is_disturbed;

/* ---- hooks -------------------------------------------------------------------------------- */

static _Thread_local const struct pool_kit *working_for;

static void hook_started(void *arg)
{
    struct pool_kit *kit = arg;
    if (working_for != NULL)
        atomic_fetch_add(&kit->out_of_order, 1);
    working_for = kit;
    atomic_fetch_add(&kit->started, 1);
}

static void hook_stopped(void *arg)
{
    struct pool_kit *kit = arg;
    if (working_for != kit)
        atomic_fetch_add(&kit->out_of_order, 1);
    working_for = NULL;
    atomic_fetch_add(&kit->stopped, 1);
}

static void hook_lost(void *arg, const struct kvs_job *job)
{
    struct pool_kit *kit = arg;
    (void)job;
    atomic_fetch_add(&kit->lost, 1);
}

/* ---- the plugin --------------------------------------------------------------------------- */

static void kit_open_host(struct pool_kit *kit, const char *const *options, uint32_t count)
{
    struct test_error error;
    test_error_init(&error);
    struct plugin_host_config config = {
        .plugin = kit->plugin, .log = &kit->log, .options = options, .option_count = count};
    assert_status(KVS_OK, plugin_host_new(&config, &kit->host, &error.error), &error);
}

void kit_set_options(struct pool_kit *kit, const char *const *options, uint32_t count)
{
    plugin_host_free(kit->host);
    kit_open_host(kit, options, count);
}

static int kit_setup(void **state)
{
    struct pool_kit *kit = calloc(1, sizeof(*kit));
    assert_non_null(kit);
    kit->name = *state;
    log_init(&kit->log, KVS_LOG_WARN, NULL, NULL);
    struct test_error error;
    test_error_init(&error);
    assert_status(
        KVS_OK,
        plugin_open(test_plugin_dirs(), KVS_PLUGIN_POOL, kit->name, &kit->plugin, &error.error),
        &error);
    kit->ops = &kit->plugin->ops.pool;
    kit->threads_at_rest = threads_at_rest;
    kit_open_host(kit, NULL, 0);
    *state = kit;
    return 0;
}

static int kit_teardown(void **state)
{
    struct pool_kit *kit = *state;
    if (kit->pool != NULL) {
        is_disturbed = true;
        return 0; /* its threads may still use all this */
    }
    kit_wait_threads(kit, 0);
    plugin_host_free(kit->host);
    plugin_free(kit->plugin);
    free(kit);
    return 0;
}

bool kit_can(const struct pool_kit *kit, uint64_t capabilities)
{
    return (kit->ops->capabilities & capabilities) == capabilities;
}

/* GLib keeps the record of a GThreadPool that lost a thread: see plugins/pool-glib/pool.h. */
const char *__lsan_default_suppressions(void);

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:g_thread_pool_new\n";
}

/* ---- running the tests -------------------------------------------------------------------- */

static unsigned kit_find_pools(char **ret_names)
{
    unsigned found = 0;
    const struct plugin_dirs *dirs = test_plugin_dirs();
    for (uint32_t i = 0; i < dirs->count; i++) {
        DIR *dir = opendir(dirs->paths[i]);
        if (dir == NULL)
            continue;
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
            size_t length = strlen(entry->d_name);
            const size_t around = strlen(FILE_PREFIX) + strlen(FILE_SUFFIX);
            if (length <= around || found == POOLS_MAX ||
                strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) != 0 ||
                strcmp(entry->d_name + length - strlen(FILE_SUFFIX), FILE_SUFFIX) != 0)
                continue;
            ret_names[found++] = strndup(entry->d_name + strlen(FILE_PREFIX), length - around);
        }
        (void)closedir(dir);
    }
    return found;
}

static void *thread_tells_id(void *id)
{
    *(pid_t *)id = gettid();
    return NULL;
}

static bool thread_is_gone(void *id)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d", (int)*(pid_t *)id);
    return access(path, F_OK) != 0;
}

/* Counts the threads after one has come and gone: a sanitizer adds its own with the first. */
static unsigned count_threads_at_rest(void)
{
    pthread_t thread;
    pid_t id = 0;
    if (pthread_create(&thread, NULL, thread_tells_id, &id) != 0)
        abort();
    (void)pthread_join(thread, NULL);
    while (!thread_is_gone(&id))
        (void)sched_yield();
    return test_thread_count();
}

int kit_run(const char *name, const struct CMUnitTest *tests, size_t count, int argc, char **argv)
{
    char *names[POOLS_MAX];
    unsigned pools = 0;
    for (int i = 1; i < argc && pools < POOLS_MAX; i++)
        names[pools++] = strdup(argv[i]);
    if (pools == 0)
        pools = kit_find_pools(names);
    if (pools == 0) {
        print_error("no pool plugin was found\n");
        return EXIT_FAILURE;
    }

    int failed = 0;
    threads_at_rest = count_threads_at_rest();
    for (unsigned pool = 0; pool < pools; pool++) {
        struct CMUnitTest *own = calloc(count, sizeof(*own));
        for (size_t i = 0; own != NULL && i < count; i++) {
            own[i] = tests[i];
            own[i].setup_func = kit_setup;
            own[i].teardown_func = kit_teardown;
            own[i].initial_state = names[pool];
        }
        char *group = NULL;
        if (own == NULL || asprintf(&group, "%s of pool %s", name, names[pool]) < 0)
            abort();
        failed += _cmocka_run_group_tests(group, own, count, NULL, NULL);
        free(group);
        free(own);
        free(names[pool]);
    }
    return failed;
}

/* ---- a pool ------------------------------------------------------------------------------- */

struct kvs_pool_config kit_config(struct pool_kit *kit, uint32_t threads)
{
    return (struct kvs_pool_config){
        .size = (uint32_t)sizeof(struct kvs_pool_config),
        .threads = threads,
        .thread_name = "test-worker",
        .host = plugin_host_services(kit->host),
        .arg = kit,
        .thread_start = hook_started,
        .thread_stop = hook_stopped,
        .job_lost = hook_lost,
    };
}

void kit_create_with(struct pool_kit *kit, const struct kvs_pool_config *config)
{
    struct test_error error;
    test_error_init(&error);
    atomic_store(&kit->started, 0);
    atomic_store(&kit->stopped, 0);
    atomic_store(&kit->lost, 0);
    assert_status(KVS_OK, kit->ops->create(config, &kit->pool, &error.error), &error);
}

void kit_create(struct pool_kit *kit, uint32_t threads)
{
    struct kvs_pool_config config = kit_config(kit, threads);
    kit_create_with(kit, &config);
}

void kit_shutdown(struct pool_kit *kit, uint32_t mode)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, kit->ops->shutdown(kit->pool, mode, &error.error), &error);

    struct kvs_pool_stats stats = kit_stats(kit);
    assert_int_equal(stats.jobs_queued, 0);
    assert_int_equal(stats.jobs_running, 0);
    assert_int_equal(stats.jobs_spawned, stats.jobs_run + stats.jobs_dropped + stats.jobs_lost);
    assert_int_equal(stats.threads, 0);
    assert_int_equal(stats.jobs_lost, atomic_load(&kit->lost));
    assert_int_equal(atomic_load(&kit->started), atomic_load(&kit->stopped));
    assert_int_equal(atomic_load(&kit->out_of_order), 0);
}

void kit_destroy(struct pool_kit *kit)
{
    kit->ops->destroy(kit->pool);
    kit->pool = NULL;
}

void kit_finish(struct pool_kit *kit, uint32_t mode)
{
    kit_shutdown(kit, mode);
    kit_destroy(kit);
}

void kit_spawn(struct pool_kit *kit, void (*run)(void *arg), void *arg)
{
    struct kvs_job job = {.run = run, .arg = arg};
    assert_int_equal(kit->ops->spawn(kit->pool, &job), KVS_OK);
}

struct kvs_pool_stats kit_stats(struct pool_kit *kit)
{
    struct kvs_pool_stats stats = {.size = (uint32_t)sizeof(stats)};
    assert_true(kit_can(kit, KVS_POOL_HAS_STATS));
    kit->ops->stats(kit->pool, &stats);
    return stats;
}

static bool kit_is_quiet(void *arg)
{
    struct kvs_pool_stats stats = kit_stats(arg);
    return stats.jobs_spawned == stats.jobs_run + stats.jobs_dropped + stats.jobs_lost;
}

void kit_wait_quiet(struct pool_kit *kit)
{
    wait_until(kit_is_quiet, kit);
}

static bool has_threads(void *arg)
{
    return test_thread_count() == *(unsigned *)arg;
}

void kit_wait_threads(const struct pool_kit *kit, unsigned count)
{
    count += kit->threads_at_rest;
    if (!is_disturbed)
        wait_until(has_threads, &count);
}

/* ---- jobs --------------------------------------------------------------------------------- */

void job_count(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

void gate_init(struct gate *gate)
{
    memset(gate, 0, sizeof(*gate));
    (void)pthread_mutex_init(&gate->lock, NULL);
    (void)pthread_cond_init(&gate->opened, NULL);
}

void gate_deinit(struct gate *gate)
{
    (void)pthread_cond_destroy(&gate->opened);
    (void)pthread_mutex_destroy(&gate->lock);
}

void gate_open(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->is_open = true;
    (void)pthread_cond_broadcast(&gate->opened);
    (void)pthread_mutex_unlock(&gate->lock);
}

void job_wait_at_gate(void *arg)
{
    struct gate *gate = arg;
    (void)pthread_mutex_lock(&gate->lock);
    atomic_fetch_add(&gate->inside, 1);
    while (!gate->is_open)
        (void)pthread_cond_wait(&gate->opened, &gate->lock);
    atomic_fetch_sub(&gate->inside, 1);
    (void)pthread_mutex_unlock(&gate->lock);
}

struct count_wanted {
    atomic_uint *counter;
    unsigned value;
};

static bool count_reached(void *arg)
{
    const struct count_wanted *wanted = arg;
    return atomic_load(wanted->counter) == wanted->value;
}

void wait_for_count(atomic_uint *counter, unsigned value)
{
    struct count_wanted wanted = {counter, value};
    wait_until(count_reached, &wanted);
}

void gate_await(struct gate *gate, unsigned count)
{
    wait_for_count(&gate->inside, count);
}

void rendezvous_init(struct rendezvous *rendezvous, unsigned count)
{
    (void)pthread_mutex_init(&rendezvous->lock, NULL);
    (void)pthread_cond_init(&rendezvous->all_here, NULL);
    rendezvous->missing = count;
    atomic_store(&rendezvous->gone, 0);
}

void job_meet(void *arg)
{
    struct rendezvous *rendezvous = arg;
    (void)pthread_mutex_lock(&rendezvous->lock);
    if (--rendezvous->missing == 0)
        (void)pthread_cond_broadcast(&rendezvous->all_here);
    while (rendezvous->missing > 0)
        (void)pthread_cond_wait(&rendezvous->all_here, &rendezvous->lock);
    (void)pthread_mutex_unlock(&rendezvous->lock);
    atomic_fetch_add(&rendezvous->gone, 1);
}
