/*
 * What clients did to one key and saw: the operations on a register that may be absent, with the
 * moments between which each took effect.
 */
#ifndef TESTS_LINEARIZABILITY_HISTORY_H
#define TESTS_LINEARIZABILITY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_ABSENT  0u
#define TIME_NEVER_NS UINT64_MAX /* of `returned`: nobody knows whether it took effect */

enum operation_kind {
    OPERATION_GET,         /* seen: the value */
    OPERATION_SET,         /* to `value` */
    OPERATION_REMOVE,      /* seen: 1 if there was one, else 0 */
    OPERATION_SET_ABSENT,  /* to `value` if absent; seen: 1 if it was, else 0 */
    OPERATION_EXCHANGE,    /* to `value`; seen: the value before */
    OPERATION_COMPARE_SET, /* from `expected` to `value`; seen: 1 if it was expected, else 0 */
};

struct operation {
    enum operation_kind kind;
    uint32_t value; /* never used twice, and not VALUE_ABSENT */
    uint32_t expected;
    uint32_t seen;        /* means nothing when it never returned */
    uint64_t called_ns;   /* before the request was sent */
    uint64_t returned_ns; /* after the reply was received, or TIME_NEVER_NS */
};

/*
 * True when the operations, in any order, are a history of a register that takes effect at one moment
 * of each operation between its call and its return: that is, linearizable. The register is absent at
 * first. Those that never returned took effect at any moment after their call, or not at all.
 */
bool history_is_linearizable(const struct operation *operations, size_t count);

/* One line about an operation, terminated. */
void operation_format(const struct operation *operation, char *text, size_t text_size);

#endif
