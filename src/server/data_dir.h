/*
 * The data directory: who has it, and which engine made what is in it.
 *
 * The host keeps three files there: kvs.lock, locked while a server has the directory; kvs.store, a key
 * file that names the engine; and kvs.plain, from the making of a store until something in it first
 * expires. All else is the engine's.
 */
#ifndef SERVER_DATA_DIR_H
#define SERVER_DATA_DIR_H

#include <stdbool.h>

#include <kvs/types.h>

#define DATA_DIR_ENGINE_MAX 65u /* bytes of an engine's name, terminator included */

struct data_dir {
    char *path; /* owned, absolute */
    int lock_fd;
    bool is_guest; /* only looked at: the lock file is removed again if we made it */
    bool made_lock;
    bool is_new;          /* the directory named no engine when it was opened */
    bool is_end_in_doubt; /* a flush failed that was to make the end of kvs.plain durable */
    char engine[DATA_DIR_ENGINE_MAX]; /* the engine that made the data; empty: none yet */
};

/*
 * Looks which engine made what is at path, and touches nothing. ret_engine is empty where nothing
 * is yet. KVS_OK; KVS_INCOMPATIBLE (it holds other files, or the marker of a later kvs),
 * KVS_CORRUPT (a marker that says nothing, a copy that
 * was not finished), KVS_DENIED, KVS_IO, KVS_INVALID (no directory).
 */
KVS_MUST_USE kvs_status data_dir_peek(const char *path, char ret_engine[DATA_DIR_ENGINE_MAX],
                                      struct kvs_error *err);

/*
 * Makes the directory if it is missing (with its parents), locks it, and reads which engine it
 * belongs to. KVS_OK, KVS_LOCKED (another process has it), or as data_dir_peek; one that is refused
 * was not touched.
 */
KVS_MUST_USE kvs_status data_dir_open(struct data_dir *dir, const char *path,
                                      struct kvs_error *err);

/*
 * Takes a stopped store to look at it. Nothing in the directory is changed, and it may be on a file
 * system that is read-only. engine_is_known: to the caller, so a marker that is damaged or missing does
 * not matter, and leaves dir->engine empty. KVS_OK, KVS_MISSING (no store there), KVS_CORRUPT (the
 * marker, or a copy that was not finished), KVS_INCOMPATIBLE, KVS_LOCKED (it is being served),
 * KVS_DENIED, KVS_IO.
 */
KVS_MUST_USE kvs_status data_dir_open_stopped(struct data_dir *dir, const char *path,
                                              bool engine_is_known, struct kvs_error *err);

/* KVS_INCOMPATIBLE, with a message that names both, when what made_by made is not engine's; made_by
   may be empty. */
KVS_MUST_USE kvs_status data_dir_check_engine(const char *path, const char *made_by,
                                              const char *engine, struct kvs_error *err);

/* Says that engine is going to use it, durably. KVS_OK, also when it is that engine's already;
   KVS_INCOMPATIBLE as data_dir_check_engine, and nothing was changed; KVS_IO. */
KVS_MUST_USE kvs_status data_dir_claim(struct data_dir *dir, const char *engine,
                                       struct kvs_error *err);

/* Takes back the claim on a new directory, for an engine that could not open it. */
void data_dir_unclaim(struct data_dir *dir);

/* True when surely nothing in the store expires. A copy of it (a checkpoint, a salvaged store) does not
   say so, and is then walked over once. */
bool data_dir_is_plain(const struct data_dir *dir);
/* From now on something may, durably. KVS_OK or KVS_IO; once a flush has failed always KVS_IO. One caller at
   a time. */
KVS_MUST_USE kvs_status data_dir_end_plain(struct data_dir *dir, struct kvs_error *err);

/* Unlocks. A zeroed or closed one is fine. */
void data_dir_close(struct data_dir *dir);

#endif
