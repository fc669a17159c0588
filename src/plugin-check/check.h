/*
 * What a rule of the contract is checked with.
 *
 * A rule is a function that runs in a process of its own, with the plugin loaded and an empty
 * folder: it returns when the plugin keeps the rule, and ends the process through check_fail or
 * check_skip when it does not or when that cannot be told. Both may be called from any thread and
 * the first call counts; so nothing needs to be taken down on the way out, and a crash or a hang is
 * a verdict like any other (runner.h).
 */
#ifndef PLUGIN_CHECK_CHECK_H
#define PLUGIN_CHECK_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/log.h"
#include "plugin/loader.h"

#define CHECK_TEXT_MAX 1024u /* bytes of a verdict's text, terminator included */

/* clang-format off */
enum { /* struct verdict.kind */
    VERDICT_NONE    = 0, /* the process ended without one */
    VERDICT_PASS    = 1,
    VERDICT_FAIL    = 2,
    VERDICT_SKIP    = 3,
    VERDICT_WRITING = 4  /* somebody is at it */
};
/* clang-format on */

/* Lies in memory that the rule's process shares with the runner. */
struct verdict {
    uint32_t kind; /* VERDICT_*. Atomic: taken once by whoever makes it VERDICT_WRITING; the runner
                      reads it when the process has ended */
    char text[CHECK_TEXT_MAX];  /* why; written by whoever took kind */
    char doing[CHECK_TEXT_MAX]; /* what goes on, for a process that ends without a verdict; written
                                   by the rule's first thread */
};

/* What a rule gets. Constant while it runs. */
struct check {
    const struct plugin *plugin; /* NULL for the rules that load it themselves */
    const char *path;            /* the file */
    const char *dir;             /* an empty folder of this rule's own */
    const char *const *options;  /* "NAME=VALUE", for the plugin */
    uint32_t option_count;
    uint32_t wait_ms; /* how long check_wait waits: less than the runner does */
    struct log log;
    struct verdict *verdict;
};

/* An error with room for its message. */
struct check_error {
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};
void check_error_init(struct check_error *error);

/* The plugin breaks the rule; the text says what was done, what came of it and what should have. */
KVS_PRINTF(2, 3)
_Noreturn void check_fail(struct check *check, const char *format, ...);
/* It cannot be told, because of ... */
KVS_PRINTF(2, 3)
_Noreturn void check_skip(struct check *check, const char *format, ...);
/* What goes on now, for the report of a crash or a hang. From the first thread only. */
KVS_PRINTF(2, 3)
void check_doing(struct check *check, const char *format, ...);

#define CHECK(check, condition, ...)                                                               \
    do {                                                                                           \
        if (!(condition))                                                                          \
            check_fail((check), __VA_ARGS__);                                                      \
    } while (0)

/* Fails unless actual is wanted: "WHAT gave not found (1), not ok (0)". error may be NULL. */
void check_status(struct check *check, const char *what, kvs_status wanted, kvs_status actual,
                  const struct check_error *error);

/* Calls condition(arg) until it is true; fails with "waited in vain for WHAT" after wait_ms. */
void check_wait(struct check *check, const char *what, bool (*condition)(void *arg), void *arg);
bool check_wait_quietly(const struct check *check, bool (*condition)(void *arg), void *arg);

/* Runs count threads, run(arg, index) each, and waits for all of them. */
void check_threads(struct check *check, unsigned count, void (*run)(void *arg, unsigned index),
                   void *arg);

/* malloc that skips the rule where there is no memory. */
void *check_memory(struct check *check, uint64_t size);

/* True in a build with a sanitizer: that keeps memory and mappings of its own. */
bool check_is_sanitized(void);

/* What this process holds, for leaks. */
unsigned check_count_threads(void);
unsigned check_count_descriptors(void);
unsigned check_count_mappings(void);
uint64_t check_heap_bytes(void);

#endif
