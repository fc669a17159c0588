/* See target.h. */
#include "harness/target.h"

#include <string.h>

#include "base/cleanup.h"

const char *target_state_text(enum target_state state)
{
    switch (state) {
    case TARGET_REACHED:
        return "reached";
    case TARGET_MISSED:
        return "not reached";
    case TARGET_NOT_MEASURED:
        break;
    }
    return "not measured";
}

static const struct series *find(const GPtrArray *series, const char *id)
{
    for (guint i = 0; i < series->len; i++) {
        const struct series *one = g_ptr_array_index(series, i);
        if (strcmp(one->id, id) == 0)
            return one->samples->len > 0 ? one : NULL;
    }
    return NULL;
}

static bool measure_figure(const struct series *series, const char *extra, uint64_t seed,
                           struct ratio *ret)
{
    size_t count = series->samples->len;
    _cleanup_(freep) double *values = series_values(series, extra);
    if (values == NULL)
        return false;
    *ret = (struct ratio){
        .value = statistics_median(values, count),
        .interval = statistics_bootstrap(values, count, statistics_median, seed),
        .count = count,
    };
    return true;
}

struct target_result target_judge(const struct target *target, const GPtrArray *series,
                                  uint64_t seed)
{
    struct target_result result = {.target = target};
    const struct series *numerator = find(series, target->numerator);
    if (numerator == NULL)
        return result;
    if (target->denominator == NULL) {
        if (!measure_figure(numerator, target->numerator_extra, seed, &result.measured))
            return result;
    } else {
        const struct series *denominator = find(series, target->denominator);
        if (denominator == NULL || !series_ratio(numerator, target->numerator_extra, denominator,
                                                 target->denominator_extra, seed, &result.measured))
            return result;
    }
    bool reached = target->at_most ? result.measured.value <= target->limit
                                   : result.measured.value >= target->limit;
    result.state = reached ? TARGET_REACHED : TARGET_MISSED;
    result.close = result.measured.interval.low <= target->limit &&
                   target->limit <= result.measured.interval.high &&
                   result.measured.interval.low < result.measured.interval.high;
    return result;
}
