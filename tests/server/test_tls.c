/* TLS over real sockets: requests, certificates, mistakes on either side, and peers that are slow. */
#include "server/tls_world.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "support/relay.h"

#define LARGE ((size_t)3000000)
#define MANY  200u

static void for_each_pool(void (*body)(struct tls_world *world))
{
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct kvs_server_config config = {0};
        struct tls_world world;
        tls_world_start(&world, *pool, &config);
        body(&world);
        tls_world_stop(&world);
    }
}

static bool has_logged(void *arg)
{
    return tls_world_logged(((void **)arg)[0], ((void **)arg)[1]) > 0;
}

static void wait_for_log(struct tls_world *world, const char *part)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "%s", part);
    wait_until(has_logged, ((void *[]){world, text}));
}

/* ---- requests ----------------------------------------------------------------------------- */

static void requests_body(struct tls_world *world)
{
    struct test_error error;
    struct kvs_bytes value;
    char *large = malloc(LARGE);
    struct kvs_client *client = tls_world_client(world, NULL);
    test_error_init(&error);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 31 + i / 4096);
    assert_status(KVS_OK, kvs_client_ping(client, &error.error), &error);
    assert_status(KVS_NOT_FOUND, kvs_client_get(client, bytes_of_text("k"), &value, &error.error),
                  &error);
    assert_status(KVS_OK,
                  kvs_client_set(client, bytes_of_text("k"), bytes_of(large, LARGE), &error.error),
                  &error);
    assert_status(KVS_OK, kvs_client_get(client, bytes_of_text("k"), &value, &error.error), &error);
    assert_true(bytes_equal(value, bytes_of(large, LARGE)));
    kvs_client_free(client);
    /* The other address serves the same without TLS. */
    int fd = connect_to(world->fixture.port);
    send_request(fd, 1, REQUEST_REMOVE, "k", NULL);
    expect_reply(fd, 1, KVS_OK, "");
    (void)close(fd);
    free(large);
}

static void requests_are_served(void **state)
{
    (void)state;
    for_each_pool(requests_body);
}

/* The refusal of a request comes while the client still sends it, and the server does not wait for the rest. */
static void refusals_arrive(void **state)
{
    (void)state;
    char *large = calloc(1, LARGE);
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        struct kvs_server_config config = {.value_max = 1024, .password = "secret"};
        struct tls_world world;
        struct test_error error;
        tls_world_start(&world, *pool, &config);
        test_error_init(&error);
        const struct kvs_client_config stranger = {0};
        const struct kvs_client_config friend = {.password = "secret"};
        for (unsigned i = 0; i < 20; i++) {
            struct kvs_client *client = tls_world_client(&world, i % 2 == 0 ? &stranger : &friend);
            assert_status(
                i % 2 == 0 ? KVS_DENIED : KVS_TOO_LARGE,
                kvs_client_set(client, bytes_of_text("k"), bytes_of(large, LARGE), &error.error),
                &error);
            kvs_client_free(client);
        }
        tls_world_stop(&world);
    }
    free(large);
}

/* ---- certificates of the server ----------------------------------------------------------- */

static void check_no_tls(struct tls_world *world, const struct kvs_client_config *config,
                         const char *reason)
{
    struct test_error error;
    struct kvs_client *client = tls_world_client(world, config);
    test_error_init(&error);
    assert_status(KVS_NETWORK, kvs_client_ping(client, &error.error), &error);
    if (strstr(error.message, reason) == NULL)
        fail_msg("'%s' does not say '%s'", error.message, reason);
    kvs_client_free(client);
}

static void check_ping(struct tls_world *world, const struct kvs_client_config *config)
{
    struct test_error error;
    struct kvs_client *client = tls_world_client(world, config);
    test_error_init(&error);
    assert_status(KVS_OK, kvs_client_ping(client, &error.error), &error);
    kvs_client_free(client);
}

