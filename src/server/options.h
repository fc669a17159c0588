/* kvs-server's command line and configuration file. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>

#include <kvs/server.h>

#include "server/log_sinks.h"

enum options_action {
    OPTIONS_SERVE,
    OPTIONS_CHECK, /* check the configuration only */
    OPTIONS_LIST_PLUGINS,
    OPTIONS_VERIFY,
    OPTIONS_REPAIR,
    OPTIONS_VERSION,
    OPTIONS_HELP,
};

struct options {
    enum options_action action;
    enum log_format log_format;
    struct kvs_server_config config; /* its pointers lead into this struct's memory */
    const char *repair_target;       /* OPTIONS_REPAIR */
    char *help;                      /* OPTIONS_HELP: what to print; owned */

    /* Owned; NULL-terminated lists may be NULL. */
    char *address;
    char *metrics_address;
    char *checkpoint_dir;
    char *engine;
    char *pool;
    char *data_dir;
    char *repair_dir;
    char *password_file;
    char *tls_cert;
    char *tls_key;
    char *tls_client_ca;
    char **listen;
    char **plugin_dirs;
    char **engine_options;
    char **pool_options;
};

/*
 * Reads the command line (changed by it), and the configuration file that it names. KVS_OK,
 * KVS_INVALID with a message that quotes what is wrong, or why the file cannot be read. Free with options_deinit either way.
 */
KVS_MUST_USE kvs_status options_parse(struct options *options, int *argc, char ***argv,
                                      struct kvs_error *err);

/* Lets the server listen at these, too (NULL-terminated, copied). */
void options_add_listen(struct options *options, char *const *listen);

void options_deinit(struct options *options);

#endif
