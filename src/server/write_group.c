/* See write_group.h. The arrays are made with the group and grow only for one request with more
   operations than a group usually takes. */
#include "server/write_group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct write_group *write_group_new(void)
{
    struct write_group *group = calloc(1, sizeof(*group));
    if (group == NULL)
        return NULL;
    group->capacity = WRITE_GROUP_MAX;
    group->ops = malloc(WRITE_GROUP_MAX * sizeof(*group->ops));
    group->tags = malloc(WRITE_GROUP_MAX * sizeof(*group->tags));
    if (group->ops == NULL || group->tags == NULL) {
        write_group_free(group);
        return NULL;
    }
    write_group_reset(group);
    return group;
}

void write_group_free(struct write_group *group)
{
    if (group == NULL)
        return;
    free(group->ops);
    free(group->tags);
    free(group);
}

void write_group_reset(struct write_group *group)
{
    memset(&group->batch, 0, sizeof(group->batch));
    group->bytes = 0;
    group->input_size = 0;
    group->status = KVS_OK;
    group->message[0] = '\0';
    group->error = (struct kvs_error)KVS_ERROR_INIT(group->message);
    group->batch.size = (uint32_t)sizeof(group->batch);
    group->batch.ops = group->ops;
    group->batch.err = &group->error;
}

static bool grow(struct write_group *group, uint64_t capacity)
{
    struct kvs_op *ops = realloc(group->ops, capacity * sizeof(*ops));
    if (ops == NULL)
        return false;
    group->batch.ops = group->ops = ops;
    uint64_t *tags = realloc(group->tags, capacity * sizeof(*tags));
    if (tags == NULL)
        return false;
    group->tags = tags;
    group->capacity = capacity;
    return true;
}

bool write_group_reserve(struct write_group *group, const struct store *store, uint64_t count,
                         uint64_t bytes)
{
    uint64_t have = group->batch.op_count;
    if (have == 0 && count == 1)
        return true;
    if (have + count > store->batch_ops_max || group->bytes + bytes > store->batch_bytes_max)
        return false;
    if (have > 0 && have + count > WRITE_GROUP_MAX)
        return false;
    return have + count <= group->capacity || grow(group, have + count);
}

void write_group_push(struct write_group *group, const struct kvs_op *op, uint64_t tag)
{
    uint64_t index = group->batch.op_count;
    assert(index < group->capacity);
    group->ops[index] = *op;
    group->tags[index] = tag;
    group->batch.op_count = index + 1;
    group->bytes += op->key.len + op->value.len;
}

kvs_status write_group_result(const struct write_group *group, uint64_t index,
                              const char **ret_message)
{
    kvs_status status = group->status == KVS_OK ? group->ops[index].status : group->status;
    /* The message is that of the first fault, which need not be this operation's. */
    *ret_message = status < 0 && status == group->error.status ? group->message : NULL;
    return status;
}
