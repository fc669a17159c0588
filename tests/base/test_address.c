/* Addresses as text, both ways. */
#include "support/support.h"

#include <string.h>

#include "base/address.h"

static void check_round_trip(const char *text, int family, uint16_t port, const char *canonical)
{
    struct address address;
    struct test_error error;
    char back[ADDRESS_TEXT_MAX];
    test_error_init(&error);
    memset(&address, 0xAA, sizeof(address));
    assert_status(KVS_OK, address_parse(text, &address, &error.error), &error);
    assert_int_equal(address.storage.ss_family, family);
    assert_int_equal(address_port(&address), port);
    address_format(&address, back);
    assert_string_equal(back, canonical);
}

static void good_addresses_come_back(void **state)
{
    (void)state;
    check_round_trip(ADDRESS_DEFAULT, AF_INET, 4000, "127.0.0.1:4000");
    check_round_trip("0.0.0.0:0", AF_INET, 0, "0.0.0.0:0");
    check_round_trip("255.255.255.255:65535", AF_INET, 65535, "255.255.255.255:65535");
    check_round_trip("[::1]:4000", AF_INET6, 4000, "[::1]:4000");
    check_round_trip("[::]:0", AF_INET6, 0, "[::]:0");
    check_round_trip("[0:0:0:0:0:0:0:1]:1", AF_INET6, 1, "[::1]:1");
    check_round_trip("[::ffff:10.0.0.1]:65535", AF_INET6, 65535, "[::ffff:10.0.0.1]:65535");
    check_round_trip("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", AF_INET6, 65535,
                     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void others_are_refused_with_both_forms(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        ":",
        "[",
        "[]",
        "[]:1",
        "localhost:4000",
        "127.0.0.1",
        "127.0.0.1:",
        ":4000",
        "4000",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        "127.0.0.1:0x10",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:1:2",
        "127.0.0:1",
        "256.0.0.1:1",
        "::1:4000",
        "[::1]",
        "[::1]4000",
        "[::1]:",
        "[::1:4000",
        "[127.0.0.1]:4000",
        "[::1%lo]:4000",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1",
        "1111111111111111111111111111111111111111111111111111111111111111111:1",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct address address;
        struct address before;
        struct test_error error;
        test_error_init(&error);
        memset(&address, 0xAA, sizeof(address));
        before = address;
        if (address_parse(texts[i], &address, &error.error) != KVS_INVALID)
            fail_msg("'%s' was not refused", texts[i]);
        assert_memory_equal(&address, &before, sizeof(address));
        assert_non_null(strstr(error.message, texts[i]));
        assert_non_null(strstr(error.message, "127.0.0.1:4000"));
        assert_non_null(strstr(error.message, "[::1]:4000"));
    }
}

static void unix_sockets_have_paths(void **state)
{
    (void)state;
    char text[256];
    struct address address;
    struct test_error error;
    check_round_trip("unix:/run/kvs.sock", AF_UNIX, 0, "unix:/run/kvs.sock");
    check_round_trip("unix:x", AF_UNIX, 0, "unix:x");
    assert_int_equal(address_parse("unix:/a/b", &address, NULL), KVS_OK);
    assert_string_equal(address_path(&address), "/a/b");
    /* The longest path, and one that is too long. */
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:/", 6);
    text[5 + 107] = '\0';
    check_round_trip(text, AF_UNIX, 0, text);
    text[5 + 107] = 'x';
    text[5 + 108] = '\0';
    test_error_init(&error);
    assert_status(KVS_INVALID, address_parse(text, &address, &error.error), &error);
    assert_non_null(strstr(error.message, "107 bytes"));
    assert_status(KVS_INVALID, address_parse("unix:", &address, &error.error), &error);
}

static void what_is_local(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool local;
    } cases[] = {
        {"127.0.0.1:1", true},          {"127.255.0.9:1", true}, {"[::1]:1", true},
        {"[::ffff:127.0.0.1]:1", true}, {"unix:/x", true},       {"0.0.0.0:1", false},
        {"128.0.0.1:1", false},         {"10.127.0.1:1", false}, {"[::]:1", false},
        {"[::ffff:10.0.0.1]:1", false}, {"[fe80::1]:1", false},  {"[::2]:1", false},
        {"[::ffff:0.0.0.0]:1", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct address address;
        assert_int_equal(address_parse(cases[i].text, &address, NULL), KVS_OK);
        if (address_is_local(&address) != cases[i].local)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_come_back),
        cmocka_unit_test(others_are_refused_with_both_forms),
        cmocka_unit_test(unix_sockets_have_paths),
        cmocka_unit_test(what_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
