/*
 * The engines of the shelf. Without a switch: a good one that stores nothing. open refuses with the
 * text of the option "refuse" when that is not empty, so that a plugin's own message is seen.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shelf.h"

static char store; /* what a kvs_db points to */

static kvs_status shelf_open(const struct kvs_engine_config *config, struct kvs_db **ret_db,
                             struct kvs_error *err)
{
    struct kvs_option_value refuse = {.size = sizeof(refuse)};
    if (config->host->config_get(config->host, "refuse", &refuse) == KVS_OK &&
        refuse.text[0] != '\0')
        return kvs_error_set(err, KVS_LOCKED, 11, "%s", refuse.text);
    *ret_db = (struct kvs_db *)(void *)&store;
    return KVS_OK;
}

static kvs_status shelf_close(struct kvs_db *db, struct kvs_error *err)
{
    (void)db;
    (void)err;
    return KVS_OK;
}

#ifndef SHELF_NULL_MANDATORY
static kvs_status shelf_get(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                            kvs_value_fn visit, void *arg, struct kvs_error *err)
{
    (void)db;
    (void)tls;
    (void)key;
    (void)visit;
    (void)arg;
    (void)err;
    return KVS_NOT_FOUND;
}
#endif

static kvs_status shelf_set(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                            struct kvs_bytes value, struct kvs_error *err)
{
    (void)db;
    (void)tls;
    (void)key;
    (void)value;
    (void)err;
    return KVS_OK;
}

static kvs_status shelf_remove(struct kvs_db *db, struct kvs_tls *tls, struct kvs_bytes key,
                               struct kvs_error *err)
{
    (void)db;
    (void)tls;
    (void)key;
    (void)err;
    return KVS_NOT_FOUND;
}

static kvs_status shelf_sync(struct kvs_db *db, struct kvs_error *err)
{
    (void)db;
    (void)err;
    return KVS_OK;
}

#ifdef SHELF_HALF_THREADS
static kvs_status shelf_thread_attach(struct kvs_db *db, struct kvs_tls **ret_tls,
                                      struct kvs_error *err)
{
    (void)db;
    (void)ret_tls;
    return kvs_error_set(err, KVS_UNSUPPORTED, 0, "nothing to attach");
}
#endif

#ifdef SHELF_CRASH
__attribute__((constructor)) static void crash(void)
{
    abort();
}
#endif
#ifdef SHELF_EXIT
__attribute__((constructor)) static void leave(void)
{
    _exit(0);
}
#endif
#ifdef SHELF_UNDEFINED_SYMBOL
void symbol_that_nobody_defines(void);
__attribute__((constructor)) static void call_it(void)
{
    symbol_that_nobody_defines();
}
#endif

/* The table of a later minor: this host's, and something behind it. */
struct longer_engine_ops {
    struct kvs_engine_ops ops;
    void (*later[512])(void);
};

/* clang-format off */
static const struct longer_engine_ops table = {
    .ops = {
#if defined(SHELF_SHORT_TABLE)
        .size = offsetof(struct kvs_engine_ops, remove),
#elif defined(SHELF_CUT_TABLE) /* in the middle of sync's pointer */
        .size = offsetof(struct kvs_engine_ops, sync) + 4,
#elif defined(SHELF_NEWER_MINOR)
        .size = sizeof(struct longer_engine_ops),
#else
        .size = sizeof(struct kvs_engine_ops),
#endif
#if defined(SHELF_BIT_WITHOUT_POINTER)
        .capabilities = KVS_ENGINE_HAS_SYNC | KVS_ENGINE_HAS_SCAN,
#elif defined(SHELF_HALF_THREADS)
        .capabilities = KVS_ENGINE_HAS_THREADS,
        .thread_attach = shelf_thread_attach,
#elif defined(SHELF_POINTER_WITHOUT_BIT)
        .capabilities = KVS_ENGINE_CONCURRENT_WRITERS,
#elif defined(SHELF_NEWER_MINOR)
        .capabilities = KVS_ENGINE_HAS_SYNC | KVS_ENGINE_CONCURRENT_WRITERS |
                        KVS_ENGINE_GET_NEVER_BLOCKS | UINT64_C(1) << 12 | UINT64_C(1) << 40,
#else
        .capabilities = KVS_ENGINE_HAS_SYNC,
#endif
#ifndef SHELF_NO_LIMITS
        .key_max = 1024,
        .value_max = 4096,
#endif
        .open = shelf_open,
        .close = shelf_close,
#ifndef SHELF_NULL_MANDATORY
        .get = shelf_get,
#endif
        .set = shelf_set,
        .remove = shelf_remove,
        .sync = shelf_sync,
    },
};

