/*
 * What an engine plugin and a pool plugin have in common: the entry function, the descriptor, the
 * options, and the services that the host (kvs-server, a test, a benchmark) offers.
 *
 * A plugin is a shared object named kvs-engine-NAME.so or kvs-pool-NAME.so (NAME: letters, digits,
 * '-', '_') that exports one symbol, kvs_plugin_entry_v1, and hides all others. The host loads it
 * with dlopen(RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) and never unloads it.
 *
 * Versions. The major is part of the entry function's name and must be equal on both sides; the
 * minor only informs: a later minor appends members to the structs that start with a size.
 *
 * Growing structs. Each starts with `uint32_t size`, set by whoever made it to the sizeof that it
 * was compiled with. Nobody reads or writes past that size. New members are appended only. Structs
 * that are marked frozen never change.
 *
 * No exception, longjmp or pthread_exit may cross a call in either direction, except out of a
 * pool's job (see pool.h). No memory that one side allocated is freed by the other.
 */
#ifndef KVS_PLUGIN_H
#define KVS_PLUGIN_H

#include <kvs/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KVS_ABI_MAJOR    1u
#define KVS_ABI_MINOR    0u
#define KVS_PLUGIN_MAGIC 0x6B767370u /* "kvsp" */

/* True when the struct at p (of type T, starting with its size) has the member f and it is set. */
#define KVS_HAS(p, T, f)                                                                           \
    ((p) != NULL && (p)->size >= offsetof(T, f) + sizeof((p)->f) && (p)->f != NULL)

/* ---- options ---------------------------------------------------------------------------- */

/* clang-format off */
enum { /* kvs_option.type: how the text of a value is read, and where kvs_option_value has it */
    KVS_OPTION_BOOL     = 1, /* true/false, yes/no, on/off, 1/0    -> u64 (0 or 1) */
    KVS_OPTION_I64      = 2, /* decimal                            -> i64 */
    KVS_OPTION_U64      = 3, /* decimal                            -> u64 */
    KVS_OPTION_BYTES    = 4, /* decimal with k, m, g, t (1024^n)   -> u64 bytes */
    KVS_OPTION_STRING   = 5, /*                                    -> text */
    KVS_OPTION_ENUM     = 6, /* one of range ("a|b|c")             -> u64 index, and text */
    KVS_OPTION_DURATION = 7  /* decimal with ns, us, ms, s, m, h   -> u64 nanoseconds */
};

enum { /* kvs_option.flags */
    KVS_OPTION_REQUIRED        = 1u << 0, /* has no default: opening without it is refused */
    KVS_OPTION_RELOADABLE      = 1u << 1, /* reconfigure() takes a new value while running */
    KVS_OPTION_FIXED_AT_CREATE = 1u << 2  /* only counts when the store is made */
};
/* clang-format on */

/* One option that the plugin understands. All pointers are constants of the plugin. */
struct kvs_option {
    uint32_t size;
    uint32_t type;
    uint32_t flags;
    uint32_t reserved;         /* 0 */
    const char *name;          /* letters, digits, '-': as typed in --engine-opt NAME=VALUE */
    const char *default_value; /* as text in the form of type; NULL only with REQUIRED */
    const char *range;         /* "MIN..MAX" in the form of type (either may be empty), the choices
                                  of an ENUM, or NULL */
    const char *help;          /* one line, with the unit */
};

/* The value of an option: what was set, or else its default. Already checked against type, range.
 */
struct kvs_option_value {
    uint32_t size;
    uint32_t type;
    int64_t i64;
    uint64_t u64;
    const char *text; /* as it was typed; lives as long as the instance (open to close) */
};

/* ---- host services ---------------------------------------------------------------------- */

/* clang-format off */
enum { /* levels of log() */
    KVS_LOG_ERROR = 1,
    KVS_LOG_WARN  = 2,
    KVS_LOG_INFO  = 3,
    KVS_LOG_DEBUG = 4
};

enum { /* kinds of metric_register() */
    KVS_METRIC_COUNTER   = 1, /* only grows */
    KVS_METRIC_GAUGE     = 2, /* goes up and down */
    KVS_METRIC_HISTOGRAM = 3  /* a distribution of observed values */
};
/* clang-format on */

