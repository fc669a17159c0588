/* How OpenSSL gets at a socket: as its own BIO_s_socket, but without SIGPIPE and EINTR. */
#ifndef TLS_SOCKET_BIO_H
#define TLS_SOCKET_BIO_H

#include <openssl/bio.h>
#include <stdbool.h>

/* Makes a BIO over a socket, which stays the caller's. NULL: out of memory. Any thread. */
BIO *socket_bio_new(int fd);

/* True when the last that was received left the socket empty. */
bool socket_bio_is_drained(BIO *bio);

#endif
