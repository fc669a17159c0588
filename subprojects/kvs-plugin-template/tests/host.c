/* See host.h. */
#include "host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WAIT_S 30

const struct kvs_plugin *load_plugin(const char *file)
{
    char path[4096];
    const char *dir = getenv("PLUGIN_DIR");
    assert_non_null(dir);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL)
        fail_msg("%s", dlerror());
    void *symbol = dlsym(handle, KVS_PLUGIN_ENTRY_NAME);
    assert_non_null(symbol);
    kvs_plugin_entry_fn entry;
    memcpy(&entry, &symbol, sizeof(entry));
    const struct kvs_plugin *const *list = entry(KVS_ABI_MAJOR, KVS_ABI_MINOR);
    assert_non_null(list[0]);
    assert_int_equal(list[0]->magic, KVS_PLUGIN_MAGIC);
    return list[0];
}

static void host_log(const struct kvs_host *host, uint32_t level, const char *message)
{
    (void)host;
    (void)level;
    (void)message;
}

static int32_t host_log_enabled(const struct kvs_host *host, uint32_t level)
{
    (void)host;
    (void)level;
    return 0;
}

static kvs_status host_config_get(const struct kvs_host *services, const char *name,
                                  struct kvs_option_value *ret)
{
    const struct test_host *host = services->context;
    *ret = (struct kvs_option_value){.size = ret->size};
    for (uint32_t i = 0; i < host->value_count; i++) {
        if (strcmp(host->names[i], name) == 0)
            *ret = host->values[i];
    }
    return KVS_OK;
}

static kvs_status host_metric_register(const struct kvs_host *host, uint32_t kind, const char *name,
                                       const char *help, uint32_t *ret_id)
{
    (void)host;
    (void)kind;
    (void)name;
    (void)help;
    *ret_id = 0;
    return KVS_OK;
}

static void host_metric_add(const struct kvs_host *services, uint32_t id, int64_t delta)
{
    struct test_host *host = services->context;
    (void)id;
    __atomic_fetch_add(&host->metric, delta, __ATOMIC_RELAXED);
}

static void host_metric_observe(const struct kvs_host *host, uint32_t id, uint64_t value)
{
    (void)host;
    (void)id;
    (void)value;
}

static uint64_t host_now_ns(const struct kvs_host *host)
{
    struct timespec now;
    (void)host;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void host_fatal(const struct kvs_host *host, const char *message)
{
    (void)host;
    (void)fprintf(stderr, "fatal: %s\n", message);
    abort();
}

static const void *host_get_extension(const struct kvs_host *host, const char *id)
{
    (void)host;
    (void)id;
    return NULL;
}

void test_host_init(struct test_host *host)
{
    *host = (struct test_host){
        .services =
            {
                .size = sizeof(struct kvs_host),
                .abi_major = KVS_ABI_MAJOR,
                .abi_minor = KVS_ABI_MINOR,
                .context = host,
                .log = host_log,
                .log_enabled = host_log_enabled,
                .config_get = host_config_get,
                .metric_register = host_metric_register,
                .metric_add = host_metric_add,
                .metric_observe = host_metric_observe,
                .now_ns = host_now_ns,
                .fatal = host_fatal,
                .get_extension = host_get_extension,
            },
    };
}

void wait_until(bool (*condition)(void *arg), void *arg)
{
    time_t deadline = time(NULL) + WAIT_S;
    while (!condition(arg)) {
        struct timespec pause = {0, 1000000};
        if (time(NULL) > deadline)
            fail_msg("a condition did not come true within %d seconds", WAIT_S);
        (void)nanosleep(&pause, NULL);
    }
}

unsigned thread_count(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (entry->d_name[0] != '.')
            count++;
    }
    (void)closedir(dir);
    return count;
}
