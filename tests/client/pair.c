/* See pair.h. */
#include "client/pair.h"

#include "base/bytes.h"

struct kvs_client *pair_client_to(const char *address, uint64_t request_timeout_ms)
{
    struct kvs_client_config config = {
        .size = sizeof(config), .address = address, .request_timeout_ms = request_timeout_ms};
    struct kvs_client *client = NULL;
    assert_int_equal(kvs_client_new(&config, &client, NULL), KVS_OK);
    return client;
}

void pair_init(struct pair *pair, fake_script_fn script, void *arg)
{
    test_error_init(&pair->error);
    pair->server = fake_server_start(script, arg);
    pair->client = pair_client_to(fake_server_address(pair->server), 0);
}

void pair_deinit(struct pair *pair)
{
    kvs_client_free(pair->client);
    fake_server_stop(pair->server);
}

kvs_status pair_get(struct pair *pair, const char *key, struct kvs_bytes *ret_value)
{
    return kvs_client_get(pair->client, bytes_of_text(key), ret_value, &pair->error.error);
}

kvs_status pair_ping(struct pair *pair)
{
    return kvs_client_ping(pair->client, &pair->error.error);
}

void assert_bytes(struct kvs_bytes actual, const void *expected, size_t size)
{
    assert_int_equal(actual.len, size);
    if (size > 0)
        assert_memory_equal(actual.ptr, expected, size);
}
