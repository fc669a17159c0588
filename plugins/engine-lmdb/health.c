/* See health.h. */
#include "health.h"

#include <stdarg.h>
#include <stdio.h>

#include <lmdb.h>

void health_init(struct health *health, const struct kvs_host *host, const char *dir,
                 bool opened_read_only)
{
    health->host = host;
    health->dir = dir;
    health->opened_read_only = opened_read_only;
    atomic_init(&health->read_only, opened_read_only);
}

void health_log(const struct health *health, uint32_t level, const char *format, ...)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    if (health->host->log_enabled(health->host, level) == 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    health->host->log(health->host, level, message);
}

void health_fail(struct health *health, int code, const char *what)
{
    if (atomic_exchange_explicit(&health->read_only, true, memory_order_relaxed))
        return;
    health_log(health, KVS_LOG_ERROR,
               "%s: %s: %s: the store is read-only from now on; check the disk, then restart",
               health->dir, what, mdb_strerror(code));
}

kvs_status health_check(const struct health *health, struct kvs_error *err)
{
    if (!atomic_load_explicit(&health->read_only, memory_order_relaxed))
        return KVS_OK;
    if (health->opened_read_only)
        return kvs_error_set(err, KVS_READ_ONLY, 0, "%s was opened read-only", health->dir);
    return kvs_error_set(err, KVS_READ_ONLY, 0,
                         "%s is read-only since a write or flush failed (see the log); check the "
                         "disk, then restart",
                         health->dir);
}
