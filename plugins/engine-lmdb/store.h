/*
 * The LMDB environment in a directory: making, opening, replacing and closing it. Policy (how it
 * grows, when it syncs, who reads and writes) is elsewhere.
 *
 * A page of data.mdb that the disk cannot deliver raises SIGBUS, as with every mapped file; LMDB
 * reports no such thing, and neither does this engine.
 *
 * Files: data.mdb and lock.mdb are LMDB's; data.mdb.new is one that is being made or copied and
 * means nothing; unsynced and unsynced.new are ours (marker.h).
 */
#ifndef ENGINE_LMDB_STORE_H
#define ENGINE_LMDB_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <lmdb.h>

#include <kvs/types.h>

#include "health.h"

#define STORE_KEY_MAX       511u /* bytes: LMDB's MDB_MAXKEYSIZE as it is built everywhere */
#define STORE_MAP_MIN_BYTES (UINT64_C(1) << 20)
#define STORE_DATA_FILE     "data.mdb"
#define STORE_NEW_FILE      "data.mdb.new"

struct store_config {
    const char *dir;
    uint64_t map_bytes;   /* at least; a larger store has a larger map */
    uint32_t max_readers; /* LMDB's read transactions at a time */
    unsigned sync_flags;  /* MDB_NOSYNC, MDB_NOMETASYNC or 0 */
    bool create;
    bool read_only;
    bool trust_unsynced; /* open what a machine's going down may have damaged (marker.h) */
};

struct store {
    /* Constant from open to close. */
    char *dir; /* owned */
    int dir_fd;
    bool read_only;
    uint32_t max_readers; /* as LMDB took it at the last opening */

    /* Changed only while no transaction is active and no copy runs (reader_pool_drain); read by
       whoever has one. */
    MDB_env *env; /* also not while a flush runs (durable_block) */
    bool is_lost; /* env is NULL or has no map: nothing can be read */
    int data_fd;  /* data.mdb; holds the flock, and is what its size is changed through */
    MDB_dbi dbi;
    uint64_t page_bytes;
    uint64_t map_bytes;

    /* The leader's (writer.h). */
    uint64_t file_bytes; /* the size of data.mdb */
};

/*
 * Opens the environment, or makes it first. The struct is zeroed by the caller; health (for the
 * log) outlives it. On failure it is as it was. Statuses as kvs_engine_ops.open.
 */
KVS_MUST_USE kvs_status store_open(struct store *store, const struct store_config *config,
                                   const struct health *health, struct kvs_error *err);

/* Also of a store that is zeroed. No transaction may be open, not even a reset one. */
void store_close(struct store *store);

/* Puts the complete and synced file data.mdb.new in place of data.mdb; the name is durable after
   store_sync_dir. What is open stays the old one until store_replace. 0 or errno. */
KVS_MUST_USE int store_rename_new(const struct store *store);

/*
 * Closes the environment and opens the file that was renamed. Takes new_fd, which is that file,
 * flocked. Same conditions as store_close. On failure the store has no environment.
 */
KVS_MUST_USE kvs_status store_replace(struct store *store, const struct store_config *config,
                                      int new_fd, const struct health *health,
                                      struct kvs_error *err);

/* Closes the environment and opens the same file for reading only. Conditions and failure as with
   store_replace. */
KVS_MUST_USE kvs_status store_reopen_read_only(struct store *store,
                                               const struct store_config *config,
                                               const struct health *health, struct kvs_error *err);

/* Makes the names in the directory durable. 0 or errno. */
KVS_MUST_USE int store_sync_dir(const struct store *store);

/* Bytes up to the last page that the last commit used. */
KVS_MUST_USE uint64_t store_used_bytes(const struct store *store);

#endif
