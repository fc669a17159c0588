/* See transport.h. Reading and writing are inline. */
#include "server/transport.h"

#include <stdio.h>
#include <string.h>

#define DISCARD_BYTES     16384u /* read at once, and how often, from a connection that is closed */
#define DISCARD_READS_MAX 64u

void transport_peer(const struct transport *transport, char text[ADDRESS_TEXT_MAX])
{
    struct address peer;
    memset(&peer, 0, sizeof(peer));
    peer.size = sizeof(peer.storage);
    if (getpeername(transport->fd, (struct sockaddr *)&peer.storage, &peer.size) != 0)
        (void)snprintf(text, ADDRESS_TEXT_MAX, "a connection that is gone");
    else if (address_is_unix(&peer))
        (void)snprintf(text, ADDRESS_TEXT_MAX, "a Unix socket");
    else
        address_format(&peer, text);
}

void transport_discard(int fd)
{
    char sink[DISCARD_BYTES];
    (void)shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < DISCARD_READS_MAX; i++) {
        ssize_t received = recv(fd, sink, sizeof(sink), 0);
        if (received == 0 || (received < 0 && errno != EINTR))
            return;
    }
}

void transport_finish(struct transport *transport)
{
    if (transport->layer != NULL)
        transport->layer->end_output(transport);
    /* The socket itself: what is thrown away need not be understood. */
    transport_discard(transport->fd);
}
