/* The results of a check, as text or as JSON. */
#ifndef PLUGIN_CHECK_REPORT_H
#define PLUGIN_CHECK_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "runner.h"

struct report {
    FILE *out;
    bool as_json;
    const char *path; /* the plugin */
    unsigned passed;
    unsigned failed;
    unsigned skipped;
};

void report_begin(struct report *report);
void report_add(struct report *report, const struct result *result);
void report_end(struct report *report);

/* All rules of both kinds: name and meaning. */
void report_list_rules(FILE *out);

#endif
