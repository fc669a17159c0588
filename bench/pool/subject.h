/* One pool plugin that is measured, and the pools that are made of it. */
#ifndef BENCH_POOL_SUBJECT_H
#define BENCH_POOL_SUBJECT_H

#include <kvs/pool.h>

#include "base/log.h"
#include "plugin/host.h"
#include "plugin/loader.h"

struct subject {
    struct log log;
    struct plugin *plugin;
    struct plugin_host *host;
    const struct kvs_pool_ops *ops;
    struct kvs_pool *pool; /* while there is one */
};

/* Opens the plugin with these options ("NAME=VALUE"). On failure subject is empty. */
KVS_MUST_USE kvs_status subject_open(struct subject *subject, const struct plugin_dirs *dirs,
                                     const char *name, const char *const *options, uint32_t count,
                                     struct kvs_error *err);
void subject_close(struct subject *subject);

/* Makes and ends the subject's pool; any failure ends the program with a message. hooks: arg, idle
   and wake_idle are taken from it; NULL: none. */
void subject_begin(struct subject *subject, uint32_t threads, const struct kvs_pool_config *hooks);
void subject_end(struct subject *subject);

/* Zeroes where the pool keeps no figures. */
struct kvs_pool_stats subject_stats(struct subject *subject);

static inline int subject_can(const struct subject *subject, uint64_t capabilities)
{
    return (subject->ops->capabilities & capabilities) == capabilities;
}

#endif
