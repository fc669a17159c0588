/*
 * What `meson install` puts on a machine, after it was moved elsewhere: the programs find their
 * plugins, and programs that are compiled through its pkg-config files talk to the server or embed
 * it.
 *
 * Arguments: meson, the build folder, the prefix, the folders of programs and libraries below it,
 * whether pkg-config files are relocatable (true, false), and the compiler with its flags.
 */
#include "system/matrix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/expect.h"
#include "system/run_client.h"

#define ARGUMENTS_MAX 32
#define TEXT_MAX      4096u
#define EXIT_MISUSED  2
#define EXIT_SKIPPED  77
#define NOT_THERE     127 /* exit status of env */

/* Set by main. */
static char *tree;          /* the folder that everything lies in */
static char *root;          /* the moved prefix */
static char *library_dir;   /* below it */
static char *define_prefix; /* pkg-config's flag for it */
static bool is_relocatable;
static const char *const *compiler; /* NULL-terminated */

static void write_file(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
}

/* Runs argv, which must succeed; what it wrote to stdout, without its last newline. Malloced. */
static char *output_of(const char *const *argv)
{
    struct program_result result = program_run(argv, NULL, 0);
    if (result.exit_status != 0)
        fail_msg("%s %s ended with %d: %s%s", argv[0], argv[1], result.exit_status, result.out,
                 result.err);
    char *out = strndup(result.out, strcspn(result.out, "\n"));
    program_result_deinit(&result);
    return out;
}

/* The files find what they describe beside themselves; in a build that was configured otherwise
   (pkgconfig.relocatable=false) they are told where it is. */
static char *pkg_config(const char *what, const char *package)
{
    return output_of((const char *const[]){"/usr/bin/env", "pkg-config", what, package,
                                           is_relocatable ? NULL : define_prefix, NULL});
}

/* ---- programs and plugins ----------------------------------------------------------------- */

static void the_installed_programs_find_each_other(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    client_set(&server, "key", "value");
    client_expect(&server, "key", "value");
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* Not one of the build folder's, nor of what else is installed on this machine. */
static void plugins_come_from_the_moved_tree(const struct pair *pair)
{
    struct program_result result =
        program_run((const char *const[]){program_server(), "--list-plugins", NULL}, NULL, 0);
    char *plugin_dir = path_join(library_dir, "kvs/");
    unsigned found = 0;
    (void)pair;
    for (const char *at = strstr(result.out, "\n    /"); at != NULL;
         at = strstr(at + 1, "\n    /")) {
        char path[TEXT_MAX];
        assert_int_equal(sscanf(at, " %4095[^\n]", path), 1);
        char *real = realpath(path, NULL);
        assert_non_null(real);
        assert_int_equal(strncmp(real, plugin_dir, strlen(plugin_dir)), 0);
        free(real);
        found++;
    }
    assert_true(found > 1);
    free(plugin_dir);
    program_result_deinit(&result);
}

static void the_plugin_folder_is_told_to_builders(const struct pair *pair)
{
    char file_name[128];
    char *plugin_dir = pkg_config("--variable=plugindir", "kvs-plugin");
    (void)snprintf(file_name, sizeof(file_name), "kvs-engine-%s.so", pair->engine);
    char *path = path_join(plugin_dir, file_name);
    assert_int_equal(access(path, R_OK), 0);
    free(path);
    free(plugin_dir);
}

/* ---- programs of others ------------------------------------------------------------------- */

static const char client_code[] =
    "#include <kvs/client.h>\n"
    "#include <kvs/version.h>\n"
    "#include <stdio.h>\n"
    "#include <string.h>\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    char message[KVS_ERROR_MESSAGE_MAX];\n"
    "    struct kvs_error error = KVS_ERROR_INIT(message);\n"
    "    struct kvs_client_config config = {.size = sizeof(config), .address = argv[argc - 1]};\n"
    "    struct kvs_client *client;\n"
    "    struct kvs_bytes key = {\"city\", 4}, value = {\"Oslo\", 4}, found;\n"
    "    if (strcmp(kvs_client_version(), KVS_VERSION) != 0 ||\n"
    "        kvs_client_new(&config, &client, &error) != KVS_OK ||\n"
    "        kvs_client_set(client, key, value, &error) != KVS_OK ||\n"
    "        kvs_client_get(client, key, &found, &error) != KVS_OK)\n"
    "        return puts(message), 1;\n"
    "    printf(\"%.*s\\n\", (int)found.len, (const char *)found.ptr);\n"
    "    kvs_client_free(client);\n"
    "    return 0;\n"
    "}\n";

static const char server_code[] =
    "#include <kvs/server.h>\n"
    "#include <stdio.h>\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    char message[KVS_ERROR_MESSAGE_MAX];\n"
    "    struct kvs_error error = KVS_ERROR_INIT(message);\n"
    "    const char *dirs[] = {argv[argc - 1]};\n"
    "    struct kvs_server_config config = {.size = sizeof(config), .address = \"127.0.0.1:0\",\n"
    "        .data_dir = argv[1], .engine = argv[2], .pool = argv[3],\n"
    "        .plugin_dirs = dirs, .plugin_dir_count = 1};\n"
    "    struct kvs_server *server;\n"
    "    if (kvs_server_new(&config, &server, &error) != KVS_OK)\n"
    "        return puts(message), 1;\n"
    "    printf(\"port %s\\n\", kvs_server_port(server) != 0 ? \"there\" : \"missing\");\n"
    "    kvs_server_stop(server);\n"
    "    if (kvs_server_run(server, &error) != KVS_OK)\n"
    "        return puts(message), 1;\n"
    "    kvs_server_free(server);\n"
    "    return 0;\n"
    "}\n";

/* Splits words at spaces into argv behind count. Returns the new count. */
static size_t add_words(const char *argv[ARGUMENTS_MAX], size_t count, char *words)
{
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = word;
    }
    argv[count] = NULL;
    return count;
}

