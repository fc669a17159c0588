/* kvs-server's command line where it serves nobody: what it tells about itself, and each way to
   start it wrongly: a message that helps, an exit status that is not 0, and nothing touched. */
#include "system/matrix.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kvs/version.h>

#include "system/expect.h"
#include "system/run_client.h"
#include "system/tree.h"

#define ARGUMENTS_MAX 32
#define NOBODY        "65534"
#define CANNOT_RUN    126 /* exit status of env and setpriv for a program that they cannot start */

/* Runs kvs-server with these words, from within cwd. pair (may be NULL): what it takes where the
   words name none. */
static struct program_result run_server(const struct pair *pair, const char *cwd,
                                        const char *const *words)
{
    const char *argv[ARGUMENTS_MAX] = {"/usr/bin/env", "-C", cwd, program_server()};
    size_t count = 4;
    if (pair != NULL) {
        argv[count++] = "--engine";
        argv[count++] = pair->engine;
        argv[count++] = "--pool";
        argv[count++] = pair->pool;
    }
    for (; *words != NULL; words++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = *words;
    }
    return program_run(argv, NULL, 0);
}

#define FAILED 1 /* exit statuses */
#define USAGE  2

/* Checks that it ends with exit_status and a message on stderr that has all of parts
   (NULL-terminated), and leaves everything below cwd as it was. */
static void expect_refusal(const struct pair *pair, const char *cwd, const char *const *words,
                           const char *const *parts, int exit_status)
{
    char *before = tree_describe(cwd);
    struct program_result result = run_server(pair, cwd, words);
    if (result.exit_status != exit_status)
        fail_msg("kvs-server %s %s ended with %d, stderr: %s", words[0],
                 words[0] != NULL ? words[1] : "", result.exit_status, result.err);
    assert_string_equal(result.out, "");
    expect_in(result.err, "kvs-server: ");
    for (; *parts != NULL; parts++)
        expect_in(result.err, *parts);
    /* One line, the message: no usage text that hides it, no log. */
    assert_ptr_equal(strchr(result.err, '\n'), result.err + result.err_size - 1);
    program_result_deinit(&result);
    tree_expect_untouched(cwd, before);
}

/* ---- what it tells ------------------------------------------------------------------------ */

static void version_and_help_go_to_stdout(const struct pair *pair)
{
    static const char *const flags[] = {
        "--addr",       "--engine",     "--pool",      "--threads", "--data-dir",     "--sync",
        "--plugin-dir", "--key-max",    "--value-max", "--backlog", "--engine-opt",   "--pool-opt",
        "--log-level",  "--verify",     "--repair",    "--version", "--list-plugins", "-V",
        "-h, --help",   "shared-queue", "4000",        "kvs-data",  "always",         "4096",
    };
    (void)pair;
    char *cwd = temp_dir_new();
    for (unsigned i = 0; i < 2; i++) {
        struct program_result result = run_server(NULL, cwd, WORDS(i == 0 ? "-V" : "--version"));
        assert_string_equal(result.out, "kvs-server " KVS_VERSION "\n");
        assert_string_equal(result.err, "");
        assert_int_equal(result.exit_status, 0);
        program_result_deinit(&result);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct program_result result = run_server(NULL, cwd, WORDS(i == 0 ? "-h" : "--help"));
        for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
            expect_in(result.out, flags[f]);
        assert_null(strchr(result.out, '?')); /* what a terminal gets for a wrong character */
        assert_string_equal(result.err, "");
        assert_int_equal(result.exit_status, 0);
        program_result_deinit(&result);
    }
    tree_expect_untouched(cwd, tree_describe(cwd));
    temp_dir_free(cwd);
}

static void output_that_is_lost_is_an_error(const struct pair *pair)
{
    static const char *const flags[] = {"--version", "--help", "--list-plugins"};
    (void)pair;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        const char *const argv[] = {"/bin/sh",        "-c",     "exec \"$0\" \"$1\" >/dev/full",
                                    program_server(), flags[i], NULL};
        struct program_result result = program_run(argv, NULL, 0);
        expect_in(result.err, "kvs-server: cannot write");
        assert_int_equal(result.exit_status, 1);
        program_result_deinit(&result);
    }
}

static void plugins_are_listed_with_their_options(const struct pair *pair)
{
    char *cwd = temp_dir_new();
    char line[128];
    struct program_result result = run_server(NULL, cwd, WORDS("--list-plugins"));
    assert_string_equal(result.err, "");
    assert_int_equal(result.exit_status, 0);
    (void)snprintf(line, sizeof(line), "engine %s ", pair->engine);
    expect_in(result.out, line);
    (void)snprintf(line, sizeof(line), "pool %s ", pair->pool);
    expect_in(result.out, line);
    expect_in(result.out, "(ABI 1.0)\n    ");
    expect_in(result.out, "-opt ");
    expect_in(result.out, "default ");
    program_result_deinit(&result);
    temp_dir_free(cwd);
}

