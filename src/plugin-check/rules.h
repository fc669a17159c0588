/*
 * Every rule of the contract that is checked: its stable name, what it takes to be checked, and its
 * meaning in one line. The names are public: docs/plugin-guide.md explains them, and a name never
 * changes its meaning.
 */
#ifndef PLUGIN_CHECK_RULES_H
#define PLUGIN_CHECK_RULES_H

#include <stddef.h>
#include <stdint.h>

#include "check.h"

struct rule {
    const char *name;    /* "engine.get.not-found" */
    const char *meaning; /* one line, what a plugin that keeps it does */
    bool unloaded;       /* it runs in a process that has not loaded the plugin yet */
    uint64_t needs;      /* capabilities that the plugin must have for it, all of them */
    uint64_t not_for;    /* capabilities of which it must have none */
    void (*run)(struct check *check);
};

#define RULES_MAX 128u /* rules of one kind, those of any plugin included */

/* The rules of a kind (KVS_PLUGIN_*), first those of any plugin; returns how many. */
size_t rules_of(uint32_t kind, const struct rule *ret_rules[RULES_MAX]);

/* A capability as its name in the headers, without KVS_ENGINE_ or KVS_POOL_. */
const char *rules_capability_text(uint32_t kind, uint64_t bit);

#endif
