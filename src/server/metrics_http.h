/*
 * The page for monitoring: a small HTTP server beside the store's own port, with a thread of its own
 * (libmicrohttpd), so that it answers while every worker is busy.
 *
 *     GET /metrics   the figures, for Prometheus
 *     GET /health    200 "ok" while the server works, 503 with the reason when its engine gave up
 *     GET /ready     200 "ready" while it serves requests, 503 "loading..." or "stopping" otherwise
 *
 * Anything else is 404, another method 405. There is no password: it shows figures, never keys
 * or values; keep it on an address that only the monitoring reaches.
 */
#ifndef SERVER_METRICS_HTTP_H
#define SERVER_METRICS_HTTP_H

#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"

/* What the pages show. Both are called on the page's thread. */
struct metrics_source {
    /* Appends the figures. KVS_OK or KVS_NO_MEMORY. */
    kvs_status (*figures)(void *arg, struct buffer *out);
    /* Whether it is ready or healthy; text: why, or why not, LINE bytes at most. */
    bool (*ready)(void *arg, char *text, size_t text_size);
    bool (*healthy)(void *arg, char *text, size_t text_size);
    void *arg;
};

struct metrics_http;

/* Listens and serves. source is copied. KVS_OK; KVS_NETWORK; KVS_UNSUPPORTED: this build is without
   libmicrohttpd. */
KVS_MUST_USE kvs_status metrics_http_start(const struct address *address,
                                           const struct metrics_source *source,
                                           struct metrics_http **ret_http, struct kvs_error *err);
/* The port it listens on. */
uint16_t metrics_http_port(const struct metrics_http *http);
/* Ends the thread and closes. NULL is fine. */
void metrics_http_stop(struct metrics_http *http);

#endif
