/* Descriptors and tables that are made up here: what the shelf's files cannot say in one line. */
#include "support/support.h"

#include <string.h>

#include "plugin/check.h"

static void do_nothing(void)
{
}

/* A table whose every operation is set, and that promises them all. */
static struct kvs_engine_ops full_engine(void)
{
    struct kvs_engine_ops ops = {.size = sizeof(ops), .capabilities = UINT64_MAX};
    ops.key_max = ops.value_max = ops.batch_bytes_max = ops.batch_ops_max = 10;
    void (*function)(void) = do_nothing;
    for (size_t at = offsetof(struct kvs_engine_ops, open); at < sizeof(ops);
         at += sizeof(function))
        memcpy((char *)&ops + at, &function, sizeof(function));
    return ops;
}

static struct kvs_pool_ops full_pool(void)
{
    struct kvs_pool_ops ops = {.size = sizeof(ops), .capabilities = UINT64_MAX};
    void (*function)(void) = do_nothing;
    for (size_t at = offsetof(struct kvs_pool_ops, create); at < sizeof(ops);
         at += sizeof(function))
        memcpy((char *)&ops + at, &function, sizeof(function));
    return ops;
}

static struct kvs_plugin descriptor_of(uint32_t kind, const char *name, const void *ops)
{
    return (struct kvs_plugin){
        .size = sizeof(struct kvs_plugin),
        .magic = KVS_PLUGIN_MAGIC,
        .abi_major = KVS_ABI_MAJOR,
        .kind = kind,
        .name = name,
        .version = "1",
        .description = "made up",
        .ops = ops,
    };
}

/* I2: taking away one optional operation breaks the promise of its bit, and of no other. */
static void every_promise_is_checked(void **state)
{
    (void)state;
    for (size_t at = offsetof(struct kvs_engine_ops, open); at < sizeof(struct kvs_engine_ops);
         at += sizeof(uintptr_t)) {
        struct kvs_engine_ops ops = full_engine();
        struct kvs_engine_ops checked = {.size = 77};
        memset((char *)&ops + at, 0, sizeof(uintptr_t));
        struct kvs_plugin descriptor = descriptor_of(KVS_PLUGIN_ENGINE, "x", &ops);
        assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_INCOMPATIBLE);
        assert_int_equal(checked.size, 77);
    }
    for (size_t at = offsetof(struct kvs_pool_ops, create); at < sizeof(struct kvs_pool_ops);
         at += sizeof(uintptr_t)) {
        struct kvs_pool_ops ops = full_pool();
        struct kvs_pool_ops checked = {.size = 77};
        memset((char *)&ops + at, 0, sizeof(uintptr_t));
        struct kvs_plugin descriptor = descriptor_of(KVS_PLUGIN_POOL, "x", &ops);
        assert_int_equal(check_pool(&descriptor, &checked, NULL), KVS_INCOMPATIBLE);
        assert_int_equal(checked.size, 77);
    }
}

/* I2, I3: without any bit the mandatory operations are left; unknown bits are cleared. */
static void bits_decide_what_is_present(void **state)
{
    (void)state;
    struct kvs_engine_ops ops = full_engine();
    struct kvs_engine_ops checked;
    struct kvs_plugin descriptor = descriptor_of(KVS_PLUGIN_ENGINE, "x", &ops);
    assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_OK);
    assert_int_equal(checked.capabilities, 0x7F07FF); /* as of ABI 1.0 */
    assert_non_null(checked.reconfigure);
    assert_int_equal(checked.batch_ops_max, 10);
    ops.capabilities = 0;
    assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_OK);
    assert_non_null(checked.remove);
    for (size_t at = offsetof(struct kvs_engine_ops, submit); at < sizeof(checked);
         at += sizeof(uintptr_t)) {
        uintptr_t pointer;
        memcpy(&pointer, (char *)&checked + at, sizeof(pointer));
        assert_int_equal(pointer, 0);
    }
    struct kvs_pool_ops pool_ops = full_pool();
    struct kvs_pool_ops checked_pool;
    descriptor = descriptor_of(KVS_PLUGIN_POOL, "x", &pool_ops);
    assert_int_equal(check_pool(&descriptor, &checked_pool, NULL), KVS_OK);
    assert_int_equal(checked_pool.capabilities, 0xF0007);
}

/* I1: a table that ends early is not read further; what lies behind is absent. */
static void table_is_clamped_to_its_size(void **state)
{
    (void)state;
    struct kvs_engine_ops ops = full_engine();
    struct kvs_engine_ops checked;
    struct kvs_plugin descriptor = descriptor_of(KVS_PLUGIN_ENGINE, "x", &ops);
    ops.size = offsetof(struct kvs_engine_ops, get_many);
    ops.capabilities = KVS_ENGINE_HAS_SUBMIT;
    assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_OK);
    assert_non_null(checked.submit);
    assert_null(checked.get_many);
    ops.capabilities = KVS_ENGINE_HAS_GET_MANY;
    assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_INCOMPATIBLE);
}

