/*
 * Memory that runs out when a test says so: for what is linked into the test's program, kvs's own code and
 * the test's, not for other libraries. The program is linked with memory_faults_dep.
 *
 *     for (uint64_t skip = 0;; skip++) {
 *         memory_faults_begin(skip);
 *         status = run();
 *         if (!memory_faults_end()) break;   the run asks for memory fewer times
 *         ...
 *     }
 *
 * What the test itself asks for in between fails as well.
 */
#ifndef TESTS_MEMORY_FAULTS_H
#define TESTS_MEMORY_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* From now on one call for memory fails, in whichever thread: the one after `skip` others. */
void memory_faults_begin(uint64_t skip);
/* From now on none fails. False: none did. */
bool memory_faults_end(void);

#endif
