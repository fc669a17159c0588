/* See transport.h. Reading and writing are inline. */
#include "server/transport.h"

#define DISCARD_BYTES     16384u /* read at once, and how often, from a connection that is closed */
#define DISCARD_READS_MAX 64u

void transport_finish(struct transport *transport)
{
    char sink[DISCARD_BYTES];
    if (transport->layer != NULL)
        transport->layer->end_output(transport);
    (void)shutdown(transport->fd, SHUT_WR);
    /* The socket itself, below any layer: what is thrown away need not be understood. */
    for (unsigned i = 0; i < DISCARD_READS_MAX; i++) {
        ssize_t received = recv(transport->fd, sink, sizeof(sink), 0);
        if (received == 0 || (received < 0 && errno != EINTR))
            return;
    }
}
