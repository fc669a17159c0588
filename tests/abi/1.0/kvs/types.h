/*
 * The vocabulary that every kvs header shares: byte views, statuses, errors.
 *
 * A status is one int32_t from the engine to the wire:
 *     0         done;
 *     positive  a normal outcome that the caller must handle (not found, pending, busy, ...);
 *     negative  a fault; nothing was done unless the call says otherwise.
 * The numbers are part of the ABI and of the native protocol and never change their meaning.
 *
 * Everything here is strict C11 and C++17 and compiles alone.
 */
#ifndef KVS_TYPES_H
#define KVS_TYPES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define KVS_MUST_USE __attribute__((warn_unused_result))
#define KVS_PRINTF(format_index, first_argument)                                                   \
    __attribute__((format(printf, format_index, first_argument)))
#define KVS_EXPORT __attribute__((visibility("default")))
#else
#define KVS_MUST_USE
#define KVS_PRINTF(format_index, first_argument)
#define KVS_EXPORT
#endif

typedef int32_t kvs_status;

/* clang-format off */
enum {
    KVS_OK               = 0,

    /* Normal outcomes. */
    KVS_NOT_FOUND        = 1,  /* no such key */
    KVS_PENDING          = 2,  /* accepted; the completion will run exactly once */
    KVS_CONDITION_FAILED = 3,  /* the condition of an operation did not hold; nothing was changed */
    KVS_BUSY             = 4,  /* nothing was done; the same call may succeed later */
    KVS_STOPPED          = 5,  /* a visitor returned non-zero, so the call ended early */

    /* Faults. */
    KVS_INVALID          = -1,  /* an argument or option is wrong; the message names it */
    KVS_TOO_LARGE        = -2,  /* over a limit; the message names the limit */
    KVS_NO_SPACE         = -3,  /* the disk (or a quota) is full; removing still works */
    KVS_NO_MEMORY        = -4,
    KVS_IO               = -5,  /* the disk failed; os_errno says how */
    KVS_CORRUPT          = -6,  /* stored bytes do not match their checksum */
    KVS_READ_ONLY        = -7,  /* an earlier fault made the store read-only */
    KVS_CLOSED           = -8,  /* the pool, store or connection is shutting down or gone */
    KVS_UNSUPPORTED      = -9,  /* the other side does not offer this */
    KVS_LOCKED           = -10, /* another process holds the resource */
    KVS_INCOMPATIBLE     = -11, /* another ABI, version, format or engine */
    KVS_MISSING          = -12, /* a file, plugin or directory does not exist */
    KVS_TIMEOUT          = -13,
    KVS_NETWORK          = -14, /* the connection could not be made or broke; os_errno says how */
    KVS_PROTOCOL         = -15, /* the peer sent something that is no valid frame */
    KVS_DENIED           = -16, /* no permission */
    KVS_LOADING          = -17, /* the store is still being opened */
    KVS_INTERNAL         = -18  /* a bug; please report it with the message */
};
/* clang-format on */

/* A view of bytes: not owned, not terminated. ptr may be NULL when len is 0. Frozen: never grows.
 */
struct kvs_bytes {
    const void *ptr;
    uint64_t len; /* bytes */
};

/*
 * What went wrong, in a struct that the caller owns. The callee fills it only when it returns a
 * negative status, and never writes past size or past cap bytes of msg. msg names the thing, the
 * reason and the way out, in one line without a full stop at its end; it is always terminated.
 */
struct kvs_error {
    uint32_t size;     /* sizeof(struct kvs_error), set by the caller */
    kvs_status status; /* the status that was returned */
    int32_t os_errno;  /* errno of the failed system call, or 0 */
    uint32_t cap;      /* bytes at msg, the terminating zero included; 0 when msg is NULL */
    char *msg;         /* the caller's buffer, or NULL */
};

/* An empty error that writes its message into the array BUFFER. */
#define KVS_ERROR_INIT(buffer)                                                                     \
    {                                                                                              \
        (uint32_t)sizeof(struct kvs_error), KVS_OK, 0, (uint32_t)sizeof(buffer), (buffer)          \
    }

/* Bytes of a message buffer that holds every message kvs itself writes. */
#define KVS_ERROR_MESSAGE_MAX 1024u

/*
 * Fills err (which may be NULL) and returns status, so that a fault is reported and returned in
 * one statement. A message longer than the buffer is cut. os_errno is 0 where no system call
 * failed.
 */
KVS_PRINTF(4, 0)
static inline kvs_status kvs_error_vset(struct kvs_error *err, kvs_status status, int os_errno,
                                        const char *format, va_list arguments)
{
    /* Not sizeof(*err): the caller may have been built before this struct grew. */
    if (err == NULL || err->size < offsetof(struct kvs_error, msg) + sizeof(err->msg))
        return status;
    err->status = status;
    err->os_errno = os_errno;
    if (err->msg != NULL && err->cap > 0)
        (void)vsnprintf(err->msg, err->cap, format, arguments);
    return status;
}

KVS_PRINTF(4, 5)
static inline kvs_status kvs_error_set(struct kvs_error *err, kvs_status status, int os_errno,
                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    kvs_error_vset(err, status, os_errno, format, arguments);
    va_end(arguments);
    return status;
}

/* The status as a short English phrase ("not found"): a constant, never NULL. */
static inline const char *kvs_status_text(kvs_status status)
{
    switch (status) {
    case KVS_OK:
        return "ok";
    case KVS_NOT_FOUND:
        return "not found";
    case KVS_PENDING:
        return "pending";
    case KVS_CONDITION_FAILED:
        return "condition failed";
    case KVS_BUSY:
        return "busy";
    case KVS_STOPPED:
        return "stopped";
    case KVS_INVALID:
        return "invalid argument";
    case KVS_TOO_LARGE:
        return "too large";
    case KVS_NO_SPACE:
        return "no space";
    case KVS_NO_MEMORY:
        return "out of memory";
    case KVS_IO:
        return "input/output error";
    case KVS_CORRUPT:
        return "corrupt data";
    case KVS_READ_ONLY:
        return "read-only";
    case KVS_CLOSED:
        return "closed";
    case KVS_UNSUPPORTED:
        return "not supported";
    case KVS_LOCKED:
        return "locked by another process";
    case KVS_INCOMPATIBLE:
        return "incompatible";
    case KVS_MISSING:
        return "does not exist";
    case KVS_TIMEOUT:
        return "timed out";
    case KVS_NETWORK:
        return "network error";
    case KVS_PROTOCOL:
        return "protocol error";
    case KVS_DENIED:
        return "permission denied";
    case KVS_LOADING:
        return "still loading";
    case KVS_INTERNAL:
        return "internal error";
    default:
        return "unknown status";
    }
}

#ifdef __cplusplus
}
#endif

#endif
