/* The metrics that one plugin instance registered: counters, gauges, histograms. */
#ifndef PLUGIN_METRICS_H
#define PLUGIN_METRICS_H

#include <stdint.h>

#include <kvs/engine.h>
#include <kvs/plugin.h>

#define METRICS_MAX     128u /* metrics of one instance */
#define METRIC_NAME_MAX 64u  /* bytes, terminator not counted */

struct metrics;

/* NULL without memory. Free it when nobody uses it any more; NULL is fine. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* As kvs_host.metric_register, metric_add and metric_observe. Any thread; add and observe take no
   lock. A counter ignores a negative delta. */
KVS_MUST_USE kvs_status metrics_register(struct metrics *metrics, uint32_t kind, const char *name,
                                         const char *help, uint32_t *ret_id);
void metrics_add(struct metrics *metrics, uint32_t id, int64_t delta);
void metrics_observe(struct metrics *metrics, uint32_t id, uint64_t value);

/* As plugin_host_visit_metrics, in the order of registration. A gauge below 0 is shown as 0. Any
   thread. */
void metrics_visit(struct metrics *metrics, kvs_stat_fn visit, void *arg);

#endif
