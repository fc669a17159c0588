/* See data.h. */
#include "engine/data.h"

void data_value_init(const struct data *data, uint8_t *value)
{
    struct random random;
    random_init(&random, data->seed);
    for (uint32_t i = 0; i < data->value_size; i++)
        value[i] = (uint8_t)random_next(&random);
}
