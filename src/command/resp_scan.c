/*
 * Commands that list keys. They go past the transaction, straight to the engine, so they are refused
 * in MULTI. What is shown is collected as replies in a buffer of its own first: how many there are comes
 * before them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "command/command.h"
#include "command/glob.h"
#include "command/resp_data.h"
#include "command/resp_errors.h"
#include "command/walk.h"
#include "command/word.h"

#define SCAN_COUNT_USUAL 10
#define KEYS_PIECE       1024u /* keys of one look into the engine */
#define SAMPLE_MAX       32u   /* keys out of which RANDOMKEY chooses */
#define SAMPLE_TRIES     64u   /* samples of expired keys only that it goes past */

struct listing {
    int64_t now_ms;
    struct kvs_bytes pattern;
    bool all; /* the pattern matches everything */
    struct buffer keys;
    struct resp_writer writer; /* to keys */
    uint64_t count;
};

static bool is_alive(struct kvs_bytes stored, int64_t now_ms)
{
    struct value value = value_decode(stored);
    return !value_is_expired(&value, now_ms);
}

static int32_t list_key(void *arg, struct kvs_bytes key, struct kvs_bytes stored)
{
    struct listing *listing = arg;
    if (!is_alive(stored, listing->now_ms) || (!listing->all && !glob_match(listing->pattern, key)))
        return 0;
    resp_bulk(&listing->writer, key);
    listing->count++;
    return listing->writer.status != KVS_OK;
}

static void listing_begin(struct listing *listing, const struct call *call,
                          struct kvs_bytes pattern)
{
    *listing = (struct listing){
        .now_ms = call->now_ms, .pattern = pattern, .all = glob_matches_all(pattern)};
    listing->writer = (struct resp_writer){.out = &listing->keys, .version = call->reply->version};
}

/* Replies the keys as an array. */
static void listing_reply(struct listing *listing, struct call *call)
{
    struct resp_writer *reply = call->reply;
    resp_array(reply, listing->count);
    if (reply->status == KVS_OK)
        reply->status = listing->writer.status;
    resp_append(reply, &listing->keys);
    buffer_deinit(&listing->keys);
}

/* What listing needs is there. False: an error was replied. */
static bool can_list(struct call *call)
{
    if (call->context->keyspace != NULL && walk_is_possible(call->context->store))
        return true;
    resp_error(call->reply, "ERR engine %s cannot list its keys", call->context->engine_name);
    return false;
}

/* ---- SCAN --------------------------------------------------------------------------------- */

struct scan_options {
    uint64_t cursor;
    int64_t count;
    struct kvs_bytes pattern;
    bool of_other_type; /* only keys of a type of which there are none */
};

/* A cursor is read as Redis does, with strtoul: blanks in front are refused, a sign is not, and nothing,
   or what ends in a zero byte before anything, is 0. */
static bool parse_cursor(struct kvs_bytes text, uint64_t *ret)
{
    uint64_t value = 0;
    const char *at = text.ptr;
    uint64_t size = strnlen(at, text.len);
    bool is_negative = size > 0 && at[0] == '-';
    uint64_t first = is_negative || (size > 0 && at[0] == '+');
    if (size > 0 && first == size)
        return false;
    for (uint64_t i = first; i < size; i++) {
        unsigned digit = (unsigned)at[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = is_negative ? -value : value;
    return true;
}

/* False: an error was replied. */
static bool parse_scan(struct call *call, struct scan_options *ret)
{
    *ret = (struct scan_options){.count = SCAN_COUNT_USUAL, .pattern = bytes_of_text("*")};
    if (!parse_cursor(call->arguments[1], &ret->cursor)) {
        resp_error(call->reply, "ERR invalid cursor");
        return false;
    }
    for (uint32_t i = 2; i < call->argument_count; i += 2) {
        bool has_value = i + 1 < call->argument_count;
        if (has_value && word_is(call->arguments[i], "count")) {
            if (!resp_data_integer(call, i + 1, &ret->count))
                return false;
            if (ret->count >= 1)
                continue;
        } else if (has_value && word_is(call->arguments[i], "match")) {
            ret->pattern = call->arguments[i + 1];
            continue;
        } else if (has_value && word_is(call->arguments[i], "type")) {
            ret->of_other_type = !word_is(call->arguments[i + 1], "string");
            continue;
        }
        resp_error_syntax(call->reply);
        return false;
    }
    return true;
}

static void run_scan(struct call *call)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct scan_options options;
    struct listing listing;
    char number[24];
    if (!parse_scan(call, &options) || !can_list(call))
        return;
    listing_begin(&listing, call, options.of_other_type ? bytes_of("", 0) : options.pattern);
    kvs_status status = keyspace_scan(call->context->keyspace, call->tls, &options.cursor,
                                      (uint64_t)options.count, 0, list_key, &listing, &error);
    if (status == KVS_INVALID)
        resp_error(call->reply, "ERR invalid cursor: %s", message);
    else if (status != KVS_OK)
        resp_fault(call->reply, status, message);
    if (status != KVS_OK) {
        buffer_deinit(&listing.keys);
        return;
    }
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)options.cursor);
    resp_array(call->reply, 2);
    resp_bulk_text(call->reply, number);
    listing_reply(&listing, call);
}

