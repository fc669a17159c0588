/* See progress.h. Of several threads that find that a line is due, the one that sets its time logs it. */
#include "progress.h"

#include <inttypes.h>

#define EVERY_NS UINT64_C(1000000000)

void progress_begin(struct progress *progress, const struct kvs_db *db, const char *what,
                    uint64_t total, enum progress_part part)
{
    progress->db = db;
    if (db == NULL)
        return;
    progress->what = what;
    progress->total = total;
    progress->part = part;
    atomic_init(&progress->done, 0);
    atomic_init(&progress->logged_ns, db->host->now_ns(db->host));
}

static void tell_host(const struct progress *progress, uint64_t done)
{
    const struct kvs_db *db = progress->db;
    uint64_t before = progress->part == PROGRESS_SECOND_HALF ? progress->total : 0;
    uint64_t total = progress->part == PROGRESS_WHOLE ? progress->total : 2 * progress->total;
    if (db->progress != NULL && progress->part != PROGRESS_NONE)
        db->progress(db->progress_arg, before + done, total);
}

void progress_step(struct progress *progress)
{
    if (progress->db == NULL)
        return;
    const struct kvs_host *host = progress->db->host;
    uint64_t done = atomic_fetch_add_explicit(&progress->done, 1, memory_order_relaxed) + 1;
    tell_host(progress, done);
    uint64_t now_ns = host->now_ns(host);
    uint64_t logged_ns = atomic_load_explicit(&progress->logged_ns, memory_order_relaxed);
    if (now_ns - logged_ns < EVERY_NS || done == progress->total ||
        !atomic_compare_exchange_strong_explicit(&progress->logged_ns, &logged_ns, now_ns,
                                                 memory_order_relaxed, memory_order_relaxed))
        return;
    store_log(progress->db, KVS_LOG_INFO, "%s: %" PRIu64 " of %" PRIu64 " (%" PRIu64 " %%)",
              progress->what, done, progress->total, done * 100 / progress->total);
}
