/*
 * A record of what a program does to the files of one folder, for tests of what a power loss may leave:
 * names that come, go and change, writes, lengths, flushes, each with what the test had been promised by
 * then. cuts.h makes the disks of it.
 *
 * It works by defining open, pwrite, fdatasync and so on in the test program, which the dynamic linker finds
 * before the C library's, for the engine and for LMDB as well: what a preloaded library does, in the process
 * of the test, which is what makes a run repeatable. So there is one record at a time in a program. No flush
 * of the program reaches the real disk: that would only cost time.
 */
#ifndef TESTS_ENGINE_LMDB_TRACE_H
#define TESTS_ENGINE_LMDB_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_NAME_MAX 32u

enum trace_kind {
    TRACE_NAME,        /* a new file has a name */
    TRACE_RENAME,      /* from another name, whatever had this one before */
    TRACE_UNLINK,      /* the name is gone */
    TRACE_WRITE,       /* bytes; longer, if it ends behind the end */
    TRACE_LENGTH,      /* the file is size bytes long; zeros where it grew */
    TRACE_SYNC,        /* all so far of a file is to be on the disk */
    TRACE_SYNC_FAILED, /* it is, in part, or is not, and nobody will try again */
    TRACE_SYNC_FOLDER, /* all names so far */
};

struct trace_op {
    enum trace_kind kind;
    uint32_t file;  /* its number, from 0 in the order of their coming; not for TRACE_SYNC_FOLDER */
    bool is_synced; /* a write that is on the disk when it returns (O_DSYNC) */
    bool is_data;   /* the file was data.mdb, or was to become it */
    char name[TRACE_NAME_MAX];
    char from[TRACE_NAME_MAX];
    uint64_t offset;
    uint64_t size;
    uint8_t *data;
    uint64_t least; /* trace_promise's last, before it */
    uint64_t most;
};

struct trace {
    struct trace_op *ops;
    size_t count;
    size_t begin; /* those before it are the folder as it was found, durable */
};

/* Begins with what is in dir. LMDB's lock file is left out: it says nothing after a power loss. */
void trace_begin(const char *dir);
/* Ends it; free with trace_free. The last one's promises are those of the end. */
struct trace trace_end(void);
void trace_free(struct trace *trace);

/*
 * From now on, a store that a power loss leaves has taken at least the steps up to least, and at most those
 * up to most. Any thread.
 */
void trace_promise(uint64_t least, uint64_t most);

/* The n-th flush of a file of the folder from now on, counted from 1, fails once. 0: none does. */
void trace_fail_sync(uint64_t nth);

/* The machine has been started once more: the kernel has another name for its run. */
void trace_set_boot(uint64_t number);

#endif
