/* Where a server listens, as text: "127.0.0.1:4000", "[::1]:4000", "unix:/run/kvs.sock". Numeric only:
   nothing is looked up. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <kvs/types.h>

#define ADDRESS_DEFAULT     "127.0.0.1:4000"
#define ADDRESS_UNIX_PREFIX "unix:"
#define ADDRESS_TEXT_MAX    120u /* bytes of the text form, terminator included */

struct address {
    struct sockaddr_storage storage;
    socklen_t size; /* bytes used of storage */
};

/* KVS_OK, or KVS_INVALID with a message that quotes text and shows the forms. */
KVS_MUST_USE kvs_status address_parse(const char *text, struct address *ret, struct kvs_error *err);

/* Writes the text form, terminated. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);

/* 0 of a Unix socket. */
uint16_t address_port(const struct address *address);

bool address_is_unix(const struct address *address);
/* The path of a Unix socket; "" of one that has none. A view of the address. */
const char *address_path(const struct address *address);

/* True when only this machine can reach it: a loopback address or a Unix socket. */
bool address_is_local(const struct address *address);

#endif
