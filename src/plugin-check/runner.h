/*
 * Runs the rules, each in a process of its own with a folder of its own and a time limit, so that a
 * plugin that crashes, hangs or ends its process fails one rule and not the check.
 */
#ifndef PLUGIN_CHECK_RUNNER_H
#define PLUGIN_CHECK_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "check.h"
#include "rules.h"

struct runner_config {
    const char *path; /* the plugin's file */
    const char *only; /* a pattern of names with * and ?; NULL: all */
    const char *const *options;
    uint32_t option_count;
    uint32_t timeout_ms; /* per rule */
    bool verbose;        /* what the plugin logs and prints goes to stderr */
};

struct result {
    const struct rule *rule;
    uint32_t kind; /* VERDICT_PASS, VERDICT_FAIL or VERDICT_SKIP */
    uint32_t milliseconds;
    char text[CHECK_TEXT_MAX]; /* why not PASS */
};

/* Told each result as it comes. */
typedef void (*runner_result_fn)(void *arg, const struct result *result);

/*
 * Checks the plugin in config->path. KVS_OK when all rules were run, whatever their results;
 * negative when the check itself could not go on (a path that is no plugin's, no processes).
 * For a process that has no other threads.
 */
KVS_MUST_USE kvs_status runner_run(const struct runner_config *config, runner_result_fn tell,
                                   void *arg, struct kvs_error *err);

#endif
