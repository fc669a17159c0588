/*
 * See channel.h. The socket never blocks; all waiting is done in wait_ready, which ppoll()s for
 * what is left until the deadline. So a peer that trickles one byte at a time cannot stretch a call
 * beyond its deadline (I1), as it could with the socket's own timeouts, which begin anew with each
 * system call.
 */
#include "client/channel.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A header with a small body arrives by one system call. */
#define RECEIVE_MIN ((size_t)4096)

#define RECORD_SIZE 16384u /* the most that a record of TLS holds */

#define CONNECT_PAUSE_NS 2000000L /* between tries at a full Unix socket */

struct deadline deadline_in_ms(uint64_t timeout_ms)
{
    uint64_t delay_ns;
    struct deadline deadline = {.timeout_ms = timeout_ms};
    if (__builtin_mul_overflow(timeout_ms, NS_PER_MS, &delay_ns) ||
        __builtin_add_overflow(clock_now_ns(), delay_ns, &deadline.at_ns))
        deadline.at_ns = UINT64_MAX;
    return deadline;
}

void channel_init(struct channel *channel, const struct address *address, struct client_tls *tls)
{
    channel->address = *address;
    address_format(address, channel->name);
    channel->fd = -1;
    channel->tls = tls;
    channel->stream = NULL;
}