/* The path of the plugin as --list-plugins prints it. Malloced. */
static char *path_of_plugin(const char *file_name)
{
    struct program_result result =
        program_run((const char *const[]){program_server(), "--list-plugins", NULL}, NULL, 0);
    const char *name = strstr(result.out, file_name);
    assert_non_null(name);
    const char *begin = name;
    while (begin > result.out && begin[-1] != ' ')
        begin--;
    char *path = strndup(begin, strcspn(begin, "\n"));
    program_result_deinit(&result);
    return path;
}

/* Folders given with --plugin-dir are looked through first, and what lies there and is no plugin is
   said to be none without harm to the rest. */
static void plugin_dirs_come_first(const struct pair *pair)
{
    char file_name[128];
    char *cwd = temp_dir_new();
    char *garbage = path_join(cwd, "kvs-engine-garbage.so");
    (void)snprintf(file_name, sizeof(file_name), "kvs-pool-%s.so", pair->pool);
    char *from = path_of_plugin(file_name);
    char *to = path_join(cwd, file_name);
    struct program_result result =
        program_run((const char *const[]){"/bin/cp", from, to, NULL}, NULL, 0);
    assert_int_equal(result.exit_status, 0);
    program_result_deinit(&result);
    (void)close(open(garbage, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    result = run_server(NULL, "/",
                        WORDS("--list-plugins", "--plugin-dir", "/nowhere", "--plugin-dir", cwd));
    assert_int_equal(result.exit_status, 0);
    expect_in(result.out, to);
    assert_null(strstr(result.out, from));
    expect_in(result.out, "kvs-engine-garbage.so: cannot be loaded: ");
    (void)snprintf(file_name, sizeof(file_name), "engine %s ", pair->engine);
    expect_in(result.out, file_name);
    program_result_deinit(&result);
    expect_refusal(pair, cwd,
                   WORDS("--addr", "127.0.0.1:0", "--engine", "garbage", "--plugin-dir", cwd),
                   WORDS("kvs-engine-garbage.so is not a kvs plugin"), USAGE);
    free(from);
    free(to);
    free(garbage);
    temp_dir_free(cwd);
}

/* ---- wrong values ------------------------------------------------------------------------- */

struct wrong {
    const char *words[5];
    const char *parts[4];
    int exit_status;
};

static void wrong_flags_are_refused(const struct pair *pair)
{
    static const struct wrong cases[] = {
        {{"serve"}, {"unexpected argument 'serve'", "--help"}, USAGE},
        {{"--", "--addr"}, {"unexpected argument"}, USAGE},
        {{"--nonsense"}, {"--nonsense", "--help"}, USAGE},
        {{"--addr"}, {"--addr"}, USAGE},
        {{"--addr", "nowhere"}, {"'nowhere'", "127.0.0.1:4000"}, USAGE},
        {{"--addr", ""}, {"''"}, USAGE},
        {{"--addr", "127.0.0.1"}, {"'127.0.0.1'"}, USAGE},
        {{"--addr", "127.0.0.1:"}, {"'127.0.0.1:'"}, USAGE},
        {{"--addr", "127.0.0.1:65536"}, {"'127.0.0.1:65536'"}, USAGE},
        {{"--addr", "127.0.0.1:-1"}, {"'127.0.0.1:-1'"}, USAGE},
        {{"--addr", "localhost:4000"}, {"'localhost:4000'"}, USAGE},
        {{"--addr", "::1:4000"}, {"'::1:4000'", "[::1]:4000"}, USAGE},
        {{"--addr", "[::1]"}, {"'[::1]'"}, USAGE},
        {{"--addr", "[127.0.0.1]:4000"}, {"'[127.0.0.1]:4000'"}, USAGE},
        {{"--addr", "192.0.2.1:4000", "--no-auth"},
         {"cannot listen on 192.0.2.1:4000", "--addr"},
         FAILED},
        {{"--addr", "192.0.2.1:4000"},
         {"192.0.2.1:4000", "no password is set", "--no-auth"},
         USAGE},
        {{"--password-file", "missing"}, {"the password file missing"}, USAGE},
        {{"--config", "missing.conf"}, {"missing.conf"}, USAGE},
        {{"--config", "/"}, {"configuration file"}, USAGE},
        {{"--listen=tls:127.0.0.1:0", "--tls-cert=a.pem", "--tls-key=a.key"}, {"a.key"}, USAGE},
        {{"--tls-cert", "a.pem", "--addr", "127.0.0.1:0"},
         {"no address speaks TLS", "--listen tls:"},
         USAGE},
        {{"--tls-cert", "a.pem"}, {"no address speaks TLS", "--listen tls:"}, USAGE},
        {{"--tls-client-optional"}, {"--tls-client-ca"}, USAGE},
        {{"--sync", "sometimes"}, {"--sync 'sometimes'", "always, none, or interval:MS"}, USAGE},
        {{"--sync", ""}, {"--sync ''"}, USAGE},
        {{"--sync", "interval"}, {"--sync 'interval'"}, USAGE},
        {{"--sync", "interval:"}, {"--sync 'interval:'"}, USAGE},
        {{"--sync", "interval:0"}, {"--sync 'interval:0'", "at least 1"}, USAGE},
        {{"--sync", "interval:-5"}, {"--sync 'interval:-5'"}, USAGE},
        {{"--sync", "interval:5s"}, {"--sync 'interval:5s'"}, USAGE},
        {{"--sync", "always "}, {"--sync 'always '"}, USAGE},
        {{"--threads", "0"}, {"--threads '0'", "positive number"}, USAGE},
        {{"--threads", "-1"}, {"--threads '-1'"}, USAGE},
        {{"--threads", "two"}, {"--threads 'two'"}, USAGE},
        {{"--threads", "1.5"}, {"--threads '1.5'"}, USAGE},
        {{"--threads", "4294967296"}, {"--threads '4294967296'"}, USAGE},
        {{"--threads", ""}, {"--threads ''"}, USAGE},
        {{"--backlog", "0"}, {"--backlog '0'"}, USAGE},
        {{"--key-max", "0"}, {"--key-max '0'", "64k"}, USAGE},
        {{"--key-max", "65537"}, {"at most 65536 bytes"}, USAGE},
        {{"--value-max", "many"}, {"--value-max 'many'"}, USAGE},
        {{"--value-max", "65m"}, {"at most 67108864"}, USAGE},
        {{"--log-level", "loud"}, {"--log-level 'loud'", "error, warn, info or debug"}, USAGE},
        {{"--pool", "../pool"}, {"'../pool' is no name"}, USAGE},
        {{"--pool", ""}, {"'' is no name"}, USAGE},
        {{"--engine", "a/b"}, {"'a/b' is no name"}, USAGE},
        {{"--engine-opt", "novalue"}, {"novalue", "NAME=VALUE"}, USAGE},
        {{"--engine-opt", "nonsense=1"}, {"'nonsense'"}, USAGE},
        {{"--engine-opt", "=1"}, {"=1"}, USAGE},
        {{"--engine-opt", "\xC3\xBC=\xC3\xBC"}, {"\xC3\xBC"}, USAGE},
        {{"--pool-opt", "novalue"}, {"novalue", "NAME=VALUE"}, USAGE},
        {{"--pool-opt", "nonsense=1"}, {"'nonsense'"}, USAGE},
        {{"--data-dir", ""}, {"data directory"}, USAGE},
        {{"--verify"}, {"no kvs store", "--data-dir"}, USAGE},
        {{"--repair", "new"}, {"no kvs store", "--data-dir"}, USAGE},
        {{"--verify", "--repair", "new"}, {"--verify and --repair"}, USAGE},
    };
    char *cwd = temp_dir_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refusal(pair, cwd, cases[i].words, cases[i].parts, cases[i].exit_status);
    temp_dir_free(cwd);
}

static void unknown_plugins_are_answered_with_those_found(const struct pair *pair)
{
    char *cwd = temp_dir_new();
    const char *const any = "127.0.0.1:0";
    expect_refusal(pair, cwd, WORDS("--addr", any, "--engine", "rocks"),
                   WORDS("no engine plugin 'rocks'", pair->engine, "--engine", "--plugin-dir"),
                   USAGE);
    expect_refusal(pair, cwd, WORDS("--addr", any, "--pool", "swimming"),
                   WORDS("no pool plugin 'swimming'", pair->pool, "--pool", "--plugin-dir"), USAGE);
    expect_refusal(pair, cwd, WORDS("--addr", any, "--engine", pair->pool),
                   WORDS("no engine plugin", pair->pool, pair->engine), USAGE);
    temp_dir_free(cwd);
}

static void a_port_in_use_is_said_to_be(const struct pair *pair)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char text[32];
    char *cwd = temp_dir_new();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    expect_refusal(pair, cwd, WORDS("--addr", text), WORDS(text, "the port is in use", "--addr"),
                   FAILED);
    (void)close(fd);
    temp_dir_free(cwd);
}

/* ---- places that are no data directory ---------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *content)
{
    char *path = path_join(dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
    free(path);
}

static void places_that_hold_no_data_are_refused(const struct pair *pair)
{
    const char *const any = "127.0.0.1:0";
    char *cwd = temp_dir_new();
    write_file(cwd, "file", "not a folder");
    expect_refusal(pair, cwd, WORDS("--addr", any, "--data-dir", "file"),
                   WORDS("file", "directory"), USAGE);
    expect_refusal(pair, cwd, WORDS("--addr", any, "--data-dir", "file/below"),
                   WORDS("file/below", "data directory"), USAGE);
    expect_refusal(pair, cwd, WORDS("--addr", any, "--data-dir", "/proc/kvs/data"),
                   WORDS("/proc/kvs/data", "data directory"), FAILED);
    temp_dir_free(cwd);

    char *home = temp_dir_new();
    write_file(home, "thesis.tex", "\\end{document}");
    expect_refusal(pair, home, WORDS("--addr", any, "--data-dir", home),
                   WORDS(home, "thesis.tex", "--data-dir"), USAGE);
    temp_dir_free(home);
}

static void damaged_or_later_markers_are_refused(const struct pair *pair)
{
    static const char *const damaged[] = {"", "[store]\n", "[store]\nformat=1\n", "garbage"};
    const char *const any = "127.0.0.1:0";
    char *dir = temp_dir_new();
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        write_file(dir, "kvs.store", damaged[i]);
        expect_refusal(pair, dir, WORDS("--addr", any, "--data-dir", dir), WORDS("kvs.store", dir),
                       FAILED);
    }
    write_file(dir, "kvs.store", "[store]\nformat=99\nengine=log\n");
    expect_refusal(pair, dir, WORDS("--addr", any, "--data-dir", dir), WORDS("format 99", "newer"),
                   USAGE);
    /* Data of an engine that this build does not have. */
    write_file(dir, "kvs.store", "[store]\nformat=1\nengine=vanished\n");
    expect_refusal(NULL, dir, WORDS("--addr", any, "--data-dir", dir),
                   WORDS("no engine plugin 'vanished'", "--plugin-dir"), USAGE);
    temp_dir_free(dir);
}

