/*
 * What clang-tidy reads before each file (tools/analyse); no compiler does. Its analyzer does not follow functions with
 * variable arguments, so it takes it for possible that an error that was set is returned as KVS_OK. This tells
 * it what they return.
 */
#ifndef TOOLS_ANALYSE_H
#define TOOLS_ANALYSE_H

#include "../include/kvs/types.h"

#define kvs_error_set(err, status, ...) ((void)kvs_error_set(err, status, __VA_ARGS__), (status))

#endif
