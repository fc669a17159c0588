/*
 * The end of a transaction: one batch with what was written, under the conditions that what was read
 * still is so (transaction.c, I1 and I4).
 */
#include "command/hints.h"
#include "command/transaction_parts.h"

void transaction_replace(struct transaction *txn,
                         kvs_status (*run)(void *arg,
                                           void (*complete)(void *complete_arg, kvs_status status),
                                           void *complete_arg, struct kvs_error *err),
                         void *arg)
{
    txn->instead = run;
    txn->instead_arg = arg;
}

bool transaction_has_work(const struct transaction *txn)
{
    if (txn->failed || txn->instead != NULL)
        return true;
    for (uint32_t i = 0; i < txn->entry_count; i++) {
        if (txn->entries[i].written != WRITTEN_NOT || txn->entries[i].guessed) /* I4 */
            return true;
    }
    /* One read by itself is as good as its moment; several are to be of one. */
    return txn->entry_count > 1;
}

static void prepare(const struct entry *entry, struct kvs_op *op)
{
    *op = (struct kvs_op){.kind = entry->written == WRITTEN_SET       ? KVS_OP_SET
                                  : entry->written == WRITTEN_REMOVED ? KVS_OP_REMOVE
                                                                      : KVS_OP_CHECK,
                          .condition = !entry->was_read     ? KVS_IF_ALWAYS
                                       : entry->was_present ? KVS_IF_EQUAL
                                                            : KVS_IF_ABSENT,
                          .key = entry->key};
    if (entry->written == WRITTEN_SET)
        op->value = entry->store;
    if (op->condition == KVS_IF_EQUAL)
        op->expected = entry->stored;
}

/* Tells others what is about to be written to keys that were read: they may be about to, too. */
static void put_hints(struct transaction *txn)
{
    struct hints *hints = txn->engine->hints;
    for (uint32_t i = 0; hints != NULL && i < txn->entry_count; i++) {
        struct entry *entry = &txn->entries[i];
        if (entry->was_read && entry->written != WRITTEN_NOT)
            entry->hint =
                hints_put(hints, entry->key, entry->written == WRITTEN_SET ? &entry->store : NULL);
    }
}

static void take_hints_back(struct transaction *txn)
{
    struct hints *hints = txn->engine->hints;
    for (uint32_t i = 0; hints != NULL && i < txn->entry_count; i++) {
        if (txn->entries[i].hint != 0)
            hints_take_back(hints, txn->entries[i].key, txn->entries[i].hint);
    }
}

/* The commit ended. */
static void end_commit(struct transaction *txn, kvs_status status)
{
    bool guessed = false;
    take_hints_back(txn);
    for (uint32_t i = 0; i < txn->entry_count; i++)
        guessed = guessed || txn->entries[i].guessed;
    txn->wrong_guesses = status == KVS_CONDITION_FAILED && guessed ? txn->wrong_guesses + 1 : 0;
}

static void batch_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct transaction *txn = arg;
    (void)batch;
    end_commit(txn, status);
    txn->complete(txn->complete_arg, status);
}

kvs_status transaction_commit(struct transaction *txn,
                              void (*complete)(void *arg, kvs_status status), void *arg)
{
    if (txn->failed)
        return transaction_no_memory(txn);
    if (txn->instead != NULL)
        return txn->instead(txn->instead_arg, complete, arg, &txn->error);
    if (!transaction_has_work(txn))
        return KVS_OK;
    struct kvs_op *ops = transaction_memory(txn, txn->entry_count * sizeof(*ops));
    if (ops == NULL)
        return KVS_NO_MEMORY;
    uint64_t count = 0;
    for (uint32_t i = 0; i < txn->entry_count; i++) {
        prepare(&txn->entries[i], &ops[count]);
        if (ops[count].kind != KVS_OP_CHECK || ops[count].condition != KVS_IF_ALWAYS)
            count++;
    }
    if (count == 0)
        return KVS_OK;
    txn->complete = complete;
    txn->complete_arg = arg;
    txn->batch = (struct kvs_batch){.size = sizeof(txn->batch),
                                    .flags = KVS_BATCH_ALL_OR_NONE,
                                    .ops = ops,
                                    .op_count = count,
                                    .complete = batch_complete,
                                    .arg = txn,
                                    .err = &txn->error};
    put_hints(txn);
    kvs_status status = store_submit(txn->engine, txn->tls, &txn->batch);
    if (status != KVS_PENDING)
        end_commit(txn, status);
    return status;
}
