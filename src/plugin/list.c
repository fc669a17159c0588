/*
 * See list.h. The parent finds the files; for each it forks a child that opens the plugin and
 * writes its paragraph into a pipe. The first byte tells how that went ('+' or '-'), so an empty
 * pipe means that the plugin took the child down. A child that hangs is ended by its alarm.
 *
 * The child of a fork may use little of a process that has other threads: call this from a program
 * that has none yet, as kvs-server --list-plugins does.
 */
#include "plugin/list.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "plugin/files.h"
#include "plugin/options.h"

#define LOAD_TIMEOUT_S 20u
#define READ_SIZE      4096u
#define REPORT_GOOD    '+'
#define REPORT_BAD     '-'

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the child ---------------------------------------------------------------------------- */

static void print_option(const struct plugin *plugin, const struct kvs_option *option, FILE *out)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } flags[] = {
        {KVS_OPTION_REQUIRED, "required"},
        {KVS_OPTION_RELOADABLE, "reloadable"},
        {KVS_OPTION_FIXED_AT_CREATE, "fixed when the store is made"},
    };
    (void)fprintf(out, "    --%s-opt %s=", plugin_kind_text(plugin->kind), option->name);
    if (option->type == KVS_OPTION_ENUM)
        (void)fprintf(out, "%s", option->range);
    else
        (void)fprintf(out, "<%s>", option_type_text(option->type));
    (void)fprintf(out, "\n        %s\n        ", option->help);
    const char *between = "";
    if (option->default_value != NULL) {
        (void)fprintf(out, "default %s",
                      option->default_value[0] != '\0' ? option->default_value : "empty");
        between = ", ";
    }
    if (option->range != NULL && option->type != KVS_OPTION_ENUM) {
        (void)fprintf(out, "%srange %s", between, option->range);
        between = ", ";
    }
    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if ((option->flags & flags[i].flag) == 0)
            continue;
        (void)fprintf(out, "%s%s", between, flags[i].text);
        between = ", ";
    }
    (void)fprintf(out, "\n");
}

struct property {
    uint64_t bit;
    const char *text;
};

static const struct property engine_properties[] = {
    {KVS_ENGINE_DURABLE, "durable"},
    {KVS_ENGINE_ORDERED, "ordered"},
    {KVS_ENGINE_SNAPSHOT_SCAN, "snapshot scans"},
    {KVS_ENGINE_CONCURRENT_WRITERS, "concurrent writers"},
    {KVS_ENGINE_GET_NEVER_BLOCKS, "gets never block"},
    {KVS_ENGINE_BATCH_ATOMIC, "atomic batches"},
    {KVS_ENGINE_BATCH_ATOMIC_KEY, "batches atomic per key"},
};

static const struct property pool_properties[] = {
    {KVS_POOL_UNBOUNDED, "a thread per job"},
    {KVS_POOL_INLINE, "runs jobs in the caller"},
    {KVS_POOL_SURVIVES_THREAD_EXIT, "survives jobs that end their thread"},
    {KVS_POOL_RUNS_IDLE_HOOK, "idle workers poll"},
};

static void print_properties(const struct property *properties, size_t count, uint64_t capabilities,
                             FILE *out)
{
    const char *between = "    ";
    for (size_t i = 0; i < count; i++) {
        if ((capabilities & properties[i].bit) == 0)
            continue;
        (void)fprintf(out, "%s%s", between, properties[i].text);
        between = ", ";
    }
    if (between[0] == ',')
        (void)fputc('\n', out);
}

static void print_plugin(const struct plugin *plugin, FILE *out)
{
    const struct kvs_plugin *descriptor = plugin->descriptor;
    (void)fprintf(out, "%s %s %s (ABI %u.%u)\n", plugin_kind_text(plugin->kind), plugin->name,
                  descriptor->version, descriptor->abi_major, descriptor->abi_minor);
    (void)fprintf(out, "    %s\n    %s\n", descriptor->description, plugin->path);
    if (plugin->kind == KVS_PLUGIN_ENGINE)
        print_properties(engine_properties, COUNT_OF(engine_properties),
                         plugin->ops.engine.capabilities, out);
    else
        print_properties(pool_properties, COUNT_OF(pool_properties), plugin->ops.pool.capabilities,
                         out);
    for (uint32_t i = 0; i < descriptor->option_count; i++)
        print_option(plugin, option_at(descriptor, i), out);
}

