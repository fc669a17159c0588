/* See entry.h. */
#include "load/entry.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <glib.h>

#define REPLY_MAX 1024u

static kvs_status wait_for(const struct plan *plan, int fd, short events, struct kvs_error *err)
{
    struct pollfd socket = {.fd = fd, .events = events};
    int count;
    do {
        count = poll(&socket, 1, ENTRY_TIMEOUT_MS);
    } while (count < 0 && errno == EINTR);
    if (count > 0)
        return KVS_OK;
    return kvs_error_set(err, KVS_TIMEOUT, 0, "%s: no answer within %d s while connecting",
                         plan->endpoint.text, ENTRY_TIMEOUT_MS / 1000);
}

/* Waits for what a call that gave -1 wants, or says why it failed. */
static kvs_status wait_or_fail(const struct plan *plan, int fd, const struct client_stream *stream,
                               short events, struct kvs_error *err)
{
    if (errno == EINTR)
        return KVS_OK;
    if (errno == EAGAIN)
        return wait_for(plan, fd, stream != NULL ? client_stream_wanted(stream) : events, err);
    return kvs_error_set(err, KVS_NETWORK, errno, "%s: cannot connect: %s", plan->endpoint.text,
                         errno == EPROTO && stream != NULL ? client_stream_reason(stream)
                                                           : g_strerror(errno));
}

kvs_status entry_shake_hands(const struct plan *plan, struct client_tls *tls, int fd,
                             struct client_stream **ret_stream, struct kvs_error *err)
{
    struct client_stream *stream = client_stream_new(tls, fd, &plan->endpoint.address);
    *ret_stream = NULL;
    if (stream == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    while (client_stream_handshake(stream) != 0) {
        kvs_status status = wait_or_fail(plan, fd, stream, POLLIN, err);
        if (status != KVS_OK) {
            client_stream_free(stream);
            return status;
        }
    }
    *ret_stream = stream;
    return KVS_OK;
}

static kvs_status send_all_of(const struct plan *plan, int fd, struct client_stream *stream,
                              const uint8_t *from, uint32_t size, struct kvs_error *err)
{
    while (size > 0) {
        ssize_t sent = stream != NULL ? client_stream_write(stream, from, size)
                                      : send(fd, from, size, MSG_NOSIGNAL);
        if (sent > 0) {
            from += sent;
            size -= (uint32_t)sent;
            continue;
        }
        kvs_status status = wait_or_fail(plan, fd, stream, POLLOUT, err);
        if (status != KVS_OK)
            return status;
    }
    return KVS_OK;
}

/* Receives until the reply is whole. */
static kvs_status receive_reply(const struct plan *plan, int fd, struct client_stream *stream,
                                enum wire_outcome *ret, struct wire_reply *ret_reply, uint8_t *to,
                                struct kvs_error *err)
{
    uint32_t size = 0;
    do {
        ssize_t got = stream != NULL ? client_stream_read(stream, to + size, REPLY_MAX - size)
                                     : recv(fd, to + size, REPLY_MAX - size, 0);
        if (got == 0)
            return kvs_error_set(err, KVS_NETWORK, 0, "%s closed a connection that gave a password",
                                 plan->endpoint.text);
        if (got < 0) {
            kvs_status status = wait_or_fail(plan, fd, stream, POLLIN, err);
            if (status != KVS_OK)
                return status;
            continue;
        }
        size += (uint32_t)got;
        *ret = plan->endpoint.wire->parse(WIRE_SET, NULL, 0, to, size, ret_reply);
        if (*ret != WIRE_MORE)
            return KVS_OK;
    } while (size < REPLY_MAX);
    *ret = WIRE_BROKEN;
    return KVS_OK;
}

kvs_status entry_log_in(const struct plan *plan, int fd, struct client_stream *stream,
                        struct kvs_error *err)
{
    uint8_t request[WIRE_AROUND_MAX + PLAN_PASSWORD_MAX];
    uint8_t received[REPLY_MAX];
    struct wire_reply reply = {0};
    enum wire_outcome outcome = WIRE_MORE;
    uint32_t size = plan->endpoint.wire->log_in(plan->password, request);
    kvs_status status = send_all_of(plan, fd, stream, request, size, err);
    if (status == KVS_OK)
        status = receive_reply(plan, fd, stream, &outcome, &reply, received, err);
    if (status != KVS_OK || outcome == WIRE_DONE)
        return status;
    if (outcome == WIRE_ERROR)
        return kvs_error_set(err, KVS_DENIED, 0, "%s refused the password: %.*s",
                             plan->endpoint.text, (int)reply.bytes.len,
                             (const char *)reply.bytes.ptr);
    return kvs_error_set(err, KVS_PROTOCOL, 0,
                         "%s: what came back is no reply to a password; does that server speak %s?",
                         plan->endpoint.text, plan->endpoint.wire->name);
}
