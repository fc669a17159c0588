/*
 * Writes of one session that are applied together, in the order in which they were received: one
 * batch of the engine, with what is needed to answer each of them.
 *
 * A group is one thread's or the engine's: from store_submit to the completion nobody touches it.
 */
#ifndef SERVER_WRITE_GROUP_H
#define SERVER_WRITE_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "command/store.h"

#define WRITE_GROUP_MAX 128u /* writes that one group takes, unless its first request is more */

struct write_group {
    struct kvs_batch batch; /* op_count of ops; complete and arg are set by who submits */
    struct kvs_op *ops;     /* owned, capacity of them */
    uint64_t *tags; /* owned: how to answer an operation; means something to the adder only */
    uint64_t capacity;
    uint64_t bytes;      /* of the keys and values */
    uint64_t input_size; /* bytes of input that the requests take */
    kvs_status status;   /* of the batch, once complete */
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
    struct write_group *next; /* in a worker's list of spares */
};

/* An empty group, or NULL: out of memory. */
struct write_group *write_group_new(void);
/* NULL is fine. */
void write_group_free(struct write_group *group);

/* Empties a group, so that it can be filled again. */
void write_group_reset(struct write_group *group);

/*
 * Says whether count more operations with these bytes of keys and values go into the group; they
 * are then added with write_group_push. False: the group is full (WRITE_GROUP_MAX, or what the store
 * takes in one batch), or memory is short. Into an empty group one operation always goes, and more
 * of them as long as the store takes them in one batch.
 */
bool write_group_reserve(struct write_group *group, const struct store *store, uint64_t count,
                         uint64_t bytes);

/* Adds an operation, for which there is room and whose views live until the group is answered. */
void write_group_push(struct write_group *group, const struct kvs_op *op, uint64_t tag);

/* How the operation ended. ret_message: the fault's text, or NULL where only its status is known. */
kvs_status write_group_result(const struct write_group *group, uint64_t index,
                              const char **ret_message);

#endif
