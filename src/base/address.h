/* TCP addresses as text: "127.0.0.1:4000", "[::1]:4000". Numeric only: nothing is looked up. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#include <kvs/types.h>

#define ADDRESS_DEFAULT  "127.0.0.1:4000"
#define ADDRESS_TEXT_MAX 64u /* bytes of the text form, terminator included */

struct address {
    struct sockaddr_storage storage;
    socklen_t size; /* bytes used of storage */
};

/* KVS_OK, or KVS_INVALID with a message that quotes text and shows both forms. */
KVS_MUST_USE kvs_status address_parse(const char *text, struct address *ret, struct kvs_error *err);

/* Writes the text form, terminated. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);

uint16_t address_port(const struct address *address);

#endif
