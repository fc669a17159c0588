/*
 * See config_file.h. The table of flags is the only list of what exists: a new flag is in the file
 * at once.
 */
#include "server/config_file.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

#define GROUP_SERVER "server"
#define GROUP_ENGINE "engine"
#define GROUP_POOL   "pool"

/* Why a file could not be read. */
static kvs_status status_of(const GError *error)
{
    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return KVS_MISSING;
    if (g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
        return KVS_DENIED;
    return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ISDIR) ? KVS_INVALID : KVS_IO;
}

static kvs_status load(GKeyFile *file, const char *path, struct kvs_error *err)
{
    g_autoptr(GError) error = NULL;
    g_autofree gchar *content = NULL;
    gsize size;
    if (!g_file_get_contents(path, &content, &size, &error))
        return kvs_error_set(err, status_of(error), 0, "cannot read the configuration file: %s",
                             error->message);
    /* An empty file says nothing, which GLib takes for a mistake. */
    if (size == 0)
        return KVS_OK;
    if (!g_key_file_load_from_data(file, content, size, G_KEY_FILE_NONE, &error))
        return kvs_error_set(err, KVS_INVALID, 0, "configuration file %s: %s", path,
                             error->message);
    return KVS_OK;
}

static kvs_status check_groups(GKeyFile *file, const char *path, struct kvs_error *err)
{
    static const char *const known[] = {GROUP_SERVER, GROUP_ENGINE, GROUP_POOL, NULL};
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
    for (gchar **group = groups; *group != NULL; group++) {
        if (!g_strv_contains(known, *group))
            return kvs_error_set(err, KVS_INVALID, 0,
                                 "configuration file %s: there is no group [%s]: use [server], "
                                 "[engine] or [pool]",
                                 path, *group);
    }
    return KVS_OK;
}

static const GOptionEntry *find_entry(const GOptionEntry *entries, const char *name)
{
    for (; entries->long_name != NULL; entries++) {
        if (strcmp(entries->long_name, name) == 0)
            return entries;
    }
    return NULL;
}

static kvs_status apply_flag(gboolean *variable, const char *text, const char *path,
                             const char *key, struct kvs_error *err)
{
    bool value;
    if (!text_parse_bool(text, &value))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "configuration file %s: [server] %s '%s' is neither true nor false",
                             path, key, text);
    if (value)
        *variable = TRUE;
    return KVS_OK;
}

/* Gives the flag of key the file's value, unless the command line gave it one. */
static kvs_status apply_key(GKeyFile *file, const char *path, const char *key,
                            const GOptionEntry *entries, struct kvs_error *err)
{
    g_autoptr(GError) error = NULL;
    const GOptionEntry *entry = find_entry(entries, key);
    if (entry == NULL)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "configuration file %s: [server] knows no key '%s': the keys are the "
                             "flags of kvs-server --help that set something",
                             path, key);
    if (entry->arg == G_OPTION_ARG_FILENAME_ARRAY || entry->arg == G_OPTION_ARG_STRING_ARRAY) {
        gchar ***list = entry->arg_data;
        if (*list == NULL)
            *list = g_key_file_get_string_list(file, GROUP_SERVER, key, NULL, &error);
    } else {
        g_autofree gchar *text = g_key_file_get_string(file, GROUP_SERVER, key, &error);
        if (text != NULL)
            text = g_strstrip(text);
        if (error == NULL && entry->arg == G_OPTION_ARG_NONE)
            return apply_flag(entry->arg_data, text, path, key, err);
        gchar **variable = entry->arg_data;
        if (error == NULL && *variable == NULL)
            *variable = g_steal_pointer(&text);
    }
    return error == NULL
               ? KVS_OK
               : kvs_error_set(err, KVS_INVALID, 0, "configuration file %s: [server] %s: %s", path,
                               key, error->message);
}

/* True when one of options is "NAME=..." for this name. */
static bool is_given(char *const *options, const char *name)
{
    size_t size = strlen(name);
    for (; options != NULL && *options != NULL; options++) {
        if (strncmp(*options, name, size) == 0 && (*options)[size] == '=')
            return true;
    }
    return false;
}

/* Adds the group's keys to the options, except those that the command line names. */
static kvs_status apply_options(GKeyFile *file, const char *path, const char *group,
                                char ***options, struct kvs_error *err)
{
    g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);
    if (keys == NULL)
        return KVS_OK;
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    for (gchar **option = *options; option != NULL && *option != NULL; option++)
        g_strv_builder_add(all, *option);
    for (gchar **key = keys; *key != NULL; key++) {
        g_autoptr(GError) error = NULL;
        g_autofree gchar *value = g_key_file_get_string(file, group, *key, &error);
        if (value == NULL)
            return kvs_error_set(err, KVS_INVALID, 0, "configuration file %s: [%s] %s: %s", path,
                                 group, *key, error->message);
        if (is_given(*options, *key))
            continue;
        g_autofree gchar *option = g_strdup_printf("%s=%s", *key, g_strstrip(value));
        g_strv_builder_add(all, option);
    }
    g_strfreev(*options);
    *options = g_strv_builder_end(all);
    return KVS_OK;
}

kvs_status config_file_apply(const char *path, const GOptionEntry *entries,
                             const struct config_file_lists *lists, struct kvs_error *err)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    kvs_status status = load(file, path, err);
    if (status == KVS_OK)
        status = check_groups(file, path, err);
    g_auto(GStrv) keys = g_key_file_get_keys(file, GROUP_SERVER, NULL, NULL);
    for (gchar **key = keys; status == KVS_OK && key != NULL && *key != NULL; key++)
        status = apply_key(file, path, *key, entries, err);
    if (status == KVS_OK)
        status = apply_options(file, path, GROUP_ENGINE, lists->engine_options, err);
    if (status == KVS_OK)
        status = apply_options(file, path, GROUP_POOL, lists->pool_options, err);
    return status;
}
