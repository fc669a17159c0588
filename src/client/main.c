/* kvs-client: parse, connect, run one command, say how it went by the exit status. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvs/client.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "client/arguments.h"

#define PASSWORD_VARIABLE "KVS_PASSWORD"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

/*
 * A closed standard descriptor would be given to the socket, and output would go to the server. So
 * each is filled with one that cannot be used: reading from or writing to it fails as before.
 */
static bool fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

static void free_client(struct kvs_client **client)
{
    kvs_client_free(*client);
}

static int usage_error(const struct kvs_error *error)
{
    (void)fprintf(stderr, "kvs-client: %s\nTry 'kvs-client --help'.\n", error->msg);
    return EXIT_USAGE;
}

static void free_password(char **password)
{
    if (*password != NULL)
        secret_free(*password, strlen(*password));
}

static int run(const struct arguments *arguments)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct kvs_client_config config = {.size = sizeof(config),
                                       .address = arguments->address,
                                       .flags = arguments->flags,
                                       .tls_ca = arguments->tls_ca,
                                       .tls_cert = arguments->tls_cert,
                                       .tls_key = arguments->tls_key,
                                       .tls_server_name = arguments->tls_server_name};
    _cleanup_(free_client) struct kvs_client *client = NULL;
    _cleanup_(free_password) char *password = NULL;
    kvs_status status =
        secret_password_read(arguments->password_file, PASSWORD_VARIABLE, &password, &error);
    config.password = password;
    if (status == KVS_OK)
        status = kvs_client_new(&config, &client, &error);
    if (status == KVS_INVALID)
        return usage_error(&error);
    if (status == KVS_OK)
        status = arguments->command->run(client, &arguments->input, &error);
    if (status == KVS_OK)
        return 0;
    if (status == KVS_NOT_FOUND)
        (void)fputs("Key not found\n", stderr);
    else
        (void)fprintf(stderr, "kvs-client: %s\n",
                      status < 0 && message[0] != '\0' ? message : kvs_status_text(status));
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct arguments arguments;
    if (!fill_standard_descriptors())
        return EXIT_FAILED;
    if (arguments_parse(argc, argv, &arguments, &error) != KVS_OK)
        return usage_error(&error);
    bool written = true;
    switch (arguments.action) {
    case ARGUMENTS_HELP:
        written = arguments_print_help(stdout);
        break;
    case ARGUMENTS_VERSION:
        written = printf("kvs-client %s\n", kvs_client_version()) > 0 && fflush(stdout) == 0;
        break;
    case ARGUMENTS_RUN:
        return run(&arguments);
    }
    if (!written) {
        (void)fprintf(stderr, "kvs-client: cannot write to standard output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return 0;
}
