/*
 * A simple engine for tests: the five mandatory operations over a table in memory. It has no submit,
 * so the store's own batches and conditions are what is tested on it. Two of them: one that takes
 * writers side by side, and one that notices when two meet.
 */
#ifndef TESTS_COMMAND_MEMORY_ENGINE_H
#define TESTS_COMMAND_MEMORY_ENGINE_H

#include <kvs/engine.h>

#define MEMORY_ENGINE_VALUE_MAX 65536u

/* Values over MEMORY_ENGINE_VALUE_MAX bytes are too large; the key "broken" cannot be read. */
extern const struct kvs_engine_ops memory_engine_ops;
extern const struct kvs_engine_ops memory_engine_one_writer_ops;

#endif
