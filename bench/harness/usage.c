/* See usage.h. */
#include "harness/usage.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define SETTLE_WINDOW_NS (10 * NS_PER_MS)
#define MACHINE_STEP_NS  (20.0 * (double)NS_PER_MS) /* what the steps of machine_ns may be off */
#define SETTLE_QUIET_MIN 2u                         /* quiet windows in a row */

static uint64_t timeval_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * NS_PER_S + (uint64_t)time->tv_usec * 1000;
}

/* The number behind "NAME:" in a file of such lines, times scale; 0 when it is not there. */
static uint64_t proc_value(const char *path, const char *name, uint64_t scale)
{
    char line[256];
    uint64_t value = 0;
    size_t size = strlen(name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long number;
        if (strncmp(line, name, size) == 0 && sscanf(line + size, ": %llu", &number) == 1) {
            value = number * scale;
            break;
        }
    }
    (void)fclose(file);
    return value;
}

/* The busy time of all CPUs since the system started: user, nice, system, irq, softirq, steal. */
static uint64_t machine_busy_ns(void)
{
    unsigned long long user, nice, system, idle, wait, irq, soft, steal;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return 0;
    int count = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
                       &idle, &wait, &irq, &soft, &steal);
    (void)fclose(file);
    if (count != 8)
        return 0;
    uint64_t ticks = user + nice + system + irq + soft + steal;
    return ticks * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

bool usage_was_disturbed(const struct usage *between, double wall_ns, uint32_t cpus)
{
    double own_ns = (double)(between->user_ns + between->system_ns);
    double others_ns = (double)between->machine_ns - own_ns - MACHINE_STEP_NS;
    return others_ns > USAGE_OTHERS_MAX * wall_ns * cpus;
}

struct usage usage_now(void)
{
    struct rusage own;
    struct rusage children;
    (void)getrusage(RUSAGE_SELF, &own);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    return (struct usage){
        .user_ns = timeval_ns(&own.ru_utime) + timeval_ns(&children.ru_utime),
        .system_ns = timeval_ns(&own.ru_stime) + timeval_ns(&children.ru_stime),
        .voluntary_switches = (uint64_t)own.ru_nvcsw,
        .involuntary_switches = (uint64_t)own.ru_nivcsw,
        .written_bytes = proc_value("/proc/self/io", "write_bytes", 1),
        .machine_ns = machine_busy_ns(),
    };
}

struct usage usage_between(const struct usage *before, const struct usage *after)
{
    return (struct usage){
        .user_ns = after->user_ns - before->user_ns,
        .system_ns = after->system_ns - before->system_ns,
        .voluntary_switches = after->voluntary_switches - before->voluntary_switches,
        .involuntary_switches = after->involuntary_switches - before->involuntary_switches,
        .written_bytes = after->written_bytes - before->written_bytes,
        .machine_ns = after->machine_ns - before->machine_ns,
    };
}

void usage_add(struct usage *to, const struct usage *from)
{
    to->user_ns += from->user_ns;
    to->system_ns += from->system_ns;
    to->voluntary_switches += from->voluntary_switches;
    to->involuntary_switches += from->involuntary_switches;
    to->written_bytes += from->written_bytes;
}

struct usage_memory usage_memory_now(void)
{
    return (struct usage_memory){
        .resident_bytes = proc_value("/proc/self/status", "VmRSS", 1024),
        .anonymous_bytes = proc_value("/proc/self/status", "RssAnon", 1024),
    };
}

static uint64_t cpu_ns(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * NS_PER_S + (uint64_t)spent.tv_nsec;
}

bool usage_settle(uint32_t limit_ms)
{
    uint64_t end_ns = clock_now_ns() + limit_ms * NS_PER_MS;
    const struct timespec window = {.tv_nsec = (long)SETTLE_WINDOW_NS};
    uint32_t quiet = 0;
    if (limit_ms == 0)
        return true;
    do {
        uint64_t before_ns = cpu_ns();
        (void)nanosleep(&window, NULL);
        quiet = cpu_ns() - before_ns < SETTLE_WINDOW_NS / 20 ? quiet + 1 : 0;
        if (quiet >= SETTLE_QUIET_MIN)
            return true;
    } while (clock_now_ns() < end_ns);
    return false;
}
