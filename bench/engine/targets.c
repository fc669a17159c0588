/* See targets.h. */
#include "engine/targets.h"

#include <stdbool.h>
#include <string.h>

#include "harness/target.h"

#define LOG_REOPEN_KEYS UINT64_C(10000000)
#define OWN             "/kvs-log"

/* A ratio of two series: the first's rate over the second's. */
#define RATIO(text_, numerator_, denominator_, limit_)                                             \
    {                                                                                              \
        .text = (text_), .numerator = (numerator_), .denominator = (denominator_),                 \
        .limit = (limit_), .unit = "x"                                                             \
    }

/* A figure of one series that may be at most so much. */
#define AT_MOST(text_, numerator_, extra_, limit_, unit_)                                          \
    {                                                                                              \
        .text = (text_), .numerator = (numerator_), .numerator_extra = (extra_), .at_most = true,  \
        .limit = (limit_), .unit = (unit_)                                                         \
    }

static const struct target targets[] = {
    RATIO("get, 1 thread, against tkrzw", "get/t1" OWN, "get/t1/tkrzw", 2),
    RATIO("get, 2 threads, against tkrzw", "get/t2" OWN, "get/t2/tkrzw", 2),
    RATIO("get, 2 threads against 1", "get/t2" OWN, "get/t1" OWN, 1.8),
    RATIO("get of 16 at once against single gets", "get_many16/t1" OWN, "get/t1" OWN, 1.5),
    RATIO("get of missing keys against stored ones", "get_miss/t1" OWN, "get/t1" OWN, 1),
    {.text = "get beside a writer against get alone",
     .numerator = "get_beside_writer/t1" OWN,
     .numerator_extra = "share_of_alone",
     .limit = 0.85,
     .unit = "x"},
    RATIO("set, no sync, against tkrzw", "fill/t1" OWN, "fill/t1/tkrzw", 1),
    RATIO("set in batches of 64, against tkrzw's set", "fill_batch64/t1" OWN, "fill/t1/tkrzw", 1.5),
    RATIO("set, sync, 1 thread, against append+fdatasync", "set_sync/t1" OWN, "set_sync/t1/append",
          1),
    RATIO("set, sync, 32 threads, against LevelDB", "set_sync/t32" OWN, "set_sync/t32/leveldb",
          1.5),
    RATIO("mixed 50/50, against tkrzw", "mixed_50_50/t2" OWN, "mixed_50_50/t2/tkrzw", 1),
    RATIO("mixed 95/5, against tkrzw", "mixed_95_5/t2" OWN, "mixed_95_5/t2/tkrzw", 1),
    AT_MOST("opening 10 million keys, clean", "reopen_clean/t1" OWN, NULL, 500, "ms"),
    AT_MOST("opening 10 million keys, killed", "reopen_killed/t1" OWN, NULL, 2000, "ms"),
    AT_MOST("memory, filled", "memory/t1" OWN, NULL, 14, " bytes/key"),
    AT_MOST("memory, at any moment", "memory/t1" OWN, "peak_bytes_per_key", 16, " bytes/key"),
    AT_MOST("disk after 5 overwrites, beyond 3 segments", "overwrite5/t1" OWN,
            "beyond_3_segments_x_live", 1.5, "x live"),
    AT_MOST("p99 of get during overwriting, against alone", "overwrite5/t1" OWN, "get_p99_ratio", 2,
            "x"),
    AT_MOST("longest get", "overwrite5/t1" OWN, "get_stall_ns", 50e6, "ns"),
    AT_MOST("longest set", "overwrite5/t1" OWN, "set_stall_ns", 50e6, "ns"),
};

static bool is_of_reopen_keys(const struct target *target)
{
    return g_str_has_prefix(target->numerator, "reopen_") ||
           g_str_has_prefix(target->numerator, "memory/");
}

void engine_targets_judge(const GPtrArray *series, uint64_t reopen_keys, uint64_t seed, GArray *ret)
{
    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        if (is_of_reopen_keys(&targets[i]) && reopen_keys != LOG_REOPEN_KEYS)
            continue;
        struct target_result result = target_judge(&targets[i], series, seed);
        if (result.state != TARGET_NOT_MEASURED)
            g_array_append_val(ret, result);
    }
}
