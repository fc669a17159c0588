/*
 * What the test and the preloaded faults.c share: a file that both map, named by KVS_TEST_FAULTS in the
 * server's environment. The test says which calls fail; the server's process counts its calls.
 */
#ifndef TESTS_CRASH_FAULTS_H
#define TESTS_CRASH_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

#define FAULTS_SHORT (-1) /* in place of an errno: only half of it is written */

/* clang-format off */
enum fault_call {
    FAULT_NONE, FAULT_OPEN, FAULT_READ, FAULT_PREAD, FAULT_WRITE, FAULT_PWRITE, FAULT_FSYNC, FAULT_FDATASYNC,
    FAULT_MSYNC, FAULT_MMAP, FAULT_FALLOCATE, FAULT_FTRUNCATE, FAULT_RENAME, FAULT_LINK, FAULT_UNLINK,
    FAULT_THREAD, FAULT_ACCEPT, FAULT_EPOLL_WAIT, FAULT_EPOLL_CTL, FAULT_RECV, FAULT_SEND, FAULT_DESCRIPTOR,
    FAULT_MALLOC,
    FAULT_CALLS
};
/* clang-format on */

/* Written by the test, but for counts and failed; read by every thread of the server at every call.
   Sequentially consistent throughout: nothing here needs to be fast. */
struct faults {
    _Atomic uint32_t call;   /* which call fails; FAULT_NONE: no call does */
    _Atomic int32_t error;   /* with this errno, or FAULTS_SHORT */
    _Atomic uint64_t first;  /* from the call with this count on, from 1 */
    _Atomic uint64_t times;  /* so many calls in a row */
    _Atomic uint64_t failed; /* how many did */
    _Atomic uint64_t counts[FAULT_CALLS];
};

#endif
