/* See listener.h. Options that every connection needs (TCP_NODELAY) are set on the listening
   socket: Linux hands them down to what is accepted, which saves a system call for each. */
#include "server/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_option(int fd, int level, int name)
{
    int on = 1;
    (void)setsockopt(fd, level, name, &on, sizeof(on)); /* best effort: only speed or comfort */
}

static kvs_status bind_failed(const struct address *address, int error, struct kvs_error *err)
{
    char text[ADDRESS_TEXT_MAX];
    address_format(address, text);
    if (error == EADDRINUSE)
        return kvs_error_set(err, KVS_NETWORK, error,
                             "cannot listen on %s: the port is in use; choose another with --addr, "
                             "or stop what uses it",
                             text);
    if (error == EACCES)
        return kvs_error_set(err, KVS_DENIED, error,
                             "cannot listen on %s: ports below 1024 need a privilege; choose "
                             "another with --addr",
                             text);
    return kvs_error_set(err, KVS_NETWORK, error,
                         "cannot listen on %s: %s; choose an address of this machine with --addr",
                         text, strerror(error));
}

kvs_status listener_open(struct listener *listener, const struct address *address,
                         struct kvs_error *err)
{
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bind_failed(address, errno, err);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (address->storage.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    struct address bound = *address;
    bound.size = sizeof(bound.storage);
    if (bind(fd, (const struct sockaddr *)&address->storage, address->size) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound.storage, &bound.size) != 0) {
        int error = errno;
        (void)close(fd);
        return bind_failed(address, error, err);
    }
    *listener = (struct listener){.fd = fd, .address = bound, .port = address_port(&bound)};
    return KVS_OK;
}

kvs_status listener_listen(struct listener *listener, uint32_t backlog, struct kvs_error *err)
{
    int size = backlog > INT32_MAX ? INT32_MAX : (int)backlog;
    if (listen(listener->fd, size) != 0)
        return bind_failed(&listener->address, errno, err);
    return KVS_OK;
}

int listener_accept(const struct listener *listener)
{
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            return fd;
        switch (errno) {
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EPERM:
            continue; /* that one is lost; the next may be fine */
        default:
            return -1;
        }
    }
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0)
        (void)close(listener->fd);
    listener->fd = -1;
}
