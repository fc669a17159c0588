/* Why handshakes failed: counted, and logged once per cause and not again for a minute. Any thread. */
#ifndef SERVER_TLS_CAUSES_H
#define SERVER_TLS_CAUSES_H

#include <pthread.h>
#include <stdint.h>

#include "base/log.h"

#define TLS_CAUSES_MAX 16u /* what is more shares the last place */

struct tls_cause {
    char reason[128];
    uint64_t logged_ns;
    uint64_t unlogged; /* since then */
};

struct tls_causes {
    pthread_mutex_t lock;
    struct tls_cause causes[TLS_CAUSES_MAX]; /* guarded by lock */
};

void tls_causes_init(struct tls_causes *causes);
void tls_causes_deinit(struct tls_causes *causes);

/* Notes a failure. peer: whose; hint: what to do about it, or "". */
void tls_causes_note(struct tls_causes *causes, const struct log *log, const char *peer,
                     const char *reason, const char *hint);

#endif
