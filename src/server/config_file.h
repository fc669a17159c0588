/*
 * kvs-server's configuration file: a key file (GLib's, as a desktop file or a systemd unit) whose
 * keys are the long names of the command line's flags.
 *
 *     [server]                  any flag that sets something, without its dashes
 *     addr = 127.0.0.1:4000
 *     sync = interval:1000
 *     plugin-dir = /a;/b        a flag that may be repeated: a list
 *     no-auth = true            a flag without a value
 *
 *     [engine]                  --engine-opt NAME=VALUE
 *     segment-size = 64m
 *
 *     [pool]                    --pool-opt NAME=VALUE
 *
 * What the command line says wins. Nothing in the file is ignored: a group or key that is not known
 * is an error that names it.
 */
#ifndef SERVER_CONFIG_FILE_H
#define SERVER_CONFIG_FILE_H

#include <glib.h>

#include <kvs/types.h>

/* The lists of plugin options that the file may add to: NULL-terminated, each may be NULL. */
struct config_file_lists {
    char ***engine_options;
    char ***pool_options;
};

/*
 * Reads path and gives every flag of entries that the command line left out (its variable is NULL
 * or FALSE) the file's value. entries: strings, file names, lists of file names, and flags without
 * a value. KVS_OK; KVS_MISSING, KVS_IO (the file cannot be read); KVS_INVALID: what is wrong, with
 * file, group and key. What was filled in so far stays, and belongs to whoever owns the variables.
 */
KVS_MUST_USE kvs_status config_file_apply(const char *path, const GOptionEntry *entries,
                                          const struct config_file_lists *lists,
                                          struct kvs_error *err);

#endif
