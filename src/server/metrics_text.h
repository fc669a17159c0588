/*
 * A server's figures in the text format of Prometheus (version 0.0.4). Nothing here knows of HTTP.
 */
#ifndef SERVER_METRICS_TEXT_H
#define SERVER_METRICS_TEXT_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/latency.h"

/* The text that is being written. After the first KVS_NO_MEMORY in status the rest is left out. */
struct metrics_text {
    struct buffer *out;
    kvs_status status;
};

/* A figure of stats (kvs_stat_fn; arg is the struct metrics_text). Known names get a type and a
   help line, counters the suffix _total; others are untyped, as what a plugin counts is not known. */
void metrics_text_figure(void *arg, const char *name, uint64_t value);

/* "kvs_NAME{LABELS} 1": a figure that exists for its labels. labels: 'a="b",c="d"'. */
void metrics_text_info(struct metrics_text *text, const char *name, const char *help,
                       const char *labels);

/* The two lines before the histograms of one name. */
void metrics_text_histogram_head(struct metrics_text *text, const char *name, const char *help);
/* One histogram, in seconds. label: 'command="get"', or "" for none. */
void metrics_text_histogram(struct metrics_text *text, const char *name, const char *label,
                            const struct latency *latency);

#endif
