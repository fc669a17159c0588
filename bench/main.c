/* kvs-bench: see options.h for what it takes and run.h for what it does. */
#include <stdio.h>
#include <stdlib.h>

#include "run.h"

int main(int argc, char **argv)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct options options;
    kvs_status status = options_parse(&options, argc, argv, &error);
    if (status == KVS_OK) {
        status = run(&options, argc, argv, &error);
        options_deinit(&options);
    }
    if (status == KVS_OK)
        return EXIT_SUCCESS;
    if (message[0] != '\0')
        (void)fprintf(stderr, "kvs-bench: %s\n", message);
    return EXIT_FAILURE;
}
