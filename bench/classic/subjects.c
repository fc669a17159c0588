/* See subjects.h. */
#include "classic/subjects.h"

#include <stdlib.h>

#include <glib.h>
#include <kvs/engine.h>

#include "base/cleanup.h"

const struct classic_benchmark classic_benchmarks[] = {
    {"write_queued_log", "shared-queue", "log", WIRE_SET,
     "1000 clients connect and set a key each; log engine, pool shared-queue"},
    {"read_queued_log", "shared-queue", "log", WIRE_GET,
     "1000 clients connect and get a key each; log engine, pool shared-queue"},
    {"write_glib_log", "glib", "log", WIRE_SET,
     "1000 clients connect and set a key each; log engine, pool glib"},
    {"read_glib_log", "glib", "log", WIRE_GET,
     "1000 clients connect and get a key each; log engine, pool glib"},
    {"write_glib_lmdb", "glib", "lmdb", WIRE_SET,
     "1000 clients connect and set a key each; LMDB, pool glib"},
    {"read_glib_lmdb", "glib", "lmdb", WIRE_GET,
     "1000 clients connect and get a key each; LMDB, pool glib"},
};
const size_t classic_benchmark_count = G_N_ELEMENTS(classic_benchmarks);

const struct classic_subject classic_subjects[] = {
    {"none", KVS_DURABILITY_NONE, false, false, 1.1},
    {"always", KVS_DURABILITY_ALWAYS, false, false, 1.3},
    {CLASSIC_FLOOR, 0, true, false, 0},
    {"bare", 0, true, true, 0},
};
const size_t classic_subject_count = G_N_ELEMENTS(classic_subjects);

size_t classic_threads(uint32_t cpus, uint32_t threads[CLASSIC_THREADS_MAX])
{
    size_t count = 0;
    threads[count++] = 1;
    for (uint32_t number = 2; number <= MAX(2 * cpus, 4) && count < CLASSIC_THREADS_MAX;
         number += 2)
        threads[count++] = number;
    return count;
}

static bool plugin_exists(const struct plugin_dirs *dirs, const char *kind, const char *name)
{
    for (uint32_t i = 0; i < dirs->count; i++) {
        _cleanup_(freep) char *path =
            g_strdup_printf("%s/kvs-%s-%s.so", dirs->paths[i], kind, name);
        if (g_file_test(path, G_FILE_TEST_EXISTS))
            return true;
    }
    return false;
}

bool classic_plugins_exist(const struct classic_benchmark *benchmark,
                           const struct plugin_dirs *dirs)
{
    return plugin_exists(dirs, "engine", benchmark->engine) &&
           plugin_exists(dirs, "pool", benchmark->pool);
}
