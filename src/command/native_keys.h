/*
 * The native protocol's commands that read, decide and write: they run over a transaction, like those
 * of the Redis protocol, and are repeated in the same way when somebody was faster.
 */
#ifndef COMMAND_NATIVE_KEYS_H
#define COMMAND_NATIVE_KEYS_H

#include <stdint.h>

#include "base/buffer.h"
#include "command/command.h"
#include "command/transaction.h"

/* One run of a command. All of it is the caller's and good until run returns. */
struct native_call {
    const struct command_context *context;
    struct kvs_tls *tls;
    struct transaction *txn;
    const struct request *request;
    int64_t now_ms;       /* Unix time: the moment at which the command takes place */
    struct buffer *reply; /* empty: takes the body of a reply whose status is not negative */
    struct kvs_error *err;
};

/* Each gives the reply's status; negative with err filled, and then what it wrote is to be forgotten
   (transaction_forget_writes), and the commit says whether the fault stands. */
kvs_status native_run_set(struct native_call *call);
kvs_status native_run_remove(struct native_call *call);
kvs_status native_run_batch(struct native_call *call);
kvs_status native_run_increment(struct native_call *call);
kvs_status native_run_mget(struct native_call *call);
kvs_status native_run_scan(struct native_call *call);
kvs_status native_run_expire(struct native_call *call);
kvs_status native_run_look(struct native_call *call);

#endif
