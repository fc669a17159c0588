/* Running kvs-client of this build, whose path is in KVS_TEST_CLIENT. */
#ifndef TESTS_CLIENT_CLIENT_PROGRAM_H
#define TESTS_CLIENT_CLIENT_PROGRAM_H

#include "client/program.h"

#define CLIENT_ARGUMENTS_MAX 16

/* Runs it with these words (NULL at their end) and io (NULL: nothing special). */
struct program_result client_run_io(const char *const *words, const struct program_io *io);

/* Runs it and checks the exit status and all that it wrote to stdout and stderr. */
void client_check(const char *const *words, int exit_status, const char *out, const char *err);

/* Runs it and checks that it fails so, with nothing on stdout and message in what is on stderr. */
void client_check_fails(const char *const *words, int exit_status, const char *message);

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
