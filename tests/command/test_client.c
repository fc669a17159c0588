/* The texts that a client gives itself. */
#include "support/support.h"

#include "base/bytes.h"
#include "command/client.h"

static void a_new_client_speaks_version_2_and_has_no_name(void **state)
{
    (void)state;
    struct client client;
    client_init(&client, 7, 1234, "127.0.0.1:5", NULL);
    assert_int_equal(client.id, 7);
    assert_int_equal(client_resp_version(&client), 2);
    assert_false(client.authenticated);
    assert_string_equal(client.address, "127.0.0.1:5");
    assert_string_equal(client.local_address, "");
    assert_null(client.name);
    client_deinit(&client);
}

static void a_text_is_copied_replaced_and_taken_away(void **state)
{
    (void)state;
    struct client client;
    char name[] = "worker-1";
    client_init(&client, 1, 0, NULL, NULL);
    assert_int_equal(client_set_text(&client, &client.name, bytes_of_text(name)), KVS_OK);
    name[0] = 'X';
    assert_string_equal(client.name, "worker-1");
    assert_int_equal(client_set_text(&client, &client.name, bytes_of_text("b")), KVS_OK);
    assert_string_equal(client.name, "b");
    assert_int_equal(client_set_text(&client, &client.name, bytes_of(NULL, 0)), KVS_OK);
    assert_null(client.name);
    client_deinit(&client);
}

static void what_would_break_a_line_of_the_list_is_refused(void **state)
{
    (void)state;
    struct client client;
    static const struct kvs_bytes bad[] = {
        {"a b", 3}, {"a\n", 2}, {"\0", 1}, {"\x7f", 1}, {"\xe9", 1}};
    client_init(&client, 1, 0, NULL, NULL);
    assert_int_equal(client_set_text(&client, &client.name, bytes_of_text("kept")), KVS_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(client_set_text(&client, &client.name, bad[i]), KVS_INVALID);
    assert_string_equal(client.name, "kept");
    client_deinit(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_client_speaks_version_2_and_has_no_name),
        cmocka_unit_test(a_text_is_copied_replaced_and_taken_away),
        cmocka_unit_test(what_would_break_a_line_of_the_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
