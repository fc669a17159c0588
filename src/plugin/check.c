/*
 * See check.h. A foreign struct is read in this order: its size, then what lies inside that size
 * and says what it is (magic, major), then the rest. Pointers that point nowhere cannot be
 * recognised: whoever fears them opens the plugin in a child process (list.c).
 *
 * I1  Nothing past a foreign struct's own size is read.
 * I2  In the copy of a table an operation is present if and only if its pointer is not NULL, and
 *     every optional one's capability bit says the same.
 * I3  Bits that this host does not know (of a newer minor) are cleared in the copy.
 */
#include "plugin/check.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "plugin/files.h"
#include "plugin/options.h"

/* Bytes of a struct up to and with a member. */
#define SIZE_WITH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* One operation of a table: where its pointer is, and its capability bit (0: mandatory). */
struct operation {
    const char *name;
    size_t offset;
    uint64_t bit;
};

#define ENGINE_OPERATION(member, bit)                                                              \
    {                                                                                              \
#member, offsetof(struct kvs_engine_ops, member), (bit)                                    \
    }
#define POOL_OPERATION(member, bit)                                                                \
    {                                                                                              \
#member, offsetof(struct kvs_pool_ops, member), (bit)                                      \
    }

/* clang-format off */
static const struct operation engine_operations[] = {
    ENGINE_OPERATION(open, 0),
    ENGINE_OPERATION(close, 0),
    ENGINE_OPERATION(get, 0),
    ENGINE_OPERATION(set, 0),
    ENGINE_OPERATION(remove, 0),
    ENGINE_OPERATION(submit, KVS_ENGINE_HAS_SUBMIT),
    ENGINE_OPERATION(get_many, KVS_ENGINE_HAS_GET_MANY),
    ENGINE_OPERATION(scan, KVS_ENGINE_HAS_SCAN),
    ENGINE_OPERATION(sync, KVS_ENGINE_HAS_SYNC),
    ENGINE_OPERATION(thread_attach, KVS_ENGINE_HAS_THREADS),
    ENGINE_OPERATION(thread_detach, KVS_ENGINE_HAS_THREADS),
    ENGINE_OPERATION(stats, KVS_ENGINE_HAS_STATS),
    ENGINE_OPERATION(checkpoint, KVS_ENGINE_HAS_CHECKPOINT),
    ENGINE_OPERATION(compact, KVS_ENGINE_HAS_COMPACT),
    ENGINE_OPERATION(verify, KVS_ENGINE_HAS_VERIFY),
    ENGINE_OPERATION(repair, KVS_ENGINE_HAS_REPAIR),
    ENGINE_OPERATION(reconfigure, KVS_ENGINE_HAS_RECONFIGURE),
};

static const struct operation pool_operations[] = {
    POOL_OPERATION(create, 0),
    POOL_OPERATION(spawn, 0),
    POOL_OPERATION(shutdown, 0),
    POOL_OPERATION(destroy, 0),
    POOL_OPERATION(spawn_batch, KVS_POOL_HAS_SPAWN_BATCH),
    POOL_OPERATION(stats, KVS_POOL_HAS_STATS),
    POOL_OPERATION(resize, KVS_POOL_HAS_RESIZE),
};
/* clang-format on */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define ENGINE_PROPERTIES                                                                          \
    ((uint64_t)(KVS_ENGINE_ORDERED | KVS_ENGINE_SNAPSHOT_SCAN | KVS_ENGINE_DURABLE |               \
                KVS_ENGINE_CONCURRENT_WRITERS | KVS_ENGINE_GET_NEVER_BLOCKS |                      \
                KVS_ENGINE_BATCH_ATOMIC | KVS_ENGINE_BATCH_ATOMIC_KEY))
#define POOL_PROPERTIES                                                                            \
    ((uint64_t)(KVS_POOL_UNBOUNDED | KVS_POOL_INLINE | KVS_POOL_SURVIVES_THREAD_EXIT |             \
                KVS_POOL_RUNS_IDLE_HOOK))

/* One kind of table, and the place of what all kinds have. */
struct table_kind {
    const struct operation *operations;
    size_t operation_count;
    uint64_t properties;     /* the bits that this host knows besides the operations' */
    uint32_t size;           /* bytes of this host's table */
    uint32_t mandatory_size; /* bytes that every plugin's table has */
};

static const struct table_kind engine_table = {
    .operations = engine_operations,
    .operation_count = COUNT_OF(engine_operations),
    .properties = ENGINE_PROPERTIES,
    .size = sizeof(struct kvs_engine_ops),
    .mandatory_size = SIZE_WITH(struct kvs_engine_ops, remove),
};

static const struct table_kind pool_table = {
    .operations = pool_operations,
    .operation_count = COUNT_OF(pool_operations),
    .properties = POOL_PROPERTIES,
    .size = sizeof(struct kvs_pool_ops),
    .mandatory_size = SIZE_WITH(struct kvs_pool_ops, destroy),
};

/* A function pointer's bytes; only compared with zero and cleared, never called through. */
static bool pointer_is_set(const void *table, size_t offset)
{
    uintptr_t value;
    memcpy(&value, (const char *)table + offset, sizeof(value));
    return value != 0;
}

static void pointer_clear(void *table, size_t offset)
{
    memset((char *)table + offset, 0, sizeof(uintptr_t));
}

/* Copies the plugin's table into the zeroed one of this host. A pointer that the plugin's size cuts
   in two is not taken (I1). */
