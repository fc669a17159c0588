/* The mandatory operations of an engine, in one thread: open, close, get, set, remove. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules_list.h"
#include "session.h"

#define SIZE_TESTED_MAX (UINT64_C(64) << 20) /* bytes of the largest key or value that is tried */

/* dir/name, in path. */
static const char *path_of(struct check *check, char path[512], const char *name)
{
    (void)snprintf(path, 512, "%s/%s", check->dir, name);
    return path;
}

static const char *make_folder(struct check *check, char path[512], const char *name)
{
    (void)path_of(check, path, name);
    if (mkdir(path, 0700) != 0)
        check_skip(check, "cannot make the folder %s", path);
    return path;
}

/* ---- open and close ------------------------------------------------------------------------ */

void engine_open_creates(struct check *check)
{
    struct session session;
    session_open(&session, check);
    CHECK(check, session.db != NULL, "open gave KVS_OK and no store");
    session_expect_none(&session, session_text("key"), "open of an empty folder");
    session_close(&session);
}

void engine_open_missing(struct check *check)
{
    struct session session;
    struct check_error error;
    check_status(check, "open of an empty folder without KVS_OPEN_CREATE", KVS_MISSING,
                 session_try_open(&session, check, check->dir, 0, KVS_DURABILITY_NONE, &error),
                 &error);
    CHECK(check, error.message[0] != '\0', "open gave KVS_MISSING and no message");
}

void engine_open_two(struct check *check)
{
    char paths[2][512];
    struct session first;
    struct session second;
    session_open_in(&first, check, make_folder(check, paths[0], "first"), KVS_OPEN_CREATE,
                    KVS_DURABILITY_NONE);
    session_open_in(&second, check, make_folder(check, paths[1], "second"), KVS_OPEN_CREATE,
                    KVS_DURABILITY_NONE);
    session_put(&first, session_text("key"), session_text("first"));
    session_expect_none(&second, session_text("key"), "a set in another store");
    session_put(&second, session_text("key"), session_text("second"));
    session_expect(&first, session_text("key"), session_text("first"), "a set in another store");
    session_close(&first);
    session_expect(&second, session_text("key"), session_text("second"),
                   "the close of another store");
    session_close(&second);
}

void engine_open_read_only(struct check *check)
{
    struct session session;
    struct check_error error;
    session_open(&session, check);
    session_put(&session, session_text("key"), session_text("value"));
    session_close(&session);
    session_open_in(&session, check, check->dir, KVS_OPEN_READ_ONLY, KVS_DURABILITY_NONE);
    session_expect(&session, session_text("key"), session_text("value"), "opening read-only");
    check_error_init(&error);
    check_status(check, "set in a read-only store", KVS_READ_ONLY,
                 session_set(&session, NULL, session_text("new"), session_text("v"), &error),
                 &error);
    check_status(check, "remove in a read-only store", KVS_READ_ONLY,
                 session_remove(&session, NULL, session_text("key"), &error), &error);
    if (session_has(check, KVS_ENGINE_HAS_SUBMIT)) {
        struct kvs_op op = session_op_set(session_text("new"), session_text("v"));
        check_status(check, "submit in a read-only store", KVS_READ_ONLY,
                     session_submit(&session, &op, 1, 0), NULL);
    }
    session_expect(&session, session_text("key"), session_text("value"), "refused writes");
    session_close(&session);
}

void engine_open_host_files(struct check *check)
{
    static const char content[] = "the host's own";
    char path[512];
    char found[64] = "";
    struct session session;
    int fd = open(path_of(check, path, "kvs.check"), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, content, sizeof(content)) != (ssize_t)sizeof(content))
        check_skip(check, "cannot write %s", path);
    (void)close(fd);
    session_open(&session, check);
    session_put(&session, session_text("key"), session_text("value"));
    session_reopen(&session);
    session_close(&session);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(check, fd >= 0, "the file kvs.check in the data folder, which is the host's, is gone");
    CHECK(check,
          read(fd, found, sizeof(found)) == (ssize_t)sizeof(content) &&
              memcmp(found, content, sizeof(content)) == 0,
          "the file kvs.check in the data folder, which is the host's, was changed");
    (void)close(fd);
}

void engine_close_null(struct check *check)
{
    struct check_error error;
    check_error_init(&error);
    check_doing(check, "close(NULL)");
    check_status(check, "close(NULL)", KVS_OK, check->plugin->ops.engine.close(NULL, &error.error),
                 &error);
}

/* ---- get ------------------------------------------------------------------------------------ */

void engine_get_found(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("key"), session_text("value"));
    session_put(&session, session_text("other"), session_text("another"));
    session_expect(&session, session_text("key"), session_text("value"), "set");
    session_expect(&session, session_text("other"), session_text("another"), "set");
    session_close(&session);
}

