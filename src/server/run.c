/* See run.h. */
#include "server/run.h"

#include <stdlib.h>

struct run *run_new(void)
{
    struct run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        return NULL;
    run->txn = transaction_new();
    if (run->txn == NULL) {
        free(run);
        return NULL;
    }
    return run;
}

void run_free(struct run *run)
{
    if (run == NULL)
        return;
    transaction_free(run->txn);
    buffer_deinit(&run->reply);
    free(run);
}
