/* The native protocol's commands over transactions, by themselves: what bodies they take, and that they
   take no others. tests/system/test_keys.c has them from end to end. */
#include "resp_runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "command/native_keys.h"
#include "protocol/native_body.h"

#define NOW INT64_C(1700000000000)

struct scene {
    struct resp_runner runner; /* for its store and keyspace */
    struct buffer body;
    struct buffer reply;
    struct test_error error;
};

static struct scene *begin(const char *kind)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    resp_runner_open(&scene->runner, kind);
    scene->runner.now_ms = NOW;
    return scene;
}

static void end(struct scene *scene)
{
    resp_runner_close(&scene->runner);
    buffer_deinit(&scene->body);
    buffer_deinit(&scene->reply);
    free(scene);
}

static void put(struct scene *scene, const void *bytes, size_t size)
{
    assert_int_equal(KVS_OK, buffer_append(&scene->body, bytes, size));
}

static void put_text(struct scene *scene, const char *text)
{
    put(scene, text, strlen(text));
}

static void put32(struct scene *scene, uint32_t value)
{
    assert_int_equal(KVS_OK, native_put_u32(&scene->body, value));
}

static void put64(struct scene *scene, int64_t value)
{
    assert_int_equal(KVS_OK, native_put_u64(&scene->body, (uint64_t)value));
}

/* Runs the command with the body, which is then empty, and commits. */
static kvs_status run(struct scene *scene, uint32_t id)
{
    const struct command *command = command_find(id);
    struct kvs_bytes body = bytes_of(buffer_content(&scene->body), buffer_size(&scene->body));
    struct request request = {.command = id};
    if (id == REQUEST_LOOK || id == REQUEST_REMOVE)
        request.key = body;
    else
        request.value = body;
    test_error_init(&scene->error);
    struct native_call call = {.context = &scene->runner.context,
                               .txn = scene->runner.txn,
                               .request = &request,
                               .now_ms = scene->runner.now_ms,
                               .reply = &scene->reply,
                               .err = &scene->error.error};
    buffer_consume(&scene->reply, buffer_size(&scene->reply));
    transaction_begin(call.txn, call.context->store, NULL, call.now_ms,
                      command->writes ? 0 : TRANSACTION_READ_ONLY);
    kvs_status status = command->run(&call);
    if (status >= 0 && command->writes)
        assert_int_equal(KVS_OK, transaction_commit(call.txn, NULL, NULL));
    buffer_consume(&scene->body, buffer_size(&scene->body));
    return status;
}

static void put_operation(struct scene *scene, uint8_t kind, uint8_t condition, uint8_t expires,
                          int64_t time, const char *key, const char *value)
{
    const uint8_t head[] = {kind, condition, expires, 0};
    put(scene, head, sizeof(head));
    put32(scene, (uint32_t)strlen(key));
    put32(scene, (uint32_t)strlen(value));
    put32(scene, 0);
    put64(scene, time);
    put_text(scene, key);
    put_text(scene, value);
}

static kvs_status set_with(struct scene *scene, uint8_t expires, int64_t time)
{
    put32(scene, 0);
    put32(scene, 1);
    put_operation(scene, KVS_OP_SET, KVS_IF_ALWAYS, expires, time, "k", "v");
    return run(scene, REQUEST_BATCH);
}

static void times_are_taken_as_they_are_meant(void **state)
{
    (void)state;
    struct scene *scene = begin("memory");
    static const struct {
        uint8_t expires;
        int64_t time;
        kvs_status status;
        const char *ttl;
    } cases[] = {
        {NATIVE_EXPIRES_NEVER, 5, KVS_OK, ":-1"},
        {NATIVE_EXPIRES_IN, 5, KVS_OK, ":5"},
        {NATIVE_EXPIRES_KEEP, 0, KVS_OK, ":5"},
        {NATIVE_EXPIRES_AT, NOW + 7, KVS_OK, ":7"},
        {NATIVE_EXPIRES_IN, 0, KVS_INVALID, ":7"},
        {NATIVE_EXPIRES_IN, -1, KVS_INVALID, ":7"},
        {NATIVE_EXPIRES_IN, INT64_MAX, KVS_INVALID, ":7"},
        {NATIVE_EXPIRES_AT, INT64_MIN, KVS_INVALID, ":7"},
        {4, 5, KVS_UNSUPPORTED, ":7"},
        {NATIVE_EXPIRES_AT, 1, KVS_OK, ":-2"}, /* it has passed: the key goes at once */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(cases[i].status, set_with(scene, cases[i].expires, cases[i].time));
        expect_reply(&scene->runner, "PTTL k", cases[i].ttl);
    }
    put32(scene, NATIVE_EXPIRES_KEEP);
    put32(scene, 0);
    put64(scene, 0);
    put_text(scene, "k");
    assert_int_equal(KVS_UNSUPPORTED, run(scene, REQUEST_EXPIRE));
    end(scene);
}

