/* The listening socket. */
#include "support/program.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listener.h"

static void open_on(const char *text, struct listener *listener)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, listener_parse(text, listener, &error.error), &error);
    assert_status(KVS_OK, listener_open(listener, 0600, &error.error), &error);
    assert_status(KVS_OK, listener_listen(listener, 16, &error.error), &error);
}

static bool accepts(void *arg)
{
    int *accepted = ((void **)arg)[1];
    *accepted = listener_accept(((void **)arg)[0]);
    return *accepted >= 0;
}

static void connections_come_in(void **state)
{
    (void)state;
    struct listener listener;
    open_on("127.0.0.1:0", &listener);
    assert_true(listener.port != 0);
    assert_int_equal(listener_accept(&listener), -1);
    assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
    int client = connect_to(listener.port);
    int accepted = -1;
    wait_until(accepts, ((void *[]){&listener, &accepted}));
    int no_delay = 0;
    socklen_t size = sizeof(no_delay);
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    assert_int_equal(no_delay, 1);
    (void)close(accepted);
    (void)close(client);
    listener_close(&listener);
    listener_close(&listener);
}

static void a_port_in_use_is_named(void **state)
{
    (void)state;
    struct listener first;
    struct listener second;
    struct test_error error;
    open_on("127.0.0.1:0", &first);
    test_error_init(&error);
    char text[LISTENER_TEXT_MAX];
    listener_format(&first, text);
    assert_status(KVS_OK, listener_parse(text, &second, &error.error), &error);
    assert_status(KVS_NETWORK, listener_open(&second, 0600, &error.error), &error);
    assert_non_null(strstr(error.message, "the port is in use"));
    assert_non_null(strstr(error.message, text));
    listener_close(&first);
}

static void a_foreign_address_is_refused(void **state)
{
    (void)state;
    struct listener listener;
    struct test_error error;
    test_error_init(&error);
    /* A documentation address (RFC 5737), which no machine has. */
    assert_status(KVS_OK, listener_parse("192.0.2.1:0", &listener, &error.error), &error);
    assert_status(KVS_NETWORK, listener_open(&listener, 0600, &error.error), &error);
    assert_non_null(strstr(error.message, "192.0.2.1"));
}

static void ipv6_is_ipv6(void **state)
{
    (void)state;
    struct listener six;
    open_on("[::1]:0", &six);
    assert_true(six.port != 0);
    listener_close(&six);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_come_in),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(a_foreign_address_is_refused),
        cmocka_unit_test(ipv6_is_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