static void clients_check_the_server(void **state)
{
    (void)state;
    struct kvs_server_config config = {0};
    struct tls_world world;
    tls_world_start(&world, "shared-queue", &config);
    char *other_ca = certificate_path(world.folder, "other-ca");
    struct kvs_client_config wrong_ca = {.tls_ca = other_ca};
    struct kvs_client_config wrong_name = {.tls_server_name = "other.test"};
    struct kvs_client_config right_name = {.tls_server_name = "kvs.test"};
    struct kvs_client_config insecure = {.tls_ca = other_ca, .flags = KVS_CLIENT_TLS_INSECURE};
    check_no_tls(&world, &wrong_ca, "certificate");
    check_no_tls(&world, &wrong_name, "hostname mismatch");
    check_ping(&world, &right_name);
    check_ping(&world, &insecure);
    check_ping(&world, NULL);
    wait_for_log(&world, "it does not trust our certificate");
    free(other_ca);
    tls_world_stop(&world);
}

static void an_expired_certificate_is_said_to_be(void **state)
{
    (void)state;
    char *folder = temp_dir_new();
    const struct certificate_order ca = {.name = "ca", .is_ca = true};
    const struct certificate_order old = {.name = "old",
                                          .issuer = "ca",
                                          .alternatives = "IP:127.0.0.1",
                                          .begins_in_s = -1000,
                                          .ends_in_s = -10};
    certificate_make(folder, &ca);
    certificate_make(folder, &old);
    char *ca_path = certificate_path(folder, "ca");
    char *pem = certificate_path(folder, "old");
    char *key = certificate_key_path(folder, "old");
    struct kvs_server_config config = {.tls_cert = pem, .tls_key = key};
    struct tls_world world;
    tls_world_start(&world, "shared-queue", &config);
    assert_int_equal(tls_world_logged(&world, "has expired"), 1);
    struct kvs_client_config client = {.tls_ca = ca_path};
    check_no_tls(&world, &client, "certificate has expired");
    tls_world_stop(&world);
    free(ca_path);
    free(pem);
    free(key);
    temp_dir_free(folder);
}

/* ---- mistakes in the configuration -------------------------------------------------------- */

static void check_start(struct kvs_server_config *config, kvs_status status, const char *reason)
{
    static const char *const listen[] = {"tls:127.0.0.1:0"};
    struct test_error error;
    test_error_init(&error);
    config->size = (uint32_t)sizeof(*config);
    config->listen = listen;
    config->listen_count = 1;
    config->engine = "test";
    config->plugin_dirs = test_plugin_dirs()->paths;
    config->plugin_dir_count = test_plugin_dirs()->count;
    assert_status(status, kvs_server_check(config, &error.error), &error);
    if (strstr(error.message, reason) == NULL)
        fail_msg("'%s' does not say '%s'", error.message, reason);
}

static void mistakes_are_said_at_the_start(void **state)
{
    (void)state;
    char *folder = temp_dir_new();
    const struct certificate_order one = {.name = "one"};
    const struct certificate_order two = {.name = "two"};
    const struct certificate_order locked = {.name = "locked", .pass_phrase = "open sesame"};
    certificate_make(folder, &one);
    certificate_make(folder, &two);
    certificate_make(folder, &locked);
    char *pem = certificate_path(folder, "one");
    char *key = certificate_key_path(folder, "one");
    char *other_key = certificate_key_path(folder, "two");
    char *locked_pem = certificate_path(folder, "locked");
    char *locked_key = certificate_key_path(folder, "locked");
    char *missing = path_join(folder, "missing");
    struct kvs_server_config config = {0};
    check_start(&config, KVS_INVALID, "--tls-cert and --tls-key");
    config.tls_cert = pem;
    check_start(&config, KVS_INVALID, "--tls-cert and --tls-key");
    config.tls_key = missing;
    check_start(&config, KVS_MISSING, missing);
    config.tls_key = other_key;
    check_start(&config, KVS_INVALID, "does not belong to the certificate");
    config.tls_key = pem;
    check_start(&config, KVS_INVALID, "cannot use the TLS key");
    config.tls_key = key;
    check_start(&config, KVS_OK, "");
    config.tls_cert = missing;
    check_start(&config, KVS_INVALID, missing);
    config.tls_cert = key;
    check_start(&config, KVS_INVALID, "cannot use the TLS certificate");
    config.tls_cert = locked_pem;
    config.tls_key = locked_key;
    check_start(&config, KVS_INVALID, "cannot use the TLS key"); /* and nobody is asked for it */
    config.tls_cert = pem;
    config.tls_key = key;
    config.tls_client_ca = key;
    check_start(&config, KVS_INVALID, "cannot use the CA of client certificates");
    config.tls_client_ca = NULL;
    assert_int_equal(chmod(key, 0644), 0);
    check_start(&config, KVS_DENIED, "open to others");
    free(pem);
    free(key);
    free(other_key);
    free(locked_pem);
    free(locked_key);
    free(missing);
    temp_dir_free(folder);
}

