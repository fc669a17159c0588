/* See number.h. */
#include "harness/number.h"

#include <string.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/text.h"

kvs_status number_read(const char *name, const char *text, uint64_t min, uint64_t max,
                       uint64_t *ret, struct kvs_error *err)
{
    if (text == NULL)
        return KVS_OK;
    size_t size = strlen(text);
    uint64_t factor = 1;
    _cleanup_(freep) char *digits = g_strdup(text);
    if (size > 1 && g_ascii_tolower(text[size - 1]) == 'k')
        factor = 1000;
    if (size > 1 && g_ascii_tolower(text[size - 1]) == 'm')
        factor = 1000000;
    if (factor > 1)
        digits[size - 1] = '\0';
    uint64_t number;
    if (!text_parse_u64(digits, &number) || number > max / factor || number * factor < min)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "--%s %s: write a number of %llu to %llu, as 5000, 100k or 1m", name,
                             text, (unsigned long long)min, (unsigned long long)max);
    *ret = number * factor;
    return KVS_OK;
}
