/* See plan.h. */
#include "load/plan.h"

#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"

/* The core workloads of YCSB, as its documentation describes them. */
static const struct plan_mix mixes[] = {
    {"get", 100, 0, 0, 0, PLAN_UNIFORM}, {"set", 0, 100, 0, 0, PLAN_UNIFORM},
    {"a", 50, 50, 0, 0, PLAN_ZIPF},      {"b", 95, 5, 0, 0, PLAN_ZIPF},
    {"c", 100, 0, 0, 0, PLAN_ZIPF},      {"d", 95, 0, 0, 5, PLAN_LATEST},
    {"f", 50, 0, 50, 0, PLAN_ZIPF},
};

static const char *const distributions[] = {"uniform", "zipf", "sequential", "latest"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

kvs_status plan_mix_parse(const char *text, struct plan_mix *ret, struct kvs_error *err)
{
    for (size_t i = 0; i < COUNT(mixes); i++) {
        if (strcasecmp(text, mixes[i].name) == 0) {
            *ret = mixes[i];
            return KVS_OK;
        }
    }
    if (strcasecmp(text, "e") == 0)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                             "mix e: YCSB's workload E is scans in key order, which none of these "
                             "protocols has");
    char *colon;
    char *end;
    double sets = strtod(text, &colon);
    double gets = *colon == ':' ? strtod(colon + 1, &end) : -1;
    if (colon == text || gets < 0 || end == colon + 1 || *end != '\0' || sets < 0 ||
        !(sets + gets > 0) || sets + gets > 1e9)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "mix %s: write SETS:GETS as 1:10, or get, set, or a YCSB workload: "
                             "a, b, c, d, f",
                             text);
    *ret = (struct plan_mix){
        .name = text,
        .gets = 100 * gets / (sets + gets),
        .sets = 100 * sets / (sets + gets),
        .distribution = PLAN_UNIFORM,
    };
    return KVS_OK;
}

kvs_status plan_distribution_parse(const char *text, enum plan_distribution *ret,
                                   struct kvs_error *err)
{
    for (size_t i = 0; i < COUNT(distributions); i++) {
        if (strcasecmp(text, distributions[i]) == 0) {
            *ret = (enum plan_distribution)i;
            return KVS_OK;
        }
    }
    return kvs_error_set(err, KVS_INVALID, 0,
                         "distribution %s: write uniform, zipf, sequential or latest", text);
}

const char *plan_distribution_text(enum plan_distribution distribution)
{
    return distributions[distribution];
}

kvs_status plan_check(const struct plan *plan, struct kvs_error *err)
{
    uint64_t request_max = plan->value_size + 2 * (uint64_t)WIRE_AROUND_MAX;
    if (plan->threads > plan->connections)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "%u threads with %u connections: a thread needs one at least",
                             plan->threads, plan->connections);
    if (request_max * plan->pipeline > PLAN_OUT_MAX)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a pipeline of %u values of %u bytes is more than %llu MiB: make one "
                             "of them smaller",
                             plan->pipeline, plan->value_size,
                             (unsigned long long)(PLAN_OUT_MAX >> 20));
    if (plan->keys < plan->threads)
        return kvs_error_set(err, KVS_INVALID, 0, "%llu keys for %u threads: give more",
                             (unsigned long long)plan->keys, plan->threads);
    if (plan->rate != 0 && plan->rate < plan->threads)
        return kvs_error_set(err, KVS_INVALID, 0, "a rate of %llu for %u threads: give more",
                             (unsigned long long)plan->rate, plan->threads);
    return KVS_OK;
}
