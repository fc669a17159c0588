/* See fault_kinds.h. */
#include "crash/fault_kinds.h"

#include <errno.h>

#define ACCEPTS_LASTING 5u /* the client waits for so many */

const struct fault fault_kinds[] = {
    {FAULT_OPEN, "open", EMFILE, OUTCOME_ANY, 0},
    {FAULT_OPEN, "open", ENFILE, OUTCOME_ANY, 0},
    {FAULT_OPEN, "open", ENOMEM, OUTCOME_ANY, 0},
    {FAULT_READ, "read", EIO, OUTCOME_ANY, 0},
    {FAULT_READ, "read", EINTR, OUTCOME_ANY, 0},
    {FAULT_PREAD, "pread", EIO, OUTCOME_ANY, 0},
    {FAULT_PREAD, "pread", FAULTS_SHORT, OUTCOME_ANY, 0},
    {FAULT_WRITE, "write", EIO, OUTCOME_ANY, 0},
    {FAULT_WRITE, "write", EINTR, OUTCOME_ANY, 0},
    {FAULT_WRITE, "write", FAULTS_SHORT, OUTCOME_ANY, 0},
    {FAULT_WRITE, "write", ENOSPC, OUTCOME_SPACE, 0},
    {FAULT_PWRITE, "pwrite", EIO, OUTCOME_ANY, 0},
    {FAULT_PWRITE, "pwrite", EINTR, OUTCOME_ANY, 0},
    {FAULT_PWRITE, "pwrite", FAULTS_SHORT, OUTCOME_ANY, 0},
    {FAULT_PWRITE, "pwrite", ENOSPC, OUTCOME_SPACE, 0},
    {FAULT_PWRITE, "pwrite", EDQUOT, OUTCOME_SPACE, 0},
    {FAULT_FSYNC, "fsync", EIO, OUTCOME_READ_ONLY, 0},
    {FAULT_FSYNC, "fsync", EINTR, OUTCOME_ANY, 0},
    {FAULT_FDATASYNC, "fdatasync", EIO, OUTCOME_READ_ONLY, 0},
    {FAULT_FDATASYNC, "fdatasync", ENOSPC, OUTCOME_READ_ONLY, 0},
    {FAULT_FDATASYNC, "fdatasync", EDQUOT, OUTCOME_READ_ONLY, 0},
    {FAULT_MSYNC, "msync", EIO, OUTCOME_READ_ONLY, 0},
    {FAULT_MMAP, "mmap", ENOMEM, OUTCOME_ANY, 0},
    {FAULT_FALLOCATE, "fallocate", ENOSPC, OUTCOME_SPACE, 0},
    {FAULT_FALLOCATE, "fallocate", EDQUOT, OUTCOME_SPACE, 0},
    {FAULT_FALLOCATE, "fallocate", ENOMEM, OUTCOME_ANY, 0},
    {FAULT_FALLOCATE, "fallocate", EINTR, OUTCOME_ANY, 0},
    {FAULT_FTRUNCATE, "ftruncate", EIO, OUTCOME_ANY, 0},
    {FAULT_RENAME, "rename", EIO, OUTCOME_ANY, 0},
    {FAULT_LINK, "link", EPERM, OUTCOME_ANY, 0},
    {FAULT_LINK, "link", ENOSPC, OUTCOME_ANY, 0},
    {FAULT_UNLINK, "unlink", EIO, OUTCOME_ANY, 0},
    {FAULT_THREAD, "pthread_create", EAGAIN, OUTCOME_ANY, 0},
    {FAULT_ACCEPT, "accept", EMFILE, OUTCOME_ANY, ACCEPTS_LASTING},
    {FAULT_ACCEPT, "accept", EINTR, OUTCOME_ANY, 0},
    {FAULT_EPOLL_WAIT, "epoll_wait", EINTR, OUTCOME_ANY, 0},
    {FAULT_EPOLL_CTL, "epoll_ctl", ENOMEM, OUTCOME_ANY, 0},
    {FAULT_RECV, "recv", EINTR, OUTCOME_ANY, 0},
    /* No short recv: the kernel promises that it means there is no more (epoll(7)). */
    {FAULT_SEND, "send", EINTR, OUTCOME_ANY, 0},
    {FAULT_SEND, "send", FAULTS_SHORT, OUTCOME_ANY, 0},
    {FAULT_DESCRIPTOR, "socket", EMFILE, OUTCOME_ANY, 0},
    {FAULT_MALLOC, "malloc", ENOMEM, OUTCOME_ANY, 0},
};
const size_t fault_kind_count = sizeof(fault_kinds) / sizeof(fault_kinds[0]);

bool fault_can_last(const struct fault *fault)
{
    return fault->error != EINTR;
}
