/*
 * See loader.h. Opening goes through these stations, each with its own refusal: the name, the file,
 * dlopen, the entry function, the descriptor (check.h), the operations (check.h).
 *
 * The dlopen handle is not kept: the object stays in the process for good (RTLD_NODELETE), so there
 * is nothing to give back. RTLD_NOW: a missing symbol is met here and not in a request.
 * Safe from any thread; two opens of one plugin share its code and its static data.
 */
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "plugin/check.h"
#include "plugin/files.h"
#include "plugin/loader.h"

#define ENGINE_ALIAS      "kvs" /* another name of ... */
#define ENGINE_ALIAS_OF   "log"
#define FOREIGN_MAJOR_MAX 16u /* entry functions of other majors that are looked for */
#define LIST_TEXT_MAX     400u

/* A text that is put together in pieces and ends in "..." where it did not fit. */
struct list_text {
    char text[LIST_TEXT_MAX];
    size_t size;
};

static void list_text_add(struct list_text *list, const char *piece)
{
    size_t room = sizeof(list->text) - list->size;
    int size = snprintf(list->text + list->size, room, "%s%s", list->size > 0 ? ", " : "", piece);
    if (size >= 0 && (size_t)size < room) {
        list->size += (size_t)size;
        return;
    }
    memcpy(list->text + sizeof(list->text) - sizeof("..."), "...", sizeof("..."));
    list->size = sizeof(list->text) - 1;
}

/* The refusal of a name without a file: what there is, where it was looked for, what to do. */
static kvs_status report_missing(const struct plugin_dirs *dirs, uint32_t kind, const char *name,
                                 struct kvs_error *err)
{
    struct plugin_files files;
    kvs_status status = plugin_files_find(dirs, kind, &files);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "no memory to look for plugins");
    struct list_text names = {"", 0};
    struct list_text places = {"", 0};
    for (size_t i = 0; i < files.count; i++)
        list_text_add(&names, files.items[i].name);
    for (uint32_t i = 0; i < dirs->count; i++)
        list_text_add(&places, dirs->paths[i]);
    const char *kind_text = plugin_kind_text(kind);
    if (files.count > 0)
        status = kvs_error_set(err, KVS_MISSING, 0,
                               "no %s plugin '%s': found %s in %s; choose one of these with --%s "
                               "or add a folder with --plugin-dir",
                               kind_text, name, names.text, places.text, kind_text);
    else
        status = kvs_error_set(err, KVS_MISSING, 0,
                               "no %s plugin '%s': there is none in %s; add the folder that has "
                               "it with --plugin-dir",
                               kind_text, name, dirs->count > 0 ? places.text : "no folder");
    plugin_files_deinit(&files);
    return status;
}

/* Finds the first file of this kind and name. */
static kvs_status find_file(const struct plugin_dirs *dirs, uint32_t kind, const char *name,
                            char **ret_path, struct kvs_error *err)
{
    for (uint32_t i = 0; i < dirs->count; i++) {
        _cleanup_(freep) char *path = plugin_file_path(dirs->paths[i], kind, name);
        struct stat info;
        if (path == NULL)
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a plugin's path");
        if (stat(path, &info) != 0) {
            if (errno == ENOENT || errno == ENOTDIR)
                continue;
            return kvs_error_set(err, KVS_INCOMPATIBLE, errno, "cannot load %s: %s", path,
                                 strerror(errno));
        }
        if (!S_ISREG(info.st_mode))
            return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                                 "%s is not a kvs plugin: it is not a regular file; remove it",
                                 path);
        *ret_path = TAKE(path);
        return KVS_OK;
    }
    return report_missing(dirs, kind, name, err);
}

/* True if the file can be read and is not ELF. */
static bool is_other_format(const char *path)
{
    static const char elf_magic[4] = {0x7f, 'E', 'L', 'F'};
    char start[sizeof(elf_magic)];
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    return read(fd, start, sizeof(start)) != (ssize_t)sizeof(start) ||
           memcmp(start, elf_magic, sizeof(start)) != 0;
}

static kvs_status report_dlopen(const char *path, struct kvs_error *err)
{
    const char *reason = dlerror();
    size_t path_size = strlen(path);
    if (reason == NULL)
        reason = "no reason was given";
    else if (strncmp(reason, path, path_size) == 0 && strncmp(reason + path_size, ": ", 2) == 0)
        reason += path_size + 2;
    if (is_other_format(path))
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "%s is not a kvs plugin: it is no shared object (ELF); remove it or "
                             "build it anew",
                             path);
    return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                         "cannot load %s: %s; install what it needs or build it anew", path,
                         reason);
}

