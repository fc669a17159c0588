/* A description of the machine, so that a figure can be judged later and elsewhere. */
#ifndef BENCH_HARNESS_MACHINE_H
#define BENCH_HARNESS_MACHINE_H

#include <stdint.h>

struct machine { /* all texts owned; "unknown" where the system does not tell */
    char *cpu;
    char *kernel;
    char *distribution;
    char *governor; /* of the first CPU's clock; "none" on most virtual machines */
    char *hypervisor;
    char *clock_source;
    char *filesystem; /* of the data directory: type, device and options */
    char *compiler;
    uint32_t cpus; /* that this process may use */
    uint64_t memory_bytes;
    uint64_t cache_bytes; /* of the last level */
    double load;          /* of the last minute, when this was taken */
};

/* The CPUs that this process may use. */
uint32_t machine_cpus(void);

/* data_dir exists. Aborts without memory. */
void machine_init(struct machine *machine, const char *data_dir);
void machine_deinit(struct machine *machine);

#endif
