/* What one command takes that may write: its transaction, its reply, and how often it was tried. */
#ifndef SERVER_RUN_H
#define SERVER_RUN_H

#include <stdint.h>

#include "base/buffer.h"
#include "command/command.h"
#include "command/resp_command.h"
#include "command/transaction.h"

#define RUN_REPLY_KEPT_MAX ((size_t)65536) /* bytes of reply memory that a spare run keeps */

struct run {
    struct transaction *txn; /* owned */
    const struct resp_command *command;
    const struct command *native; /* instead of it, in a session of the native protocol */
    uint32_t index;               /* of the command in the table */
    struct buffer reply;          /* sent once the commit is done, thrown away if it fails */
    kvs_status reply_status;      /* of writing it; native: the reply's own */
    kvs_status status;            /* of the commit */
    uint64_t size;                /* bytes of the request */
    uint32_t attempts;
    struct run *next; /* in a worker's list of spares */
};

/* NULL: out of memory. */
struct run *run_new(void);
/* NULL is fine. Not while its commit is pending. */
void run_free(struct run *run);

#endif
