/*
 * What a transaction is made of, for transaction.c (reading and writing) and transaction_commit.c (its
 * end). The invariants are those of transaction.c.
 */
#ifndef COMMAND_TRANSACTION_PARTS_H
#define COMMAND_TRANSACTION_PARTS_H

#include "base/arena.h"
#include "command/transaction.h"

enum written {
    WRITTEN_NOT,
    WRITTEN_SET,
    WRITTEN_REMOVED
};

struct entry {
    struct kvs_bytes key;
    uint64_t hash;
    bool was_read;
    bool was_present;        /* when it was read */
    bool guessed;            /* it was not read from the engine (I4) */
    uint64_t hint;           /* number of ours about what is written; 0: none */
    struct kvs_bytes stored; /* as it was read (I1) */
    enum written written;
    struct kvs_bytes store; /* WRITTEN_SET: what is to be stored */
    struct value value;     /* what it holds for this transaction, unless it is missing */
};

struct transaction {
    struct store *engine;
    struct kvs_tls *tls;
    int64_t now_ms;
    uint32_t flags;
    uint32_t wrong_guesses; /* commits in a row that failed and had a guess; kept from use to use */
    bool failed;            /* a write got no memory: nothing of it all may be written */
    kvs_status (*instead)(void *arg, void (*complete)(void *complete_arg, kvs_status status),
                          void *complete_arg, struct kvs_error *err);
    void *instead_arg;
    struct arena arena;
    struct entry *entries; /* owned */
    uint32_t entry_count;
    uint32_t entry_cap;
    uint32_t *slots; /* owned: entry + 1, 0 is empty; slot_count of them, a power of two */
    uint32_t slot_count;
    uint64_t hash_key;
    struct kvs_batch batch;
    void (*complete)(void *arg, kvs_status status);
    void *complete_arg;
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
};

/* Notes that memory ran out, so that nothing of it all is written. KVS_NO_MEMORY. */
kvs_status transaction_no_memory(struct transaction *txn);

#endif