static kvs_status table_copy(const struct table_kind *kind, const void *from, void *to,
                             struct kvs_error *err)
{
    uint32_t size;
    memcpy(&size, from, sizeof(size));
    if (size < kind->mandatory_size)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "its table of operations is too short: %u bytes, not %u", size,
                             kind->mandatory_size);
    if (size > kind->size)
        size = kind->size;
    memset(to, 0, kind->size);
    memcpy(to, from, size - size % sizeof(uintptr_t));
    memcpy(to, &kind->size, sizeof(kind->size));
    return KVS_OK;
}

/* Establishes I2 and I3, or says which operation is missing. */
static kvs_status table_check(const struct table_kind *kind, void *table, uint64_t *capabilities,
                              struct kvs_error *err)
{
    uint64_t known = kind->properties;
    for (size_t i = 0; i < kind->operation_count; i++) {
        const struct operation *operation = &kind->operations[i];
        bool set = pointer_is_set(table, operation->offset);
        known |= operation->bit;
        if (operation->bit == 0 && !set)
            return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "the mandatory operation '%s' is NULL",
                                 operation->name);
        if (operation->bit != 0 && (*capabilities & operation->bit) == 0)
            pointer_clear(table, operation->offset);
        else if (!set)
            return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                                 "its capabilities promise the operation '%s', which is NULL",
                                 operation->name);
    }
    *capabilities &= known;
    return KVS_OK;
}

kvs_status check_engine(const struct kvs_plugin *descriptor, struct kvs_engine_ops *ret_ops,
                        struct kvs_error *err)
{
    struct kvs_engine_ops ops;
    kvs_status status = option_check_all(descriptor, err);
    if (status == KVS_OK)
        status = table_copy(&engine_table, descriptor->ops, &ops, err);
    if (status == KVS_OK)
        status = table_check(&engine_table, &ops, &ops.capabilities, err);
    if (status != KVS_OK)
        return status;
    if (ops.key_max < 1 || ops.value_max < 1)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its %s is 0",
                             ops.key_max < 1 ? "key_max" : "value_max");
    if (ops.submit == NULL) {
        /* Without submit a batch is one operation, whatever an engine that has none wrote here. */
        ops.batch_ops_max = 1;
        if (__builtin_add_overflow(ops.key_max, ops.value_max, &ops.batch_bytes_max))
            ops.batch_bytes_max = UINT64_MAX;
    }
    if (ops.batch_ops_max < 1 || ops.batch_bytes_max < 1)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its %s is 0",
                             ops.batch_ops_max < 1 ? "batch_ops_max" : "batch_bytes_max");
    *ret_ops = ops;
    return KVS_OK;
}

kvs_status check_pool(const struct kvs_plugin *descriptor, struct kvs_pool_ops *ret_ops,
                      struct kvs_error *err)
{
    struct kvs_pool_ops ops;
    kvs_status status = option_check_all(descriptor, err);
    if (status == KVS_OK)
        status = table_copy(&pool_table, descriptor->ops, &ops, err);
    if (status == KVS_OK)
        status = table_check(&pool_table, &ops, &ops.capabilities, err);
    if (status == KVS_OK)
        *ret_ops = ops;
    return status;
}

/* Checks what must be true before a descriptor's kind and name can be read. */
static kvs_status check_head(const struct kvs_plugin *descriptor, struct kvs_error *err)
{
    if (descriptor->size < SIZE_WITH(struct kvs_plugin, magic) ||
        descriptor->magic != KVS_PLUGIN_MAGIC)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "a descriptor does not begin with its size and KVS_PLUGIN_MAGIC");
    if (descriptor->size < SIZE_WITH(struct kvs_plugin, ops))
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "its descriptor is too short: %u bytes, not %zu", descriptor->size,
                             SIZE_WITH(struct kvs_plugin, ops));
    if (descriptor->abi_major != KVS_ABI_MAJOR)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "it says that it was built for plugin ABI %u, this kvs has ABI %u",
                             descriptor->abi_major, KVS_ABI_MAJOR);
    if (descriptor->kind != KVS_PLUGIN_ENGINE && descriptor->kind != KVS_PLUGIN_POOL)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "it is of the unknown kind %u",
                             descriptor->kind);
    if (!plugin_name_valid(descriptor->name))
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its descriptor has no valid name");
    if (descriptor->version == NULL || descriptor->description == NULL)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its descriptor has no %s",
                             descriptor->version == NULL ? "version" : "description");
    if (descriptor->ops == NULL)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its descriptor has no operations");
    return KVS_OK;
}

kvs_status check_list(const struct kvs_plugin *const *list, uint32_t kind, const char *name,
                      const struct kvs_plugin **ret_descriptor, struct kvs_error *err)
{
    const struct kvs_plugin *found = NULL;
    if (list == NULL || list[0] == NULL)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "its list of descriptors is empty");
    for (uint32_t i = 0; list[i] != NULL; i++) {
        if (i == CHECK_LIST_MAX)
            return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                                 "its list of descriptors does not end within %u", CHECK_LIST_MAX);
        kvs_status status = check_head(list[i], err);
        if (status != KVS_OK)
            return status;
        if (list[i]->kind != kind || strcmp(list[i]->name, name) != 0)
            continue;
        if (found != NULL)
            return kvs_error_set(err, KVS_INCOMPATIBLE, 0, "it describes %s '%s' twice",
                                 plugin_kind_text(kind), name);
        found = list[i];
    }
    if (found == NULL)
        return kvs_error_set(
            err, KVS_INCOMPATIBLE, 0, "it holds %s '%s', not %s '%s' as its file name says",
            plugin_kind_text(list[0]->kind), list[0]->name, plugin_kind_text(kind), name);
    *ret_descriptor = found;
    return KVS_OK;
}
