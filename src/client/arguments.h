/* kvs-client's command line. */
#ifndef CLIENT_ARGUMENTS_H
#define CLIENT_ARGUMENTS_H

#include <stdio.h>

#include <kvs/types.h>

#include "client/commands.h"

enum arguments_action {
    ARGUMENTS_RUN,
    ARGUMENTS_HELP,
    ARGUMENTS_VERSION,
};

struct arguments {
    enum arguments_action action;
    const char *address;       /* as typed, not checked; NULL: the default */
    const char *password_file; /* as typed; NULL: none */
    uint32_t flags;            /* KVS_CLIENT_* */
    const char *tls_ca;        /* these as typed; NULL: none */
    const char *tls_cert;
    const char *tls_key;
    const char *tls_server_name;
    const struct command *command; /* with ARGUMENTS_RUN */
    struct command_input input;
};

/*
 * Reads argv, whose strings *ret then points to. Options may stand anywhere in front of "--".
 * KVS_OK, or KVS_INVALID: an unknown command or option, an option that the command does not take,
 * too few or too many operands. By one thread at a time (getopt).
 */
KVS_MUST_USE kvs_status arguments_parse(int argc, char **argv, struct arguments *ret,
                                        struct kvs_error *err);

/* Prints the help. False when out could not be written. */
bool arguments_print_help(FILE *out);

#endif
