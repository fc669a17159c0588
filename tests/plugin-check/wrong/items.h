/*
 * What the engines of the shelf of wrong plugins keep: a sorted array behind a lock, and the file that it is saved to by the
 * one that saves at its end. Each WRONG_... breaks one rule here. Included once, by engine.c.
 */
#ifndef TESTS_PLUGIN_CHECK_WRONG_ITEMS_H
#define TESTS_PLUGIN_CHECK_WRONG_ITEMS_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/engine.h>

#define KEY_MAX   1000u
#define VALUE_MAX 100000u

struct item {
    struct kvs_bytes key;   /* owned */
    struct kvs_bytes value; /* owned */
};

struct kvs_db {
    pthread_mutex_t lock;
    struct item *items; /* sorted by key; under lock */
    size_t count, cap;  /* under lock */
    int read_only;
#ifdef WRONG_SAVES_AT_CLOSE
    char dir[512];
#endif
};

/* ---- items; the lock is held ------------------------------------------------------------------- */

static int compare(struct kvs_bytes a, struct kvs_bytes b)
{
    uint64_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct kvs_bytes copy(struct kvs_bytes from)
{
#ifdef WRONG_KEEPS_POINTER
    return from;
#else
    char *memory = malloc(from.len + 1);
    if (memory == NULL)
        abort();
    if (from.len > 0)
        memcpy(memory, from.ptr, from.len);
    return (struct kvs_bytes){memory, from.len};
#endif
}

static void forget(struct kvs_bytes bytes)
{
#ifdef WRONG_KEEPS_POINTER
    (void)bytes;
#else
    union {
        const void *constant;
        void *memory;
    } pointer = {bytes.ptr};
    free(pointer.memory);
#endif
}

/* The place of key, or where it belongs. */
static size_t find(const struct kvs_db *db, struct kvs_bytes key, int *ret_found)
{
    size_t from = 0, to = db->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (compare(db->items[middle].key, key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    *ret_found = from < db->count && compare(db->items[from].key, key) == 0;
    return from;
}

static void put(struct kvs_db *db, struct kvs_bytes key, struct kvs_bytes value)
{
    int found;
    size_t at = find(db, key, &found);
    if (found) {
        forget(db->items[at].value);
        db->items[at].value = copy(value);
        return;
    }
    if (db->count == db->cap) {
        db->cap = db->cap * 2 + 64;
        db->items = realloc(db->items, db->cap * sizeof(*db->items));
        if (db->items == NULL)
            abort();
    }
    memmove(db->items + at + 1, db->items + at, (db->count - at) * sizeof(*db->items));
    db->items[at] = (struct item){copy(key), copy(value)};
    db->count++;
}

static void take(struct kvs_db *db, size_t at)
{
    forget(db->items[at].key);
    forget(db->items[at].value);
    db->count--;
    memmove(db->items + at, db->items + at + 1, (db->count - at) * sizeof(*db->items));
}

/* ---- a file ----------------------------------------------------------------------------------- */

#ifdef WRONG_SAVES_AT_CLOSE
/* Keys and values in one file that is written when the store is closed: durable, as long as nobody
   kills the process. */
static FILE *data_file(const char *dir, const char *mode)
{
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/data", dir);
    return fopen(path, mode);
}

static int can_load(const char *dir)
{
    FILE *file = data_file(dir, "r");
    if (file != NULL)
        (void)fclose(file);
    return file != NULL;
}

static void load(struct kvs_db *db)
{
    static unsigned char bytes[KEY_MAX + VALUE_MAX];
    uint64_t sizes[2];
    FILE *file = data_file(db->dir, "r");
    if (file == NULL)
        file = data_file(db->dir, "w+");
    while (file != NULL && fread(sizes, sizeof(sizes), 1, file) == 1 &&
           fread(bytes, 1, sizes[0] + sizes[1], file) == sizes[0] + sizes[1])
        put(db, (struct kvs_bytes){bytes, sizes[0]},
            (struct kvs_bytes){bytes + sizes[0], sizes[1]});
    if (file != NULL)
        (void)fclose(file);
}

static void save(struct kvs_db *db)
{
    FILE *file = db->read_only ? NULL : data_file(db->dir, "w");
    for (size_t i = 0; file != NULL && i < db->count; i++) {
        const uint64_t sizes[2] = {db->items[i].key.len, db->items[i].value.len};
        (void)fwrite(sizes, sizeof(sizes), 1, file);
        (void)fwrite(db->items[i].key.ptr, 1, sizes[0], file);
        (void)fwrite(db->items[i].value.ptr, 1, sizes[1], file);
    }
    if (file != NULL)
        (void)fclose(file);
}
#else
static int can_load(const char *dir)
{
    (void)dir;
    return 0;
}
#endif

#endif
