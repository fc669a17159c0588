/* See address.h. */
#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/text.h"

static_assert(ADDRESS_TEXT_MAX >=
                  sizeof(ADDRESS_UNIX_PREFIX) + sizeof(((struct sockaddr_un *)0)->sun_path),
              "the longest path has room");

/* Copies the host part of text to host, without brackets, and finds the port behind its colon. */
static bool split(const char *text, char *host, size_t host_cap, const char **ret_port,
                  bool *ret_is_ipv6)
{
    bool bracketed = text[0] == '[';
    const char *begin = text + (bracketed ? 1 : 0);
    const char *end = bracketed ? strchr(begin, ']') : strrchr(begin, ':');
    if (end == NULL)
        return false;
    const char *colon = bracketed ? end + 1 : end;
    size_t size = (size_t)(end - begin);
    if (*colon != ':' || size == 0 || size >= host_cap)
        return false;
    memcpy(host, begin, size);
    host[size] = '\0';
    *ret_port = colon + 1;
    *ret_is_ipv6 = bracketed;
    return true;
}

static bool parse_ip(const char *text, struct address *address)
{
    char host[INET6_ADDRSTRLEN];
    const char *port_text;
    bool is_ipv6;
    uint64_t port;
    if (!split(text, host, sizeof(host), &port_text, &is_ipv6) ||
        !text_parse_u64(port_text, &port) || port > UINT16_MAX)
        return false;
    if (is_ipv6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        address->size = sizeof(*in6);
        return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    address->size = sizeof(*in);
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static kvs_status parse_path(const char *path, struct address *address, struct kvs_error *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(un->sun_path))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "the path of '" ADDRESS_UNIX_PREFIX "%s' must have 1 to %zu bytes",
                             path, sizeof(un->sun_path) - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, size + 1);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    return KVS_OK;
}

kvs_status address_parse(const char *text, struct address *ret, struct kvs_error *err)
{
    struct address address;
    size_t prefix_size = strlen(ADDRESS_UNIX_PREFIX);
    memset(&address, 0, sizeof(address));
    if (strncmp(text, ADDRESS_UNIX_PREFIX, prefix_size) == 0) {
        kvs_status status = parse_path(text + prefix_size, &address, err);
        if (status != KVS_OK)
            return status;
    } else if (!parse_ip(text, &address)) {
        return kvs_error_set(err, KVS_INVALID, 0,
                             "'%s' is no address: write IP:PORT, as 127.0.0.1:4000 or [::1]:4000, "
                             "or " ADDRESS_UNIX_PREFIX "PATH",
                             text);
    }
    *ret = address;
    return KVS_OK;
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address_is_unix(address)) {
        (void)snprintf(text, ADDRESS_TEXT_MAX, ADDRESS_UNIX_PREFIX "%s", address_path(address));
    } else if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        (void)snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        (void)snprintf(text, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(in->sin_port));
    }
}

uint16_t address_port(const struct address *address)
{
    if (address_is_unix(address))
        return 0;
    if (address->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

bool address_is_unix(const struct address *address)
{
    return address->storage.ss_family == AF_UNIX;
}

const char *address_path(const struct address *address)
{
    /* The kernel gives the size, and the terminator only where there is a path: storage is zeroed, or
       large enough to have one behind it. */
    if (!address_is_unix(address) || address->size <= offsetof(struct sockaddr_un, sun_path))
        return "";
    return ((const struct sockaddr_un *)&address->storage)->sun_path;
}

bool address_is_local(const struct address *address)
{
    if (address_is_unix(address))
        return true;
    if (address->storage.ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)&address->storage)->sin_addr.s_addr) >> 24 ==
               IN_LOOPBACKNET;
    if (address->storage.ss_family != AF_INET6)
        return false;
    const struct in6_addr *ip = &((const struct sockaddr_in6 *)&address->storage)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(ip) ||
           (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == IN_LOOPBACKNET);
}
