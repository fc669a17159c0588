/*
 * See bare.h. Requests of this benchmark fit into one segment, so a request that did not come as a
 * whole ends its connection, which the client then reports.
 */
#include "classic/bare.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib.h>

#include "protocol/native.h"

#define BACKLOG     4096
#define EVENTS_MAX  256
#define REQUEST_MAX 4096u
#define VALUE_MAX   4096u

struct bare {
    int listen_fd;
    int epoll_fd;
    int stop_fd; /* readable: end */
    uint16_t port;
    uint32_t value_size;
    pthread_t thread;
};

static void accept_all(struct bare *bare)
{
    const int on = 1;
    for (;;) {
        int fd = accept4(bare->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
        if (epoll_ctl(bare->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
            (void)close(fd);
    }
}

/* Answers one request; false: the connection is at its end. */
static bool answer(const struct bare *bare, int fd)
{
    static const struct request_limits limits = {REQUEST_MAX, REQUEST_MAX};
    uint8_t bytes[REQUEST_MAX];
    uint8_t reply[NATIVE_HEADER_SIZE + VALUE_MAX];
    struct request request;
    uint64_t size;
    ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    if (native_decode_request((struct kvs_bytes){bytes, (uint64_t)got}, &limits, &request, &size,
                              NULL) != DECODE_REQUEST)
        return false;
    uint32_t body_size = request.command == REQUEST_GET ? bare->value_size : 0;
    native_encode_reply(reply, request.id, KVS_OK, body_size);
    memset(reply + NATIVE_HEADER_SIZE, 'x', body_size);
    ssize_t reply_size = (ssize_t)NATIVE_HEADER_SIZE + body_size;
    return send(fd, reply, (size_t)reply_size, MSG_NOSIGNAL) == reply_size;
}

static void *bare_main(void *arg)
{
    struct bare *bare = arg;
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(bare->epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == bare->stop_fd)
                return NULL;
            if (fd == bare->listen_fd)
                accept_all(bare);
            else if (!answer(bare, fd))
                (void)close(fd);
        }
    }
}

static bool watch(const struct bare *bare, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(bare->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Makes the descriptors; false: errno says why not. */
static bool bare_open(struct bare *bare)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    bare->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bare->stop_fd = eventfd(0, EFD_CLOEXEC);
    bare->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bare->epoll_fd < 0 || bare->stop_fd < 0 || bare->listen_fd < 0 ||
        bind(bare->listen_fd, (struct sockaddr *)&address, size) != 0 ||
        listen(bare->listen_fd, BACKLOG) != 0 ||
        getsockname(bare->listen_fd, (struct sockaddr *)&address, &size) != 0 ||
        !watch(bare, bare->listen_fd) || !watch(bare, bare->stop_fd))
        return false;
    bare->port = ntohs(address.sin_port);
    return true;
}

static void bare_close(struct bare *bare)
{
    const int fds[] = {bare->listen_fd, bare->epoll_fd, bare->stop_fd};
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    g_free(bare);
}

kvs_status bare_start(uint32_t value_size, struct bare **ret_bare, struct kvs_error *err)
{
    if (value_size > VALUE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0, "a value of at most %u bytes", VALUE_MAX);
    struct bare *bare = g_new0(struct bare, 1);
    bare->value_size = value_size;
    bare->listen_fd = bare->epoll_fd = bare->stop_fd = -1;
    if (!bare_open(bare)) {
        int code = errno;
        bare_close(bare);
        return kvs_error_set(err, KVS_NETWORK, code, "cannot listen: %s", g_strerror(code));
    }
    int code = pthread_create(&bare->thread, NULL, bare_main, bare);
    if (code != 0) {
        bare_close(bare);
        return kvs_error_set(err, KVS_NO_MEMORY, code, "cannot make a thread: %s",
                             g_strerror(code));
    }
    *ret_bare = bare;
    return KVS_OK;
}

uint16_t bare_port(const struct bare *bare)
{
    return bare->port;
}

void bare_stop(struct bare *bare)
{
    const uint64_t one = 1;
    if (bare == NULL)
        return;
    if (write(bare->stop_fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
        return; /* an eventfd always takes it; leaking is better than freeing under the thread */
    (void)pthread_join(bare->thread, NULL);
    bare_close(bare);
}
