/*
 * How a connection of a load gets in: TLS, and a password. Its socket is non-blocking by then; everything
 * here waits, at most ENTRY_TIMEOUT_MS, and belongs to no measurement.
 */
#ifndef BENCH_LOAD_ENTRY_H
#define BENCH_LOAD_ENTRY_H

#include <kvs/types.h>

#include "client/client_tls.h"
#include "load/plan.h"

#define ENTRY_TIMEOUT_MS 10000

/* Makes the TLS stream and shakes hands. tls: of this thread. KVS_OK, KVS_NETWORK, KVS_TIMEOUT, KVS_NO_MEMORY;
   *ret_stream is then NULL. */
KVS_MUST_USE kvs_status entry_shake_hands(const struct plan *plan, struct client_tls *tls, int fd,
                                          struct client_stream **ret_stream, struct kvs_error *err);

/* Says plan->password. stream: NULL without TLS. KVS_OK, KVS_DENIED, KVS_NETWORK, KVS_TIMEOUT, KVS_PROTOCOL. */
KVS_MUST_USE kvs_status entry_log_in(const struct plan *plan, int fd, struct client_stream *stream,
                                     struct kvs_error *err);

#endif