static void limits_are_checked(void **state)
{
    (void)state;
    static const size_t limits[] = {
        offsetof(struct kvs_engine_ops, key_max),
        offsetof(struct kvs_engine_ops, value_max),
        offsetof(struct kvs_engine_ops, batch_bytes_max),
        offsetof(struct kvs_engine_ops, batch_ops_max),
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct kvs_engine_ops ops = full_engine();
        struct kvs_engine_ops checked;
        struct kvs_plugin descriptor = descriptor_of(KVS_PLUGIN_ENGINE, "x", &ops);
        memset((char *)&ops + limits[i], 0, sizeof(uint64_t));
        assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_INCOMPATIBLE);
    }
    /* An engine without submit needs no limits of batches; they become those of one operation. */
    struct kvs_engine_ops ops = full_engine();
    struct kvs_engine_ops checked;
    struct kvs_plugin descriptor = descriptor_of(KVS_PLUGIN_ENGINE, "x", &ops);
    ops.capabilities = 0;
    ops.batch_ops_max = ops.batch_bytes_max = 0;
    ops.value_max = UINT64_MAX;
    assert_int_equal(check_engine(&descriptor, &checked, NULL), KVS_OK);
    assert_int_equal(checked.batch_ops_max, 1);
    assert_true(checked.batch_bytes_max == UINT64_MAX);
}

static kvs_status check_two(const struct kvs_plugin *a, const struct kvs_plugin *b,
                            const struct kvs_plugin **ret_found)
{
    const struct kvs_plugin *const list[] = {a, b, NULL};
    return check_list(list, KVS_PLUGIN_ENGINE, "x", ret_found, NULL);
}

/* One file may hold several plugins; the one that its name says is taken, but all must be sound. */
static void list_is_searched_and_checked(void **state)
{
    (void)state;
    struct kvs_engine_ops engine = full_engine();
    struct kvs_pool_ops pool = full_pool();
    struct kvs_plugin wanted = descriptor_of(KVS_PLUGIN_ENGINE, "x", &engine);
    struct kvs_plugin other = descriptor_of(KVS_PLUGIN_POOL, "x", &pool);
    const struct kvs_plugin *found = NULL;
    assert_int_equal(check_two(&other, &wanted, &found), KVS_OK);
    assert_ptr_equal(found, &wanted);
    other.kind = 3;
    assert_int_equal(check_two(&wanted, &other, &found), KVS_INCOMPATIBLE);
    other = descriptor_of(KVS_PLUGIN_POOL, "../x", &pool);
    assert_int_equal(check_two(&wanted, &other, &found), KVS_INCOMPATIBLE);
    other = descriptor_of(KVS_PLUGIN_POOL, "y", NULL);
    assert_int_equal(check_two(&wanted, &other, &found), KVS_INCOMPATIBLE);
    other = descriptor_of(KVS_PLUGIN_POOL, "y", &pool);
    other.version = NULL;
    assert_int_equal(check_two(&wanted, &other, &found), KVS_INCOMPATIBLE);
    other = descriptor_of(KVS_PLUGIN_POOL, "y", &pool);
    other.size = 4;
    assert_int_equal(check_two(&wanted, &other, &found), KVS_INCOMPATIBLE);
    const struct kvs_plugin *const empty[] = {NULL};
    assert_int_equal(check_list(empty, KVS_PLUGIN_ENGINE, "x", &found, NULL), KVS_INCOMPATIBLE);
}

/* A descriptor of ABI 1.0 without get_extension at its end is whole. */
static void descriptor_may_end_behind_ops(void **state)
{
    (void)state;
    struct kvs_engine_ops engine = full_engine();
    struct kvs_plugin wanted = descriptor_of(KVS_PLUGIN_ENGINE, "x", &engine);
    const struct kvs_plugin *found = NULL;
    wanted.size = offsetof(struct kvs_plugin, get_extension);
    assert_int_equal(check_two(&wanted, NULL, &found), KVS_OK);
    wanted.size -= 1;
    assert_int_equal(check_two(&wanted, NULL, &found), KVS_INCOMPATIBLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promise_is_checked),
        cmocka_unit_test(bits_decide_what_is_present),
        cmocka_unit_test(table_is_clamped_to_its_size),
        cmocka_unit_test(limits_are_checked),
        cmocka_unit_test(list_is_searched_and_checked),
        cmocka_unit_test(descriptor_may_end_behind_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