/* The refusal of a file without our entry function. */
static kvs_status report_no_entry(void *handle, const char *path, struct kvs_error *err)
{
    for (uint32_t major = 0; major <= FOREIGN_MAJOR_MAX; major++) {
        char symbol[sizeof(KVS_PLUGIN_ENTRY_NAME) + 8];
        (void)snprintf(symbol, sizeof(symbol), "kvs_plugin_entry_v%u", major);
        if (major != KVS_ABI_MAJOR && dlsym(handle, symbol) != NULL)
            return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                                 "%s was built for plugin ABI %u, this kvs has ABI %u: rebuild "
                                 "the plugin for ABI %u or use a kvs with ABI %u",
                                 path, major, KVS_ABI_MAJOR, KVS_ABI_MAJOR, major);
    }
    return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                         "%s is not a kvs plugin: it does not export %s; remove it or export "
                         "that function",
                         path, KVS_PLUGIN_ENTRY_NAME);
}

/* Loads the file and asks it for its list. */
static kvs_status load_list(const char *path, const struct kvs_plugin *const **ret_list,
                            struct kvs_error *err)
{
    assert(path != NULL); /* dlopen() would give this program's own handle */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL)
        return report_dlopen(path, err);
    void *symbol = dlsym(handle, KVS_PLUGIN_ENTRY_NAME);
    if (symbol == NULL)
        return report_no_entry(handle, path, err);
    kvs_plugin_entry_fn entry;
    _Static_assert(sizeof(entry) == sizeof(symbol), "POSIX: a function fits a void pointer");
    memcpy(&entry, &symbol, sizeof(entry));
    *ret_list = entry(KVS_ABI_MAJOR, KVS_ABI_MINOR);
    return KVS_OK;
}

/* Fills the plugin's descriptor and operations. */
static kvs_status check_plugin(struct plugin *plugin, const struct kvs_plugin *const *list,
                               struct kvs_error *err)
{
    char reason[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error check_error = KVS_ERROR_INIT(reason);
    kvs_status status =
        check_list(list, plugin->kind, plugin->name, &plugin->descriptor, &check_error);
    if (status == KVS_OK && plugin->kind == KVS_PLUGIN_ENGINE)
        status = check_engine(plugin->descriptor, &plugin->ops.engine, &check_error);
    else if (status == KVS_OK)
        status = check_pool(plugin->descriptor, &plugin->ops.pool, &check_error);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0,
                             "%s cannot be used: %s; remove it or get a corrected build of it",
                             plugin->path, reason);
    return KVS_OK;
}

static void plugin_freep(struct plugin **plugin)
{
    plugin_free(*plugin);
}

kvs_status plugin_open(const struct plugin_dirs *dirs, uint32_t kind, const char *name,
                       struct plugin **ret_plugin, struct kvs_error *err)
{
    assert(kind == KVS_PLUGIN_ENGINE || kind == KVS_PLUGIN_POOL);
    if (!plugin_name_valid(name))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "'%.*s' is no name of an %s plugin: a name is 1 to %u letters, "
                             "digits, '-' and '_', without folder and without .so",
                             (int)PLUGIN_NAME_MAX, name != NULL ? name : "", plugin_kind_text(kind),
                             PLUGIN_NAME_MAX);
    if (kind == KVS_PLUGIN_ENGINE && strcmp(name, ENGINE_ALIAS) == 0)
        name = ENGINE_ALIAS_OF;

    _cleanup_(plugin_freep) struct plugin *plugin = calloc(1, sizeof(*plugin));
    if (plugin == NULL || (plugin->name = strdup(name)) == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for plugin '%s'", name);
    plugin->kind = kind;
    const struct kvs_plugin *const *list = NULL;
    kvs_status status = find_file(dirs, kind, name, &plugin->path, err);
    if (status == KVS_OK)
        status = load_list(plugin->path, &list, err);
    if (status == KVS_OK)
        status = check_plugin(plugin, list, err);
    if (status == KVS_OK)
        *ret_plugin = TAKE(plugin);
    return status;
}

void plugin_free(struct plugin *plugin)
{
    if (plugin == NULL)
        return;
    free(plugin->name);
    free(plugin->path);
    free(plugin);
}
