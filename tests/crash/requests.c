/* See requests.h. */
#include "crash/requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "protocol/native.h"
#include "protocol/native_body.h"

#define EXPIRY_MAX_MS 300u /* how long an expiring key lives at most */
#define COMMAND_BATCH 8u

static void put(struct buffer *out, const void *bytes, size_t size)
{
    if (size > 0 && buffer_append(out, bytes, size) != KVS_OK)
        abort();
}

/* Fewer than below, from 0. */
static uint32_t draw(unsigned *seed, uint32_t below)
{
    return (uint32_t)rand_r(seed) % below;
}

static struct ledger_change choose_change(struct ledger *ledger, uint32_t number, unsigned *seed)
{
    struct ledger_writer *writer = &ledger->writers[number];
    uint32_t kind = draw(seed, 10);
    struct ledger_change change = {.key = draw(seed, ledger->key_limit)};
    if (kind < 2) /* a removal */
        return change;
    change.to.version = ++writer->last_version;
    if (kind < 4)
        change.to.expires_ms = clock_unix_ms() + 1 + draw(seed, EXPIRY_MAX_MS);
    return change;
}

struct ledger_step request_choose(struct ledger *ledger, uint32_t number, unsigned *seed)
{
    struct ledger_step step = {.count = 1};
    if (draw(seed, 3) == 0)
        step.count += draw(seed, LEDGER_CHANGES);
    for (uint32_t i = 0; i < step.count; i++)
        step.changes[i] = choose_change(ledger, number, seed);
    return step;
}

static void put_argument(struct buffer *out, struct kvs_bytes argument)
{
    char head[24];
    put(out, head,
        (size_t)snprintf(head, sizeof(head), "$%llu\r\n", (unsigned long long)argument.len));
    put(out, argument.ptr, argument.len);
    put(out, "\r\n", 2);
}

static void put_head(struct buffer *out, uint32_t arguments, const char *command)
{
    char head[24];
    put(out, head, (size_t)snprintf(head, sizeof(head), "*%u\r\n", arguments));
    put_argument(out, bytes_of_text(command));
}

static void put_key_value(struct buffer *out, uint32_t number, const struct ledger_change *change)
{
    static uint8_t value[LEDGER_VALUE_MAX];
    char name[LEDGER_NAME_MAX];
    put_argument(out, ledger_name(name, number, change->key));
    if (change->to.version != 0)
        put_argument(out, ledger_value(value, number, change->key, change->to.version));
}

static void put_command(struct buffer *out, uint32_t number, const struct ledger_change *change)
{
    char time[24];
    if (change->to.version == 0) {
        put_head(out, 2, "DEL");
        put_key_value(out, number, change);
    } else if (change->to.expires_ms == 0) {
        put_head(out, 3, "SET");
        put_key_value(out, number, change);
    } else {
        put_head(out, 5, "SET");
        put_key_value(out, number, change);
        put_argument(out, bytes_of_text("PXAT"));
        (void)snprintf(time, sizeof(time), "%lld", (long long)change->to.expires_ms);
        put_argument(out, bytes_of_text(time));
    }
}

static bool only_plain_sets(const struct ledger_step *step)
{
    for (uint32_t i = 0; i < step->count; i++) {
        if (step->changes[i].to.version == 0 || step->changes[i].to.expires_ms != 0)
            return false;
    }
    return true;
}

uint32_t request_put_resp(struct buffer *out, uint32_t number, const struct ledger_step *step)
{
    if (step->count == 1) {
        put_command(out, number, &step->changes[0]);
        return 1;
    }
    bool is_mset = only_plain_sets(step);
    if (is_mset)
        put_head(out, 1 + 2 * step->count, "MSET");
    else
        put_head(out, 1, "MULTI");
    for (uint32_t i = 0; i < step->count; i++) {
        if (is_mset)
            put_key_value(out, number, &step->changes[i]);
        else
            put_command(out, number, &step->changes[i]);
    }
    if (is_mset)
        return 1;
    put_head(out, 1, "EXEC");
    return 2 + 2 * step->count; /* OK, a QUEUED each, the array, a reply each */
}

static void put_native_operation(uint32_t number, const struct ledger_change *change,
                                 struct buffer *body)
{
    static uint8_t bytes[LEDGER_VALUE_MAX];
    char name[LEDGER_NAME_MAX];
    struct kvs_bytes key = ledger_name(name, number, change->key);
    bool is_set = change->to.version != 0;
    struct kvs_bytes value =
        is_set ? ledger_value(bytes, number, change->key, change->to.version) : bytes_of(bytes, 0);
    uint8_t head[NATIVE_BATCH_OP_SIZE] = {is_set ? 1 : 2, 0,
                                          change->to.expires_ms != 0 ? NATIVE_EXPIRES_AT : 0};
    store_le32(head + 4, (uint32_t)key.len);
    store_le32(head + 8, (uint32_t)value.len);
    store_le64(head + 16, (uint64_t)change->to.expires_ms);
    if (buffer_append(body, head, sizeof(head)) != KVS_OK ||
        buffer_append(body, key.ptr, key.len) != KVS_OK ||
        (value.len > 0 && buffer_append(body, value.ptr, value.len) != KVS_OK))
        abort();
}

uint32_t request_put_native(struct buffer *out, uint32_t number, const struct ledger_step *step)
{
    struct buffer body = {0};
    uint8_t head[NATIVE_HEADER_SIZE] = {NATIVE_MAGIC_REQUEST, NATIVE_VERSION, COMMAND_BATCH};
    if (native_put_u32(&body, NATIVE_BATCH_ALL_OR_NONE) != KVS_OK ||
        native_put_u32(&body, step->count) != KVS_OK)
        abort();
    for (uint32_t i = 0; i < step->count; i++)
        put_native_operation(number, &step->changes[i], &body);
    struct kvs_bytes bytes = bytes_of(buffer_content(&body), buffer_size(&body));
    store_le32(head + 4, (uint32_t)bytes.len);
    put(out, head, sizeof(head));
    put(out, bytes.ptr, bytes.len);
    buffer_deinit(&body);
    return 1;
}
