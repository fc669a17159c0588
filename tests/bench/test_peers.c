/* Every peer of this build does what the workloads count on, in both modes. */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include <glib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "peers/peers.h"

enum {
    KEYS = 200,
    VALUE_SIZE = 100
};

struct opened {
    const struct peer *peer;
    struct peer_store *store;
    struct peer_thread *thread;
    struct test_error error;
};

static void opened_begin(struct opened *opened, const struct peer *peer, const char *dir, bool sync)
{
    const struct peer_config config = {
        .dir = dir, .sync = sync, .keys = KEYS, .value_size = VALUE_SIZE, .threads = 1};
    *opened = (struct opened){.peer = peer};
    test_error_init(&opened->error);
    assert_status(KVS_OK, peer->ops->open(peer, &config, &opened->store, &opened->error.error),
                  &opened->error);
    if (peer->ops->thread_begin != NULL)
        assert_status(KVS_OK,
                      peer->ops->thread_begin(opened->store, &opened->thread, &opened->error.error),
                      &opened->error);
}

static void opened_end(struct opened *opened)
{
    if (opened->thread != NULL)
        opened->peer->ops->thread_end(opened->store, opened->thread);
    assert_status(KVS_OK, opened->peer->ops->close(opened->store, &opened->error.error),
                  &opened->error);
}

static struct kvs_bytes key_of(char text[16], int number)
{
    (void)snprintf(text, 16, "key-%d", number);
    return bytes_of_text(text);
}

static kvs_status get(struct opened *opened, int number, uint8_t *data, uint64_t *ret_len)
{
    char text[16];
    struct peer_value value = {.data = data, .cap = VALUE_SIZE};
    kvs_status status = opened->peer->ops->get(opened->store, opened->thread, key_of(text, number),
                                               &value, &opened->error.error);
    *ret_len = value.len;
    return status;
}

static void set(struct opened *opened, int number, const char *content)
{
    char text[16];
    assert_status(KVS_OK,
                  opened->peer->ops->set(opened->store, opened->thread, key_of(text, number),
                                         bytes_of_text(content), &opened->error.error),
                  &opened->error);
}

static void expect(struct opened *opened, int number, const char *content)
{
    uint8_t data[VALUE_SIZE];
    uint64_t len = 0;
    kvs_status status = get(opened, number, data, &len);
    if (content == NULL) {
        assert_status(KVS_NOT_FOUND, status, &opened->error);
        return;
    }
    assert_status(KVS_OK, status, &opened->error);
    assert_int_equal(len, strlen(content));
    assert_memory_equal(data, content, len);
}

/* Sets the keys first to first + count - 1 to content as one batch or window. */
static void set_many(struct opened *opened, int first, uint32_t count, const char *content,
                     bool window)
{
    char texts[PEER_WINDOW_MAX][16];
    struct peer_item items[PEER_WINDOW_MAX];
    const struct peer_ops *ops = opened->peer->ops;
    for (uint32_t i = 0; i < count; i++)
        items[i] = (struct peer_item){key_of(texts[i], first + (int)i), bytes_of_text(content)};
    kvs_status status =
        window ? ops->window(opened->store, opened->thread, items, count, &opened->error.error)
               : ops->batch(opened->store, opened->thread, items, count, &opened->error.error);
    assert_status(KVS_OK, status, &opened->error);
}

static void check_get_many(struct opened *opened)
{
    char texts[4][16];
    uint8_t data[4][VALUE_SIZE];
    struct kvs_bytes keys[4];
    struct peer_value values[4];
    static const int numbers[] = {20, 1, 999, 21};
    for (int i = 0; i < 4; i++) {
        keys[i] = key_of(texts[i], numbers[i]);
        values[i] = (struct peer_value){.data = data[i], .cap = VALUE_SIZE};
    }
    assert_status(KVS_OK,
                  opened->peer->ops->get_many(opened->store, opened->thread, keys, 4, values,
                                              &opened->error.error),
                  &opened->error);
    assert_int_equal(values[0].status, KVS_OK);
    assert_int_equal(values[1].status, KVS_OK);
    assert_int_equal(values[2].status, KVS_NOT_FOUND);
    assert_int_equal(values[3].status, KVS_OK);
    assert_int_equal(values[1].len, 6);
    assert_memory_equal(data[1], "second", 6);
    assert_memory_equal(data[3], "batch", 5);
}

