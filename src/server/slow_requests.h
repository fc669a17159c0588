/* Noting slow requests: from the bytes that were served to an entry of the slow log. */
#ifndef SERVER_SLOW_REQUESTS_H
#define SERVER_SLOW_REQUESTS_H

#include "server/session.h"
#include "server/slow_log.h"

/*
 * Notes that the requests at the front of `input`, which were received together, took elapsed_ns until
 * they were answered: the first one is shown, and how many followed. Passwords are not.
 */
void slow_requests_note(struct slow_log *log, struct session *session, struct kvs_bytes input,
                        uint32_t request_count, uint64_t elapsed_ns);

#endif
