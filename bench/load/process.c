/* See process.h; proc(5) describes the files. */
#include "load/process.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* Adds the number behind "NAME:" of a file's lines to *to. */
static void add_value(const char *path, const char *name, uint64_t scale, uint64_t *to)
{
    char line[256];
    size_t size = strlen(name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long number;
        if (strncmp(line, name, size) == 0 && sscanf(line + size, ": %llu", &number) == 1) {
            *to += number * scale;
            break;
        }
    }
    (void)fclose(file);
}

/* User and system time out of /proc/PID/stat: the 14th and 15th field, counted behind the name,
   which may hold anything. */
static bool read_cpu(pid_t pid, uint64_t *ret_ns)
{
    char path[64];
    char line[1024];
    unsigned long long user;
    unsigned long long system;
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    const char *got = fgets(line, sizeof(line), file);
    (void)fclose(file);
    const char *behind = got != NULL ? strrchr(line, ')') : NULL;
    if (behind == NULL ||
        sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
               &system) != 2)
        return false;
    *ret_ns = (user + system) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
    return true;
}

bool process_usage_read(pid_t pid, struct process_usage *ret)
{
    struct process_usage usage = {0};
    char path[64];
    if (!read_cpu(pid, &usage.cpu_ns))
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%ld/io", (long)pid);
    add_value(path, "write_bytes", 1, &usage.written_bytes);
    (void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    add_value(path, "VmRSS", 1024, &usage.resident_bytes);
    (void)snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
    GDir *tasks = g_dir_open(path, 0, NULL);
    if (tasks == NULL)
        return false;
    for (const char *name; (name = g_dir_read_name(tasks)) != NULL;) {
        _cleanup_(freep) char *status = g_build_filename(path, name, "status", NULL);
        add_value(status, "voluntary_ctxt_switches", 1, &usage.voluntary_switches);
        add_value(status, "nonvoluntary_ctxt_switches", 1, &usage.involuntary_switches);
    }
    g_dir_close(tasks);
    *ret = usage;
    return true;
}

/* A thread that ended took its count along. */
static uint64_t difference(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

struct process_usage process_usage_between(const struct process_usage *before,
                                           const struct process_usage *after)
{
    return (struct process_usage){
        .cpu_ns = difference(before->cpu_ns, after->cpu_ns),
        .voluntary_switches = difference(before->voluntary_switches, after->voluntary_switches),
        .involuntary_switches =
            difference(before->involuntary_switches, after->involuntary_switches),
        .written_bytes = difference(before->written_bytes, after->written_bytes),
        .resident_bytes = after->resident_bytes,
    };
}