static void check_reading_and_writing(struct opened *opened)
{
    expect(opened, 1, NULL);
    set(opened, 1, "first");
    set(opened, 2, "");
    expect(opened, 1, "first");
    expect(opened, 2, "");
    set(opened, 1, "second");
    expect(opened, 1, "second");
    set_many(opened, 10, PEER_WINDOW_MAX, "batch", false);
    expect(opened, 10, "batch");
    expect(opened, 10 + PEER_WINDOW_MAX - 1, "batch");
    expect(opened, 10 + PEER_WINDOW_MAX, NULL);
    if (opened->peer->ops->window != NULL) {
        set_many(opened, 100, 32, "window", true);
        expect(opened, 100, "window");
        expect(opened, 131, "window");
    }
    check_get_many(opened);
}

static void check_removal(struct opened *opened)
{
    char text[16];
    assert_status(KVS_OK,
                  opened->peer->ops->remove(opened->store, opened->thread, key_of(text, 11),
                                            &opened->error.error),
                  &opened->error);
    expect(opened, 11, NULL);
    expect(opened, 12, "batch");
}

static void check_peer(const struct peer *peer, bool sync)
{
    struct opened opened;
    char *dir = temp_dir_new();
    opened_begin(&opened, peer, dir, sync);
    if (peer->flags & PEER_READS) {
        check_reading_and_writing(&opened);
    } else {
        set(&opened, 1, "first");
        set_many(&opened, 10, PEER_WINDOW_MAX, "batch", false);
    }
    if (peer->flags & PEER_REMOVES)
        check_removal(&opened);
    opened_end(&opened);
    if (peer->flags & PEER_REOPENS) {
        opened_begin(&opened, peer, dir, sync);
        expect(&opened, 1, "second");
        expect(&opened, 11, NULL);
        expect(&opened, 12, "batch");
        opened_end(&opened);
    }
    temp_dir_free(dir);
}

static GPtrArray *find_peers(const char *names)
{
    struct test_error error;
    GPtrArray *peers = NULL;
    const struct peers_config config = {.dirs = test_plugin_dirs(), .names = names};
    test_error_init(&error);
    assert_status(KVS_OK, peers_find(&config, &peers, &error.error), &error);
    return peers;
}

static void every_peer_keeps_what_it_is_given(void **state)
{
    (void)state;
    GPtrArray *peers = find_peers(NULL);
    assert_true(peers->len >= 2);
    for (guint i = 0; i < peers->len; i++) {
        const struct peer *peer = g_ptr_array_index(peers, i);
        print_message("peer %s %s\n", peer->name, peer->version);
        check_peer(peer, false);
        if (peer->flags & PEER_SYNCS)
            check_peer(peer, true);
    }
    g_ptr_array_free(peers, TRUE);
}

static void a_value_above_the_buffer_is_no_get(void **state)
{
    (void)state;
    struct opened opened;
    char *dir = temp_dir_new();
    char large[VALUE_SIZE + 2];
    uint8_t data[VALUE_SIZE];
    uint64_t len;
    GPtrArray *peers = find_peers("table");
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    opened_begin(&opened, g_ptr_array_index(peers, 0), dir, false);
    set(&opened, 1, large);
    assert_int_equal(get(&opened, 1, data, &len), KVS_TOO_LARGE);
    opened_end(&opened);
    g_ptr_array_free(peers, TRUE);
    temp_dir_free(dir);
}

static void peers_are_chosen_by_name(void **state)
{
    (void)state;
    struct test_error error;
    GPtrArray *peers = find_peers("table,append");
    assert_int_equal(peers->len, 2);
    assert_string_equal(((const struct peer *)g_ptr_array_index(peers, 0))->name, "append");
    g_ptr_array_free(peers, TRUE);
    const struct peers_config config = {.dirs = test_plugin_dirs(), .names = "table,nobody"};
    test_error_init(&error);
    peers = NULL;
    assert_int_equal(peers_find(&config, &peers, &error.error), KVS_INVALID);
    assert_non_null(strstr(error.message, "nobody"));
    assert_non_null(strstr(error.message, "append"));
    assert_null(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_peer_keeps_what_it_is_given),
        cmocka_unit_test(a_value_above_the_buffer_is_no_get),
        cmocka_unit_test(peers_are_chosen_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
