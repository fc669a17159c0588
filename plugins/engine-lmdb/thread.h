/* Threads of the engine's own. */
#ifndef ENGINE_LMDB_THREAD_H
#define ENGINE_LMDB_THREAD_H

#include <pthread.h>

#include <kvs/types.h>

/* Starts a thread named name (up to 15 bytes) that takes no signals, but for its own faults: they
   are the host's. 0 or an errno. */
KVS_MUST_USE int thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg),
                              void *arg);

#endif