/* ---- certificates of clients -------------------------------------------------------------- */

/* A client with the certificate of this name (NULL: none) gets this far. */
static void check_client(struct tls_world *world, const char *name, bool comes_in)
{
    struct test_error error;
    struct kvs_client_config config = {0};
    char *pem = name != NULL ? certificate_path(world->folder, name) : NULL;
    char *key = name != NULL ? certificate_key_path(world->folder, name) : NULL;
    config.tls_cert = pem;
    config.tls_key = key;
    struct kvs_client *client = tls_world_client(world, &config);
    test_error_init(&error);
    kvs_status status = kvs_client_ping(client, &error.error);
    assert_status(comes_in ? KVS_OK : KVS_NETWORK, status, &error);
    if (!comes_in && strstr(error.message, "alert") == NULL)
        fail_msg("'%s' does not say why", error.message);
    kvs_client_free(client);
    free(pem);
    free(key);
}

static void client_certificates_are_checked(void **state)
{
    (void)state;
    for (unsigned optional = 0; optional < 2; optional++) {
        for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
            char *folder = temp_dir_new();
            const struct certificate_order order = {.name = "clients", .is_ca = true};
            certificate_make(folder, &order);
            char *clients = certificate_path(folder, "clients");
            struct kvs_server_config config = {.tls_client_ca = clients,
                                               .tls_client_optional = optional};
            struct tls_world world;
            tls_world_start(&world, *pool, &config);
            check_client(&world, NULL, optional != 0);
            check_client(&world, "client", false); /* of a CA that is not that of clients */
            config.tls_client_ca = world.ca;
            assert_int_equal(kvs_server_reload(world.fixture.server, &config, NULL), KVS_OK);
            check_client(&world, "client", true);
            check_client(&world, "other-client", false);
            if (optional == 0)
                wait_for_log(&world, "peer did not return a certificate: --tls-client-ca");
            tls_world_stop(&world);
            free(clients);
            temp_dir_free(folder);
        }
    }
}

/* ---- reloading ---------------------------------------------------------------------------- */

static void new_connections_get_the_new_certificate(void **state)
{
    (void)state;
    struct kvs_server_config config = {0};
    struct tls_world world;
    struct test_error error;
    tls_world_start(&world, "shared-queue", &config);
    test_error_init(&error);
    struct kvs_client *before = tls_world_client(&world, NULL);
    assert_status(KVS_OK, kvs_client_ping(before, &error.error), &error);

    /* Damaged files change nothing. */
    assert_int_equal(truncate(world.server_pem, 100), 0);
    assert_status(KVS_INVALID, kvs_server_reload(world.fixture.server, &config, &error.error),
                  &error);
    assert_non_null(strstr(error.message, world.server_pem));
    check_ping(&world, NULL);

    const struct certificate_order order = {
        .name = "server", .issuer = "other-ca", .alternatives = "IP:127.0.0.1"};
    certificate_make(world.folder, &order);
    assert_status(KVS_OK, kvs_server_reload(world.fixture.server, &config, &error.error), &error);
    check_no_tls(&world, NULL, "certificate");
    char *other_ca = certificate_path(world.folder, "other-ca");
    struct kvs_client_config with_other = {.tls_ca = other_ca};
    check_ping(&world, &with_other);
    /* Who is in stays in. */
    assert_status(KVS_OK, kvs_client_ping(before, &error.error), &error);
    kvs_client_free(before);
    free(other_ca);
    tls_world_stop(&world);
}

/* ---- the wrong language ------------------------------------------------------------------- */

static void plain_body(struct tls_world *world)
{
    char text[64] = "";
    int fd = connect_to(world->port);
    send_request(fd, 1, REQUEST_PING, NULL, NULL);
    expect_reply(fd, 0, KVS_PROTOCOL, "this address speaks TLS (kvs-client, redis-cli: --tls)");
    expect_closed(fd);
    (void)close(fd);
    static const char expected[] = "-ERR this address speaks TLS";
    fd = connect_to(world->port);
    assert_true(send_all(fd, "PING\r\n", 6));
    assert_true(receive_all(fd, text, sizeof(expected) - 1));
    assert_string_equal(text, expected);
    (void)close(fd);
    wait_for_log(world, "it does not speak TLS");
    assert_int_equal(tls_world_logged(world, "it does not speak TLS"), 1); /* once per cause */
    check_ping(world, NULL);
}

