/*
 * To be preloaded into kvs-server: flushes do as a file says, whose path is in KVS_TEST_FLUSH. While it
 * does not exist they take as long as they take; with "stuck" in it they do not end until that changes;
 * with a number in it they take so many milliseconds more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 1

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        continue;
}

static void wait_as_told(void)
{
    const char *path = getenv("KVS_TEST_FLUSH");
    for (;;) {
        char text[16] = "";
        int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0)
            return;
        ssize_t size = read(fd, text, sizeof(text) - 1);
        (void)close(fd);
        if (size <= 0 || strcmp(text, "stuck") != 0) {
            pause_ms(strtol(text, NULL, 10));
            return;
        }
        pause_ms(LOOK_MS);
    }
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    wait_as_told();
    return (int)syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    wait_as_told();
    return (int)syscall(SYS_fsync, fd);
}
