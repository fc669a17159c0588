/* See rules.h. The tables are made of the lists in rules_list.h. */
#include "rules.h"

#include <kvs/engine.h>
#include <kvs/pool.h>

#include "rules_list.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define ROW(function, name, unloaded, needs, not_for, meaning)                                     \
    {(name), (meaning), (unloaded), (needs), (not_for), (function)},

static const struct rule plugin_rules[] = {PLUGIN_RULES(ROW)};
static const struct rule engine_rules[] = {ENGINE_RULES(ROW)};
static const struct rule pool_rules[] = {POOL_RULES(ROW)};

_Static_assert(COUNT_OF(plugin_rules) + COUNT_OF(engine_rules) <= RULES_MAX, "too many rules");
_Static_assert(COUNT_OF(plugin_rules) + COUNT_OF(pool_rules) <= RULES_MAX, "too many rules");

size_t rules_of(uint32_t kind, const struct rule *ret_rules[RULES_MAX])
{
    size_t count = 0;
    const struct rule *own = kind == KVS_PLUGIN_ENGINE ? engine_rules : pool_rules;
    size_t own_count = kind == KVS_PLUGIN_ENGINE ? COUNT_OF(engine_rules) : COUNT_OF(pool_rules);
    for (size_t i = 0; i < COUNT_OF(plugin_rules); i++)
        ret_rules[count++] = &plugin_rules[i];
    for (size_t i = 0; i < own_count; i++)
        ret_rules[count++] = &own[i];
    return count;
}

struct capability {
    uint64_t bit;
    const char *text;
};

static const struct capability engine_capabilities[] = {
    {KVS_ENGINE_HAS_SUBMIT, "submit"},
    {KVS_ENGINE_HAS_GET_MANY, "get_many"},
    {KVS_ENGINE_HAS_SCAN, "scan"},
    {KVS_ENGINE_HAS_SYNC, "sync"},
    {KVS_ENGINE_HAS_THREADS, "thread_attach"},
    {KVS_ENGINE_HAS_STATS, "stats"},
    {KVS_ENGINE_HAS_CHECKPOINT, "checkpoint"},
    {KVS_ENGINE_HAS_COMPACT, "compact"},
    {KVS_ENGINE_HAS_VERIFY, "verify"},
    {KVS_ENGINE_HAS_REPAIR, "repair"},
    {KVS_ENGINE_HAS_RECONFIGURE, "reconfigure"},
    {KVS_ENGINE_ORDERED, "ORDERED"},
    {KVS_ENGINE_SNAPSHOT_SCAN, "SNAPSHOT_SCAN"},
    {KVS_ENGINE_DURABLE, "DURABLE"},
    {KVS_ENGINE_BATCH_ATOMIC, "BATCH_ATOMIC"},
};

static const struct capability pool_capabilities[] = {
    {KVS_POOL_HAS_SPAWN_BATCH, "spawn_batch"},
    {KVS_POOL_HAS_STATS, "stats"},
    {KVS_POOL_HAS_RESIZE, "resize"},
    {KVS_POOL_UNBOUNDED, "UNBOUNDED"},
    {KVS_POOL_INLINE, "INLINE"},
    {KVS_POOL_SURVIVES_THREAD_EXIT, "SURVIVES_THREAD_EXIT"},
    {KVS_POOL_RUNS_IDLE_HOOK, "RUNS_IDLE_HOOK"},
};

const char *rules_capability_text(uint32_t kind, uint64_t bit)
{
    const struct capability *table =
        kind == KVS_PLUGIN_ENGINE ? engine_capabilities : pool_capabilities;
    size_t count =
        kind == KVS_PLUGIN_ENGINE ? COUNT_OF(engine_capabilities) : COUNT_OF(pool_capabilities);
    for (size_t i = 0; i < count; i++) {
        if (table[i].bit == bit)
            return table[i].text;
    }
    return "something";
}
