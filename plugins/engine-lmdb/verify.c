/*
 * See verify.h. One thread, which owns everything here.
 *
 * LMDB checks its own structure by assertions that abort the process. Here their handler reports
 * and jumps out of LMDB instead: the environment is only read, so closing it afterwards is all the
 * cleaning up there is.
 */
#include "verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <lmdb.h>

#include "fault.h"
#include "freelist.h"
#include "health.h"
#include "limits.h"
#include "marker.h"
#include "store.h"
#include "value.h"

#define META_PAGES      2u
#define FINDINGS_SHOWN  100u /* further ones are only counted */
#define FIRST_DATA_PAGE META_PAGES

struct verify {
    kvs_report_fn report;
    void *arg;
    uint64_t findings;

    struct store store;
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint8_t *free_map; /* a bit per page that the free list names */
    uint64_t free_pages;
    uint64_t page_count;
    jmp_buf assertion; /* where to go on when LMDB finds its structure broken */
};

KVS_PRINTF(2, 3)
static void find(struct verify *verify, const char *format, ...)
{
    char message[KVS_ERROR_MESSAGE_MAX];
    if (verify->findings++ >= FINDINGS_SHOWN)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    verify->report(verify->arg, KVS_LOG_ERROR, message);
}

static void on_assert(MDB_env *env, const char *message)
{
    struct verify *verify = mdb_env_get_userctx(env);
    find(verify, "%s: LMDB finds its structure broken: %s", STORE_DATA_FILE, message);
    longjmp(verify->assertion, 1);
}

/* Reads each byte, so that one that cannot be read is met here. */
static void read_through(struct kvs_bytes bytes)
{
    const volatile uint8_t *at = bytes.ptr;
    for (uint64_t i = 0; i < bytes.len; i++)
        (void)at[i];
}

static void check_record(struct verify *verify, uint64_t index, struct kvs_bytes key,
                         struct kvs_bytes value, struct kvs_bytes before)
{
    if (key.len == 0 || key.len > LIMITS_KEY_MAX)
        find(verify, "%s: record %llu has a key of %llu bytes", STORE_DATA_FILE,
             (unsigned long long)index, (unsigned long long)key.len);
    if (index > 0 && value_compare(before, key) >= 0)
        find(verify, "%s: record %llu is out of order", STORE_DATA_FILE, (unsigned long long)index);
    if (value.len > LIMITS_VALUE_MAX)
        find(verify, "%s: record %llu has a value of %llu bytes", STORE_DATA_FILE,
             (unsigned long long)index, (unsigned long long)value.len);
    read_through(key);
    read_through(value);
}

static void check_records(struct verify *verify, const MDB_stat *tree)
{
    MDB_val key;
    MDB_val value;
    struct kvs_bytes before = {NULL, 0};
    uint64_t count = 0;
    int code = mdb_cursor_open(verify->txn, verify->store.dbi, &verify->cursor);
    if (code == 0)
        code = mdb_cursor_get(verify->cursor, &key, &value, MDB_FIRST);
    while (code == 0) {
        check_record(verify, count, value_bytes(&key), value_bytes(&value), before);
        before = value_bytes(&key);
        count++;
        code = mdb_cursor_get(verify->cursor, &key, &value, MDB_NEXT);
    }
    if (code != MDB_NOTFOUND)
        find(verify, "%s: after record %llu: %s", STORE_DATA_FILE, (unsigned long long)count,
             mdb_strerror(code));
    else if (count != tree->ms_entries)
        find(verify, "%s: there are %llu records and should be %llu", STORE_DATA_FILE,
             (unsigned long long)count, (unsigned long long)tree->ms_entries);
}

static int check_free_entry(void *arg, const void *pages, uint64_t count)
{
    struct verify *verify = arg;
    for (uint64_t i = 0; i < count; i++) {
        size_t page;
        memcpy(&page, (const char *)pages + i * sizeof(page), sizeof(page));
        if (page < FIRST_DATA_PAGE || page >= verify->page_count) {
            find(verify, "%s: the list of free pages names page %zu, which does not exist",
                 STORE_DATA_FILE, page);
            continue;
        }
        uint8_t bit = (uint8_t)(1u << (page % 8));
        if ((verify->free_map[page / 8] & bit) != 0)
            find(verify, "%s: page %zu is free twice", STORE_DATA_FILE, page);
        verify->free_map[page / 8] |= bit;
        verify->free_pages++;
    }
    return 0;
}