/* Opens the plugin, reports into fd and ends the process. */
static _Noreturn void child_main(const struct plugin_dirs *dirs, const struct plugin_file *file,
                                 int fd)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct plugin *plugin;
    struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* what a plugin prints is no part of the list */
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(LOAD_TIMEOUT_S);
    kvs_status status = plugin_open(dirs, file->kind, file->name, &plugin, &error);
    FILE *out = fdopen(fd, "w");
    if (out == NULL)
        _exit(EXIT_FAILURE);
    (void)fputc(status == KVS_OK ? REPORT_GOOD : REPORT_BAD, out);
    if (status == KVS_OK)
        print_plugin(plugin, out);
    else
        (void)fputs(message, out);
    _exit(fclose(out) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the parent --------------------------------------------------------------------------- */

/* Reads fd to its end. */
static kvs_status read_all(int fd, struct buffer *buffer)
{
    for (;;) {
        kvs_status status = buffer_reserve(buffer, READ_SIZE);
        if (status != KVS_OK)
            return status;
        ssize_t size = read(fd, buffer->data + buffer->end, READ_SIZE);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return KVS_OK;
        buffer_commit(buffer, (size_t)size);
    }
}

static int wait_for(pid_t pid)
{
    int wait_status = 0;
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    return wait_status;
}

/* Prints what became of one plugin. */
static void print_report(const struct plugin_file *file, int wait_status,
                         const struct buffer *report, FILE *out)
{
    const char *file_name = strrchr(file->path, '/') + 1;
    const char *text = (const char *)buffer_content(report);
    size_t size = buffer_size(report);
    if (WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGALRM)
        (void)fprintf(out, "%s: cannot be loaded: not done after %u seconds\n    %s\n", file_name,
                      LOAD_TIMEOUT_S, file->path);
    else if (WIFSIGNALED(wait_status))
        (void)fprintf(out, "%s: cannot be loaded: killed by signal %d (%s)\n    %s\n", file_name,
                      WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)), file->path);
    else if (size == 0 || WEXITSTATUS(wait_status) != EXIT_SUCCESS)
        (void)fprintf(out,
                      "%s: cannot be loaded: it ended the process that loaded it (exit status "
                      "%d)\n    %s\n",
                      file_name, WEXITSTATUS(wait_status), file->path);
    else if (text[0] == REPORT_BAD)
        (void)fprintf(out, "%s: cannot be loaded: %.*s\n", file_name, (int)size - 1, text + 1);
    else
        (void)fwrite(text + 1, 1, size - 1, out);
}

static kvs_status list_file(const struct plugin_dirs *dirs, const struct plugin_file *file,
                            FILE *out, struct kvs_error *err)
{
    int ends[2];
    if (pipe(ends) != 0)
        return kvs_error_set(err, KVS_IO, errno, "cannot make a pipe: %s", strerror(errno));
    _cleanup_(closep) int read_end = ends[0];
    _cleanup_(closep) int write_end = ends[1];
    (void)fflush(NULL); /* or else a plugin that calls exit() writes it all once more */
    pid_t pid = fork();
    if (pid < 0)
        return kvs_error_set(err, KVS_BUSY, errno, "cannot start a process: %s", strerror(errno));
    if (pid == 0) {
        (void)close(read_end);
        child_main(dirs, file, write_end);
    }
    (void)close(take_fd(&write_end));
    struct buffer report = {0};
    kvs_status status = read_all(read_end, &report);
    int wait_status = wait_for(pid);
    if (status == KVS_OK)
        print_report(file, wait_status, &report, out);
    buffer_deinit(&report);
    return status;
}

static void print_none(const struct plugin_dirs *dirs, FILE *out)
{
    (void)fprintf(out, "no plugins found in ");
    for (uint32_t i = 0; i < dirs->count; i++)
        (void)fprintf(out, "%s%s", i > 0 ? ", " : "", dirs->paths[i]);
    (void)fprintf(out, "%s; add a folder with --plugin-dir\n", dirs->count == 0 ? "no folder" : "");
}

kvs_status plugin_list_print(const struct plugin_dirs *dirs, FILE *out, struct kvs_error *err)
{
    struct plugin_files files;
    kvs_status status = plugin_files_find(dirs, 0, &files);
    if (status != KVS_OK)
        return kvs_error_set(err, status, 0, "no memory for the list of plugins");
    if (files.count == 0)
        print_none(dirs, out);
    for (size_t i = 0; i < files.count && status == KVS_OK; i++) {
        if (i > 0)
            (void)fputc('\n', out);
        status = list_file(dirs, &files.items[i], out, err);
    }
    plugin_files_deinit(&files);
    if (status == KVS_OK && (fflush(out) != 0 || ferror(out)))
        status = kvs_error_set(err, KVS_IO, errno, "cannot write the list of plugins: %s",
                               strerror(errno));
    return status;
}
