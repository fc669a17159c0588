/* See machine.h. Everything is read from /proc, /sys and uname; nothing is run. */
#include "harness/machine.h"

#include <glib.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The first line of a file, or a copy of otherwise. */
static char *first_line(const char *path, const char *otherwise)
{
    gchar *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return g_strdup(otherwise);
    text[strcspn(text, "\n")] = '\0';
    return g_strstrip(text);
}

/* What follows NAME and the separator in a file's first line that begins with NAME. */
static char *value_of(const char *path, const char *name, char separator)
{
    _cleanup_(freep) gchar *text = NULL;
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return g_strdup("unknown");
    size_t size = strlen(name);
    for (char *line = text; line != NULL && *line != '\0';) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        char *found = strncmp(line, name, size) == 0 ? strchr(line, separator) : NULL;
        if (found != NULL)
            return g_strdup(g_strdelimit(g_strstrip(found + 1), "\"", ' '));
        line = end;
    }
    return g_strdup("unknown");
}

static char *kernel_text(void)
{
    struct utsname name;
    if (uname(&name) != 0)
        return g_strdup("unknown");
    return g_strdup_printf("%s %s %s", name.sysname, name.release, name.machine);
}

static char *hypervisor_text(void)
{
    _cleanup_(freep) gchar *text = NULL;
    if (!g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL))
        return g_strdup("unknown");
    return g_strdup(strstr(text, " hypervisor") != NULL ? "virtual machine" : "none");
}

/* "TYPE on SOURCE (OPTIONS)" from one line of mountinfo, when its mount point holds path and is
   longer than the best so far. */
static void mount_consider(char *line, const char *path, size_t *best, char **ret)
{
    char *rest = strstr(line, " - ");
    if (rest == NULL)
        return;
    gchar **left = g_strsplit(line, " ", 7);
    gchar **right = g_strsplit(rest + 3, " ", 3);
    if (g_strv_length(left) >= 6 && g_strv_length(right) == 3) {
        const char *point = left[4];
        size_t size = strlen(point);
        bool holds = strcmp(point, "/") == 0 ||
                     (strncmp(path, point, size) == 0 && (path[size] == '/' || path[size] == '\0'));
        if (holds && size >= *best) {
            *best = size;
            free(*ret);
            *ret = g_strdup_printf("%s on %s (%s)", right[0], right[1], left[5]);
        }
    }
    g_strfreev(left);
    g_strfreev(right);
}

static char *filesystem_text(const char *data_dir)
{
    char path[PATH_MAX];
    _cleanup_(freep) gchar *text = NULL;
    if (realpath(data_dir, path) == NULL ||
        !g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
        return g_strdup("unknown");
    char *result = g_strdup("unknown");
    size_t best = 0;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
        mount_consider(line, path, &best, &result);
    return result;
}

uint32_t machine_cpus(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        return (uint32_t)CPU_COUNT(&allowed);
    return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static uint64_t cache_bytes(void)
{
    long level3 = sysconf(_SC_LEVEL3_CACHE_SIZE);
    long level2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return level3 > 0 ? (uint64_t)level3 : level2 > 0 ? (uint64_t)level2 : 0;
}

void machine_init(struct machine *machine, const char *data_dir)
{
    double load = 0;
    (void)getloadavg(&load, 1);
    *machine = (struct machine){
        .cpu = value_of("/proc/cpuinfo", "model name", ':'),
        .kernel = kernel_text(),
        .distribution = value_of("/etc/os-release", "PRETTY_NAME", '='),
        .governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "none"),
        .hypervisor = hypervisor_text(),
        .clock_source = first_line(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource", "unknown"),
        .filesystem = filesystem_text(data_dir),
        .compiler = g_strdup(
#ifdef __clang__
            "clang " __clang_version__
#else
            "gcc " __VERSION__
#endif
#ifdef __OPTIMIZE__
            ", optimised"
#else
            ", NOT optimised"
#endif
            ),
        .cpus = machine_cpus(),
        .memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
        .cache_bytes = cache_bytes(),
        .load = load,
    };
}

void machine_deinit(struct machine *machine)
{
    free(machine->cpu);
    free(machine->kernel);
    free(machine->distribution);
    free(machine->governor);
    free(machine->hypervisor);
    free(machine->clock_source);
    free(machine->filesystem);
    free(machine->compiler);
    *machine = (struct machine){0};
}
