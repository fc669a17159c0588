/* Running kvs-client against a server process. */
#ifndef TESTS_SYSTEM_RUN_CLIENT_H
#define TESTS_SYSTEM_RUN_CLIENT_H

#include <kvs/types.h>

#include "support/program.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Runs kvs-client --addr ADDRESS with these words (NULL at their end) and input on its standard
   input. */
struct program_result run_client(const struct server_process *server, const char *const *words,
                                 struct kvs_bytes input);

/* Runs it and checks the exit status and all that it wrote to stdout and stderr. */
void expect_client(const struct server_process *server, const char *const *words, int exit_status,
                   const char *out, const char *err);

/* set, which must succeed in silence; get, which must print the value and a newline. */
void client_set(const struct server_process *server, const char *key, const char *value);
void client_expect(const struct server_process *server, const char *key, const char *value);

/* The same with any bytes: through standard input, and as get --raw writes them. */
void client_set_bytes(const struct server_process *server, const char *key, struct kvs_bytes value);
void client_expect_bytes(const struct server_process *server, const char *key,
                         struct kvs_bytes value);

#endif
