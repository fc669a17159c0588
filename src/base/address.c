/* See address.h. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

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

kvs_status address_parse(const char *text, struct address *ret, struct kvs_error *err)
{
    char host[INET6_ADDRSTRLEN];
    const char *port_text;
    bool is_ipv6;
    uint64_t port;
    struct address address;
    memset(&address, 0, sizeof(address));
    if (!split(text, host, sizeof(host), &port_text, &is_ipv6) ||
        !text_parse_u64(port_text, &port) || port > UINT16_MAX)
        goto invalid;
    if (is_ipv6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        address.size = sizeof(*in6);
        if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
            goto invalid;
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        address.size = sizeof(*in);
        if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
            goto invalid;
    }
    *ret = address;
    return KVS_OK;
invalid:
    return kvs_error_set(err, KVS_INVALID, 0,
                         "'%s' is no address: write IP:PORT, as 127.0.0.1:4000 or [::1]:4000",
                         text);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->storage.ss_family == AF_INET6) {
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
    if (address->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}
