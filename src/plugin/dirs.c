/*
 * plugin_dirs_init (loader.h): where a program's own plugins are.
 *
 * The program's folder comes from /proc/self/exe. If the build's marker file lies in it, the
 * program runs from a build folder and the marker says where the plugins were built. Else the
 * installed place is taken relative to the program, so that a tree that was installed with DESTDIR,
 * or moved as a whole, works; and if nothing is there (a program elsewhere that embeds the server),
 * the absolute place that kvs was configured with.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "plugin/loader.h"

#define MARKER_FILE "kvs-plugin-dirs"

/* A list of paths that grows. */
struct path_list {
    char **paths;
    uint32_t count;
};

static void path_list_deinit(struct path_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
}

/* Takes path over, also when it fails; path may be NULL, which is a failure. */
static kvs_status path_list_add(struct path_list *list, char *path)
{
    char **paths = NULL;
    if (path != NULL)
        paths = reallocarray(list->paths, (size_t)list->count + 1, sizeof(*paths));
    if (paths == NULL) {
        free(path);
        return KVS_NO_MEMORY;
    }
    list->paths = paths;
    list->paths[list->count++] = path;
    return KVS_OK;
}

/* path itself if it is absolute, else below base. Malloced; NULL without memory. */
static char *path_below(const char *base, const char *path)
{
    char *joined = NULL;
    if (path[0] == '/')
        return strdup(path);
    if (asprintf(&joined, "%s/%s", base, path) < 0)
        return NULL;
    return joined;
}

/* The folder that the running program lies in; NULL if that cannot be told. */
static char *program_dir(void)
{
    char *path = realpath("/proc/self/exe", NULL);
    char *slash = path != NULL ? strrchr(path, '/') : NULL;
    if (slash != NULL)
        slash[slash == path ? 1 : 0] = '\0';
    return path;
}

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Adds what the marker lists. KVS_MISSING: there is no marker. */
static kvs_status add_from_marker(struct path_list *list, const char *base)
{
    _cleanup_(freep) char *marker_path = path_below(base, MARKER_FILE);
    if (marker_path == NULL)
        return KVS_NO_MEMORY;
    FILE *marker = fopen(marker_path, "re");
    if (marker == NULL)
        return KVS_MISSING;
    kvs_status status = KVS_OK;
    char *line = NULL;
    size_t line_cap = 0;
    while (status == KVS_OK && getline(&line, &line_cap, marker) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#')
            status = path_list_add(list, path_below(base, line));
    }
    free(line);
    (void)fclose(marker);
    return status;
}

static kvs_status add_default(struct path_list *list)
{
    _cleanup_(freep) char *base = program_dir();
    if (base == NULL)
        return path_list_add(list, strdup(PLUGIN_DIR));
    kvs_status status = add_from_marker(list, base);
    if (status != KVS_MISSING)
        return status;
    _cleanup_(freep) char *beside = path_below(base, PLUGIN_DIR_FROM_PROGRAM);
    if (beside == NULL)
        return KVS_NO_MEMORY;
    _cleanup_(freep) char *installed = realpath(beside, NULL);
    if (installed != NULL && is_directory(installed))
        return path_list_add(list, TAKE(installed));
    return path_list_add(list, strdup(PLUGIN_DIR));
}

kvs_status plugin_dirs_init(struct plugin_dirs *dirs, const char *const *extra, uint32_t count)
{
    struct path_list list = {NULL, 0};
    kvs_status status = KVS_OK;
    for (uint32_t i = 0; i < count && status == KVS_OK; i++)
        status = path_list_add(&list, strdup(extra[i]));
    if (status == KVS_OK)
        status = add_default(&list);
    if (status != KVS_OK) {
        path_list_deinit(&list);
        return status;
    }
    dirs->paths = (const char *const *)list.paths;
    dirs->count = list.count;
    return KVS_OK;
}

void plugin_dirs_deinit(struct plugin_dirs *dirs)
{
    for (uint32_t i = 0; i < dirs->count; i++)
        free((void *)(uintptr_t)dirs->paths[i]);
    free((void *)(uintptr_t)dirs->paths);
    *dirs = (struct plugin_dirs){NULL, 0};
}
