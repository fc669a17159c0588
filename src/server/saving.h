/*
 * Checkpoints on request (SAVE, BGSAVE): each into a new folder of the configured one, named by the
 * time, "checkpoint-20260131T120000.000Z". The newest ones are kept.
 *
 * All calls are safe from any thread.
 */
#ifndef SERVER_SAVING_H
#define SERVER_SAVING_H

#include "base/log.h"
#include "command/hooks.h"
#include "command/store.h"

#define SAVING_KEEP_DEFAULT 2u

struct saving;

/* folder: made when it is missing, at the first save; NULL: there is none, so every save gives
   KVS_UNSUPPORTED. keep: how many checkpoints stay, older ones are removed after a good save; 0: all.
   store and log outlive it. NULL: out of memory. */
struct saving *saving_new(struct store *store, const char *folder, uint32_t keep,
                          const struct log *log);
/* Waits for a save that runs. NULL is fine. Before the store is closed. */
void saving_free(struct saving *saving);

/* As hooks.save and hooks.save_state. */
kvs_status saving_save(struct saving *saving, bool in_background, struct kvs_error *err);
void saving_state(struct saving *saving, struct save_state *ret);

#endif