static void run_keys(struct call *call)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct listing listing;
    struct walk walk = {0};
    kvs_status status;
    if (!can_list(call))
        return;
    listing_begin(&listing, call, call->arguments[1]);
    do {
        status = walk_step(&walk, call->context->store, call->tls, KEYS_PIECE, 0, list_key,
                           &listing, &error);
    } while (status == KVS_OK && listing.writer.status == KVS_OK && !walk.ended);
    walk_deinit(&walk);
    if (status == KVS_OK) {
        listing_reply(&listing, call);
        return;
    }
    resp_fault(call->reply, status, message);
    buffer_deinit(&listing.keys);
}

/* ---- RANDOMKEY ---------------------------------------------------------------------------- */

struct choice {
    struct call *call;
    uint64_t seen; /* keys that are alive */
    struct kvs_bytes key;
    bool failed;
};

static uint32_t random_below(uint32_t limit)
{
    uint32_t number = 0;
    (void)getrandom(&number, sizeof(number), 0);
    return number % limit;
}

/* Takes each with the chance that leaves all the same one. */
static int32_t choose(void *arg, struct kvs_bytes key, struct kvs_bytes stored)
{
    struct choice *choice = arg;
    if (!is_alive(stored, choice->call->now_ms))
        return 0;
    choice->seen++;
    if (random_below((uint32_t)choice->seen) != 0)
        return 0;
    void *copy = transaction_memory(choice->call->txn, key.len);
    choice->failed = copy == NULL;
    if (choice->failed)
        return 1;
    memcpy(copy, key.ptr, key.len);
    choice->key = bytes_of(copy, key.len);
    return 0;
}

static void run_randomkey(struct call *call)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct choice choice = {.call = call};
    kvs_status status = KVS_OK;
    if (!can_list(call))
        return;
    for (uint32_t i = 0; i < SAMPLE_TRIES && status == KVS_OK && choice.seen == 0; i++)
        status = keyspace_sample(call->context->keyspace, call->tls, 1 + random_below(SAMPLE_MAX),
                                 choose, &choice, &error);
    if (choice.failed)
        resp_data_fault(call, KVS_NO_MEMORY);
    else if (status != KVS_OK)
        resp_fault(call->reply, status, message);
    else if (choice.seen == 0)
        resp_null(call->reply);
    else
        resp_bulk(call->reply, choice.key);
}

const struct resp_command resp_scan[] = {
    {.name = "scan",
     .arity = -2,
     .flags = RESP_READ | RESP_NO_MULTI,
     .group = "generic",
     .since = "2.8.0",
     .summary = "List the keys piece by piece",
     .run = run_scan},
    {.name = "keys",
     .arity = 2,
     .flags = RESP_READ | RESP_NO_MULTI,
     .group = "generic",
     .since = "1.0.0",
     .summary = "List all keys that match a pattern",
     .run = run_keys},
    {.name = "randomkey",
     .arity = 1,
     .flags = RESP_READ | RESP_NO_MULTI,
     .group = "generic",
     .since = "1.0.0",
     .summary = "Get the name of some key",
     .run = run_randomkey},
    {.name = NULL},
};
