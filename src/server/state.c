/* See state.h. */
#include "server/state.h"

#include <stdio.h>

void server_state_format_loading(void *arg, char *text, size_t text_size)
{
    const struct server_state *state = arg;
    uint64_t total = atomic_load_explicit(&state->load_total, memory_order_relaxed);
    uint64_t done = atomic_load_explicit(&state->load_done, memory_order_relaxed);
    if (total == 0 || done > total) /* not known, or the two belong to different moments */
        (void)snprintf(text, text_size, "the store is being opened; try again");
    else
        (void)snprintf(text, text_size, "the store is being opened: %u %% done; try again",
                       (unsigned)((double)done * 100.0 / (double)total));
}
