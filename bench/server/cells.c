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
    {"set_p1", CELL_CLOSED, "set", 1, true, false, CONNECTIONS,
     "sets, one at a time on each connection"},
    {"get_p1", CELL_CLOSED, "get", 1, false, false, CONNECTIONS,
     "gets, one at a time on each connection"},
    {"set_p16", CELL_CLOSED, "set", 16, true, false, CONNECTIONS,
     "sets, 16 sent at once on each connection"},
    {"get_p16", CELL_CLOSED, "get", 16, false, false, CONNECTIONS,
     "gets, 16 sent at once on each connection"},
    {"set_p64", CELL_CLOSED, "set", 64, true, false, CONNECTIONS,
     "sets, 64 sent at once on each connection"},
    {"get_p64", CELL_CLOSED, "get", 64, false, false, CONNECTIONS,
     "gets, 64 sent at once on each connection"},
    {"open_p99", CELL_OPEN, "1:9", 1, false, false, RATES,
     "sets and gets 1:9 begun by the clock, 50 connections; p99 from when they were due"},
    {"redis_benchmark_set_p1",
     CELL_REDIS,
     "set",
     1,
     false,
     false,
     {50},
     "sets by redis-benchmark, 1 at once; it often is the limit itself"},
    {"redis_benchmark_get_p1",
     CELL_REDIS,
     "get",
     1,
     false,
     false,
     {50},
     "gets by redis-benchmark, 1 at once; it often is the limit itself"},
    {"redis_benchmark_set_p16",
     CELL_REDIS,
     "set",
     16,
     false,
     false,
     {50},
     "sets by redis-benchmark, 16 at once; it often is the limit itself"},
    {"redis_benchmark_get_p16",
     CELL_REDIS,
     "get",
     16,
     false,
     false,
     {50},
     "gets by redis-benchmark, 16 at once; it often is the limit itself"},
    {"redis_benchmark_set_p64",
     CELL_REDIS,
     "set",
     64,
     false,
     true,
     {50},
     "sets by redis-benchmark, 64 at once; it often is the limit itself"},
    {"redis_benchmark_get_p64",
     CELL_REDIS,
     "get",
     64,
     false,
     true,
     {50},
     "gets by redis-benchmark, 64 at once; it often is the limit itself"},
    {"many_set", CELL_CLOSED, "set", 1, false, true, MORE,
     "sets, one at a time on each of many connections"},
    {"many_get", CELL_CLOSED, "get", 1, false, true, MORE,
     "gets, one at a time on each of many connections"},
    {"ycsb_a", CELL_CLOSED, "a", 1, true, true, CONNECTIONS, "YCSB A: half gets, half sets, zipf"},
    {"ycsb_b", CELL_CLOSED, "b", 1, false, true, CONNECTIONS, "YCSB B: 95 % gets, 5 % sets, zipf"},
    {"ycsb_c", CELL_CLOSED, "c", 1, false, true, CONNECTIONS, "YCSB C: gets, zipf"},
    {"ycsb_d", CELL_CLOSED, "d", 1, false, true, CONNECTIONS,
     "YCSB D: 95 % gets of what is new, 5 % inserts"},
    {"ycsb_f", CELL_CLOSED, "f", 1, true, true, CONNECTIONS,
     "YCSB F: half gets, half gets followed by a set"},
};
const size_t server_cell_count = G_N_ELEMENTS(server_cells);
