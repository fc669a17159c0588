/*
 * Whether a store still takes writes. A failed write or flush leaves it unknown what the disk holds
 * (the kernel forgets the failure once it was reported), so the first one turns the store read-only
 * until it is opened again, and says so in the host's log. Nothing ever turns it back.
 */
#ifndef ENGINE_LMDB_HEALTH_H
#define ENGINE_LMDB_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>

#include <kvs/plugin.h>

struct health {
    const struct kvs_host *host;
    const char *dir;       /* for messages; the store's */
    atomic_bool read_only; /* set once, by whoever fails first; relaxed: nothing hangs on it */
    bool opened_read_only; /* KVS_OPEN_READ_ONLY; constant */
};

void health_init(struct health *health, const struct kvs_host *host, const char *dir,
                 bool opened_read_only);

/* Turns the store read-only because of code (see fault.h), met while doing what. */
void health_fail(struct health *health, int code, const char *what);

/* KVS_OK, or KVS_READ_ONLY with the reason. */
KVS_MUST_USE kvs_status health_check(const struct health *health, struct kvs_error *err);

KVS_PRINTF(3, 4)
void health_log(const struct health *health, uint32_t level, const char *format, ...);

#endif
