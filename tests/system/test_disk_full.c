/*
 * A full disk under the real server. The disk is a small one in memory that only this process and
 * its children see: a mount namespace of our own, for which one must be root or be allowed a user
 * namespace; otherwise the test is skipped.
 */
#include "system/matrix.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "system/expect.h"
#include "system/run_client.h"

#define DISK_OPTIONS "size=96m,mode=0700"
#define DISK_BYTES   ((size_t)96 << 20)
#define VALUE_BYTES  ((size_t)100000)
#define KEYS_MAX     (DISK_BYTES / VALUE_BYTES)
#define REMOVED      5u /* of the keys, while the disk is full */
#define CHUNK        ((size_t)1 << 16)
#define EXIT_SKIPPED 77
#define TEXT_MAX     32u

/* ---- the disk ----------------------------------------------------------------------------- */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        (void)close(fd);
    return written;
}

/* Enters a mount namespace of our own, in which we may mount. */
static bool enter_namespace(void)
{
    char map[TEXT_MAX];
    unsigned user = geteuid();
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        (void)snprintf(map, sizeof(map), "0 %u 1", user);
        if (!write_text("/proc/self/uid_map", map))
            return false;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static char *disk_new(void)
{
    char *path = temp_dir_new();
    if (mount("none", path, "tmpfs", 0, DISK_OPTIONS) != 0)
        fail_msg("cannot mount a tmpfs: %s", strerror(errno));
    return path;
}

static void disk_free(char *path)
{
    assert_int_equal(umount2(path, MNT_DETACH), 0);
    temp_dir_free(path);
}

/* Fills what is left of the disk with a file. */
static void fill(const char *path)
{
    char *chunk = calloc(1, CHUNK);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t size = CHUNK; size > 0;) {
        ssize_t written = write(fd, chunk, size);
        if (written < 0)
            assert_int_equal(errno, ENOSPC);
        if (written < (ssize_t)size)
            size /= 2; /* to the last byte */
    }
    (void)close(fd);
    free(chunk);
}

/* ---- the store ---------------------------------------------------------------------------- */

struct store {
    struct server_process server;
    struct kvs_client *client;
    unsigned count; /* keys 0 to count - 1 were acknowledged */
    unsigned first; /* those before it were removed again */
};

static void store_start(struct store *store, const struct pair *pair, const char *data_dir)
{
    pair_start(&store->server, pair, data_dir, NULL);
    struct kvs_client_config config = {.size = sizeof(config), .address = store->server.address};
    assert_int_equal(kvs_client_new(&config, &store->client, NULL), KVS_OK);
}

static void store_stop(struct store *store, int signal_number)
{
    kvs_client_free(store->client);
    assert_int_equal(server_process_end(&store->server, signal_number),
                     signal_number == SIGKILL ? 128 + SIGKILL : 0);
}

static struct kvs_bytes make_value(char bytes[VALUE_BYTES], unsigned number)
{
    memset(bytes, (int)('a' + number % 26), VALUE_BYTES);
    (void)snprintf(bytes, TEXT_MAX, "value of key %u", number);
    return bytes_of(bytes, VALUE_BYTES);
}

static kvs_status set_next(struct store *store, struct test_error *error)
{
    char key[TEXT_MAX];
    static char bytes[VALUE_BYTES];
    (void)snprintf(key, sizeof(key), "key %u", store->count);
    test_error_init(error);
    kvs_status status = kvs_client_set(store->client, bytes_of_text(key),
                                       make_value(bytes, store->count), &error->error);
    if (status == KVS_OK)
        store->count++;
    return status;
}

/* Sets one key after the other until there is no space, which there must soon be none of. */
static void set_until_full(struct store *store, struct test_error *error)
{
    kvs_status status = KVS_OK;
    while (status == KVS_OK) {
        assert_true(store->count < KEYS_MAX);
        status = set_next(store, error);
    }
    assert_status(KVS_NO_SPACE, status, error);
}

static void expect_all(struct store *store)
{
    static char bytes[VALUE_BYTES];
    for (unsigned i = 0; i < store->count; i++) {
        char key[TEXT_MAX];
        struct kvs_bytes value;
        struct test_error error;
        test_error_init(&error);
        (void)snprintf(key, sizeof(key), "key %u", i);
        kvs_status status = kvs_client_get(store->client, bytes_of_text(key), &value, &error.error);
        assert_status(i < store->first ? KVS_NOT_FOUND : KVS_OK, status, &error);
        if (status == KVS_OK && !bytes_equal(value, make_value(bytes, i)))
            fail_msg("'%s' has another value", key);
    }
}

