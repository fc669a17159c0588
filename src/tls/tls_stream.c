/*
 * See tls_stream.h.
 *
 * I1  OpenSSL's list of errors belongs to the thread, not to the connection: it is empty before each call, or
 *     an old error of another connection would be taken for this one's.
 * I2  A stream that is broken is not given to OpenSSL again, not even for saying good-bye. A socket that
 *     failed in a write breaks only the writing side: what the peer said before it went (why it refuses what is
 *     being sent) is in the socket, and reading touches nothing that writing left behind.
 */
#include "tls/tls_stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tls/socket_bio.h"

kvs_status tls_stream_init(struct tls_stream *stream, SSL_CTX *context, int fd, bool is_server)
{
    ERR_clear_error(); /* I1 */
    SSL *ssl = SSL_new(context);
    BIO *bio = ssl != NULL ? socket_bio_new(fd) : NULL;
    if (bio == NULL) {
        SSL_free(ssl);
        ERR_clear_error();
        return KVS_NO_MEMORY;
    }
    SSL_set_bio(ssl, bio, bio);
    if (is_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    *stream = (struct tls_stream){.ssl = ssl, .wanted = is_server ? POLLIN : POLLOUT};
    return KVS_OK;
}

void tls_stream_deinit(struct tls_stream *stream)
{
    SSL_free(stream->ssl);
    stream->ssl = NULL;
}

void tls_explain(char *text, size_t size)
{
    /* The first error is the cause, those behind it follow from it. */
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    if (code != 0 && ERR_SYSTEM_ERROR(code))
        (void)snprintf(text, size, "%s", strerror(ERR_GET_REASON(code)));
    else if (reason != NULL)
        (void)snprintf(text, size, "%s", reason);
    else
        (void)snprintf(text, size, "error %lu of OpenSSL", code);
    ERR_clear_error();
}

static int broken(struct tls_stream *stream)
{
    stream->broken = true;
    long verified = SSL_get_verify_result(stream->ssl);
    unsigned long code = ERR_peek_error();
    if (verified != X509_V_OK && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        (void)snprintf(stream->reason, sizeof(stream->reason), "the peer's certificate: %s",
                       X509_verify_cert_error_string(verified));
        ERR_clear_error();
    } else {
        tls_explain(stream->reason, sizeof(stream->reason));
    }
    errno = EPROTO;
    return -1;
}

/* What a call that did not succeed means: 0 the peer has ended; -1 with errno. */
static int outcome(struct tls_stream *stream, int result, int saved_errno, bool writing)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        stream->wanted = POLLIN;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_WANT_WRITE:
        stream->wanted = POLLOUT;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (saved_errno == 0)
            return 0;
        if (writing)
            stream->deaf = true;
        else
            stream->broken = true;
        errno = saved_errno;
        return -1;
    case SSL_ERROR_SSL:
    default:
        if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            stream->broken = true;
            return 0;
        }
        return broken(stream);
    }
}

/* Before each call of OpenSSL. */
static void prepare(void)
{
    ERR_clear_error(); /* I1 */
    errno = 0;
}

static bool is_broken(const struct tls_stream *stream)
{
    if (stream->broken)
        errno = EPROTO;
    return stream->broken; /* I2 */
}

ssize_t tls_stream_read(struct tls_stream *stream, void *to, size_t size)
{
    size_t received;
    if (is_broken(stream))
        return -1;
    prepare();
    int result = SSL_read_ex(stream->ssl, to, size, &received);
    return result == 1 ? (ssize_t)received : outcome(stream, result, errno, false);
}

ssize_t tls_stream_write(struct tls_stream *stream, const void *from, size_t size)
{
    size_t sent;
    if (is_broken(stream))
        return -1;
    if (stream->deaf) {
        errno = EPIPE;
        return -1;
    }
    prepare();
    int result = SSL_write_ex(stream->ssl, from, size, &sent);
    if (result == 1)
        return (ssize_t)sent;
    result = outcome(stream, result, errno, true);
    if (result == 0) { /* the peer has ended: nobody is there to write to */
        errno = EPIPE;
        return -1;
    }
    return result;
}

int tls_stream_handshake(struct tls_stream *stream)
{
    if (is_broken(stream))
        return -1;
    prepare();
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1)
        return 0;
    result = outcome(stream, result, errno, false);
    if (result == 0) {
        errno = ECONNRESET;
        return -1;
    }
    return result;
}

bool tls_stream_is_established(const struct tls_stream *stream)
{
    return SSL_is_init_finished(stream->ssl) == 1;
}

bool tls_stream_is_drained(const struct tls_stream *stream)
{
    return SSL_has_pending(stream->ssl) == 0 && socket_bio_is_drained(SSL_get_rbio(stream->ssl));
}

bool tls_stream_is_quiet(struct tls_stream *stream)
{
    char byte;
    size_t received;
    if (stream->broken)
        return false;
    prepare();
    int result = SSL_peek_ex(stream->ssl, &byte, 1, &received);
    return result != 1 && outcome(stream, result, errno, false) < 0 && errno == EAGAIN;
}

void tls_stream_end_output(struct tls_stream *stream)
{
    if (stream->broken || stream->deaf || !tls_stream_is_established(stream))
        return;
    prepare();
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
}
