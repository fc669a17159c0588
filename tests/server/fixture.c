/* See fixture.h. */
#include "server/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

static void *run_server(void *arg)
{
    struct fixture *fixture = arg;
    struct test_error error;
    test_error_init(&error);
    fixture->run_status = kvs_server_run(fixture->server, &error.error);
    if (fixture->run_status != KVS_OK)
        print_error("kvs_server_run: %s\n", error.message);
    return NULL;
}

static void log_quietly(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    if (getenv("KVS_TEST_LOG") != NULL)
        print_message("[%u] %s\n", level, message);
}

void fixture_start_config(struct fixture *fixture, struct kvs_server_config *config)
{
    struct test_error error;
    test_error_init(&error);
    memset(fixture, 0, sizeof(*fixture));
    fixture->data_dir = temp_dir_new();
    config->size = (uint32_t)sizeof(*config);
    config->address = "127.0.0.1:0";
    config->data_dir = fixture->data_dir;
    config->plugin_dirs = test_plugin_dirs()->paths;
    config->plugin_dir_count = test_plugin_dirs()->count;
    config->log = log_quietly;
    config->log_level = KVS_LOG_DEBUG;
    assert_status(KVS_OK, kvs_server_new(config, &fixture->server, &error.error), &error);
    fixture->port = kvs_server_port(fixture->server);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_server, fixture), 0);
}

void fixture_start(struct fixture *fixture, const char *pool, uint32_t threads,
                   const char *const *engine_options)
{
    struct kvs_server_config config = {
        .engine = "test",
        .pool = pool,
        .threads = threads,
        .engine_options = engine_options,
    };
    while (engine_options != NULL && engine_options[config.engine_option_count] != NULL)
        config.engine_option_count++;
    fixture_start_config(fixture, &config);
}

void fixture_stop(struct fixture *fixture)
{
    kvs_server_stop(fixture->server);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    assert_int_equal(fixture->run_status, KVS_OK);
    kvs_server_free(fixture->server);
    temp_dir_free(fixture->data_dir);
}

const char *const *fixture_pools(void)
{
    static const char *const names[] = {"inline", "naive", "shared-queue", "glib"};
    static const char *found[sizeof(names) / sizeof(names[0]) + 1];
    size_t count = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct plugin *plugin;
        if (plugin_open(test_plugin_dirs(), KVS_PLUGIN_POOL, names[i], &plugin, NULL) != KVS_OK)
            continue;
        found[count++] = names[i];
        plugin_free(plugin);
    }
    found[count] = NULL;
    return found;
}

size_t put_request(uint8_t *to, uint64_t id, uint32_t command, struct kvs_bytes key,
                   struct kvs_bytes value)
{
    struct request request = {.id = id, .command = command, .key = key, .value = value};
    size_t size = native_encode_request(to, &request);
    if (key.len > 0)
        memcpy(to + size, key.ptr, key.len);
    size += key.len;
    if (value.len > 0)
        memcpy(to + size, value.ptr, value.len);
    return size + value.len;
}

void send_request(int fd, uint64_t id, uint32_t command, const char *key, const char *value)
{
    struct kvs_bytes key_bytes = key != NULL ? bytes_of_text(key) : (struct kvs_bytes){NULL, 0};
    struct kvs_bytes value_bytes =
        value != NULL ? bytes_of_text(value) : (struct kvs_bytes){NULL, 0};
    uint8_t *frame = malloc(64 + key_bytes.len + value_bytes.len);
    size_t size = put_request(frame, id, command, key_bytes, value_bytes);
    assert_true(send_all(fd, frame, size));
    free(frame);
}

bool receive_reply(int fd, struct received *ret)
{
    uint8_t header[NATIVE_HEADER_SIZE];
    if (!receive_all(fd, header, sizeof(header)))
        return false;
    assert_int_equal(native_decode_reply(header, &ret->head, NULL), KVS_OK);
    ret->body = malloc((size_t)ret->head.body_size + 1);
    ret->body[ret->head.body_size] = '\0';
    if (receive_all(fd, ret->body, ret->head.body_size))
        return true;
    free(ret->body);
    return false;
}

void expect_reply(int fd, uint64_t id, kvs_status status, const char *body)
{
    struct received reply;
    assert_true(receive_reply(fd, &reply));
    assert_int_equal(reply.head.id, id);
    assert_int_equal(reply.head.status, status);
    if (body != NULL)
        assert_string_equal(reply.body, body);
    free(reply.body);
}

void expect_closed(int fd)
{
    char byte;
    assert_false(receive_all(fd, &byte, 1));
}

uint64_t fetch_stat(uint16_t port, const char *name)
{
    struct received reply;
    char line[128];
    int fd = connect_to(port);
    send_request(fd, 1, REQUEST_STATS, NULL, NULL);
    assert_true(receive_reply(fd, &reply));
    (void)close(fd);
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(reply.body, line);
    if (at == NULL)
        fail_msg("no figure '%s' in stats:\n%s", name, reply.body);
    uint64_t value = strtoull(at + strlen(line), NULL, 10);
    free(reply.body);
    return value;
}
