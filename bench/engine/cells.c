/* The table of the engine benchmarks' cells. */
#include "engine/cell.h"
#include "engine/steps.h"

#define RATE .unit = "ops/s"

/* A share of time on the filled store. */
#define FILLED(block_, name_, needs_, step_)                                                       \
    .block = (block_), .name = (name_), RATE, .ops = &cells_filled_ops, .shares_fixture = true,    \
    .needs = (needs_), .step = (step_), .slices = 1, .warm_ups = 1

/* All keys into a new store. */
#define FILL(name_, step_)                                                                         \
    .block = "fill", .name = (name_), RATE, .ops = &cells_fill_ops, .needs = 0, .step = (step_),   \
    .fills = 1

/* Every write synced, on a small store. */
#define DURABLE(name_, step_)                                                                      \
    .block = "durable", .name = (name_), RATE, .ops = &cells_durable_ops, .needs = PEER_SYNCS,     \
    .step = (step_), .sync = true, .slices = 2, .warm_ups = 1

#define CLASSIC(name_, ops_)                                                                       \
    .block = "engines", .name = (name_), RATE, .ops = (ops_), .needs = PEER_READS, .threads = {1}, \
    .slices = 0.5, .warm_ups = 1

const struct cell engine_cells[] = {
    {CLASSIC("classic_write", &cells_classic_write_ops),
     .help = "100 writes of random keys (1-500 bytes) and values (1-100,000 bytes)"},
    {CLASSIC("classic_read", &cells_classic_read_ops),
     .help = "1000 reads of those keys, at random"},
    {CLASSIC("classic_write_long", &cells_classic_write_ops), .long_keys = true,
     .help = "the same with keys of 1-65,535 bytes, where the store takes them"},
    {CLASSIC("classic_read_long", &cells_classic_read_ops), .long_keys = true,
     .help = "the same with keys of 1-65,535 bytes"},

    {FILL("fill", step_fill), .threads = {1}, .help = "all keys into an empty store, one by one"},
    {FILL("fill_batch64", step_fill_batch), .threads = {1},
     .help = "all keys into an empty store, 64 to a batch"},

    {FILLED("reads", "get", PEER_READS, step_get_hit), .threads = {1, 2},
     .help = "get of a random stored key"},
    {FILLED("reads", "get_miss", PEER_READS, step_get_miss), .threads = {1},
     .help = "get of a random missing key"},
    {FILLED("reads", "get_many16", PEER_READS, step_get_many), .threads = {1},
     .help = "get of 16 random stored keys with one call, counted by the key"},

    {FILLED("writes", "overwrite", 0, step_overwrite), .threads = {1},
     .help = "set of a random stored key, without sync"},
    {FILLED("writes", "overwrite", PEER_MIXES, step_overwrite), .threads = {2},
     .help = "the same with two writers"},
    {FILLED("writes", "mixed_50_50", PEER_READS | PEER_MIXES, step_mixed), .threads = {2},
     .write_percent = 50, .help = "half gets, half sets, keys by Zipf 0.99"},
    {FILLED("writes", "mixed_95_5", PEER_READS | PEER_MIXES, step_mixed), .threads = {2},
     .write_percent = 5, .help = "95 % gets, 5 % sets, keys by Zipf 0.99"},
    {.block = "writes",
     .name = "get_beside_writer",
     RATE,
     .ops = &cells_shadow_ops,
     .shares_fixture = true,
     .needs = PEER_READS | PEER_MIXES,
     .threads = {1},
     .step = step_get_hit,
     .slices = 8,
     .warm_ups = 1,
     .help = "get of a random stored key while one writer runs at full speed"},

    {DURABLE("set_sync", step_overwrite), .threads = {1, 8, 32},
     .help = "set of a random key, durable before it returns"},
    {DURABLE("set_sync_window32", step_window), .threads = {1}, .needs_window = true,
     .help = "32 such sets under way at once from one thread, as a server has them"},

    {.block = "reopen",
     .name = "reopen_clean",
     .unit = "ms",
     .less_is_better = true,
     .ops = &cells_reopen_ops,
     .needs = PEER_REOPENS | PEER_READS,
     .threads = {1},
     .slices = 1,
     .begin_fills = 1,
     .warm_ups = 1,
     .help = "opening a store that was closed, until the first get has answered"},
    {.block = "reopen",
     .name = "reopen_killed",
     .unit = "ms",
     .less_is_better = true,
     .killed = true,
     .ops = &cells_reopen_ops,
     .needs = PEER_REOPENS | PEER_READS,
     .threads = {1},
     .slices = 2,
     .begin_fills = 1,
     .warm_ups = 1,
     .help = "the same after kill -9; every key must still be there"},

    {.block = "space",
     .name = "memory",
     .unit = "bytes/key",
     .less_is_better = true,
     .ops = &cells_memory_ops,
     .needs = PEER_READS,
     .threads = {1},
     .fills = 1.5,
     .samples_max = 3,
     .help = "anonymous memory that a filled store takes, in a process of its own"},
    {.block = "space",
     .name = "overwrite5",
     .unit = "x live",
     .less_is_better = true,
     .ops = &cells_space_ops,
     .needs = PEER_REOPENS | PEER_READS | PEER_MIXES,
     .threads = {1},
     .fills = 6,
     .slices = 2,
     .samples_max = 3,
     .help = "disk space after overwriting every key five times, beside a reader; stalls"},
};

const size_t engine_cell_count = G_N_ELEMENTS(engine_cells);
