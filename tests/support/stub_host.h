/*
 * The host services of an engine that a test opens without a server: the option segment-size and no other, what
 * is logged goes to the test, or nowhere. A header only, since the fuzzers compile all they use anew.
 */
#ifndef TESTS_SUPPORT_STUB_HOST_H
#define TESTS_SUPPORT_STUB_HOST_H

#include <string.h>
#include <time.h>

#include <kvs/plugin.h>

struct stub_host {
    struct kvs_host host;
    uint64_t segment_bytes; /* 0: not set */
    /* On any thread; NULL: nobody listens, and messages are made all the same. */
    void (*note)(void *arg, uint32_t level, const char *message);
    void *arg;
};

static inline void stub_host_log(const struct kvs_host *host, uint32_t level, const char *message)
{
    const struct stub_host *stub = host->context;
    if (stub->note != NULL)
        stub->note(stub->arg, level, message);
}

static inline int32_t stub_host_log_enabled(const struct kvs_host *host, uint32_t level)
{
    (void)host;
    (void)level;
    return 1;
}

static inline kvs_status stub_host_config_get(const struct kvs_host *host, const char *name,
                                              struct kvs_option_value *ret)
{
    const struct stub_host *stub = host->context;
    if (stub->segment_bytes == 0 || strcmp(name, "segment-size") != 0)
        return KVS_MISSING;
    ret->u64 = stub->segment_bytes;
    return KVS_OK;
}

static inline uint64_t stub_host_now_ns(const struct kvs_host *host)
{
    struct timespec now;
    (void)host;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The services then are stub->host, for as long as stub stays where it is. */
static inline void stub_host_init(struct stub_host *stub, uint64_t segment_bytes,
                                  void (*note)(void *arg, uint32_t level, const char *message),
                                  void *arg)
{
    *stub = (struct stub_host){
        .host = {.size = sizeof(stub->host),
                 .abi_major = KVS_ABI_MAJOR,
                 .context = stub,
                 .log = stub_host_log,
                 .log_enabled = stub_host_log_enabled,
                 .config_get = stub_host_config_get,
                 .now_ns = stub_host_now_ns},
        .segment_bytes = segment_bytes,
        .note = note,
        .arg = arg,
    };
}

#endif
