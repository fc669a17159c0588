/*
 * Finding, opening and checking plugins.
 *
 * A plugin is asked for by kind and name only; the file kvs-engine-NAME.so or kvs-pool-NAME.so is
 * looked for in the plugin directories, in order, and the first one found is the one. It is opened
 * with dlopen(RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) and stays loaded for the process's life.
 *
 * The operations table is copied into a zeroed one of this host's size, clamped to the plugin's
 * size, and then checked: mandatory operations present; a capability bit whose operation is missing
 * is refused; an operation without its bit is cleared. So afterwards "present" is `ops.f != NULL`,
 * and a bit always tells the truth.
 */
#ifndef PLUGIN_LOADER_H
#define PLUGIN_LOADER_H

#include <stdint.h>

#include <kvs/engine.h>
#include <kvs/plugin.h>
#include <kvs/pool.h>

/* Where plugins are looked for, in order. The strings belong to whoever made it. */
struct plugin_dirs {
    const char *const *paths;
    uint32_t count;
};

/* One opened plugin. Read-only once opened. */
struct plugin {
    uint32_t kind; /* KVS_PLUGIN_* */
    char *name;    /* owned */
    char *path;    /* owned */
    const struct kvs_plugin *descriptor;
    union {
        struct kvs_engine_ops engine; /* clamped, checked copy */
        struct kvs_pool_ops pool;
    } ops;
};

/*
 * Opens the plugin of this kind and name. KVS_OK; else err tells what is wrong and what to do:
 *     KVS_INVALID       a name that is none (letters, digits, '-', '_'; 1 to 64 of them)
 *     KVS_MISSING       no such file; lists the names that were found, and the directories
 *     KVS_INCOMPATIBLE  not a plugin, another ABI major, wrong kind or name, a broken table
 *     KVS_NO_MEMORY
 */
KVS_MUST_USE kvs_status plugin_open(const struct plugin_dirs *dirs, uint32_t kind, const char *name,
                                    struct plugin **ret_plugin, struct kvs_error *err);

/* Frees the handle; the code stays loaded. NULL is fine. */
void plugin_free(struct plugin *plugin);

/*
 * The directories that a program looks through: extra (count of them) first, then the place of the
 * program itself: the build folder's when it runs from there, else the installed one. Free with
 * plugin_dirs_deinit. KVS_NO_MEMORY.
 *
 * A program runs from a build folder when a file named kvs-plugin-dirs lies beside it (never
 * installed): a directory per line, absolute or relative to that folder; empty lines and lines that
 * begin with '#' do not count.
 */
KVS_MUST_USE kvs_status plugin_dirs_init(struct plugin_dirs *dirs, const char *const *extra,
                                         uint32_t count);
void plugin_dirs_deinit(struct plugin_dirs *dirs);

#endif
