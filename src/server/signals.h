/*
 * The signals of the kvs-server process, taken by a thread of their own instead of by handlers, so
 * that what they set off may lock, allocate and log.
 *
 *     SIGTERM, SIGINT   stop; a second SIGINT ends the process at once
 *     SIGHUP            reload
 */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include <pthread.h>
#include <signal.h>

#include <kvs/types.h>

struct signals {
    void (*stop)(void *arg);
    void (*reload)(void *arg);
    void *arg;

    /* The rest is private. */
    pthread_t thread;
    sigset_t before; /* the caller's mask */
    int signal_fd;
    int end_fd; /* eventfd: the thread is to end */
};

/*
 * Blocks the signals in the calling thread, and so in all threads that it makes from here on, and
 * starts the thread that takes them. stop, reload and arg are set; both run on that thread, one at
 * a time. KVS_OK, or KVS_NO_MEMORY: no descriptor or thread.
 */
KVS_MUST_USE kvs_status signals_begin(struct signals *signals, struct kvs_error *err);

/* Ends the thread and gives the calling thread its mask back, with SIGTERM, SIGINT and SIGHUP
   ignored from here on: there is nothing left to stop. */
void signals_end(struct signals *signals);

#endif
