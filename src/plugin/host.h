/*
 * The host services that one plugin instance gets (struct kvs_host), with the values of its options
 * and the metrics that it registers.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <stdint.h>

#include <kvs/engine.h>
#include <kvs/plugin.h>

#include "base/log.h"
#include "plugin/loader.h"

struct plugin_host;

struct plugin_host_config {
    const struct plugin *plugin; /* must outlive the host */
    const struct log *log;       /* must outlive the host */
    const char *const *options;  /* "NAME=VALUE" each; a later one wins; copied */
    uint32_t option_count;
    void (*fatal)(void *arg, const char *message); /* may be NULL; any thread; logged already */
    void *fatal_arg;
};

/*
 * Makes the services of one instance. KVS_OK; KVS_INVALID for an option that is not NAME=VALUE, is
 * unknown (the message lists those that exist), has a value that is not of its type or out of its
 * range, or is required and missing; KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status plugin_host_new(const struct plugin_host_config *config,
                                        struct plugin_host **ret_host, struct kvs_error *err);
/* After the instance was closed. NULL is fine. */
void plugin_host_free(struct plugin_host *host);

/* What to hand to open or create. Lives as long as the host. */
const struct kvs_host *plugin_host_services(const struct plugin_host *host);

/* Shows each registered metric: NAME for counters and gauges; NAME_count, NAME_sum and NAME_max for
   histograms. */
void plugin_host_visit_metrics(const struct plugin_host *host, kvs_stat_fn visit, void *arg);

#endif
