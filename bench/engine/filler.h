/*
 * Filling a store in a process of its own: so that its memory can be told from ours, and so that it
 * can be killed.
 *
 * The process is this program again, with --fill DIR. It fills the store, writes one line of
 * figures to its stdout, and then waits: at the end of its stdin it closes the store and ends with
 * 0; or it is killed. If this process dies, its stdin ends as well.
 */
#ifndef BENCH_ENGINE_FILLER_H
#define BENCH_ENGINE_FILLER_H

#include <glib.h>

#include "engine/data.h"
#include "peers/peer.h"

/* What the filler says of itself. */
struct filler_report {
    uint64_t before_bytes; /* anonymous memory, before the store was opened */
    uint64_t peak_bytes;   /* the most there was while it was filled */
    uint64_t filled_bytes; /* when it was full */
    uint64_t resident_bytes;
    double fill_s;
};

/* A filler that has filled its store and waits. */
struct filler {
    GPid pid;
    int stdin_fd;
    int stdout_fd;
    struct filler_report report;
};

/* Starts a filler of dir and waits until the store is full. KVS_OK; KVS_IO: it could not be
   started, or said something else (its stderr is ours). */
KVS_MUST_USE kvs_status filler_start(const char *const *arguments, const struct peer *peer,
                                     const struct data *data, const char *dir, struct filler *ret,
                                     struct kvs_error *err);
/* Lets it close the store, or kills it with SIGKILL; waits for its end. KVS_OK; KVS_IO: it did not
   end as it should. */
KVS_MUST_USE kvs_status filler_stop(struct filler *filler, bool kill_it, struct kvs_error *err);

/* The filler's own main: the process's exit code. */
int filler_main(const struct peer *peer, const struct data *data, const char *dir);

#endif
