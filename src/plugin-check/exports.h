/* The symbols that a shared object offers to others. */
#ifndef PLUGIN_CHECK_EXPORTS_H
#define PLUGIN_CHECK_EXPORTS_H

#include <stddef.h>

#include <kvs/types.h>

/*
 * Counts the symbols that the ELF file at path defines and exports, `expected` left out, and puts
 * the name of the first at ret_name (at most cap bytes). KVS_OK; KVS_IO; KVS_UNSUPPORTED for a file
 * that is not one of this machine's.
 */
KVS_MUST_USE kvs_status exports_list(const char *path, const char *expected, unsigned *ret_count,
                                     char *ret_name, size_t cap);

#endif
