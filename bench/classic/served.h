/* A kvs server inside this process, as a program would embed it (kvs/server.h). */
#ifndef BENCH_CLASSIC_SERVED_H
#define BENCH_CLASSIC_SERVED_H

#include <kvs/server.h>

struct served;

/*
 * Starts a server on a free port of 127.0.0.1 with a thread that runs it. What config leaves out
 * has the server's defaults, but address, log and log_level are this one's: its errors go to
 * stderr. KVS_OK, or what kvs_server_new says.
 */
KVS_MUST_USE kvs_status served_start(const struct kvs_server_config *config,
                                     struct served **ret_served, struct kvs_error *err);
uint16_t served_port(const struct served *served);
/* Stops and frees it. KVS_OK, or what kvs_server_run said. NULL is fine. */
kvs_status served_stop(struct served *served, struct kvs_error *err);

#endif
