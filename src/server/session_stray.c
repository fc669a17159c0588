/*
 * A client that speaks TLS where it is not spoken. Its first byte is none that a request could begin with: a
 * control character, which no inline command holds. It gets TLS' own word for that, so that it can say
 * what went wrong, instead of an answer that it cannot read.
 */
#include "server/session.h"

static enum session_step serve(struct session *session, struct worker *worker)
{
    /* A fatal alert, protocol_version (RFC 8446, section 6). */
    static const uint8_t alert[] = {0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46};
    counter_add(&worker->counters.errors, 1);
    log_info(session->service->log,
             "%s speaks TLS at an address without it: listen at tls:... for that",
             session->client.address);
    return buffer_append(&session->output, alert, sizeof(alert)) == KVS_OK ? SESSION_CLOSE
                                                                           : SESSION_ABORT;
}

const struct session_protocol session_stray = {.serve = serve};
