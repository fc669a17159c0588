/* See descriptors.h. */
#include "harness/descriptors.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

kvs_status descriptors_allow(uint64_t needed, struct kvs_error *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return KVS_OK;
    if (limit.rlim_max < needed)
        return kvs_error_set(
            err, KVS_INVALID, 0,
            "%llu open files are needed, and this process may have %llu; raise the "
            "hard limit (ulimit -Hn)",
            (unsigned long long)needed, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return kvs_error_set(err, KVS_INVALID, errno, "cannot raise the limit of open files: %s",
                             strerror(errno));
    return KVS_OK;
}
