/* What a plugin says of itself, checked before any of it is used. */
#ifndef PLUGIN_CHECK_H
#define PLUGIN_CHECK_H

#include <stdint.h>

#include "plugin/loader.h"

#define CHECK_LIST_MAX 64u /* descriptors in one file */

/*
 * Finds the descriptor of this kind and name in the list that the entry function returned.
 * KVS_OK; KVS_INCOMPATIBLE with the reason, which does not name the file: the caller does.
 */
KVS_MUST_USE kvs_status check_list(const struct kvs_plugin *const *list, uint32_t kind,
                                   const char *name, const struct kvs_plugin **ret_descriptor,
                                   struct kvs_error *err);

/*
 * Checks the rest of a descriptor that check_list found, and copies its operations, clamped and
 * cleared as loader.h says, to ret_ops (of the descriptor's kind). Status as check_list.
 */
KVS_MUST_USE kvs_status check_engine(const struct kvs_plugin *descriptor,
                                     struct kvs_engine_ops *ret_ops, struct kvs_error *err);
KVS_MUST_USE kvs_status check_pool(const struct kvs_plugin *descriptor,
                                   struct kvs_pool_ops *ret_ops, struct kvs_error *err);

#endif
