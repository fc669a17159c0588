/* Running a program to its end, with what it reads and all that it prints. */
#ifndef TESTS_CLIENT_PROGRAM_H
#define TESTS_CLIENT_PROGRAM_H

#include <stddef.h>

#include <kvs/types.h>

struct program_result {
    int exit_status; /* -1: ended by a signal */
    char *out;       /* what it wrote to stdout; malloced, and terminated behind out_size bytes */
    size_t out_size;
    char *err; /* what it wrote to stderr, likewise */
    size_t err_size;
};

/* How its standard descriptors are; zeroed: stdin is empty, stdout and stderr are kept. */
struct program_io {
    struct kvs_bytes in;
    const char *out_path; /* a file to write stdout to instead, or NULL */
    int closed_fd;        /* STDIN_FILENO + 1 to STDERR_FILENO + 1: starts with this one closed */
};

/* Runs arguments[0] with these arguments (NULL at their end) and waits for its end. */
void program_run(char *const *arguments, const struct program_io *io,
                 struct program_result *ret_result);
void program_result_deinit(struct program_result *result);

#endif
