/*
 * To be preloaded into kvs-server: system calls fail as faults.h says. Memory is denied only to code of
 * kvs and its engines, since GLib ends the process without it.
 */
#undef _FILE_OFFSET_BITS /* every function is to have the name that is written here */
#include "crash/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))
/* The name with 64 for the same function: off_t has 64 bits. */
#define ALSO(name) __attribute__((visibility("default"), alias(#name)))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct faults *shared;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("KVS_TEST_FAULTS");
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    void *memory = (void *)syscall(SYS_mmap, NULL, sizeof(struct faults), PROT_READ | PROT_WRITE,
                                   MAP_SHARED, fd, 0);
    (void)syscall(SYS_close, fd);
    shared = memory != MAP_FAILED ? memory : NULL;
}

/* Counts a call. True: it is to fail, and errno is set, or *ret_short. */
static bool fails(enum fault_call call, bool *ret_short)
{
    if (shared == NULL)
        return false;
    uint64_t count = atomic_fetch_add(&shared->counts[call], 1) + 1;
    uint64_t first = atomic_load(&shared->first);
    if (atomic_load(&shared->call) != (uint32_t)call || count < first ||
        count - first >= atomic_load(&shared->times))
        return false;
    int error = atomic_load(&shared->error);
    atomic_fetch_add(&shared->failed, 1);
    if (error == FAULTS_SHORT && ret_short != NULL) {
        *ret_short = true;
        return false;
    }
    errno = error == FAULTS_SHORT ? EIO : error;
    return true;
}

static size_t cut(bool is_short, size_t size)
{
    return is_short && size > 1 ? size / 2 : size;
}

/* ---- files -------------------------------------------------------------------------------- */

SHOWN int openat(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(FAULT_OPEN, NULL) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}
ALSO(openat) int openat64(int folder, const char *path, int flags, ...);

SHOWN int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(FAULT_OPEN, NULL) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
ALSO(open) int open64(const char *path, int flags, ...);

/* Others are our own wake-ups, which no disk can fail, and the log, from which the test learns the port. */
static bool is_file(int fd)
{
    struct stat info;
    return fd != STDERR_FILENO && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

SHOWN ssize_t read(int fd, void *to, size_t size)
{
    bool is_short = false;
    return is_file(fd) && fails(FAULT_READ, &is_short)
               ? -1
               : syscall(SYS_read, fd, to, cut(is_short, size));
}

SHOWN ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    bool is_short = false;
    return fails(FAULT_PREAD, &is_short) ? -1
                                         : syscall(SYS_pread64, fd, to, cut(is_short, size), at);
}
ALSO(pread) ssize_t pread64(int fd, void *to, size_t size, off64_t at);

SHOWN ssize_t write(int fd, const void *from, size_t size)
{
    bool is_short = false;
    return is_file(fd) && fails(FAULT_WRITE, &is_short)
               ? -1
               : syscall(SYS_write, fd, from, cut(is_short, size));
}

SHOWN ssize_t writev(int fd, const struct iovec *parts, int count)
{
    bool is_short = false;
    if (is_file(fd) && fails(FAULT_WRITE, &is_short))
        return -1;
    return is_short ? syscall(SYS_write, fd, parts[0].iov_base, cut(true, parts[0].iov_len))
                    : syscall(SYS_writev, fd, parts, count);
}

SHOWN ssize_t pwrite(int fd, const void *from, size_t size, off_t at)
{
    bool is_short = false;
    return fails(FAULT_PWRITE, &is_short)
               ? -1
               : syscall(SYS_pwrite64, fd, from, cut(is_short, size), at);
}
ALSO(pwrite) ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at);

SHOWN int fsync(int fd)
{
    return fails(FAULT_FSYNC, NULL) ? -1 : (int)syscall(SYS_fsync, fd);
}

