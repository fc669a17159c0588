/* The pools of the shelf. Without a switch: a good one that runs a job in its caller. */
#include "shelf.h"

static char pool_memory; /* what a kvs_pool points to */

static kvs_status shelf_create(const struct kvs_pool_config *config, struct kvs_pool **ret_pool,
                               struct kvs_error *err)
{
    (void)config;
    (void)err;
    *ret_pool = (struct kvs_pool *)(void *)&pool_memory;
    return KVS_OK;
}

static kvs_status shelf_spawn(struct kvs_pool *pool, const struct kvs_job *job)
{
    (void)pool;
    job->run(job->arg);
    return KVS_OK;
}

static kvs_status shelf_shutdown(struct kvs_pool *pool, uint32_t mode, struct kvs_error *err)
{
    (void)pool;
    (void)mode;
    (void)err;
    return KVS_OK;
}

#ifndef SHELF_NULL_MANDATORY
static void shelf_destroy(struct kvs_pool *pool)
{
    (void)pool;
}
#endif

static const struct kvs_pool_ops table = {
#ifdef SHELF_SHORT_TABLE
    .size = 8,
#else
    .size = sizeof(struct kvs_pool_ops),
#endif
#ifdef SHELF_BIT_WITHOUT_POINTER
    .capabilities = KVS_POOL_INLINE | KVS_POOL_HAS_STATS,
#else
    .capabilities = KVS_POOL_INLINE,
#endif
    .create = shelf_create,
    .spawn = shelf_spawn,
    .shutdown = shelf_shutdown,
#ifndef SHELF_NULL_MANDATORY
    .destroy = shelf_destroy,
#endif
};

static const struct kvs_plugin descriptor = {
    .size = sizeof(struct kvs_plugin),
    .magic = KVS_PLUGIN_MAGIC,
    .abi_major = KVS_ABI_MAJOR,
    .abi_minor = KVS_ABI_MINOR,
    .kind = KVS_PLUGIN_POOL,
    .name = SHELF_NAME,
    .version = "1.2.3",
    .description = "a pool without threads",
    .ops = &table,
};

const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
{
    static const struct kvs_plugin *const list[] = {&descriptor, NULL};
    (void)host_major;
    (void)host_minor;
    return list;
}
