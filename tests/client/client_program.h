/* Running kvs-client of this build in tests of its command line. */
#ifndef TESTS_CLIENT_CLIENT_PROGRAM_H
#define TESTS_CLIENT_CLIENT_PROGRAM_H

#include <kvs/types.h>

#include "support/program.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Runs it with these words (NULL at their end) and input on its standard input. */
struct program_result client_run(const char *const *words, struct kvs_bytes input);

/* Runs it with one of its standard descriptors as the shell makes it: ">/dev/full", "<&-". */
struct program_result client_run_redirected(const char *const *words, const char *redirection);

/* Runs it and checks the exit status and all that it wrote to stdout and stderr. */
void client_check(const char *const *words, int exit_status, const char *out, const char *err);

/* Runs it and checks that it fails so, with nothing on stdout and message in what is on stderr. */
void client_check_fails(const char *const *words, int exit_status, const char *message);

#endif
