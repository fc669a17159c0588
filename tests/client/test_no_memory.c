/*
 * libkvs where memory runs out at each place in turn, against the real server: every call says so or works,
 * nothing is half done, and the same client works again once there is memory.
 */
#include <stdlib.h>
#include <string.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "support/memory_faults.h"
#include "support/program.h"
#include "support/support.h"

#define VALUE_BYTES 300000u /* more than any buffer has at first */

static char value[VALUE_BYTES];

static bool worked(kvs_status status, const struct test_error *error, const char *what)
{
    if (status == KVS_OK)
        return true;
    if (status != KVS_NO_MEMORY || strstr(error->message, "memory") == NULL)
        fail_msg("%s: %s: %s", what, kvs_status_text(status), error->message);
    return false;
}

static int32_t count_key(void *arg, struct kvs_bytes key)
{
    *(unsigned *)arg += key.len > 0;
    return 0;
}

#define WORKED(call) worked((call), &error, #call)

static void read_all(struct kvs_client *client)
{
    struct test_error error;
    struct kvs_client_lookup lookups[2] = {{.key = bytes_of_text("large")},
                                           {.key = bytes_of_text("nothing")}};
    struct kvs_client_info info;
    struct kvs_bytes found;
    uint64_t cursor = 0;
    unsigned count = 0;
    test_error_init(&error);
    if (WORKED(kvs_client_get(client, bytes_of_text("large"), &found, &error.error)))
        assert_true(found.len == sizeof(value) && memcmp(found.ptr, value, sizeof(value)) == 0);
    if (WORKED(kvs_client_mget(client, lookups, 2, &error.error))) {
        assert_int_equal(lookups[0].status, KVS_OK);
        assert_int_equal(lookups[0].value.len, sizeof(value));
        assert_int_equal(lookups[1].status, KVS_NOT_FOUND);
    }
    if (WORKED(kvs_client_look(client, bytes_of_text("large"), &info, &error.error)))
        assert_int_equal(info.value_size, sizeof(value));
    if (WORKED(kvs_client_scan(client, &cursor, 100, bytes_of_text("lar*"), count_key, &count,
                               &error.error)))
        assert_int_equal(count, 1);
    (void)WORKED(kvs_client_stats(client, &found, &error.error));
}

/* Returns whether the sum was changed for sure. */
static bool write_all(struct kvs_client *client)
{
    struct test_error error;
    struct kvs_client_op ops[2] = {
        {.kind = KVS_CLIENT_SET, .key = bytes_of_text("one"), .value = bytes_of(value, 1000)},
        {.kind = KVS_CLIENT_REMOVE, .key = bytes_of_text("nothing")}};
    int64_t sum;
    test_error_init(&error);
    (void)WORKED(kvs_client_set(client, bytes_of_text("large"), bytes_of(value, sizeof(value)),
                                &error.error));
    if (WORKED(kvs_client_batch(client, ops, 2, 0, &error.error)))
        assert_int_equal(ops[1].status, KVS_NOT_FOUND);
    (void)WORKED(kvs_client_expire(client, bytes_of_text("large"), KVS_CLIENT_EXPIRES_IN, 3600000,
                                   &error.error));
    return WORKED(kvs_client_increment(client, bytes_of_text("sum"), 1, &sum, &error.error));
}

static struct kvs_client *make_client(const char *address, bool *ret_made)
{
    struct test_error error;
    struct kvs_client *client = NULL;
    struct kvs_client_config config = {
        .size = sizeof(config), .address = address, .password = "open sesame"};
    test_error_init(&error);
    *ret_made = WORKED(kvs_client_new(&config, &client, &error.error));
    return client;
}

/* One life of a client. True: it was refused memory. */
static bool live(const char *address, uint64_t skip, int64_t *sum)
{
    struct test_error error;
    bool made;
    memory_faults_begin(skip);
    struct kvs_client *client = make_client(address, &made);
    if (made) {
        *sum += write_all(client);
        read_all(client);
    }
    bool failed = memory_faults_end();
    if (!made)
        client = make_client(address, &made);
    assert_true(made);
    /* Now that there is memory everything works, with this client too. */
    int64_t now = 0;
    test_error_init(&error);
    assert_status(KVS_OK, kvs_client_increment(client, bytes_of_text("sum"), 0, &now, &error.error),
                  &error);
    assert_in_range(now, *sum, *sum + 1); /* one whose reply there was no memory for */
    *sum = now;
    assert_true(write_all(client));
    *sum += 1;
    read_all(client);
    kvs_client_free(client);
    return failed;
}

static void each_piece_of_memory_in_turn(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--sync", "none", NULL};
    struct server_process server;
    char *dir = temp_dir_new();
    int64_t sum = 0;
    uint64_t skip = 0;
    memset(value, 'v', sizeof(value));
    assert_int_equal(setenv("KVS_PASSWORD", "open sesame", 1), 0);
    assert_true(server_process_start(&server, dir, arguments, NULL, NULL));
    bool made;
    struct kvs_client *first = make_client(server.address, &made);
    assert_true(made && write_all(first));
    sum = 1;
    kvs_client_free(first);
    while (live(server.address, skip, &sum))
        skip++;
    assert_true(skip > 3);
    server_process_stop(&server);
    temp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_of_memory_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
