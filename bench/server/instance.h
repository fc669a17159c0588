/* A server that the suite starts as a process of its own: kvs-server, redis-server, memcached. */
#ifndef BENCH_SERVER_INSTANCE_H
#define BENCH_SERVER_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <kvs/types.h>

/* How a write is made durable; the same promise in each server's words. */
enum instance_sync {
    INSTANCE_NONE = 0,     /* kvs --sync none; Redis without an append-only file */
    INSTANCE_INTERVAL = 1, /* kvs --sync interval:1s; appendfsync everysec */
    INSTANCE_ALWAYS = 2,   /* kvs --sync always; appendfsync always */
};
#define INSTANCE_SYNC_COUNT 3u

/* What can be started. */
struct instance_kind {
    const char *name;     /* of the subject */
    const char *program;  /* looked for beside kvs-bench if it is ours, then on PATH */
    const char *protocol; /* of a load's target: "resp" */
    bool ours;
    bool durable; /* knows other modes than INSTANCE_NONE */
};

extern const struct instance_kind instance_kinds[];
extern const size_t instance_kind_count;

struct instance {
    const struct instance_kind *kind;
    pid_t pid;
    uint16_t port; /* of 127.0.0.1 */
    char *dir;     /* its data and its log; owned, removed at the end */
};

/* "none", "interval" or "always". */
const char *instance_sync_text(enum instance_sync sync);

/* Where the kind's program is; malloced; NULL: not installed. */
char *instance_program(const struct instance_kind *kind);

/*
 * Starts a server on a free port with its data below base_dir, and waits until it accepts
 * connections. KVS_OK; KVS_MISSING (no such program), KVS_IO (it ended; the message has the end of
 * its log), KVS_TIMEOUT. It dies with the thread that started it.
 */
KVS_MUST_USE kvs_status instance_start(const struct instance_kind *kind, enum instance_sync sync,
                                       const char *base_dir, struct instance *ret,
                                       struct kvs_error *err);
/* Stops it, waits for its end and removes its folder. No harm for a zeroed one. */
void instance_stop(struct instance *instance);

#endif
