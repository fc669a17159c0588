/*
 * Patterns as Redis has them for KEYS and SCAN: * any bytes, ? one byte, [abc] [a-z] [^a] one of a
 * set, \ takes the next byte as it is. Bytes, not characters; no special meaning for '/'.
 */
#ifndef COMMAND_GLOB_H
#define COMMAND_GLOB_H

#include <stdbool.h>

#include <kvs/types.h>

/* Takes at most pattern.len times text.len steps. */
bool glob_match(struct kvs_bytes pattern, struct kvs_bytes text);

/* True when the pattern matches everything. */
bool glob_matches_all(struct kvs_bytes pattern);

#endif