/* A folder that may only be read. As root everything may be written, so somebody else tries. */
static void an_unwritable_place_is_refused(const struct pair *pair)
{
    char *dir = temp_dir_new();
    char *data_dir = path_join(dir, "data");
    const char *const as_nobody[] = {
        "/usr/bin/setpriv", "--reuid",        NOBODY,       "--regid",     NOBODY,
        "--clear-groups",   program_server(), "--addr",     "127.0.0.1:0", "--data-dir",
        data_dir,           "--engine",       pair->engine, NULL};
    assert_int_equal(chmod(dir, 0555), 0);
    char *before = tree_describe(dir);
    struct program_result result = program_run(geteuid() == 0 ? as_nobody : as_nobody + 6, NULL, 0);
    if (result.exit_status >= CANNOT_RUN || strstr(result.err, "no pool plugin") != NULL) {
        /* A checkout in root's own folder, say. */
        print_message("skipped: another user cannot run %s: %s\n", program_server(), result.err);
    } else {
        assert_int_equal(result.exit_status, USAGE);
        expect_in(result.err, data_dir);
        expect_in(result.err, "Permission denied");
    }
    program_result_deinit(&result);
    tree_expect_untouched(dir, before);
    free(data_dir);
    temp_dir_free(dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(version_and_help_go_to_stdout, MATRIX_ONCE),
        MATRIX_TEST(output_that_is_lost_is_an_error, MATRIX_ONCE),
        MATRIX_TEST(plugins_are_listed_with_their_options, MATRIX_PAIRS),
        MATRIX_TEST(plugin_dirs_come_first, MATRIX_ONCE),
        MATRIX_TEST(wrong_flags_are_refused, MATRIX_ONCE),
        MATRIX_TEST(unknown_plugins_are_answered_with_those_found, MATRIX_PAIRS),
        MATRIX_TEST(a_port_in_use_is_said_to_be, MATRIX_ONCE),
        MATRIX_TEST(places_that_hold_no_data_are_refused, MATRIX_ONCE),
        MATRIX_TEST(damaged_or_later_markers_are_refused, MATRIX_ONCE),
        MATRIX_TEST(an_unwritable_place_is_refused, MATRIX_ONCE),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
