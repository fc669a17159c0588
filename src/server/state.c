/* See state.h. */
#include "server/state.h"

#include <stdio.h>

void server_state_show_loading(void *arg, struct loading *ret)
{
    const struct server_state *state = arg;
    ret->started_ms = atomic_load_explicit(&state->load_started_ms, memory_order_relaxed);
    ret->total = atomic_load_explicit(&state->load_total, memory_order_relaxed);
    ret->done = atomic_load_explicit(&state->load_done, memory_order_relaxed);
    if (ret->done > ret->total) /* the two belong to different moments */
        ret->done = ret->total = 0;
}

void server_state_format_loading(void *arg, char *text, size_t text_size)
{
    struct loading loading;
    server_state_show_loading(arg, &loading);
    if (loading.total == 0)
        (void)snprintf(text, text_size, "the store is being opened; try again");
    else
        (void)snprintf(text, text_size, "the store is being opened: %u %% done; try again",
                       (unsigned)((double)loading.done * 100.0 / (double)loading.total));
}