/*
 * Services for one plugin instance. The host makes it before open/create, and keeps it alive and
 * unchanged until after close/destroy. Every function is safe from any thread, never blocks for
 * long, and may be called from inside any plugin call and from the plugin's own threads. Every
 * function is present in a host of this major. host is always the struct's own address.
 */
struct kvs_host {
    uint32_t size;
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t reserved;
    void *context; /* the host's own; a plugin leaves it alone */

    /* Writes one line (message: terminated, without a newline) to the host's log. */
    void (*log)(const struct kvs_host *host, uint32_t level, const char *message);
    /* 1 if a message of this level would be written, else 0: asks before expensive formatting. */
    int32_t (*log_enabled)(const struct kvs_host *host, uint32_t level);

    /*
     * The value of one of the plugin's declared options. ret->size is set by the caller. KVS_OK, or
     * KVS_MISSING for a name that the plugin did not declare; ret is then untouched.
     */
    kvs_status (*config_get)(const struct kvs_host *host, const char *name,
                             struct kvs_option_value *ret);

    /*
     * Registers a metric (name: [a-z0-9_]+, help: one line; both copied) and stores its number at
     * ret_id. Registering a name again with the same kind gives the same number; with another kind
     * KVS_INVALID. KVS_BUSY when the host's table is full.
     */
    kvs_status (*metric_register)(const struct kvs_host *host, uint32_t kind, const char *name,
                                  const char *help, uint32_t *ret_id);
    /* Adds delta to a counter or gauge. A number that was never given out is ignored. */
    void (*metric_add)(const struct kvs_host *host, uint32_t id, int64_t delta);
    /* Records one value in a histogram. Units are the metric's own; its name says which. */
    void (*metric_observe)(const struct kvs_host *host, uint32_t id, uint64_t value);

    /* Nanoseconds of the monotonic clock. */
    uint64_t (*now_ns)(const struct kvs_host *host);

    /*
     * Says that this instance cannot go on (message as in log). The host logs it and begins an
     * orderly stop; the call returns, and the plugin must keep answering with errors until closed.
     */
    void (*fatal)(const struct kvs_host *host, const char *message);

    /* A further service by id ("kvs.name/1"), or NULL. The result lives as long as the host. */
    const void *(*get_extension)(const struct kvs_host *host, const char *id);
};

/* ---- the descriptor --------------------------------------------------------------------- */

/* clang-format off */
enum { /* kvs_plugin.kind */
    KVS_PLUGIN_ENGINE = 1,
    KVS_PLUGIN_POOL   = 2
};
/* clang-format on */

/* Everything that the host knows of a plugin before it opens one. Constant for the process's life.
 */
struct kvs_plugin {
    uint32_t size;
    uint32_t magic;     /* KVS_PLUGIN_MAGIC */
    uint32_t abi_major; /* KVS_ABI_MAJOR, as compiled */
    uint32_t abi_minor; /* KVS_ABI_MINOR, as compiled */
    uint32_t kind;
    uint32_t reserved;       /* 0 */
    const char *name;        /* as in the file's name */
    const char *version;     /* the plugin's own */
    const char *description; /* one line */
    const char *author;      /* may be NULL */
    const char *licence;     /* SPDX identifier; may be NULL */
    const char *url;         /* may be NULL */

    const struct kvs_option *options; /* option_count structs, option_stride bytes apart */
    uint32_t option_stride;           /* sizeof(struct kvs_option), as compiled */
    uint32_t option_count;

    const void *ops; /* struct kvs_engine_ops or struct kvs_pool_ops, by kind */

    /* A further table by id ("kvs.name/1"), or NULL. May itself be NULL. Callable at any time. */
    const void *(*get_extension)(const char *id);
};

/*
 * The one exported symbol: returns a constant, NULL-terminated list of descriptors. Pure and
 * repeatable: no threads, no I/O, no allocation; the same list at each call. host_major is always
 * the major in the function's name.
 */
typedef const struct kvs_plugin *const *(*kvs_plugin_entry_fn)(uint32_t host_major,
                                                               uint32_t host_minor);

#define KVS_PLUGIN_ENTRY_NAME "kvs_plugin_entry_v1"

KVS_EXPORT const struct kvs_plugin *const *kvs_plugin_entry_v1(uint32_t host_major,
                                                               uint32_t host_minor);

#ifdef __cplusplus
}
#endif

#endif
