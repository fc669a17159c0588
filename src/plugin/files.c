/*
 * See files.h. Names are validated before any path is built from them, so no plugin name can leave
 * its directory. Called by one thread at a time for one list; keeps no state.
 */
#include "plugin/files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FILE_PREFIX "kvs-"
#define FILE_SUFFIX ".so"

const char *plugin_kind_text(uint32_t kind)
{
    return kind == KVS_PLUGIN_ENGINE ? "engine" : "pool";
}

bool plugin_name_valid(const char *name)
{
    if (name == NULL)
        return false;
    size_t size = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    return name[size] == '\0' && size >= 1 && size <= PLUGIN_NAME_MAX;
}

char *plugin_file_path(const char *dir, uint32_t kind, const char *name)
{
    char *path = NULL;
    if (asprintf(&path, "%s/" FILE_PREFIX "%s-%s" FILE_SUFFIX, dir[0] != '\0' ? dir : ".",
                 plugin_kind_text(kind), name) < 0)
        return NULL;
    return path;
}

bool plugin_file_split(const char *file, uint32_t *ret_kind, char **ret_name)
{
    for (uint32_t kind = KVS_PLUGIN_ENGINE; kind <= KVS_PLUGIN_POOL; kind++) {
        char prefix[sizeof(FILE_PREFIX) + sizeof("engine-")];
        int prefix_size =
            snprintf(prefix, sizeof(prefix), FILE_PREFIX "%s-", plugin_kind_text(kind));
        size_t file_size = strlen(file);
        size_t around = (size_t)prefix_size + strlen(FILE_SUFFIX);
        if (file_size <= around || file_size > around + PLUGIN_NAME_MAX ||
            strncmp(file, prefix, (size_t)prefix_size) != 0 ||
            strcmp(file + file_size - strlen(FILE_SUFFIX), FILE_SUFFIX) != 0)
            continue;
        char name[PLUGIN_NAME_MAX + 1] = {0};
        memcpy(name, file + prefix_size, file_size - around);
        if (!plugin_name_valid(name))
            continue;
        *ret_kind = kind;
        *ret_name = strdup(name);
        return true;
    }
    return false;
}

static bool files_have(const struct plugin_files *files, uint32_t kind, const char *name)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].kind == kind && strcmp(files->items[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Adds one entry of dir if it is a plugin's file of this kind and new. */
static kvs_status files_add(struct plugin_files *files, const char *dir, uint32_t wanted_kind,
                            const char *file)
{
    uint32_t kind;
    char *found_name;
    if (!plugin_file_split(file, &kind, &found_name))
        return KVS_OK;
    _cleanup_(freep) char *name = found_name;
    if (name == NULL)
        return KVS_NO_MEMORY;
    if ((wanted_kind != 0 && kind != wanted_kind) || files_have(files, kind, name))
        return KVS_OK;
    _cleanup_(freep) char *path = plugin_file_path(dir, kind, name);
    if (path == NULL)
        return KVS_NO_MEMORY;
    struct plugin_file *items =
        reallocarray(files->items, files->count + 1, sizeof(struct plugin_file));
    if (items == NULL)
        return KVS_NO_MEMORY;
    files->items = items;
    files->items[files->count++] = (struct plugin_file){kind, TAKE(name), TAKE(path)};
    return KVS_OK;
}

static kvs_status files_add_dir(struct plugin_files *files, const char *dir, uint32_t kind)
{
    DIR *stream = opendir(dir[0] != '\0' ? dir : ".");
    if (stream == NULL)
        return KVS_OK;
    kvs_status status = KVS_OK;
    for (struct dirent *entry = readdir(stream); entry != NULL && status == KVS_OK;
         entry = readdir(stream))
        status = files_add(files, dir, kind, entry->d_name);
    (void)closedir(stream);
    return status;
}

static int compare_files(const void *left, const void *right)
{
    const struct plugin_file *a = left;
    const struct plugin_file *b = right;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->name, b->name);
}

kvs_status plugin_files_find(const struct plugin_dirs *dirs, uint32_t kind,
                             struct plugin_files *ret_files)
{
    struct plugin_files files = {NULL, 0};
    for (uint32_t i = 0; i < dirs->count; i++) {
        kvs_status status = files_add_dir(&files, dirs->paths[i], kind);
        if (status != KVS_OK) {
            plugin_files_deinit(&files);
            return status;
        }
    }
    if (files.count > 1)
        qsort(files.items, files.count, sizeof(files.items[0]), compare_files);
    *ret_files = files;
    return KVS_OK;
}

void plugin_files_deinit(struct plugin_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->items[i].name);
        free(files->items[i].path);
    }
    free(files->items);
    *files = (struct plugin_files){NULL, 0};
}
