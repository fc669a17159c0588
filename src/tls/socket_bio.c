/* See socket_bio.h. OpenSSL's own BIO sends with write(), which raises SIGPIPE; a library may not change how
   its process takes that. The method is made once and lives as long as the process. */
#include "tls/socket_bio.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

#define DRAINED 1 /* bit 0 of the BIO's data; the socket is above it */

static intptr_t data_of(BIO *bio)
{
    return (intptr_t)BIO_get_data(bio);
}

static int fd_of(BIO *bio)
{
    return (int)(data_of(bio) >> 1);
}

static void set_data(BIO *bio, int fd, bool drained)
{
    BIO_set_data(bio, (void *)(((intptr_t)fd << 1) | (drained ? DRAINED : 0)));
}

bool socket_bio_is_drained(BIO *bio)
{
    return (data_of(bio) & DRAINED) != 0;
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *ret_written)
{
    ssize_t sent;
    BIO_clear_retry_flags(bio);
    do
        sent = send(fd_of(bio), from, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            BIO_set_retry_write(bio);
        return 0;
    }
    *ret_written = (size_t)sent;
    return 1;
}

static int bio_read(BIO *bio, char *to, size_t size, size_t *ret_read)
{
    ssize_t received;
    BIO_clear_retry_flags(bio);
    do
        received = recv(fd_of(bio), to, size, 0);
    while (received < 0 && errno == EINTR);
    if (received > 0) {
        set_data(bio, fd_of(bio), (size_t)received < size);
        *ret_read = (size_t)received;
        return 1;
    }
    if (received == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
        BIO_set_retry_read(bio);
    return 0;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static BIO_METHOD *method; /* written once, under `once` */

static void make_method(void)
{
    int type = BIO_get_new_index();
    BIO_METHOD *made = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "kvs socket");
    if (made == NULL)
        return;
    (void)BIO_meth_set_write_ex(made, bio_write);
    (void)BIO_meth_set_read_ex(made, bio_read);
    (void)BIO_meth_set_ctrl(made, bio_control);
    method = made;
}

BIO *socket_bio_new(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_method);
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL)
        return NULL;
    set_data(bio, fd, false);
    BIO_set_init(bio, 1);
    return bio;
}