static void remove_some(struct store *store)
{
    for (unsigned i = 0; i < REMOVED; i++) {
        char key[TEXT_MAX];
        struct test_error error;
        test_error_init(&error);
        (void)snprintf(key, sizeof(key), "key %u", store->first);
        assert_status(KVS_OK, kvs_client_remove(store->client, bytes_of_text(key), &error.error),
                      &error);
        store->first++;
    }
}

static bool sets_again(void *arg)
{
    struct test_error error;
    kvs_status status = set_next(arg, &error);
    if (status != KVS_OK)
        assert_status(KVS_NO_SPACE, status, &error);
    return status == KVS_OK;
}

/* ---- the test ----------------------------------------------------------------------------- */

/* The client hears what helps; the server's log has a line about it beside that of the start. */
static void expect_clear_message(const struct store *store)
{
    static char bytes[VALUE_BYTES];
    struct program_result result =
        run_client(&store->server, WORDS("set", "another", "-"), make_value(bytes, 0));
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, "kvs-client: ");
    expect_in(result.err, "the disk of ");
    expect_in(result.err, "is full: free space");
    program_result_deinit(&result);
    char *log = server_process_log(&store->server);
    if (strstr(log, " ERROR ") == NULL && strstr(log, " WARN ") == NULL)
        fail_msg("the log does not say that the disk is full:\n%s", log);
    free(log);
}

static void a_full_disk_stops_writes_only(const struct pair *pair)
{
    struct store store = {.count = 0};
    struct test_error error;
    char *disk = disk_new();
    char *data_dir = path_join(disk, "data");
    char *ballast = path_join(disk, "ballast");
    store_start(&store, pair, data_dir);
    for (unsigned i = 0; i < 2 * REMOVED; i++)
        assert_status(KVS_OK, set_next(&store, &error), &error);
    fill(ballast);
    set_until_full(&store, &error);
    expect_clear_message(&store);
    expect_all(&store);
    remove_some(&store);
    expect_all(&store);

    /* Not even a restart needs space, in order or not. */
    store_stop(&store, SIGKILL);
    store_start(&store, pair, data_dir);
    expect_all(&store);
    store_stop(&store, SIGTERM);
    store_start(&store, pair, data_dir);
    expect_all(&store);

    assert_int_equal(unlink(ballast), 0);
    wait_until(sets_again, &store);
    for (unsigned i = 0; i < 2 * REMOVED; i++)
        assert_status(KVS_OK, set_next(&store, &error), &error);
    expect_all(&store);
    store_stop(&store, SIGKILL);
    store_start(&store, pair, data_dir);
    expect_all(&store);
    store_stop(&store, SIGTERM);
    free(ballast);
    free(data_dir);
    disk_free(disk);
}

/* A disk that was full before the first start: a message, and nothing that hinders the next. */
static void a_first_start_on_a_full_disk_fails_cleanly(const struct pair *pair)
{
    struct store store = {.count = 0};
    struct test_error error;
    char *disk = disk_new();
    char *data_dir = path_join(disk, "data");
    char *ballast = path_join(disk, "ballast");
    const char *const argv[] = {program_server(), "--addr",   "127.0.0.1:0", "--data-dir",
                                data_dir,         "--engine", pair->engine,  "--pool",
                                pair->pool,       NULL};
    fill(ballast);
    struct program_result result = program_run(argv, NULL, 0);
    assert_int_equal(result.exit_status, 1);
    expect_in(result.err, "kvs-server: ");
    expect_in(result.err, data_dir);
    expect_in(result.err, "space");
    program_result_deinit(&result);

    assert_int_equal(unlink(ballast), 0);
    store_start(&store, pair, data_dir);
    assert_status(KVS_OK, set_next(&store, &error), &error);
    store_stop(&store, SIGTERM);
    free(ballast);
    free(data_dir);
    disk_free(disk);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(a_full_disk_stops_writes_only, MATRIX_ENGINES),
        MATRIX_TEST(a_first_start_on_a_full_disk_fails_cleanly, MATRIX_ENGINES),
    };
    if (!enter_namespace()) {
        print_message("skipped: no mount namespace for a small disk: %s\n", strerror(errno));
        return EXIT_SKIPPED;
    }
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