/* Compiles code with what pkg-config says of the package; the program's path. Malloced. */
static char *compile(const char *dir, const char *code, const char *package)
{
    const char *argv[ARGUMENTS_MAX] = {"/usr/bin/env"};
    size_t count = 1;
    char *source = path_join(dir, "program.c");
    char *program = path_join(dir, "program");
    char *cflags = pkg_config("--cflags", package);
    char *libs = pkg_config("--libs", package);
    write_file(source, code);
    for (size_t i = 0; compiler[i] != NULL && count < ARGUMENTS_MAX - 6; i++)
        argv[count++] = compiler[i];
    argv[count++] = "-std=c11";
    count = add_words(argv, count, cflags);
    argv[count++] = source;
    argv[count++] = "-o";
    argv[count++] = program;
    (void)add_words(argv, count, libs);
    free(output_of(argv));
    free(libs);
    free(cflags);
    free(source);
    return program;
}

static bool has_pkg_config(void)
{
    struct program_result result = program_run(
        (const char *const[]){"/usr/bin/env", "pkg-config", "--version", NULL}, NULL, 0);
    bool has = result.exit_status == 0;
    if (!has)
        print_message("skipped: there is no pkg-config\n");
    program_result_deinit(&result);
    return has;
}

static void a_program_with_libkvs_talks_to_the_server(const struct pair *pair)
{
    struct server_process server;
    char *dir = temp_dir_new();
    char *data_dir = path_join(dir, "data");
    char *program = compile(dir, client_code, "kvs");
    pair_start(&server, pair, data_dir, NULL);
    char *found = output_of((const char *const[]){program, server.address, NULL});
    assert_string_equal(found, "Oslo");
    client_expect(&server, "city", "Oslo");
    server_process_stop(&server);
    free(found);
    free(program);
    free(data_dir);
    temp_dir_free(dir);
}

static void a_program_with_libkvs_server_embeds_it(const struct pair *pair)
{
    char *dir = temp_dir_new();
    char *data_dir = path_join(dir, "data");
    char *program = compile(dir, server_code, "kvs-server");
    char *plugin_dir = pkg_config("--variable=plugindir", "kvs-plugin");
    char *said = output_of(
        (const char *const[]){program, data_dir, pair->engine, pair->pool, plugin_dir, NULL});
    assert_string_equal(said, "port there");
    free(said);
    free(plugin_dir);
    free(program);
    free(data_dir);
    temp_dir_free(dir);
}

/* ---- the tree ----------------------------------------------------------------------------- */

/* Installs into a folder of our own and moves what lies below the prefix elsewhere in it. */
static void install(const char *meson, const char *build, const char *prefix)
{
    char *dir = temp_dir_new();
    tree = realpath(dir, NULL);
    free(dir);
    char *from = path_join(tree, prefix);
    root = path_join(tree, "moved");
    free(output_of((const char *const[]){"/usr/bin/env", meson, "install", "-C", build,
                                         "--no-rebuild", "--quiet", "--destdir", tree, NULL}));
    assert_int_equal(rename(from, root), 0);
    assert_true(asprintf(&define_prefix, "--define-variable=prefix=%s", root) > 0);
    free(from);
}

static void use_installed(const char *program_dir, const char *name, const char *variable)
{
    char *dir = path_join(root, program_dir);
    char *path = path_join(dir, name);
    assert_int_equal(setenv(variable, path, 1), 0);
    free(path);
    free(dir);
}

int main(int argc, char **argv)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(the_installed_programs_find_each_other, MATRIX_PAIRS),
        MATRIX_TEST(plugins_come_from_the_moved_tree, MATRIX_ONCE),
        MATRIX_TEST(the_plugin_folder_is_told_to_builders, MATRIX_ENGINES),
        MATRIX_TEST(a_program_with_libkvs_talks_to_the_server, MATRIX_ONCE),
        MATRIX_TEST(a_program_with_libkvs_server_embeds_it, MATRIX_ONCE),
    };
    if (argc < 8)
        return EXIT_MISUSED;
    is_relocatable = strcmp(argv[6], "true") == 0;
    compiler = (const char *const *)argv + 7;
    install(argv[1], argv[2], argv[3]);
    use_installed(argv[4], "kvs-server", "KVS_TEST_SERVER");
    use_installed(argv[4], "kvs-client", "KVS_TEST_CLIENT");
    library_dir = path_join(root, argv[5]);
    char *packages = path_join(library_dir, "pkgconfig");
    assert_int_equal(setenv("PKG_CONFIG_PATH", packages, 1), 0);
    assert_int_equal(setenv("LD_LIBRARY_PATH", library_dir, 1), 0);
    free(packages);
    int failed =
        has_pkg_config() ? matrix_run(tests, sizeof(tests) / sizeof(tests[0])) : EXIT_SKIPPED;
    free(library_dir);
    free(define_prefix);
    free(root);
    temp_dir_free(tree);
    return failed;
}
