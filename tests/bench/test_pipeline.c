/* Pipelines of the load generator: whatever stood there before, the requests are those of the slots. */
#include "support/support.h"

#include <string.h>

#include "load/pipeline.h"

#define CAPACITY 8u
#define KEYS     50u

/* The requests as they are made one by one. version: of the first value. */
static size_t make_plainly(const struct plan *plan, const struct pipeline_slot *slots,
                           uint32_t count, uint64_t first_id, uint64_t version, uint8_t *to)
{
    const struct data data = {plan->seed, plan->keys, plan->value_size};
    uint8_t *start = to;
    uint8_t value[256];
    data_value_init(&data, value);
    for (uint32_t i = 0; i < count; i++) {
        struct wire_template template;
        uint8_t key[DATA_KEY_SIZE];
        enum wire_command command = pipeline_command(slots[i].kind);
        plan->endpoint.wire->describe(command, plan->value_size, &template);
        data_key(&data, slots[i].index, key);
        if (command == WIRE_SET && plan->value_size >= DATA_STAMP_SIZE)
            data_value_stamp(&data, slots[i].index, version++, value);
        wire_put(&template, first_id + i, key, value, plan->value_size, to);
        to += template.size;
    }
    return (size_t)(to - start);
}

/* Many pipelines in one place, of random kinds, keys and lengths. few: mostly of one kind. */
static void expect_all_right(const struct wire *wire, uint32_t value_size, bool few)
{
    struct plan plan = {
        .endpoint = {.wire = wire}, .keys = KEYS, .value_size = value_size, .seed = 3};
    struct pipeline pipeline;
    struct pipeline_slot slots[CAPACITY];
    struct random random;
    uint8_t expected[CAPACITY * 400];
    random_init(&random, value_size);
    pipeline_init(&pipeline, &plan, CAPACITY);
    for (uint32_t round = 0; round < 500; round++) {
        uint32_t count = (uint32_t)random_below(&random, CAPACITY) + 1;
        for (uint32_t i = 0; i < count; i++)
            slots[i] = (struct pipeline_slot){
                .index = random_below(&random, KEYS),
                .kind = few ? (random_below(&random, 20) == 0 ? DRAW_GET : DRAW_SET)
                            : (enum draw_kind)random_below(&random, 4),
            };
        uint64_t version = pipeline.version + 1;
        uint64_t id = pipeline.next_id;
        pipeline_make(&pipeline, slots, count);
        assert_int_equal(pipeline.first_id, id);
        assert_int_equal(pipeline.next_id, id + count);
        assert_int_equal(pipeline.size, make_plainly(&plan, slots, count, id, version, expected));
        assert_memory_equal(pipeline.bytes, expected, pipeline.size);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(slots[i].identity, data_identity(&pipeline.data, slots[i].index));
    }
    pipeline_deinit(&pipeline);
}

static void pipelines_hold_the_requests_of_their_slots(void **state)
{
    (void)state;
    static const struct wire *const wires[] = {&wire_kvs, &wire_resp, &wire_memcached};
    static const uint32_t sizes[] = {0, 5, 16, 100};
    for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
        for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
            expect_all_right(wires[i], sizes[j], false);
            expect_all_right(wires[i], sizes[j], true);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_hold_the_requests_of_their_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