static const struct kvs_option options[] = {
    {
        .size = sizeof(struct kvs_option), .type = KVS_OPTION_STRING,
        .name = "refuse", .default_value = "", .help = "the message that open fails with",
    },
#ifdef SHELF_DUPLICATE_OPTION
    {
        .size = sizeof(struct kvs_option), .type = KVS_OPTION_BOOL,
        .name = "refuse", .default_value = "no", .help = "the same name again",
    },
#endif
    {
        .size = sizeof(struct kvs_option), .type = KVS_OPTION_BYTES,
        .flags = KVS_OPTION_RELOADABLE | KVS_OPTION_FIXED_AT_CREATE,
#ifdef SHELF_BAD_DEFAULT
        .name = "cache", .default_value = "2g", .range = "4k..1g",
#else
        .name = "cache", .default_value = "64k", .range = "4k..1g",
#endif
        .help = "memory for nothing, in bytes",
    },
};

static const struct kvs_plugin descriptor = {
#ifdef SHELF_SHORT_DESCRIPTOR
    .size = offsetof(struct kvs_plugin, ops),
#else
    .size = sizeof(struct kvs_plugin),
#endif
#ifdef SHELF_BAD_MAGIC
    .magic = KVS_PLUGIN_MAGIC + 1,
#else
    .magic = KVS_PLUGIN_MAGIC,
#endif
#ifdef SHELF_DESCRIPTOR_MAJOR
    .abi_major = KVS_ABI_MAJOR + 1,
#else
    .abi_major = KVS_ABI_MAJOR,
#endif
#ifdef SHELF_NEWER_MINOR
    .abi_minor = KVS_ABI_MINOR + 7,
#else
    .abi_minor = KVS_ABI_MINOR,
#endif
    .kind = KVS_PLUGIN_ENGINE,
#ifdef SHELF_WRONG_NAME
    .name = "another",
#else
    .name = SHELF_NAME,
#endif
    .version = "1.2.3",
#ifndef SHELF_NO_DESCRIPTION
    .description = "an engine that stores nothing",
#endif
    .options = options,
#ifdef SHELF_BAD_STRIDE
    .option_stride = 12,
#else
    .option_stride = sizeof(struct kvs_option),
#endif
    .option_count = sizeof(options) / sizeof(options[0]),
    .ops = &table,
};
/* clang-format on */

#if defined(SHELF_NO_ENTRY)
/* Not to be exported: the list alone, so that nothing is unused. */
const struct kvs_plugin *const *shelf_no_entry(void);
const struct kvs_plugin *const *shelf_no_entry(void)
#elif defined(SHELF_OTHER_MAJOR)
KVS_EXPORT const struct kvs_plugin *const *kvs_plugin_entry_v2(uint32_t host_major,
                                                               uint32_t host_minor);
const struct kvs_plugin *const *kvs_plugin_entry_v2(uint32_t host_major, uint32_t host_minor)
#else
const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major, uint32_t host_minor)
#endif
{
#ifndef SHELF_NO_ENTRY
    (void)host_major;
    (void)host_minor;
#endif
#if defined(SHELF_NULL_LIST)
    (void)&descriptor;
    return NULL;
#elif defined(SHELF_ENDLESS_LIST)
    static const struct kvs_plugin other = {
        .size = sizeof(struct kvs_plugin),
        .magic = KVS_PLUGIN_MAGIC,
        .abi_major = KVS_ABI_MAJOR,
        .kind = KVS_PLUGIN_ENGINE,
        .name = "other",
        .version = "1",
        .description = "one of many",
        .ops = &table,
    };
    static const struct kvs_plugin *list[1000];
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        list[i] = i == 0 ? &descriptor : &other;
    return list;
#elif defined(SHELF_TWICE)
    static const struct kvs_plugin *const list[] = {&descriptor, &descriptor, NULL};
    return list;
#else
    static const struct kvs_plugin *const list[] = {&descriptor, NULL};
    return list;
#endif
}
