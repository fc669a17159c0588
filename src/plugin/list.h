/* kvs-server --list-plugins: what is there to choose from. */
#ifndef PLUGIN_LIST_H
#define PLUGIN_LIST_H

#include <stdio.h>

#include "plugin/loader.h"

/*
 * Prints every plugin found in dirs, a paragraph each: kind, name, version, ABI; description; file;
 * properties (durable, ordered, ...); options (name, type, default, range, help). One that cannot
 * be opened is listed with the reason. Each file is opened in a child process, so that a plugin
 * that crashes while it is loaded costs only its line.
 * KVS_OK, also when none was found (it says so); negative when out could not be written.
 */
KVS_MUST_USE kvs_status plugin_list_print(const struct plugin_dirs *dirs, FILE *out,
                                          struct kvs_error *err);

#endif
