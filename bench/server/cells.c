/* The table of the server benchmarks (cell.h). */
#include "server/cell.h"

#include <glib.h>

#define CONNECTIONS                                                                                \
    {                                                                                              \
        1, 50, 500                                                                                 \
    }
#define MORE                                                                                       \
    {                                                                                              \
        1, 50, 500, 2000, 10000                                                                    \
    }
#define RATES                                                                                      \
    {                                                                                              \
        5000, 20000, 50000, 80000                                                                  \
    }

const struct server_cell server_cells[] = {
    {"set_p1", CELL_CLOSED, "set", 1, true, false, CONNECTIONS},
    {"get_p1", CELL_CLOSED, "get", 1, false, false, CONNECTIONS},
    {"set_p16", CELL_CLOSED, "set", 16, true, false, CONNECTIONS},
    {"get_p16", CELL_CLOSED, "get", 16, false, false, CONNECTIONS},
    {"set_p64", CELL_CLOSED, "set", 64, true, false, CONNECTIONS},
    {"get_p64", CELL_CLOSED, "get", 64, false, false, CONNECTIONS},
    {"open_p99", CELL_OPEN, "1:9", 1, false, false, RATES},
    {"redis_benchmark_set_p1", CELL_REDIS, "set", 1, false, false, {50}},
    {"redis_benchmark_get_p1", CELL_REDIS, "get", 1, false, false, {50}},
    {"redis_benchmark_set_p16", CELL_REDIS, "set", 16, false, false, {50}},
    {"redis_benchmark_get_p16", CELL_REDIS, "get", 16, false, false, {50}},
    {"redis_benchmark_set_p64", CELL_REDIS, "set", 64, false, true, {50}},
    {"redis_benchmark_get_p64", CELL_REDIS, "get", 64, false, true, {50}},
    {"many_set", CELL_CLOSED, "set", 1, false, true, MORE},
    {"many_get", CELL_CLOSED, "get", 1, false, true, MORE},
    {"ycsb_a", CELL_CLOSED, "a", 1, true, true, CONNECTIONS},
    {"ycsb_b", CELL_CLOSED, "b", 1, false, true, CONNECTIONS},
    {"ycsb_c", CELL_CLOSED, "c", 1, false, true, CONNECTIONS},
    {"ycsb_d", CELL_CLOSED, "d", 1, false, true, CONNECTIONS},
    {"ycsb_f", CELL_CLOSED, "f", 1, true, true, CONNECTIONS},
};
const size_t server_cell_count = G_N_ELEMENTS(server_cells);
