/* The client's connection: its deadlines, its idea of "idle", partial sends. I1 is channel.c's. */
#include "support/support.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "client/channel.h"

#define SHORT_TIMEOUT_MS 30u

/* A channel to a listener of this thread, and the other end of the connection. */
struct pipe_pair {
    int listen_fd;
    int peer_fd;
    struct channel channel;
    struct deadline deadline; /* far away */
    struct test_error error;
};

static int listen_at_free_port(int backlog, struct address *ret_address)
{
    assert_int_equal(address_parse("127.0.0.1:0", ret_address, NULL), KVS_OK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&ret_address->storage, ret_address->size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&ret_address->storage, &ret_address->size),
                     0);
    return fd;
}

static void pipe_init(struct pipe_pair *pipe)
{
    struct address address;
    test_error_init(&pipe->error);
    pipe->listen_fd = listen_at_free_port(1, &address);
    pipe->deadline = deadline_in_ms(support_wait_ms());
    channel_init(&pipe->channel, &address, NULL);
    assert_status(KVS_OK, channel_open(&pipe->channel, &pipe->deadline, &pipe->error.error),
                  &pipe->error);
    pipe->peer_fd = accept4(pipe->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(pipe->peer_fd >= 0);
}

static void pipe_deinit(struct pipe_pair *pipe)
{
    channel_close(&pipe->channel);
    (void)close(pipe->peer_fd);
    (void)close(pipe->listen_fd);
}

static bool is_not_idle(void *arg)
{
    return !channel_is_idle(arg);
}

static void deadlines_do_not_overflow(void **state)
{
    (void)state;
    uint64_t now_ns = clock_now_ns();
    struct deadline deadline = deadline_in_ms(5);
    assert_true(deadline.at_ns >= now_ns + 5 * NS_PER_MS);
    assert_int_equal(deadline.timeout_ms, 5);
    assert_true(deadline_in_ms(UINT64_MAX).at_ns == UINT64_MAX);
    assert_true(deadline_in_ms(UINT64_MAX / NS_PER_MS).at_ns == UINT64_MAX);
}

static void a_channel_opens_and_closes(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    pipe_init(&pipe);
    assert_true(channel_is_idle(&pipe.channel));
    channel_close(&pipe.channel);
    assert_int_equal(pipe.channel.fd, -1);
    assert_false(channel_is_idle(&pipe.channel));
    channel_close(&pipe.channel);
    char byte;
    assert_int_equal(recv(pipe.peer_fd, &byte, 1, 0), 0);
    pipe_deinit(&pipe);
}

static void a_closed_peer_is_not_idle(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    pipe_init(&pipe);
    assert_int_equal(shutdown(pipe.peer_fd, SHUT_WR), 0);
    wait_until(is_not_idle, &pipe.channel);
    pipe_deinit(&pipe);
}

static void a_peer_that_speaks_unasked_is_not_idle(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    pipe_init(&pipe);
    assert_int_equal(send(pipe.peer_fd, "x", 1, 0), 1);
    wait_until(is_not_idle, &pipe.channel);
    pipe_deinit(&pipe);
}

static void nobody_listening_is_a_network_fault(void **state)
{
    (void)state;
    struct address address;
    struct channel channel;
    struct test_error error;
    test_error_init(&error);
    (void)close(listen_at_free_port(1, &address));
    channel_init(&channel, &address, NULL);
    struct deadline deadline = deadline_in_ms(support_wait_ms());
    assert_status(KVS_NETWORK, channel_open(&channel, &deadline, &error.error), &error);
    assert_int_equal(error.error.os_errno, ECONNREFUSED);
    assert_int_equal(channel.fd, -1);
}

/* Once a listener's queue is full the kernel leaves further connections unanswered. */
static void a_full_backlog_is_a_timeout(void **state)
{
    (void)state;
    enum {
        CHANNELS = 64
    };
    struct channel channels[CHANNELS];
    struct address address;
    struct test_error error;
    test_error_init(&error);
    int listen_fd = listen_at_free_port(0, &address);
    kvs_status status = KVS_OK;
    int count = 0;
    while (status == KVS_OK && count < CHANNELS) {
        struct deadline deadline = deadline_in_ms(SHORT_TIMEOUT_MS);
        channel_init(&channels[count], &address, NULL);
        status = channel_open(&channels[count++], &deadline, &error.error);
    }
    assert_status(KVS_TIMEOUT, status, &error);
    assert_non_null(strstr(error.message, "no answer within 30 ms"));
    assert_int_equal(channels[count - 1].fd, -1);
    while (count > 0)
        channel_close(&channels[--count]);
    (void)close(listen_fd);
}

static void receive_gives_at_least_what_was_asked(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    struct buffer buffer = {0};
    pipe_init(&pipe);
    assert_int_equal(send(pipe.peer_fd, "abcdef", 6, 0), 6);
    for (size_t size = 0; size <= 6; size++) {
        assert_status(KVS_OK, channel_receive(&pipe.channel, &buffer, size, &pipe.deadline, NULL),
                      NULL);
        assert_true(buffer_size(&buffer) >= size);
    }
    assert_int_equal(buffer_size(&buffer), 6);
    assert_memory_equal(buffer_content(&buffer), "abcdef", 6);

    assert_int_equal(shutdown(pipe.peer_fd, SHUT_WR), 0);
    assert_status(KVS_NETWORK,
                  channel_receive(&pipe.channel, &buffer, 7, &pipe.deadline, &pipe.error.error),
                  &pipe.error);
    assert_non_null(strstr(pipe.error.message, "closed the connection"));
    buffer_deinit(&buffer);
    pipe_deinit(&pipe);
}

/* I1, with what has arrived already: it is kept, and the rest is waited for until the deadline. */
static void receive_ends_at_the_deadline(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    struct buffer buffer = {0};
    pipe_init(&pipe);
    assert_int_equal(send(pipe.peer_fd, "abc", 3, 0), 3);
    struct deadline deadline = deadline_in_ms(SHORT_TIMEOUT_MS);
    assert_status(KVS_TIMEOUT,
                  channel_receive(&pipe.channel, &buffer, 4, &deadline, &pipe.error.error),
                  &pipe.error);
    assert_true(clock_now_ns() >= deadline.at_ns);
    assert_non_null(strstr(pipe.error.message, "within 30 ms"));
    buffer_deinit(&buffer);
    pipe_deinit(&pipe);
}

struct drain {
    int fd;
    uint8_t *bytes;
    size_t size;
    size_t cap;
};

static void *drain_main(void *arg)
{
    struct drain *drain = arg;
    ssize_t count = 1;
    while (count > 0 && drain->size < drain->cap) {
        count = recv(drain->fd, drain->bytes + drain->size, drain->cap - drain->size, 0);
        if (count > 0)
            drain->size += (size_t)count;
    }
    return NULL;
}

/* Parts of all sizes, empty ones too, far larger in all than a socket's buffer. */
static void send_sends_all_parts_in_order(void **state)
{
    (void)state;
    const size_t sizes[] = {16, 0, 100000, 0, 10000000, 1, 0};
    enum {
        PARTS = sizeof(sizes) / sizeof(sizes[0])
    };
    struct iovec parts[PARTS];
    struct pipe_pair pipe;
    struct drain drain = {0};
    pthread_t thread;
    pipe_init(&pipe);
    for (size_t i = 0; i < PARTS; i++)
        drain.cap += sizes[i];
    uint8_t *bytes = malloc(drain.cap);
    drain.bytes = malloc(drain.cap);
    drain.fd = pipe.peer_fd;
    assert_true(bytes != NULL && drain.bytes != NULL);
    for (size_t i = 0; i < drain.cap; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    for (size_t i = 0, at = 0; i < PARTS; at += sizes[i++])
        parts[i] = (struct iovec){bytes + at, sizes[i]};

    assert_int_equal(pthread_create(&thread, NULL, drain_main, &drain), 0);
    kvs_status status =
        channel_send(&pipe.channel, parts, PARTS, &pipe.deadline, &pipe.error.error);
    channel_close(&pipe.channel);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_status(KVS_OK, status, &pipe.error);
    assert_int_equal(drain.size, drain.cap);
    assert_memory_equal(drain.bytes, bytes, drain.cap);
    free(bytes);
    free(drain.bytes);
    pipe_deinit(&pipe);
}

static kvs_status send_much(struct pipe_pair *pipe, uint64_t timeout_ms)
{
    const size_t size = (size_t)64 << 20;
    void *bytes = calloc(1, size);
    assert_non_null(bytes);
    struct iovec part = {bytes, size};
    struct deadline deadline = deadline_in_ms(timeout_ms);
    kvs_status status = channel_send(&pipe->channel, &part, 1, &deadline, &pipe->error.error);
    free(bytes);
    return status;
}

static void send_ends_at_the_deadline(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    pipe_init(&pipe);
    assert_status(KVS_TIMEOUT, send_much(&pipe, SHORT_TIMEOUT_MS), &pipe.error);
    pipe_deinit(&pipe);
}

static void send_stops_when_the_peer_speaks_or_goes(void **state)
{
    (void)state;
    struct pipe_pair pipe;
    pipe_init(&pipe);
    assert_int_equal(send(pipe.peer_fd, "no", 2, 0), 2);
    assert_status(KVS_STOPPED, send_much(&pipe, support_wait_ms()), &pipe.error);
    struct buffer buffer = {0};
    assert_status(KVS_OK, channel_receive(&pipe.channel, &buffer, 2, &pipe.deadline, NULL), NULL);
    assert_memory_equal(buffer_content(&buffer), "no", 2);
    buffer_deinit(&buffer);

    (void)close(pipe.peer_fd);
    pipe.peer_fd = -1;
    assert_status(KVS_STOPPED, send_much(&pipe, support_wait_ms()), &pipe.error);
    assert_status(KVS_STOPPED, send_much(&pipe, support_wait_ms()), &pipe.error);
    pipe_deinit(&pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_do_not_overflow),
        cmocka_unit_test(a_channel_opens_and_closes),
        cmocka_unit_test(a_closed_peer_is_not_idle),
        cmocka_unit_test(a_peer_that_speaks_unasked_is_not_idle),
        cmocka_unit_test(nobody_listening_is_a_network_fault),
        cmocka_unit_test(a_full_backlog_is_a_timeout),
        cmocka_unit_test(receive_gives_at_least_what_was_asked),
        cmocka_unit_test(receive_ends_at_the_deadline),
        cmocka_unit_test(send_sends_all_parts_in_order),
        cmocka_unit_test(send_ends_at_the_deadline),
        cmocka_unit_test(send_stops_when_the_peer_speaks_or_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
