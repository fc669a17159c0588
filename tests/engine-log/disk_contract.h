/* What disk.h promises of every disk, as tests that any implementation is put to. */
#ifndef TESTS_DISK_CONTRACT_H
#define TESTS_DISK_CONTRACT_H

#include "disk.h"

/* Two empty folders, on disks that can be linked from one to the other. */
struct disk_pair {
    struct disk *disk;
    struct disk *other;
    void *owner; /* the maker's */
};

struct disk_maker {
    void (*make)(struct disk_pair *ret_pair);
    void (*unmake)(struct disk_pair *pair);
};

/* Runs all tests; the number of those that failed. */
int disk_contract_run(const char *name, const struct disk_maker *maker);

#endif
