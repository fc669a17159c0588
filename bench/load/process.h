/* What another process of this machine has used: the server that a load goes to. */
#ifndef BENCH_LOAD_PROCESS_H
#define BENCH_LOAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_usage {
    uint64_t cpu_ns; /* in steps of 10 ms */
    /* Of the threads that live now: those of threads that have ended are gone. */
    uint64_t voluntary_switches;
    uint64_t involuntary_switches;
    uint64_t written_bytes; /* handed to the storage layer; 0 where that may not be read */
    uint64_t resident_bytes;
};

/* False: there is no such process. */
bool process_usage_read(pid_t pid, struct process_usage *ret);
/* What was used between two readings; resident_bytes is the later one's. */
struct process_usage process_usage_between(const struct process_usage *before,
                                           const struct process_usage *after);

#endif