void engine_get_not_found(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_expect_none(&session, session_text("key"), "open");
    session_put(&session, session_text("key"), session_text("value"));
    session_expect_none(&session, session_text("ke"), "set of a longer key");
    session_expect_none(&session, session_text("keyy"), "set of a shorter key");
    session_expect_none(&session, session_text("Key"), "set of another key");
    session_close(&session);
}

void engine_get_stopped(struct check *check)
{
    struct session session;
    struct check_error error;
    struct shown shown = {.answer = 1};
    session_open(&session, check);
    check_error_init(&error);
    session_put(&session, session_text("key"), session_text("value"));
    check_status(check, "get with a visitor that returns 1", KVS_STOPPED,
                 session_get(&session, NULL, session_text("key"), &shown, &error), &error);
    CHECK(check, shown.calls == 1, "the visitor was called %u times", shown.calls);
    session_forget(&shown);
    session_expect(&session, session_text("key"), session_text("value"), "a stopped get");
    session_close(&session);
}

void engine_get_no_key(struct check *check)
{
    struct session session;
    struct shown shown = {.calls = 0};
    session_open(&session, check);
    session_put(&session, session_text("key"), session_text("value"));
    check_status(check, "get of the empty key", KVS_NOT_FOUND,
                 session_get(&session, NULL, (struct kvs_bytes){NULL, 0}, &shown, NULL), NULL);
    if (session.ops->key_max < SIZE_TESTED_MAX) {
        uint8_t *key = check_memory(check, session.ops->key_max + 1);
        check_status(check, "get of a key longer than key_max", KVS_NOT_FOUND,
                     session_get(&session, NULL, (struct kvs_bytes){key, session.ops->key_max + 1},
                                 &shown, NULL),
                     NULL);
        free(key);
    }
    CHECK(check, shown.calls == 0, "the visitor was called for a key that no store can hold");
    session_close(&session);
}

/* ---- set ------------------------------------------------------------------------------------ */

void engine_set_replaces(struct check *check)
{
    static const char *const values[] = {"one", "", "a longer value than before", "x"};
    struct session session;
    session_open(&session, check);
    for (unsigned i = 0; i < 12; i++) {
        const char *value = values[i % 4];
        session_put(&session, session_text("key"), session_text(value));
        session_expect(&session, session_text("key"), session_text(value), "a second set");
    }
    session_close(&session);
}

void engine_set_copies(struct check *check)
{
    struct session session;
    char key[] = "key";
    char value[] = "value";
    session_open(&session, check);
    session_put(&session, session_text(key), session_text(value));
    memset(key, 'x', sizeof(key) - 1); /* the host's memory, used again for something else */
    memset(value, 'x', sizeof(value) - 1);
    session_expect(&session, session_text("key"), session_text("value"),
                   "the host used the memory of key and value again");
    session_close(&session);
}

void engine_set_any_bytes(struct check *check)
{
    struct session session;
    uint8_t all[256];
    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    session_open(&session, check);
    for (unsigned i = 0; i < sizeof(all); i++)
        session_put(&session, (struct kvs_bytes){&all[i], 1},
                    (struct kvs_bytes){all, i % SESSION_VALUE_MAX});
    session_put(&session, (struct kvs_bytes){"\0\0", 2}, session_text("zeros"));
    for (unsigned i = 0; i < sizeof(all); i++)
        session_expect(&session, (struct kvs_bytes){&all[i], 1},
                       (struct kvs_bytes){all, i % SESSION_VALUE_MAX},
                       "set of every byte as a key");
    session_expect(&session, (struct kvs_bytes){"\0\0", 2}, session_text("zeros"), "set");
    session_close(&session);
}

/* Sets key and value of these sizes, and reads them. Sizes over the limits end in KVS_TOO_LARGE. */
static void try_sizes(struct session *session, uint64_t key_size, uint64_t value_size)
{
    struct check *check = session->check;
    struct check_error error;
    uint8_t *key = check_memory(check, key_size);
    uint8_t *value = check_memory(check, value_size);
    bool fits = key_size <= session->ops->key_max && value_size <= session->ops->value_max;
    struct kvs_bytes key_bytes = {key, key_size};
    struct kvs_bytes value_bytes = {value, value_size};
    memset(key, 'k', key_size);
    memset(value, (int)(value_size % 251), value_size);
    check_error_init(&error);
    check_doing(check, "set of a key of %llu bytes and a value of %llu",
                (unsigned long long)key_size, (unsigned long long)value_size);
    kvs_status status = session_set(session, NULL, key_bytes, value_bytes, &error);
    if (fits && (status == KVS_NO_SPACE || status == KVS_NO_MEMORY))
        check_skip(check, "no room for a value of %llu bytes", (unsigned long long)value_size);
    check_status(check,
                 fits ? "set within the limits that the engine declares"
                      : "set over a limit that the engine declares",
                 fits ? KVS_OK : KVS_TOO_LARGE, status, &error);
    if (fits) {
        session_expect(session, key_bytes, value_bytes, "set of a boundary size");
        session_drop(session, key_bytes);
    } else {
        CHECK(check, error.message[0] != '\0', "set gave KVS_TOO_LARGE and no message");
        session_expect_none(session, key_bytes, "a set that gave KVS_TOO_LARGE");
    }
    free(key);
    free(value);
}