/* Waits until fd is ready for one of events, or broken. True, or false at the deadline. */
static bool wait_ready(int fd, short events, const struct deadline *deadline, short *ret_ready)
{
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        uint64_t left_ns = deadline->at_ns > now_ns ? deadline->at_ns - now_ns : 0;
        struct timespec left = {(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int count = ppoll(&poll_fd, 1, &left, NULL);
        if (count > 0) {
            *ret_ready = poll_fd.revents;
            return true;
        }
        if (left_ns == 0)
            return false;
        /* Woken too early or by a signal: look at the clock again. ENOMEM passes, too. */
    }
}

static kvs_status connect_failed(const struct channel *channel, int error, struct kvs_error *err)
{
    return kvs_error_set(
        err, KVS_NETWORK, error, "cannot connect to %s: %s%s", channel->name, strerror(error),
        error == ECONNREFUSED || error == ENOENT ? " (is kvs-server running there?)" : "");
}

static kvs_status connect_timed_out(const struct channel *channel, const struct deadline *deadline,
                                    struct kvs_error *err)
{
    return kvs_error_set(err, KVS_TIMEOUT, 0, "cannot connect to %s: no answer within %llu ms",
                         channel->name, (unsigned long long)deadline->timeout_ms);
}

/* Calls connect() and gives its errno; 0: connected. A Unix socket whose queue is full says EAGAIN, and
   nothing tells when there is room: then it is tried until the deadline. */
static int begin_connect(const struct channel *channel, int fd, const struct deadline *deadline)
{
    for (;;) {
        if (connect(fd, (const struct sockaddr *)&channel->address.storage,
                    channel->address.size) == 0)
            return 0;
        int error = errno;
        if (error != EAGAIN || clock_now_ns() >= deadline->at_ns)
            return error;
        (void)nanosleep(&(struct timespec){.tv_nsec = CONNECT_PAUSE_NS}, NULL);
    }
}

/* Waits for the connection that connect() has begun. */
static kvs_status finish_connect(const struct channel *channel, int fd,
                                 const struct deadline *deadline, struct kvs_error *err)
{
    short ready;
    if (!wait_ready(fd, POLLOUT, deadline, &ready))
        return connect_timed_out(channel, deadline, err);
    int error = 0;
    socklen_t error_size = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
        error = errno;
    return error == 0 ? KVS_OK : connect_failed(channel, error, err);
}

static kvs_status open_socket(struct channel *channel, const struct deadline *deadline,
                              struct kvs_error *err)
{
    const int on = 1;
    _cleanup_(closep) int fd =
        socket(channel->address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return connect_failed(channel, errno, err);
    /* Each request is sent whole; waiting for more to send would only add delay. */
    if (!address_is_unix(&channel->address) &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        return connect_failed(channel, errno, err);
    int error = begin_connect(channel, fd, deadline);
    if (error != 0) {
        /* Also after EINTR the connection goes on being made. */
        if (error != EINPROGRESS && error != EINTR && error != EAGAIN)
            return connect_failed(channel, error, err);
        kvs_status status = error == EAGAIN ? connect_timed_out(channel, deadline, err)
                                            : finish_connect(channel, fd, deadline, err);
        if (status != KVS_OK)
            return status;
    }
    channel->fd = take_fd(&fd);
    return KVS_OK;
}

static kvs_status secure_failed(const struct channel *channel, int error, struct kvs_error *err)
{
    const char *reason = client_stream_reason(channel->stream);
    if (error == EPROTO && reason[0] != '\0')
        return kvs_error_set(err, KVS_NETWORK, 0, "no TLS with %s: %s", channel->name, reason);
    return kvs_error_set(err, KVS_NETWORK, error,
                         "no TLS with %s: %s (does the server speak TLS there?)", channel->name,
                         strerror(error));
}

/* Makes the connection speak TLS. */
static kvs_status secure(struct channel *channel, const struct deadline *deadline,
                         struct kvs_error *err)
{
    channel->stream = client_stream_new(channel->tls, channel->fd, &channel->address);
    if (channel->stream == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for TLS");
    while (client_stream_handshake(channel->stream) != 0) {
        short ready;
        if (errno != EAGAIN)
            return secure_failed(channel, errno, err);
        if (!wait_ready(channel->fd, client_stream_wanted(channel->stream), deadline, &ready))
            return connect_timed_out(channel, deadline, err);
    }
    return KVS_OK;
}

kvs_status channel_open(struct channel *channel, const struct deadline *deadline,
                        struct kvs_error *err)
{
    assert(channel->fd < 0);
    kvs_status status = open_socket(channel, deadline, err);
    if (status == KVS_OK && channel->tls != NULL)
        status = secure(channel, deadline, err);
    if (status != KVS_OK)
        channel_close(channel);
    return status;
}

void channel_close(struct channel *channel)
{
    client_stream_free(TAKE(channel->stream));
    if (channel->fd >= 0)
        (void)close(take_fd(&channel->fd));
}

bool channel_is_idle(struct channel *channel)
{
    uint8_t byte;
    if (channel->fd < 0)
        return false;
    if (channel->stream != NULL)
        return client_stream_is_quiet(channel->stream);
    ssize_t size = recv(channel->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

static kvs_status timed_out(const struct channel *channel, const struct deadline *deadline,
                            struct kvs_error *err)
{
    return kvs_error_set(err, KVS_TIMEOUT, 0, "no reply from %s within %llu ms", channel->name,
                         (unsigned long long)deadline->timeout_ms);
}

static kvs_status broken(const struct channel *channel, int error, struct kvs_error *err)
{
    if (error == EPROTO && channel->stream != NULL)
        return kvs_error_set(err, KVS_NETWORK, 0, "the connection to %s broke: %s", channel->name,
                             client_stream_reason(channel->stream)[0] != '\0'
                                 ? client_stream_reason(channel->stream)
                                 : "TLS failed");
    return kvs_error_set(err, KVS_NETWORK, error, "the connection to %s broke: %s", channel->name,
                         strerror(error));
}

/* Drops the first size bytes of the message's parts. */
static void skip_sent(struct msghdr *message, size_t size)
{
    while (message->msg_iovlen > 0 && size >= message->msg_iov->iov_len) {
        size -= message->msg_iov->iov_len;
        message->msg_iov++;
        message->msg_iovlen--;
    }
    if (message->msg_iovlen > 0) {
        message->msg_iov->iov_base = (uint8_t *)message->msg_iov->iov_base + size;
        message->msg_iov->iov_len -= size;
    }
}

/* Copies the next bytes of the parts, and drops them there. */
static size_t gather(struct msghdr *message, uint8_t *to, size_t size)
{
    size_t used = 0;
    while (message->msg_iovlen > 0 && used < size) {
        const struct iovec *part = message->msg_iov;
        size_t taken = part->iov_len < size - used ? part->iov_len : size - used;
        if (taken > 0)
            memcpy(to + used, part->iov_base, taken);
        used += taken;
        skip_sent(message, taken);
    }
    return used;
}

/* True when the peer says something, or ends, while we send: a refusal. Asked between two records, for
   after that the connection may be reset, and then a write fails that could have been spared. */
static bool is_answered(struct channel *channel)
{
    struct pollfd poll_fd = {.fd = channel->fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) > 0 && !client_stream_is_quiet(channel->stream);
}

/* As channel_send, through TLS: whole records, and not one for each part. */
static kvs_status send_secure(struct channel *channel, struct msghdr *message,
                              const struct deadline *deadline, struct kvs_error *err)
{
    uint8_t record[RECORD_SIZE];
    size_t size = 0;
    size_t done = 0;
    for (bool is_first = true;; is_first = false) {
        if (done == size) {
            done = 0;
            size = gather(message, record, sizeof(record));
            if (size == 0)
                return KVS_OK;
            if (!is_first && is_answered(channel))
                return KVS_STOPPED;
        }
        ssize_t sent = client_stream_write(channel->stream, record + done, size - done);
        if (sent >= 0) {
            done += (size_t)sent;
            continue;
        }
        if (errno == EPIPE || errno == ECONNRESET)
            return KVS_STOPPED;
        if (errno != EAGAIN)
            return broken(channel, errno, err);
        short ready;
        if (!wait_ready(channel->fd, (short)(client_stream_wanted(channel->stream) | POLLIN),
                        deadline, &ready))
            return timed_out(channel, deadline, err);
        /* Not all that TLS receives is an answer. */
        if ((ready & POLLIN) != 0 && !client_stream_is_quiet(channel->stream))
            return KVS_STOPPED;
    }
}

kvs_status channel_send(struct channel *channel, struct iovec *parts, uint32_t part_count,
                        const struct deadline *deadline, struct kvs_error *err)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
    if (channel->stream != NULL)
        return send_secure(channel, &message, deadline, err);
    for (;;) {
        ssize_t size = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
        if (size >= 0) {
            skip_sent(&message, (size_t)size);
            if (message.msg_iovlen == 0)
                return KVS_OK;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return KVS_STOPPED;
        } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            return broken(channel, errno, err);
        }
        /* A refusal may come while the rest waits; without reading it, both sides could wait. */
        short ready;
        if (!wait_ready(channel->fd, POLLOUT | POLLIN, deadline, &ready))
            return timed_out(channel, deadline, err);
        if ((ready & POLLIN) != 0)
            return KVS_STOPPED;
    }
}

/* As recv. */
static ssize_t receive_some(struct channel *channel, void *to, size_t size)
{
    if (channel->stream != NULL)
        return client_stream_read(channel->stream, to, size);
    return recv(channel->fd, to, size, MSG_DONTWAIT);
}

kvs_status channel_receive(struct channel *channel, struct buffer *buffer, size_t size,
                           const struct deadline *deadline, struct kvs_error *err)
{
    bool must_wait = false;
    while (buffer_size(buffer) < size) {
        size_t missing = size - buffer_size(buffer);
        short ready;
        if (buffer_reserve(buffer, missing > RECEIVE_MIN ? missing : RECEIVE_MIN) != KVS_OK)
            return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a reply of %zu bytes", size);
        /* TLS may have it already: only who finds nothing waits. */
        short wanted =
            (short)(channel->stream != NULL ? client_stream_wanted(channel->stream) : POLLIN);
        if ((channel->stream == NULL || must_wait) &&
            !wait_ready(channel->fd, wanted, deadline, &ready))
            return timed_out(channel, deadline, err);
        ssize_t received = receive_some(channel, buffer->data + buffer->end, buffer_room(buffer));
        must_wait = received < 0;
        if (received > 0)
            buffer_commit(buffer, (size_t)received);
        else if (received == 0)
            return kvs_error_set(err, KVS_NETWORK, 0,
                                 "%s closed the connection before its reply was complete",
                                 channel->name);
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return broken(channel, errno, err);
    }
    return KVS_OK;
}
