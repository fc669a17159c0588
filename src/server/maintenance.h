/* What kvs-server does with a store that nobody serves: checking and salvaging. */
#ifndef SERVER_MAINTENANCE_H
#define SERVER_MAINTENANCE_H

#include <stdbool.h>

#include <kvs/server.h>

/*
 * Checks the store in config->data_dir (config->engine: NULL, or the one that made it). Each
 * finding is a line on stdout. KVS_OK: sound. KVS_CORRUPT: there were findings. KVS_MISSING: no
 * store there. KVS_UNSUPPORTED: its engine cannot. Otherwise as kvs_server_new.
 */
KVS_MUST_USE kvs_status maintenance_verify(const struct kvs_server_config *config,
                                           struct kvs_error *err);

/*
 * Salvages it into target, a new or empty directory, which then is a data directory of the same
 * engine. What was lost is reported on stdout. config->engine, if it is set, counts also where the
 * directory does not say any more which engine made it. KVS_OK: nothing was lost. KVS_CORRUPT with
 * *ret_lost (else left alone): target is a store, but something was lost. KVS_UNSUPPORTED: the engine
 * cannot. After any other failure target is no store. Otherwise as maintenance_verify.
 */
KVS_MUST_USE kvs_status maintenance_repair(const struct kvs_server_config *config,
                                           const char *target, bool *ret_lost,
                                           struct kvs_error *err);

#endif
