/*
 * Where a program looks for its plugins. It depends on where the program lies, so this test copies
 * itself to other places and runs there as "test_dirs print EXTRA...", which prints one directory
 * per line.
 */
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plugin/loader.h"

#define PRINT "print"

static int print_dirs(int count, char **extra)
{
    struct plugin_dirs dirs;
    if (plugin_dirs_init(&dirs, (const char *const *)extra, (uint32_t)count) != KVS_OK)
        return 1;
    for (uint32_t i = 0; i < dirs.count; i++)
        (void)printf("%s\n", dirs.paths[i]);
    plugin_dirs_deinit(&dirs);
    return 0;
}

static void make_dir(const char *base, const char *name)
{
    char *path = path_join(base, name);
    assert_true(mkdir(path, 0700) == 0);
    free(path);
}

/* Copies this program to path. */
static void copy_self(const char *path)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    struct stat info;
    assert_true(from >= 0 && to >= 0 && fstat(from, &info) == 0);
    for (off_t left = info.st_size; left > 0;) {
        ssize_t size = sendfile(to, from, NULL, (size_t)left);
        assert_true(size > 0);
        left -= size;
    }
    (void)close(from);
    (void)close(to);
}

/* What the copy at program prints, malloced. */
static char *dirs_of(const char *program, const char *extra)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execl(program, program, PRINT, extra, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    char *text = calloc(1, 4096);
    size_t size = fread(text, 1, 4095, from);
    text[size] = '\0';
    (void)fclose(from);
    int wait_status;
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_true(WIFEXITED(wait_status));
    assert_int_equal(WEXITSTATUS(wait_status), 0);
    return text;
}

/* A tree with a copy of this program in BASE/prefix/bin (BASE and program are malloced). */
static void make_tree(char **ret_base, char **ret_program)
{
    char *temp = temp_dir_new();
    char *base = realpath(temp, NULL); /* as /proc/self/exe will say it */
    free(temp);
    make_dir(base, "prefix");
    make_dir(base, "prefix/bin");
    char *program = path_join(base, "prefix/bin/program");
    copy_self(program);
    *ret_base = base;
    *ret_program = program;
}

/* Makes every folder on the way to the installed plugins, seen from prefix/bin. */
static void make_installed_dir(const char *base)
{
    char *bin = path_join(base, "prefix/bin");
    char *path = path_join(bin, PLUGIN_DIR_FROM_PROGRAM);
    for (char *at = path + strlen(base) + 1; at != NULL; at = strchr(at + 1, '/')) {
        char *slash = strchr(at + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        if (slash != NULL)
            *slash = '/';
    }
    free(path);
    free(bin);
}

static void installed_dir_is_found_beside_the_program(void **state)
{
    (void)state;
    char *base, *program;
    make_tree(&base, &program);
    make_installed_dir(base);
    char *dirs = dirs_of(program, NULL);
    assert_int_equal(strncmp(dirs, base, strlen(base)), 0);
    assert_non_null(strstr(dirs, "/prefix/lib"));
    assert_non_null(strstr(dirs, "/kvs\n"));
    assert_null(strstr(dirs, ".."));
    free(dirs);
    free(program);
    temp_dir_free(base);
}

static void configured_dir_is_the_last_resort(void **state)
{
    (void)state;
    char *base, *program;
    make_tree(&base, &program);
    char *dirs = dirs_of(program, NULL);
    assert_string_equal(dirs, PLUGIN_DIR "\n");
    free(dirs);
    free(program);
    temp_dir_free(base);
}

static void marker_lists_the_build_dirs_behind_the_extra_ones(void **state)
{
    (void)state;
    char *base, *program;
    make_tree(&base, &program);
    make_installed_dir(base);
    char *marker_path = path_join(base, "prefix/bin/kvs-plugin-dirs");
    FILE *marker = fopen(marker_path, "w");
    assert_non_null(marker);
    (void)fprintf(marker, "# made by the build\n\n../plugins/one\n/absolute/two");
    (void)fclose(marker);
    char *dirs = dirs_of(program, "extra/dir");
    char expected[4096];
    (void)snprintf(expected, sizeof(expected),
                   "extra/dir\n%s/prefix/bin/../plugins/one\n/absolute/two\n", base);
    assert_string_equal(dirs, expected);
    free(dirs);
    free(marker_path);
    free(program);
    temp_dir_free(base);
}

static void extra_dirs_come_first_and_are_copied(void **state)
{
    (void)state;
    char extra[] = "/some/where";
    const char *const extras[] = {extra, "else"};
    struct plugin_dirs dirs;
    assert_int_equal(plugin_dirs_init(&dirs, extras, 2), KVS_OK);
    memset(extra, 'x', sizeof(extra) - 1);
    assert_true(dirs.count >= 3);
    assert_string_equal(dirs.paths[0], "/some/where");
    assert_string_equal(dirs.paths[1], "else");
    plugin_dirs_deinit(&dirs);
    assert_int_equal(dirs.count, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], PRINT) == 0)
        return print_dirs(argc - 2, argv + 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(installed_dir_is_found_beside_the_program),
        cmocka_unit_test(configured_dir_is_the_last_resort),
        cmocka_unit_test(marker_lists_the_build_dirs_behind_the_extra_ones),
        cmocka_unit_test(extra_dirs_come_first_and_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
