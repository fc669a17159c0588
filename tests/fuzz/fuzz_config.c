/*
 * Feeds a configuration file to its reader, with flags of all kinds, and an option that the command line
 * has already given. Aborts where a promise of config_file.h is broken: an error has a message that
 * names the file; what the command line said stays.
 */
#include "fuzz.h"
#include "server/config_file.h"

#include <unistd.h>

#define GIVEN "given=by the command line"

struct values {
    gchar *text;
    gchar *given;
    gchar *file;
    gchar **list;
    gchar **given_list;
    gboolean flag;
    gchar **engine_options;
    gchar **pool_options;
};

static kvs_status apply(const char *path, struct values *values, struct kvs_error *err)
{
    const GOptionEntry entries[] = {
        {"addr", 0, 0, G_OPTION_ARG_STRING, &values->text, NULL, NULL},
        {"sync", 0, 0, G_OPTION_ARG_STRING, &values->given, NULL, NULL},
        {"data-dir", 0, 0, G_OPTION_ARG_FILENAME, &values->file, NULL, NULL},
        {"plugin-dir", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &values->list, NULL, NULL},
        {"listen", 0, 0, G_OPTION_ARG_STRING_ARRAY, &values->given_list, NULL, NULL},
        {"no-auth", 0, 0, G_OPTION_ARG_NONE, &values->flag, NULL, NULL},
        G_OPTION_ENTRY_NULL};
    const struct config_file_lists lists = {&values->engine_options, &values->pool_options};
    return config_file_apply(path, entries, &lists, err);
}

/* The list has what it began with, and of it only that. */
static void check_options(gchar **options)
{
    unsigned given = 0;
    for (gchar **option = options; option != NULL && *option != NULL; option++) {
        require(strchr(*option, '=') != NULL);
        given += strncmp(*option, "given=", 6) == 0;
    }
    require(given == 1 && strcmp(options[0], GIVEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = g_get_tmp_dir();
    g_autofree char *path = g_strdup_printf("%s/kvs-fuzz-config-%ld", folder, (long)getpid());
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct values values = {.given = g_strdup("always"),
                            .given_list = g_strsplit("one", ",", -1),
                            .engine_options = g_strsplit(GIVEN, ",", -1)};
    FILE *file = fopen(path, "w");
    require(file != NULL);
    require(fwrite(data, 1, size, file) == size && fclose(file) == 0);
    kvs_status status = apply(path, &values, &error);
    (void)unlink(path);
    require(status == KVS_OK || status == KVS_INVALID);
    require(status == KVS_OK || (error.status == status && strstr(message, "kvs-fuzz") != NULL));
    require(strcmp(values.given, "always") == 0);
    require(values.given_list[0] != NULL && strcmp(values.given_list[0], "one") == 0);
    check_options(values.engine_options);
    g_free(values.text);
    g_free(values.given);
    g_free(values.file);
    g_strfreev(values.list);
    g_strfreev(values.given_list);
    g_strfreev(values.engine_options);
    g_strfreev(values.pool_options);
    return 0;
}
