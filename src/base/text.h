/* Numbers with units, as people type them: "100", "64k", "250ms". */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Each reads the whole text or gives false and leaves ret untouched: an empty text, a sign where
   there is none, an unknown unit, an overflow, anything behind the number. */
bool text_parse_u64(const char *text, uint64_t *ret);
bool text_parse_i64(const char *text, int64_t *ret);
bool text_parse_bool(const char *text, bool *ret);            /* true/false yes/no on/off 1/0 */
bool text_parse_bytes(const char *text, uint64_t *ret);       /* k m g t, either case: 1024^n */
bool text_parse_duration(const char *text, uint64_t *ret_ns); /* ns us ms s m h; none: seconds */

#endif
