/* What this process has used of the machine, and waiting until it uses nothing any more. */
#ifndef BENCH_HARNESS_USAGE_H
#define BENCH_HARNESS_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
    uint64_t user_ns; /* with that of children that have ended */
    uint64_t system_ns;
    uint64_t voluntary_switches;   /* the thread waited for something */
    uint64_t involuntary_switches; /* the thread lost its CPU */
    uint64_t written_bytes;        /* handed to the storage layer (write_bytes of /proc/self/io) */
    uint64_t machine_ns;           /* all CPUs together were busy, for whomever (a virtual
                                      machine's stolen time too); in steps of 10 ms */
};

/* Counts since the process began, all its threads together. */
struct usage usage_now(void);
/* What was used between two readings. */
struct usage usage_between(const struct usage *before, const struct usage *after);

/* Adds what another process used (its machine_ns is not looked at). */
void usage_add(struct usage *to, const struct usage *from);

/* Did others use more than USAGE_OTHERS_MAX of the CPUs in that time? */
#define USAGE_OTHERS_MAX 0.10
bool usage_was_disturbed(const struct usage *between, double wall_ns, uint32_t cpus);

/* Memory of the process now, in bytes; 0 for all when /proc is not there. */
struct usage_memory {
    uint64_t resident_bytes;
    uint64_t anonymous_bytes; /* heap, stacks, anonymous maps: what files do not back */
};
struct usage_memory usage_memory_now(void);

/* Waits until the process's background threads rest (below a twentieth of one CPU), for at most
   limit_ms (0: does not look). False: they never did. */
bool usage_settle(uint32_t limit_ms);

#endif
