/* See figures.h. Any thread; one read section for what comes from the store. */
#include "figures.h"

#include <sys/stat.h>

#include <lmdb.h>

#include "freelist.h"

/* What one snapshot says of the store. */
struct snapshot {
    MDB_stat tree;
    MDB_envinfo env;
    uint64_t free_pages;
};

static bool take_snapshot(struct kvs_db *db, struct snapshot *ret)
{
    struct reader *reader;
    reader_pin(&db->readers);
    bool taken = reader_begin(&db->readers, NULL, &reader, NULL) == KVS_OK;
    if (taken) {
        taken = mdb_stat(reader->txn, db->store.dbi, &ret->tree) == 0 &&
                mdb_env_info(db->store.env, &ret->env) == 0 &&
                freelist_count(reader->txn, &ret->free_pages) == 0;
        reader_end(&db->readers, NULL, reader);
    }
    reader_unpin(&db->readers);
    return taken;
}

static void visit_snapshot(const struct snapshot *snapshot, kvs_stat_fn visit, void *arg)
{
    visit(arg, "keys", snapshot->tree.ms_entries);
    visit(arg, "page_bytes", snapshot->tree.ms_psize);
    visit(arg, "tree_levels", snapshot->tree.ms_depth);
    visit(arg, "branch_pages", snapshot->tree.ms_branch_pages);
    visit(arg, "leaf_pages", snapshot->tree.ms_leaf_pages);
    visit(arg, "overflow_pages", snapshot->tree.ms_overflow_pages);
    visit(arg, "free_pages", snapshot->free_pages);
    visit(arg, "used_pages", (uint64_t)snapshot->env.me_last_pgno + 1);
    visit(arg, "map_bytes", snapshot->env.me_mapsize);
    visit(arg, "last_transaction_id", snapshot->env.me_last_txnid);
    visit(arg, "reader_slots_used", snapshot->env.me_numreaders);
    visit(arg, "reader_slots_max", snapshot->env.me_maxreaders);
}

void figures_visit(struct kvs_db *db, kvs_stat_fn visit, void *arg)
{
    struct snapshot snapshot;
    struct stat info;
    if (take_snapshot(db, &snapshot))
        visit_snapshot(&snapshot, visit, arg);
    else
        visit(arg, "keys", 0); /* the store is lost: nothing can be read */
    if (fstatat(db->store.dir_fd, STORE_DATA_FILE, &info, 0) == 0) {
        visit(arg, "file_bytes", (uint64_t)info.st_size);
        visit(arg, "disk_bytes", (uint64_t)info.st_blocks * 512);
    }
    visit(arg, "commits_total", atomic_load_explicit(&db->group.commits, memory_order_relaxed));
    visit(arg, "batches_total", atomic_load_explicit(&db->group.batches, memory_order_relaxed));
    visit(arg, "flushes_total", atomic_load_explicit(&db->durable.syncs, memory_order_relaxed));
    visit(arg, "map_growths_total", atomic_load_explicit(&db->space.growths, memory_order_relaxed));
    visit(arg, "read_only",
          atomic_load_explicit(&db->health.read_only, memory_order_relaxed) ? 1 : 0);
}
