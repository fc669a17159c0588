/* kvs-bench: see options.h for what it takes and run.h for what it does; load/command.h for "load". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/command.h"
#include "run.h"

int main(int argc, char **argv)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct options options;
    kvs_status status;
    if (argc > 1 && strcmp(argv[1], "load") == 0) {
        status = command_load(argc - 1, argv + 1, &error);
    } else {
        status = options_parse(&options, argc, argv, &error);
        if (status == KVS_OK) {
            status = run(&options, argc, argv, &error);
            options_deinit(&options);
        }
    }
    if (status == KVS_OK)
        return EXIT_SUCCESS;
    if (message[0] != '\0')
        (void)fprintf(stderr, "kvs-bench: %s\n", message);
    return EXIT_FAILURE;
}
