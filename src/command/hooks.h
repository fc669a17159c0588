/*
 * What commands for operators need of the server around them, as calls that it fills in: passwords,
 * the list of clients, settings, the slow log, saving, stopping. Each may be NULL: what needs it then
 * says that this server does not offer it, or answers as if there were nothing.
 *
 * Every call may come from any thread that serves clients, and from several at once. `arg` is hooks.arg.
 */
#ifndef COMMAND_HOOKS_H
#define COMMAND_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "command/client.h"

enum authentication {
    AUTHENTICATED,
    AUTHENTICATION_WRONG,   /* no such user, or another password */
    AUTHENTICATION_NOT_SET, /* the server wants no password */
};

/* Where a checkpoint went wrong or right, for SAVE, LASTSAVE and INFO. */
struct save_state {
    int64_t last_success_s; /* Unix time; the start of the server before the first one */
    bool running;
    bool last_failed;
    uint64_t count; /* since the start */
};

/* A command that took long. The views are good until the visitor returns. */
struct slow_entry {
    uint64_t id;
    int64_t time_s; /* Unix time at which it began */
    uint64_t duration_us;
    const struct kvs_bytes *arguments; /* the first ones, perhaps cut */
    uint32_t argument_count;
    const char *client_address;
    const char *client_name;
};

/* What one command of the table has done since the start. */
struct command_figures {
    uint64_t calls;
    uint64_t failed_calls;   /* answered with an error while running */
    uint64_t rejected_calls; /* refused before */
    uint64_t total_us;
};

enum {                        /* flags of shut_down */
    SHUT_DOWN_SAVE = 1u << 0, /* write a checkpoint first; stay up when that fails */
};

struct hooks {
    void *arg;

    /* Compares in constant time. NULL: no password is wanted. */
    enum authentication (*authenticate)(void *arg, struct kvs_bytes user,
                                        struct kvs_bytes password);

    /* True when a client must authenticate before it may do anything. NULL: it need not. */
    bool (*needs_password)(void *arg);

    /* Shows each connected client, of either protocol, the newest last, under a lock: visit must not
       call hooks. */
    void (*visit_clients)(void *arg, void (*visit)(void *visit_arg, struct client *client),
                          void *visit_arg);
    /* Cuts a client's connection off. False: there is none with this id. */
    bool (*kill_client)(void *arg, uint64_t id);

    /* Shows settings under the names that Redis has for them ("maxclients"), as text. */
    void (*visit_settings)(void *arg,
                           void (*visit)(void *visit_arg, const char *name, const char *value),
                           void *visit_arg);
    /* Changes one at run time. KVS_OK; KVS_MISSING: no such name; KVS_UNSUPPORTED: only a restart
       changes it; KVS_INVALID: the value, err says why. */
    kvs_status (*change_setting)(void *arg, const char *name, const char *value,
                                 struct kvs_error *err);
    /* Sets the figures that only grow back to 0, as far as there are such. */
    void (*reset_stats)(void *arg);

    /* The slow log, newest first, count_max of it at most. */
    void (*visit_slow_log)(void *arg, uint64_t count_max,
                           void (*visit)(void *visit_arg, const struct slow_entry *entry),
                           void *visit_arg);
    uint64_t (*slow_log_length)(void *arg);
    void (*slow_log_reset)(void *arg);

    /* The figures of the command at this index of the table. */
    void (*command_figures)(void *arg, uint32_t index, struct command_figures *ret);

    /* Writes a checkpoint of the store into the folder that is configured for it. in_background:
       returns when it has begun. KVS_OK; KVS_BUSY: one is being written; KVS_UNSUPPORTED: the engine
       cannot, or no folder is configured; else what went wrong. */
    kvs_status (*save)(void *arg, bool in_background, struct kvs_error *err);
    void (*save_state)(void *arg, struct save_state *ret);

    /* Begins to stop the server: SHUT_DOWN_*. KVS_OK, or why it stays up. */
    kvs_status (*shut_down)(void *arg, uint32_t flags, struct kvs_error *err);
};

#endif
