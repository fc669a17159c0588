/*
 * See program.h. The descriptors are files in memory, so nothing has to be fed or drained while
 * the program runs.
 */
#include "client/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static int memory_file(struct kvs_bytes content)
{
    int fd = memfd_create("program", MFD_CLOEXEC);
    must(fd >= 0, "memfd_create");
    for (uint64_t at = 0; at < content.len;) {
        ssize_t count = write(fd, (const char *)content.ptr + at, (size_t)(content.len - at));
        must(count > 0, "write");
        at += (uint64_t)count;
    }
    must(lseek(fd, 0, SEEK_SET) == 0, "lseek");
    return fd;
}

static char *read_all(int fd, size_t *ret_size)
{
    struct stat info;
    must(fstat(fd, &info) == 0, "fstat");
    size_t size = S_ISREG(info.st_mode) ? (size_t)info.st_size : 0;
    char *content = calloc(1, size + 1);
    must(content != NULL, "calloc");
    must(size == 0 || pread(fd, content, size, 0) == (ssize_t)size, "pread");
    *ret_size = size;
    return content;
}

static pid_t spawn(char *const *arguments, const int fds[3], int closed_fd)
{
    pid_t pid;
    posix_spawn_file_actions_t actions;
    must(posix_spawn_file_actions_init(&actions) == 0, "posix_spawn_file_actions_init");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        int failed = fd + 1 == closed_fd ? posix_spawn_file_actions_addclose(&actions, fd)
                                         : posix_spawn_file_actions_adddup2(&actions, fds[fd], fd);
        must(failed == 0, "posix_spawn_file_actions");
    }
    must(posix_spawn(&pid, arguments[0], &actions, NULL, arguments, environ) == 0, arguments[0]);
    must(posix_spawn_file_actions_destroy(&actions) == 0, "posix_spawn_file_actions_destroy");
    return pid;
}

void program_run(char *const *arguments, const struct program_io *io,
                 struct program_result *ret_result)
{
    const struct kvs_bytes nothing = {NULL, 0};
    int fds[] = {
        memory_file(io->in),
        io->out_path != NULL ? open(io->out_path, O_RDWR | O_CLOEXEC) : memory_file(nothing),
        memory_file(nothing),
    };
    must(fds[STDOUT_FILENO] >= 0, io->out_path);
    pid_t pid = spawn(arguments, fds, io->closed_fd);
    int status;
    must(waitpid(pid, &status, 0) == pid, "waitpid");
    ret_result->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ret_result->out = read_all(fds[STDOUT_FILENO], &ret_result->out_size);
    ret_result->err = read_all(fds[STDERR_FILENO], &ret_result->err_size);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)close(fds[fd]);
}

void program_result_deinit(struct program_result *result)
{
    free(result->out);
    free(result->err);
}
