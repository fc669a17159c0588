/* See listener.h. Options that every connection needs (TCP_NODELAY) are set on the listening
   socket: Linux hands them down to what is accepted, which saves a system call for each. */
#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define FD_PREFIX "fd:"

kvs_status listener_parse(const char *text, struct listener *ret, struct kvs_error *err)
{
    struct listener listener = {.fd = -1, .inherited_fd = -1, .file = {.lock_fd = -1}};
    const char *rest = text;
    uint64_t number;
    if (strncmp(rest, LISTENER_TLS_PREFIX, strlen(LISTENER_TLS_PREFIX)) == 0) {
        listener.tls = true;
        rest += strlen(LISTENER_TLS_PREFIX);
    }
    if (strncmp(rest, FD_PREFIX, strlen(FD_PREFIX)) == 0) {
        if (!text_parse_u64(rest + strlen(FD_PREFIX), &number) || number > INT32_MAX)
            return kvs_error_set(
                err, KVS_INVALID, 0,
                "'%s' names no descriptor: write " FD_PREFIX "N, as " FD_PREFIX "3", text);
        listener.inherited_fd = (int)number;
    } else {
        kvs_status status = address_parse(rest, &listener.address, err);
        if (status != KVS_OK)
            return status;
    }
    *ret = listener;
    return KVS_OK;
}

static void set_option(int fd, int level, int name)
{
    int on = 1;
    (void)setsockopt(fd, level, name, &on, sizeof(on)); /* best effort: only speed or comfort */
}

static kvs_status bind_failed(const struct listener *listener, int error, struct kvs_error *err)
{
    char text[LISTENER_TEXT_MAX];
    listener_format(listener, text);
    if (error == EADDRINUSE)
        return kvs_error_set(
            err, KVS_NETWORK, error,
            "cannot listen on %s: the port is in use; choose another with --addr or --listen, "
            "or stop what uses it",
            text);
    if (error == EACCES)
        return kvs_error_set(err, KVS_DENIED, error,
                             "cannot listen on %s: ports below 1024 need a privilege; choose "
                             "another with --addr or --listen",
                             text);
    return kvs_error_set(
        err, KVS_NETWORK, error,
        "cannot listen on %s: %s; choose an address of this machine with --addr or --listen", text,
        strerror(error));
}

/* Asks the socket where it is. */
static int learn_address(struct listener *listener, int fd)
{
    struct address bound;
    memset(&bound, 0, sizeof(bound));
    bound.size = sizeof(bound.storage);
    if (getsockname(fd, (struct sockaddr *)&bound.storage, &bound.size) != 0)
        return errno;
    listener->address = bound;
    listener->port = address_port(&bound);
    return 0;
}

static kvs_status open_ip(struct listener *listener, int fd, struct kvs_error *err)
{
    const struct address *address = &listener->address;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (address->storage.ss_family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    int error = bind(fd, (const struct sockaddr *)&address->storage, address->size) != 0
                    ? errno
                    : learn_address(listener, fd);
    return error == 0 ? KVS_OK : bind_failed(listener, error, err);
}

/* Checks what was handed down. The descriptor belongs to the process's starter and is not ours to close:
   we use a duplicate, so that closing it and starting a second server in the process are fine. */
static kvs_status open_inherited(struct listener *listener, struct kvs_error *err)
{
    int listens = 0;
    int type = 0;
    socklen_t size = sizeof(int);
    _cleanup_(closep) int fd = fcntl(listener->inherited_fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || listens == 0 ||
        type != SOCK_STREAM || learn_address(listener, fd) != 0 ||
        (listener->address.storage.ss_family != AF_INET &&
         listener->address.storage.ss_family != AF_INET6 && !address_is_unix(&listener->address)))
        return kvs_error_set(
            err, KVS_INVALID, 0,
            "descriptor %d is no listening TCP or Unix stream socket: look at what "
            "starts the server (systemd: ListenStream=)",
            listener->inherited_fd);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return bind_failed(listener, errno, err);
    if (!address_is_unix(&listener->address))
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    listener->fd = take_fd(&fd);
    return KVS_OK;
}

kvs_status listener_open(struct listener *listener, uint32_t socket_mode, struct kvs_error *err)
{
    if (listener->inherited_fd >= 0)
        return open_inherited(listener, err);
    _cleanup_(closep) int fd =
        socket(listener->address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return bind_failed(listener, errno, err);
    kvs_status status =
        address_is_unix(&listener->address)
            ? unix_socket_bind(&listener->file, fd, &listener->address, socket_mode, err)
            : open_ip(listener, fd, err);
    if (status == KVS_OK)
        listener->fd = take_fd(&fd);
    return status;
}

kvs_status listener_listen(struct listener *listener, uint32_t backlog, struct kvs_error *err)
{
    int size = backlog > INT32_MAX ? INT32_MAX : (int)backlog;
    if (listener->inherited_fd >= 0)
        return KVS_OK; /* it does, with the backlog that its maker chose */
    if (listen(listener->fd, size) != 0)
        return bind_failed(listener, errno, err);
    return KVS_OK;
}

void listener_format(const struct listener *listener, char text[LISTENER_TEXT_MAX])
{
    char address[ADDRESS_TEXT_MAX];
    if (listener->address.size == 0) /* not known yet */
        (void)snprintf(address, sizeof(address), FD_PREFIX "%d", listener->inherited_fd);
    else
        address_format(&listener->address, address);
    (void)snprintf(text, LISTENER_TEXT_MAX, "%s%s", listener->tls ? LISTENER_TLS_PREFIX : "",
                   address);
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
    unix_socket_remove(&listener->file);
}