static uint64_t pages_of(const MDB_stat *tree)
{
    return tree->ms_branch_pages + tree->ms_leaf_pages + tree->ms_overflow_pages;
}

/* Each page is in the tree, in the list of free pages, or in what that list itself takes. */
static void check_pages(struct verify *verify, const MDB_stat *tree)
{
    MDB_stat list;
    int code = freelist_visit(verify->txn, check_free_entry, verify);
    if (code == 0)
        code = mdb_stat(verify->txn, 0, &list);
    if (code != 0) {
        find(verify, "%s: the list of free pages: %s", STORE_DATA_FILE, mdb_strerror(code));
        return;
    }
    uint64_t known = META_PAGES + pages_of(tree) + pages_of(&list) + verify->free_pages;
    if (known > verify->page_count)
        find(verify, "%s: %llu of %llu pages are both free and in use", STORE_DATA_FILE,
             (unsigned long long)(known - verify->page_count),
             (unsigned long long)verify->page_count);
}

static void check_store(struct verify *verify)
{
    MDB_stat tree;
    MDB_envinfo info;
    (void)mdb_env_info(verify->store.env, &info);
    verify->page_count = (uint64_t)info.me_last_pgno + 1;
    verify->free_map = calloc(verify->page_count / 8 + 1, 1);
    int code = verify->free_map != NULL ? 0 : MDB_PANIC;
    if (code == 0)
        code = mdb_txn_begin(verify->store.env, NULL, MDB_RDONLY, &verify->txn);
    if (code == 0)
        code = mdb_stat(verify->txn, verify->store.dbi, &tree);
    if (code != 0) {
        find(verify, "%s: cannot be read: %s", STORE_DATA_FILE, mdb_strerror(code));
        return;
    }
    check_records(verify, &tree);
    check_pages(verify, &tree);
}

/* Everything once the store is open; comes back from LMDB's assertions too. */
static void check_guarded(struct verify *verify)
{
    (void)mdb_env_set_userctx(verify->store.env, verify);
    (void)mdb_env_set_assert(verify->store.env, on_assert);
    if (setjmp(verify->assertion) == 0)
        check_store(verify);
    if (verify->cursor != NULL)
        mdb_cursor_close(verify->cursor);
    mdb_txn_abort(verify->txn);
    free(verify->free_map);
}

static void report_marker(struct verify *verify)
{
    enum marker marker;
    char message[KVS_ERROR_MESSAGE_MAX];
    if (marker_look(verify->store.dir_fd, &marker) != 0 || marker == MARKER_NONE ||
        marker == MARKER_CURRENT)
        return;
    (void)snprintf(message, sizeof(message),
                   "%s: %s; values may be wrong in ways that cannot be found", STORE_DATA_FILE,
                   marker_text(marker));
    verify->report(verify->arg, KVS_LOG_WARN, message);
}

kvs_status verify_run(const struct kvs_engine_config *config, kvs_report_fn report, void *arg,
                      struct kvs_error *err)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct health health;
    struct store_config store_config = {.dir = config->data_dir,
                                        .map_bytes = STORE_MAP_MIN_BYTES,
                                        .max_readers = 1,
                                        .read_only = true,
                                        .trust_unsynced = true};
    struct verify *verify = calloc(1, sizeof(*verify));
    if (verify == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to verify a store");
    verify->report = report;
    verify->arg = arg;
    health_init(&health, config->host, config->data_dir, true);
    kvs_status status = store_open(&verify->store, &store_config, &health, &error);
    if (status == KVS_OK) {
        report_marker(verify);
        check_guarded(verify);
        store_close(&verify->store);
        if (verify->findings > 0)
            status = kvs_error_set(err, KVS_CORRUPT, 0, "%s/%s is damaged: %llu findings",
                                   config->data_dir, STORE_DATA_FILE,
                                   (unsigned long long)verify->findings);
    } else {
        if (status == KVS_CORRUPT)
            find(verify, "%s", message);
        status = kvs_error_set(err, status, error.os_errno, "%s", message);
    }
    free(verify);
    return status;
}