SHOWN int fdatasync(int fd)
{
    return fails(FAULT_FDATASYNC, NULL) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

SHOWN int msync(void *memory, size_t size, int flags)
{
    return fails(FAULT_MSYNC, NULL) ? -1 : (int)syscall(SYS_msync, memory, size, flags);
}

SHOWN void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails(FAULT_MMAP, NULL))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}
SHOWN void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    return mmap(at, size, protection, flags, fd, offset);
}

SHOWN int fallocate(int fd, int mode, off_t at, off_t size)
{
    return fails(FAULT_FALLOCATE, NULL) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, size);
}
ALSO(fallocate) int fallocate64(int fd, int mode, off64_t at, off64_t size);

SHOWN int ftruncate(int fd, off_t size)
{
    return fails(FAULT_FTRUNCATE, NULL) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}
ALSO(ftruncate) int ftruncate64(int fd, off64_t size);

SHOWN int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return fails(FAULT_RENAME, NULL)
               ? -1
               : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
}

SHOWN int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

SHOWN int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return fails(FAULT_LINK, NULL)
               ? -1
               : (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

SHOWN int unlinkat(int folder, const char *path, int flags)
{
    return fails(FAULT_UNLINK, NULL) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

SHOWN int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

/* ---- sockets and events ------------------------------------------------------------------- */

SHOWN int accept4(int fd, __SOCKADDR_ARG address, socklen_t *size, int flags)
{
    return fails(FAULT_ACCEPT, NULL)
               ? -1
               : (int)syscall(SYS_accept4, fd, address.__sockaddr__, size, flags);
}

SHOWN int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    if (fails(FAULT_EPOLL_WAIT, NULL))
        return -1;
    return (int)syscall(SYS_epoll_pwait, fd, events, most, timeout, NULL, 0);
}

SHOWN int epoll_ctl(int fd, int operation, int target, struct epoll_event *event)
{
    return fails(FAULT_EPOLL_CTL, NULL) ? -1
                                        : (int)syscall(SYS_epoll_ctl, fd, operation, target, event);
}

SHOWN ssize_t recv(int fd, void *to, size_t size, int flags)
{
    bool is_short = false;
    if (fails(FAULT_RECV, &is_short))
        return -1;
    return syscall(SYS_recvfrom, fd, to, cut(is_short, size), flags, NULL, NULL);
}

SHOWN ssize_t send(int fd, const void *from, size_t size, int flags)
{
    bool is_short = false;
    if (fails(FAULT_SEND, &is_short))
        return -1;
    return syscall(SYS_sendto, fd, from, cut(is_short, size), flags, NULL, 0);
}

SHOWN int socket(int domain, int type, int protocol)
{
    return fails(FAULT_DESCRIPTOR, NULL) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

SHOWN int eventfd(unsigned initial, int flags)
{
    return fails(FAULT_DESCRIPTOR, NULL) ? -1 : (int)syscall(SYS_eventfd2, initial, flags);
}

SHOWN int epoll_create1(int flags)
{
    return fails(FAULT_DESCRIPTOR, NULL) ? -1 : (int)syscall(SYS_epoll_create1, flags);
}

/* ---- threads and memory ------------------------------------------------------------------- */

SHOWN int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                         void *(*start)(void *arg), void *arg)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (fails(FAULT_THREAD, NULL))
        return errno;
    void *found = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&create, &found, sizeof(create)); /* ISO C has no cast from one to the other */
    return create(thread, attributes, start, arg);
}

/* Whether code of ours, or LMDB's, called. */
static bool is_ours(const void *caller)
{
    Dl_info info;
    if (shared == NULL || dladdr(caller, &info) == 0 || info.dli_fname == NULL)
        return false;
    const char *folder_end = strrchr(info.dli_fname, '/');
    const char *name = folder_end != NULL ? folder_end + 1 : info.dli_fname;
    return strstr(name, "kvs-") != NULL || strstr(name, "liblmdb") != NULL;
}

static bool memory_fails(const void *caller)
{
    return is_ours(caller) && fails(FAULT_MALLOC, NULL);
}

SHOWN void *malloc(size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

SHOWN void *calloc(size_t count, size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

SHOWN void *realloc(void *memory, size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}
