/* See endpoint.h. */
#include "load/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool is_loopback(const struct address *address)
{
    if (address->storage.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &address->storage, sizeof(in));
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, &address->storage, sizeof(in6));
    if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return in6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

kvs_status endpoint_parse(const char *text, bool allow_remote, struct endpoint *ret,
                          struct kvs_error *err)
{
    static const struct {
        const char *name;
        const struct wire *wire;
    } protocols[] = {{"kvs", &wire_kvs},
                     {"resp", &wire_resp},
                     {"redis", &wire_resp},
                     {"memcached", &wire_memcached}};
    struct endpoint endpoint = {0};
    char address_text[ADDRESS_TEXT_MAX];
    const char *rest = strstr(text, "://");
    for (size_t i = 0; rest != NULL && i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        size_t size = strlen(protocols[i].name);
        if (size == (size_t)(rest - text) && strncmp(text, protocols[i].name, size) == 0)
            endpoint.wire = protocols[i].wire;
    }
    if (endpoint.wire == NULL)
        return kvs_error_set(
            err, KVS_INVALID, 0,
            "target %s: write kvs://IP:PORT, resp://IP:PORT or memcached://IP:PORT", text);
    kvs_status status = address_parse(rest + 3, &endpoint.address, err);
    if (status != KVS_OK)
        return status;
    if (!allow_remote && !is_loopback(&endpoint.address))
        return kvs_error_set(err, KVS_DENIED, 0,
                             "target %s is not this machine; a load generator can bring a server "
                             "down: give --allow-remote if that one is yours",
                             text);
    address_format(&endpoint.address, address_text);
    (void)snprintf(endpoint.text, sizeof(endpoint.text), "%s://%s", endpoint.wire->name,
                   address_text);
    *ret = endpoint;
    return KVS_OK;
}