static void a_fault_leaves_the_whole_batch_out(void **state)
{
    (void)state;
    struct scene *scene = begin("memory");
    put32(scene, 0);
    put32(scene, 2);
    put_operation(scene, KVS_OP_SET, KVS_IF_ALWAYS, 0, 0, "a", "1");
    put_operation(scene, KVS_OP_SET, KVS_IF_PRESENT, 0, 0, "broken", "1");
    assert_int_equal(KVS_IO, run(scene, REQUEST_BATCH));
    assert_string_equal("the disk is on fire", scene->error.message);
    expect_reply(&scene->runner, "EXISTS a", ":0");
    put32(scene, 1);
    put_text(scene, "\6");
    assert_int_equal(KVS_PROTOCOL, run(scene, REQUEST_MGET));
    put32(scene, 1);
    put32(scene, 6);
    put_text(scene, "broken");
    assert_int_equal(KVS_IO, run(scene, REQUEST_MGET));
    put64(scene, 1);
    put_text(scene, "broken");
    assert_int_equal(KVS_IO, run(scene, REQUEST_INCREMENT));
    put64(scene, 0);
    put64(scene, 0);
    assert_int_equal(KVS_UNSUPPORTED, run(scene, REQUEST_SCAN));
    end(scene);
}

/* Answers that do not fit are refused, not cut. */
static void values_that_are_too_much_together(void **state)
{
    (void)state;
    struct scene *scene = begin("log");
    struct value value;
    char *large = calloc(1, 33u << 20);
    assert_non_null(large);
    transaction_begin(scene->runner.txn, scene->runner.context.store, NULL, NOW, 0);
    assert_int_equal(KVS_OK, transaction_set(scene->runner.txn, bytes_of_text("k"),
                                             bytes_of(large, 33u << 20), VALUE_NEVER));
    assert_int_equal(KVS_OK, transaction_commit(scene->runner.txn, NULL, NULL));
    for (uint32_t count = 1; count <= 2; count++) {
        put32(scene, count);
        for (uint32_t i = 0; i < count; i++) {
            put32(scene, 1);
            put_text(scene, "k");
        }
        assert_int_equal(count == 1 ? KVS_OK : KVS_TOO_LARGE, run(scene, REQUEST_MGET));
    }
    put_text(scene, "k");
    assert_int_equal(KVS_OK, run(scene, REQUEST_LOOK));
    assert_int_equal(24, buffer_size(&scene->reply));
    assert_int_equal(33u << 20, load_le64(buffer_content(&scene->reply)));
    transaction_begin(scene->runner.txn, scene->runner.context.store, NULL, NOW, 0);
    assert_int_equal(KVS_OK, transaction_get(scene->runner.txn, bytes_of_text("k"), &value));
    free(large);
    end(scene);
}

/* Whatever comes as a body is taken or refused. */
static void any_body_is_borne(void **state)
{
    (void)state;
    static const uint32_t ids[] = {REQUEST_BATCH, REQUEST_INCREMENT, REQUEST_MGET, REQUEST_SCAN,
                                   REQUEST_EXPIRE};
    struct scene *scene = begin("log");
    uint32_t dice = 12345;
    unsigned taken = 0;
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t bytes[96];
        dice = dice * 1664525u + 1013904223u;
        size_t size = dice >> 16 & 63;
        for (size_t at = 0; at < sizeof(bytes); at++) {
            dice = dice * 1664525u + 1013904223u;
            /* Mostly small numbers, so that sizes fit now and then. */
            bytes[at] = (uint8_t)((dice >> 30) != 0 ? (dice >> 26 & 15) == 0 : dice >> 24);
        }
        put(scene, bytes, size);
        kvs_status status = run(scene, ids[i % 5]);
        taken += status >= 0;
        assert_true(status >= 0 || scene->error.message[0] != '\0');
    }
    assert_true(taken > 500);
    end(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_taken_as_they_are_meant),
        cmocka_unit_test(a_fault_leaves_the_whole_batch_out),
        cmocka_unit_test(values_that_are_too_much_together),
        cmocka_unit_test(any_body_is_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
