/* The command "kvs-bench load". */
#ifndef BENCH_LOAD_COMMAND_H
#define BENCH_LOAD_COMMAND_H

#include <kvs/types.h>

/*
 * Reads the options behind "load" (argv[0] is that word), runs the load and prints what came out of
 * it. KVS_OK; otherwise negative with a message, also when replies were errors or wrong.
 */
KVS_MUST_USE kvs_status command_load(int argc, char **argv, struct kvs_error *err);

#endif
