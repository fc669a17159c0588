/* Which faults the system calls of a server are given, and what each of them must lead to. */
#ifndef TESTS_CRASH_FAULT_KINDS_H
#define TESTS_CRASH_FAULT_KINDS_H

#include <stdbool.h>
#include <stddef.h>

#include "crash/faults.h"

/* What is wrong with a call, and what that must lead to. */
enum outcome {
    OUTCOME_ANY,       /* a working server, or an error that says what is wrong */
    OUTCOME_SPACE,     /* errors last only as long as the fault does */
    OUTCOME_READ_ONLY, /* once a write has failed, none succeeds until the next start */
};

struct fault {
    enum fault_call call;
    const char *name;
    int error;
    enum outcome outcome;
    unsigned lasting; /* calls in a row when it lasts; 0: until it is taken away */
};

extern const struct fault fault_kinds[];
extern const size_t fault_kind_count;

/* True: it makes sense for more calls than one. A call that is interrupted each time comes to no end. */
bool fault_can_last(const struct fault *fault);

#endif
