/* A plugin's declared options: walking through them, checking them, and reading their values. */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include <stdint.h>

#include <kvs/plugin.h>

#define OPTION_COUNT_MAX 256u

/* The option at index (below option_count) of a descriptor, stepping by the plugin's stride. */
const struct kvs_option *option_at(const struct kvs_plugin *descriptor, uint32_t index);

/* The option of this name (its first size bytes), or NULL. */
const struct kvs_option *option_find(const struct kvs_plugin *descriptor, const char *name,
                                     size_t size, uint32_t *ret_index);

/*
 * Checks what a descriptor declares: count, stride, and each option's size, name, type, range and
 * default. KVS_OK, or KVS_INCOMPATIBLE with a message about the option.
 */
KVS_MUST_USE kvs_status option_check_all(const struct kvs_plugin *descriptor,
                                         struct kvs_error *err);

/*
 * Reads text as a value of option (which was checked): KVS_OK, or KVS_INVALID with a message that
 * quotes text and says what would be right. ret_value->text is text itself.
 */
KVS_MUST_USE kvs_status option_parse(const struct kvs_option *option, const char *text,
                                     struct kvs_option_value *ret_value, struct kvs_error *err);

/* "bytes", "duration", ...: a constant. */
const char *option_type_text(uint32_t type);

#endif
