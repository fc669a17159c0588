/* See signals.h. */
#include "server/signals.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void taken_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
}

/* Ends the process as if the signal had never been taken. */
static void die_of(int signal_number)
{
    sigset_t set;
    (void)signal(signal_number, SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signal_number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(signal_number);
}

static void *take_signals(void *arg)
{
    struct signals *signals = arg;
    struct pollfd fds[] = {{.fd = signals->signal_fd, .events = POLLIN},
                           {.fd = signals->end_fd, .events = POLLIN}};
    unsigned interrupts = 0;
    for (;;) {
        struct signalfd_siginfo info;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents != 0)
            return NULL;
        if (read(signals->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
            continue;
        if (info.ssi_signo == SIGHUP) {
            signals->reload(signals->arg);
            continue;
        }
        if (info.ssi_signo == SIGINT && interrupts++ > 0)
            die_of(SIGINT);
        signals->stop(signals->arg);
    }
}

static kvs_status fail(struct signals *signals, struct kvs_error *err, const char *what, int code)
{
    if (signals->signal_fd >= 0)
        (void)close(signals->signal_fd);
    if (signals->end_fd >= 0)
        (void)close(signals->end_fd);
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
    return kvs_error_set(err, KVS_NO_MEMORY, code, "cannot %s: %s", what, strerror(code));
}

kvs_status signals_begin(struct signals *signals, struct kvs_error *err)
{
    sigset_t taken;
    taken_signals(&taken);
    (void)pthread_sigmask(SIG_BLOCK, &taken, &signals->before);
    signals->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    signals->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signals->signal_fd < 0 || signals->end_fd < 0)
        return fail(signals, err, "make a descriptor for signals", errno);
    int code = pthread_create(&signals->thread, NULL, take_signals, signals);
    return code == 0 ? KVS_OK : fail(signals, err, "start the thread for signals", code);
}

void signals_end(struct signals *signals)
{
    uint64_t one = 1;
    ssize_t written = write(signals->end_fd, &one, sizeof(one));
    (void)written;
    (void)pthread_join(signals->thread, NULL);
    (void)close(signals->signal_fd);
    (void)close(signals->end_fd);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}