void engine_set_sizes(struct check *check)
{
    static const uint64_t sizes[] = {1,    2,     7,     8,     15,     16,   63,   64,
                                     127,  128,   255,   256,   511,    512,  1023, 1024,
                                     2047, 2048,  4080,  4095,  4096,   4097, 8191, 8192,
                                     9999, 16384, 65535, 65536, 1000000};
    struct session session;
    session_open(&session, check);
    const uint64_t key_max = session.ops->key_max;
    const uint64_t value_max = session.ops->value_max;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i] <= key_max)
            try_sizes(&session, sizes[i], 10);
        if (sizes[i] <= value_max)
            try_sizes(&session, 1, sizes[i]);
    }
    if (key_max <= SIZE_TESTED_MAX)
        try_sizes(&session, key_max, 10);
    if (value_max <= SIZE_TESTED_MAX)
        try_sizes(&session, 1, value_max);
    session_close(&session);
}

void engine_set_too_large(struct check *check)
{
    struct session session;
    session_open(&session, check);
    if (session.ops->key_max < SIZE_TESTED_MAX)
        try_sizes(&session, session.ops->key_max + 1, 10);
    if (session.ops->value_max < SIZE_TESTED_MAX * 2)
        try_sizes(&session, 1, session.ops->value_max + 1);
    session_close(&session);
}

void engine_set_empty_key(struct check *check)
{
    struct session session;
    struct check_error error;
    session_open(&session, check);
    check_error_init(&error);
    kvs_status status =
        session_set(&session, NULL, (struct kvs_bytes){"", 0}, session_text("value"), &error);
    check_status(check, "set of the empty key", KVS_INVALID, status, &error);
    session_close(&session);
}

/* ---- remove --------------------------------------------------------------------------------- */

void engine_remove_removes(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("key"), session_text("value"));
    session_put(&session, session_text("other"), session_text("value"));
    session_drop(&session, session_text("key"));
    session_expect_none(&session, session_text("key"), "remove");
    session_expect(&session, session_text("other"), session_text("value"), "remove of another key");
    session_put(&session, session_text("key"), session_text("again"));
    session_expect(&session, session_text("key"), session_text("again"), "remove and set");
    session_close(&session);
}

void engine_remove_not_found(struct check *check)
{
    struct session session;
    struct check_error error;
    session_open(&session, check);
    check_error_init(&error);
    check_status(check, "remove of a key that was never there", KVS_NOT_FOUND,
                 session_remove(&session, NULL, session_text("key"), &error), &error);
    session_put(&session, session_text("key"), session_text("value"));
    session_drop(&session, session_text("key"));
    check_status(check, "a second remove", KVS_NOT_FOUND,
                 session_remove(&session, NULL, session_text("key"), &error), &error);
    session_close(&session);
}

/* ---- errors --------------------------------------------------------------------------------- */

void engine_error_filled(struct check *check)
{
    struct session session;
    struct check_error error;
    session_open(&session, check);
    check_error_init(&error);
    kvs_status status =
        session_set(&session, NULL, (struct kvs_bytes){"", 0}, session_text("value"), &error);
    CHECK(check, status < 0, "set of the empty key gave '%s'", kvs_status_text(status));
    CHECK(check, error.error.status == status, "set gave %d, and err->status says %d", status,
          error.error.status);
    CHECK(check, error.message[0] != '\0', "set gave '%s' and no message", kvs_status_text(status));
    CHECK(check, strchr(error.message, '\n') == NULL, "a message has more than one line: %s",
          error.message);
    session_close(&session);
}

void engine_error_bounded(struct check *check)
{
    struct session session;
    char message[64];
    struct kvs_error error = {.size = (uint32_t)sizeof(error), .cap = 4, .msg = message};
    const struct kvs_bytes empty = {"", 0};
    session_open(&session, check);
    memset(message, '#', sizeof(message));
    if (session.ops->set(session.db, NULL, empty, session_text("value"), &error) >= 0)
        check_skip(check, "set of the empty key is not refused, so there is no fault to look at");
    for (size_t i = 4; i < sizeof(message); i++)
        CHECK(check, message[i] == '#', "byte %zu was written of a message with room for 4", i);
    CHECK(check, memchr(message, '\0', 4) != NULL, "a message that was cut is not terminated");
    check_doing(check, "a refused set with err NULL");
    (void)session.ops->set(session.db, NULL, empty, session_text("value"), NULL);
    error = (struct kvs_error){.size = (uint32_t)sizeof(error)};
    check_doing(check, "a refused set with err->msg NULL");
    (void)session.ops->set(session.db, NULL, empty, session_text("value"), &error);
    session_close(&session);
}
