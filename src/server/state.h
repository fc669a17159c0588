/* Where a server is in its life, as monitoring and commands see it. */
#ifndef SERVER_STATE_H
#define SERVER_STATE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "command/command.h"

enum server_phase {
    SERVER_LOADING, /* the store is being opened */
    SERVER_READY,
    SERVER_STOPPING,
};

/* Relaxed, unless said otherwise: each is a fact of its own. */
struct server_state {
    /* Written by the thread that runs the server, read by anybody. READY is a release: who reads it
       (acquire) sees the open store. */
    _Atomic uint32_t phase;
    _Atomic uint32_t engine_failed; /* set once, by any thread of the engine */
    /* Written by the thread that opens the store; done of total units, total 0: not known. */
    _Atomic uint64_t load_done;
    _Atomic uint64_t load_total;
    _Atomic int64_t load_started_ms; /* Unix time */
};

/* "the store is being opened: 37 %"; terminated. Its arg is the struct server_state. */
void server_state_format_loading(void *state, char *text, size_t text_size);
/* The same as figures, which may belong to different moments. */
void server_state_show_loading(void *state, struct loading *ret);

#endif
