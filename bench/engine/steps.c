/* See steps.h. */
#include "engine/steps.h"

/* A failed call's message is in worker->error already; a wrong answer gets one here. */
static uint32_t fail_call(struct worker *worker, const char *what, kvs_status status)
{
    return worker_fail(worker, status < 0 ? status : KVS_INTERNAL, "%s gave: %s", what,
                       kvs_status_text(status));
}

static uint32_t get_index(struct worker *worker, uint64_t index)
{
    uint8_t key[DATA_KEY_SIZE];
    struct peer_value value = {.data = worker->read, .cap = worker->data->value_size};
    data_key(worker->data, index, key);
    kvs_status status = worker->ops->get(worker->store, worker->thread,
                                         bytes_of(key, DATA_KEY_SIZE), &value, &worker->error);
    if (status != KVS_OK)
        return fail_call(worker, "get of a stored key", status);
    if (!data_value_is_of(worker->data, index, value.data, value.len))
        return worker_fail(worker, KVS_CORRUPT, "get gave another key's value");
    return 1;
}

uint32_t step_get_hit(struct worker *worker)
{
    return get_index(worker, random_below(&worker->random, worker->data->keys));
}

uint32_t step_get_miss(struct worker *worker)
{
    uint8_t key[DATA_KEY_SIZE];
    struct peer_value value = {.data = worker->read, .cap = worker->data->value_size};
    uint64_t keys = worker->data->keys;
    data_key(worker->data, keys + random_below(&worker->random, keys), key);
    kvs_status status = worker->ops->get(worker->store, worker->thread,
                                         bytes_of(key, DATA_KEY_SIZE), &value, &worker->error);
    return status == KVS_NOT_FOUND ? 1 : fail_call(worker, "get of a missing key", status);
}

uint32_t step_get_many(struct worker *worker)
{
    uint8_t names[STEP_MANY_SIZE][DATA_KEY_SIZE];
    uint64_t indexes[STEP_MANY_SIZE];
    struct kvs_bytes keys[STEP_MANY_SIZE];
    struct peer_value values[STEP_MANY_SIZE];
    uint32_t size = worker->data->value_size;
    for (uint32_t i = 0; i < STEP_MANY_SIZE; i++) {
        indexes[i] = random_below(&worker->random, worker->data->keys);
        data_key(worker->data, indexes[i], names[i]);
        keys[i] = bytes_of(names[i], DATA_KEY_SIZE);
        values[i] = (struct peer_value){.data = worker->read + (size_t)i * size, .cap = size};
    }
    kvs_status status = worker->ops->get_many(worker->store, worker->thread, keys, STEP_MANY_SIZE,
                                              values, &worker->error);
    if (status != KVS_OK)
        return fail_call(worker, "get of many", status);
    for (uint32_t i = 0; i < STEP_MANY_SIZE; i++) {
        if (values[i].status != KVS_OK)
            return fail_call(worker, "one of many gets", values[i].status);
        if (!data_value_is_of(worker->data, indexes[i], values[i].data, values[i].len))
            return worker_fail(worker, KVS_CORRUPT, "get of many gave another key's value");
    }
    return STEP_MANY_SIZE;
}

static uint32_t set_index(struct worker *worker, uint64_t index)
{
    uint8_t key[DATA_KEY_SIZE];
    data_key(worker->data, index, key);
    data_value_stamp(worker->data, index, worker->load->version, worker->value);
    kvs_status status =
        worker->ops->set(worker->store, worker->thread, bytes_of(key, DATA_KEY_SIZE),
                         bytes_of(worker->value, worker->data->value_size), &worker->error);
    return status == KVS_OK ? 1 : fail_call(worker, "set", status);
}

uint32_t step_fill(struct worker *worker)
{
    uint64_t index = worker->next;
    worker->next += worker->stride;
    return set_index(worker, index);
}

uint32_t step_overwrite(struct worker *worker)
{
    return set_index(worker, random_below(&worker->random, worker->data->keys));
}

uint32_t step_overwrite_each(struct worker *worker)
{
    /* A prime above any number of keys has no common divisor with it: all indexes come. */
    uint64_t number = worker->next++ % worker->data->keys;
    __extension__ unsigned __int128 product = number;
    product *= UINT64_C(1000000000000037);
    return set_index(worker, (uint64_t)(product % worker->data->keys));
}

/* Makes count writes; the values are stamped copies in worker->read. */
static void make_items(struct worker *worker, const uint64_t *indexes, uint32_t count,
                       uint8_t (*names)[DATA_KEY_SIZE], struct peer_item *items)
{
    uint32_t size = worker->data->value_size;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *value = worker->read + (size_t)i * size;
        memcpy(value, worker->value, size);
        data_key(worker->data, indexes[i], names[i]);
        data_value_stamp(worker->data, indexes[i], worker->load->version, value);
        items[i] = (struct peer_item){bytes_of(names[i], DATA_KEY_SIZE), bytes_of(value, size)};
    }
}

uint32_t step_fill_batch(struct worker *worker)
{
    uint8_t names[STEP_BATCH_SIZE][DATA_KEY_SIZE];
    uint64_t indexes[STEP_BATCH_SIZE];
    struct peer_item items[STEP_BATCH_SIZE];
    uint64_t left = worker->data->keys - worker->next;
    uint32_t count = left < STEP_BATCH_SIZE ? (uint32_t)left : STEP_BATCH_SIZE;
    for (uint32_t i = 0; i < count; i++)
        indexes[i] = worker->next++;
    make_items(worker, indexes, count, names, items);
    kvs_status status =
        worker->ops->batch(worker->store, worker->thread, items, count, &worker->error);
    return status == KVS_OK ? count : fail_call(worker, "batch", status);
}

uint32_t step_window(struct worker *worker)
{
    uint8_t names[STEP_WINDOW_SIZE][DATA_KEY_SIZE];
    uint64_t indexes[STEP_WINDOW_SIZE];
    struct peer_item items[STEP_WINDOW_SIZE];
    for (uint32_t i = 0; i < STEP_WINDOW_SIZE; i++)
        indexes[i] = random_below(&worker->random, worker->data->keys);
    make_items(worker, indexes, STEP_WINDOW_SIZE, names, items);
    kvs_status status =
        worker->ops->window(worker->store, worker->thread, items, STEP_WINDOW_SIZE, &worker->error);
    return status == KVS_OK ? STEP_WINDOW_SIZE : fail_call(worker, "window of writes", status);
}

uint32_t step_mixed(struct worker *worker)
{
    uint64_t index = worker->load->draws[worker->draw];
    worker->draw = worker->draw + 1 < worker->load->draw_count ? worker->draw + 1 : 0;
    bool writes = random_below(&worker->random, 100) < worker->role->write_percent;
    return writes ? set_index(worker, index) : get_index(worker, index);
}
