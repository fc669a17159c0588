/*
 * What a disk may hold when the power goes: from a record (trace.h) the folder as it could be found, at
 * moments and with choices that a seed makes. All that was flushed is there. Of the rest: nothing, all, some
 * first writes with the last of them torn, any of the writes, any of their sectors of 512 bytes, all but one;
 * lengths count as writes. Names that were not flushed, by the folder, came and went up to some moment, or
 * any of them did.
 */
#ifndef TESTS_ENGINE_LMDB_CUTS_H
#define TESTS_ENGINE_LMDB_CUTS_H

#include "engine-lmdb/trace.h"

#define CUT_FILES_MAX 8u

struct cut_file {
    char name[TRACE_NAME_MAX];
    uint8_t *data; /* NULL when it is empty */
    uint64_t size;
};

struct cut {
    size_t moment; /* before which operation of the record */
    struct cut_file files[CUT_FILES_MAX];
    unsigned count;
    uint64_t least; /* what was promised then (trace_promise) */
    uint64_t most;
};

/* What the disk says that it has done, and has not: to see that a test finds that. */
enum cuts_lie {
    LIE_NONE,
    LIE_DATA,   /* flushes of data.mdb, whatever its name is then */
    LIE_DSYNC,  /* writes that are flushed when they return */
    LIE_OTHERS, /* flushes of other files */
    LIE_FOLDER, /* flushes of the folder */
};

/* The file of that name, or NULL. */
const struct cut_file *cut_find(const struct cut *cut, const char *name);
/* A copy of all, to be freed. */
struct cut cut_copy(const struct cut *cut);
void cut_free(struct cut *cut);

/*
 * Shows count cuts, in the order of time, more of them around flushes and names than around writes. Ends when
 * show returns false. The cut is show's only during the call.
 */
void cuts_show(const struct trace *trace, uint64_t seed, uint64_t count, enum cuts_lie lie,
               bool (*show)(void *arg, const struct cut *cut), void *arg);

#endif