static void who_does_not_speak_tls_is_told(void **state)
{
    (void)state;
    for_each_pool(plain_body);
}

static void stray_body(struct tls_world *world)
{
    char address[64];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", world->fixture.port);
    const struct kvs_client_config config = {.address = address};
    check_no_tls(world, &config, "");
    wait_for_log(world, "speaks TLS at an address without it");
}

static void who_speaks_tls_elsewhere_is_told(void **state)
{
    (void)state;
    for_each_pool(stray_body);
}

/* A TLS connection of the test's own, blocking, of at most this version. NULL: none came about. */
static SSL *raw_connect(struct tls_world *world, SSL_CTX **ret_context, int version)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_set_max_proto_version(context, version), 1);
    SSL *ssl = SSL_new(context);
    assert_int_equal(SSL_set_fd(ssl, connect_to(world->port)), 1);
    *ret_context = context;
    if (SSL_connect(ssl) == 1)
        return ssl;
    (void)close(SSL_get_fd(ssl));
    SSL_free(ssl);
    return NULL;
}

static void older_versions_are_refused(void **state)
{
    (void)state;
    struct kvs_server_config config = {0};
    struct tls_world world;
    SSL_CTX *context;
    tls_world_start(&world, "shared-queue", &config);
    assert_null(raw_connect(&world, &context, TLS1_2_VERSION));
    SSL_CTX_free(context);
    wait_for_log(&world, "it speaks an older version than TLS 1.3");
    tls_world_stop(&world);
}

/* ---- slow and strange peers --------------------------------------------------------------- */

static void write_all(SSL *ssl, const uint8_t *from, size_t size)
{
    for (size_t at = 0; at < size;) {
        int sent = SSL_write(ssl, from + at, (int)(size - at));
        assert_true(sent > 0);
        at += (size_t)sent;
    }
}

static void read_all(SSL *ssl, uint8_t *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        int received = SSL_read(ssl, to + at, (int)(size - at));
        assert_true(received > 0);
        at += (size_t)received;
    }
}

static void raw_ping(SSL *ssl)
{
    uint8_t frame[64];
    uint8_t header[NATIVE_HEADER_SIZE];
    const struct kvs_bytes none = {NULL, 0};
    write_all(ssl, frame, put_request(frame, 1, REQUEST_PING, none, none));
    read_all(ssl, header, sizeof(header));
}

static void raw_close(SSL *ssl, SSL_CTX *context)
{
    (void)close(SSL_get_fd(ssl));
    SSL_free(ssl);
    SSL_CTX_free(context);
}

/* Peers that say nothing, or only the beginning of a handshake, hold no thread and go in time. */
static void silent_peers_are_cut_off(void **state)
{
    (void)state;
    static const uint8_t half_record[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01};
    for (const char *const *pool = fixture_pools(); *pool != NULL; pool++) {
        /* As long as our own handshake may take on a busy machine, a sanitizer's too. */
        struct kvs_server_config config = {.login_timeout_ms = support_wait_ms() / 60,
                                           .threads = 1};
        struct tls_world world;
        tls_world_start(&world, *pool, &config);
        SSL_CTX *context;
        SSL *ssl = raw_connect(&world, &context, TLS1_3_VERSION);
        assert_non_null(ssl);
        raw_ping(ssl);
        int silent[8];
        for (size_t i = 0; i < 8; i++) {
            silent[i] = connect_to(world.port);
            if (i % 2 == 1)
                assert_true(send_all(silent[i], half_record, sizeof(half_record)));
        }
        raw_ping(ssl);
        for (size_t i = 0; i < 8; i++) {
            expect_closed(silent[i]);
            (void)close(silent[i]);
        }
        assert_true(fetch_stat(world.fixture.port, "login_timeouts") >= 8);
        /* Who has finished the handshake need not hurry any more. */
        raw_ping(ssl);
        raw_close(ssl, context);
        tls_world_stop(&world);
    }
}

