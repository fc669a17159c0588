/* A bad network: a relay on 127.0.0.1 that passes bytes on in small pieces. */
#ifndef TESTS_RELAY_H
#define TESTS_RELAY_H

#include <pthread.h>
#include <stdint.h>

struct relay {
    uint16_t port; /* where it listens */
    int listener;
    uint16_t target;
    uint32_t piece_max; /* bytes of a piece: 1 to that */
    pthread_t thread;
};

/* Relays one connection, the first that comes, to 127.0.0.1:target. */
void relay_start(struct relay *relay, uint16_t target, uint32_t piece_max);
/* Waits for its end, which is that of the connection. */
void relay_stop(struct relay *relay);

#endif
