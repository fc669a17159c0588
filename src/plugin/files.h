/* Plugin files: which name is one, what lies in the plugin directories. */
#ifndef PLUGIN_FILES_H
#define PLUGIN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin/loader.h"

#define PLUGIN_NAME_MAX 64u /* bytes of a plugin's name, terminator not counted */

/* "engine" or "pool". */
const char *plugin_kind_text(uint32_t kind);

/* Letters, digits, '-', '_'; 1 to 64 of them. NULL is no name. */
bool plugin_name_valid(const char *name);

/* dir/kvs-KIND-NAME.so, malloced; NULL without memory. An empty dir is the working directory. */
char *plugin_file_path(const char *dir, uint32_t kind, const char *name);

/* Takes a file's name (without folder) apart: true, with kind and a malloced name (NULL without
   memory), if it is that of a plugin. */
bool plugin_file_split(const char *file, uint32_t *ret_kind, char **ret_name);

struct plugin_file {
    uint32_t kind;
    char *name; /* owned */
    char *path; /* owned */
};

/* A zeroed struct is an empty list. */
struct plugin_files {
    struct plugin_file *items; /* owned; sorted by kind and name, each kind and name once */
    size_t count;
};

/*
 * Collects the plugin files in dirs, by their names alone: of this kind, or of both with 0. The
 * first directory that has a name wins, as in plugin_open; one that cannot be read counts as empty.
 * KVS_OK, KVS_NO_MEMORY.
 */
KVS_MUST_USE kvs_status plugin_files_find(const struct plugin_dirs *dirs, uint32_t kind,
                                          struct plugin_files *ret_files);
void plugin_files_deinit(struct plugin_files *files);

#endif