/* Over a network that passes on a few bytes at a time every record comes in pieces, and every answer
   goes out so; with TLS and without. */
static void pieces_body(struct tls_world *world)
{
    char value[4000];
    memset(value, 'v', sizeof(value));
    for (unsigned secure = 0; secure < 2; secure++) {
        struct relay relay;
        struct test_error error;
        struct kvs_bytes got;
        char address[32];
        relay_start(&relay, secure ? world->port : world->fixture.port, 7);
        (void)snprintf(address, sizeof(address), "127.0.0.1:%u", relay.port);
        struct kvs_client_config config = {.size = sizeof(config), .address = address};
        struct kvs_client *client = NULL;
        test_error_init(&error);
        if (secure)
            client = tls_world_client(world, &config);
        else
            assert_status(KVS_OK, kvs_client_new(&config, &client, &error.error), &error);
        for (unsigned i = 0; i < 3; i++) {
            value[i] = (char)('a' + i);
            assert_status(KVS_OK,
                          kvs_client_set(client, bytes_of_text("k"), bytes_of(value, sizeof(value)),
                                         &error.error),
                          &error);
            assert_status(KVS_OK, kvs_client_get(client, bytes_of_text("k"), &got, &error.error),
                          &error);
            assert_true(bytes_equal(got, bytes_of(value, sizeof(value))));
        }
        kvs_client_free(client);
        relay_stop(&relay);
    }
}

static void a_network_of_small_pieces_does_no_harm(void **state)
{
    (void)state;
    for_each_pool(pieces_body);
}

/* A pipeline whose replies do not fit into the sockets, read late: what TLS has buffered on either side
   is not forgotten. The keys of both sides change in between. */
static void pipeline_body(struct tls_world *world)
{
    uint8_t frame[128];
    uint8_t header[NATIVE_HEADER_SIZE];
    SSL_CTX *context;
    char *large = malloc(LARGE / 10 + 1);
    memset(large, 'v', LARGE / 10);
    large[LARGE / 10] = '\0';
    int plain = connect_to(world->fixture.port);
    send_request(plain, 1, REQUEST_SET, "k", large);
    expect_reply(plain, 1, KVS_OK, "");
    (void)close(plain);

    SSL *ssl = raw_connect(world, &context, TLS1_3_VERSION);
    assert_non_null(ssl);
    assert_int_equal(SSL_renegotiate(ssl), 0); /* there is none */
    uint8_t *body = malloc(LARGE / 10);
    for (uint64_t round = 0; round < 2; round++) {
        for (uint64_t id = 1; id <= MANY / 4; id++) {
            size_t size = put_request(frame, id, REQUEST_GET, bytes_of_text("k"),
                                      (struct kvs_bytes){NULL, 0});
            write_all(ssl, frame, size);
        }
        for (uint64_t id = 1; id <= MANY / 4; id++) {
            struct native_reply reply;
            read_all(ssl, header, sizeof(header));
            assert_int_equal(native_decode_reply(header, &reply, NULL), KVS_OK);
            assert_int_equal(reply.id, id);
            assert_int_equal(reply.status, KVS_OK);
            assert_int_equal(reply.body_size, LARGE / 10);
            read_all(ssl, body, LARGE / 10);
            assert_memory_equal(body, large, LARGE / 10);
        }
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    }
    raw_close(ssl, context);
    free(body);
    free(large);
}

static void pipelines_of_large_replies_arrive(void **state)
{
    (void)state;
    for_each_pool(pipeline_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served),
        cmocka_unit_test(refusals_arrive),
        cmocka_unit_test(clients_check_the_server),
        cmocka_unit_test(an_expired_certificate_is_said_to_be),
        cmocka_unit_test(mistakes_are_said_at_the_start),
        cmocka_unit_test(client_certificates_are_checked),
        cmocka_unit_test(new_connections_get_the_new_certificate),
        cmocka_unit_test(who_does_not_speak_tls_is_told),
        cmocka_unit_test(who_speaks_tls_elsewhere_is_told),
        cmocka_unit_test(older_versions_are_refused),
        cmocka_unit_test(silent_peers_are_cut_off),
        cmocka_unit_test(a_network_of_small_pieces_does_no_harm),
        cmocka_unit_test(pipelines_of_large_replies_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
