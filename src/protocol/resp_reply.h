/*
 * Writing RESP replies. Each call appends one element to the writer's buffer; an aggregate (array,
 * map, set, push) says how many elements follow. Where the connection speaks RESP2 the types that
 * only RESP3 has take their RESP2 form: a map is a flat array, a set or push an array, a double or
 * verbatim text a bulk string, a boolean an integer, null a null bulk string.
 *
 * Not thread-safe. Nothing fails by itself: out of memory sticks in `status`, and what was written
 * since is then incomplete, so the connection must be closed.
 */
#ifndef PROTOCOL_RESP_REPLY_H
#define PROTOCOL_RESP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "base/buffer.h"

#define RESP_ERROR_MAX 1024u /* bytes of an error's text; longer ones are cut */

struct resp_writer {
    struct buffer *out; /* not owned */
    uint32_t version;   /* 2 or 3 */
    bool muted;         /* the client wants no reply: nothing is written */
    kvs_status status;  /* KVS_OK, or KVS_NO_MEMORY from the first failure on */
};

/* "+OK" and the like. text has no line ends. */
void resp_simple(struct resp_writer *writer, const char *text);
void resp_ok(struct resp_writer *writer);

/* An error. The text begins with its code ("ERR ", "WRONGTYPE "); line ends in it become blanks. */
KVS_PRINTF(2, 3) void resp_error(struct resp_writer *writer, const char *format, ...);

/*
 * The error for a fault of the store or the server, with the code that Redis clients know for it:
 * LOADING, MISCONF (nothing can be written any more), NOPERM, else ERR. message NULL or empty: the
 * status's own text. Also for KVS_BUSY and the other outcomes that should not get here.
 */
void resp_fault(struct resp_writer *writer, kvs_status status, const char *message);

void resp_integer(struct resp_writer *writer, int64_t value);
void resp_boolean(struct resp_writer *writer, bool value);
/* As short as reads back the same; inf, -inf and nan by these names. */
void resp_double(struct resp_writer *writer, double value);

void resp_bulk(struct resp_writer *writer, struct kvs_bytes value);
void resp_bulk_text(struct resp_writer *writer, const char *text);
/* Text for people: RESP3 marks it as "txt". */
void resp_verbatim(struct resp_writer *writer, struct kvs_bytes text);

/* Appends elements that another writer of the same version wrote to a buffer of its own. */
void resp_append(struct resp_writer *writer, const struct buffer *elements);

void resp_null(struct resp_writer *writer);
void resp_null_array(struct resp_writer *writer); /* EXEC of a broken transaction */

void resp_array(struct resp_writer *writer, uint64_t element_count);
void resp_map(struct resp_writer *writer, uint64_t pair_count); /* twice as many elements follow */
void resp_set(struct resp_writer *writer, uint64_t element_count);
void resp_push(struct resp_writer *writer, uint64_t element_count);

#endif
