/*
 * A protocol as the load generator speaks it: requests are copied from templates with holes for what
 * differs, replies are looked at in place. Pure functions, nothing is allocated.
 *
 * Every key has DATA_KEY_SIZE bytes and every value of a load the same size (engine/data.h), so
 * every request of a kind has the same size too.
 */
#ifndef BENCH_LOAD_WIRE_H
#define BENCH_LOAD_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#include "engine/data.h"

enum wire_command {
    WIRE_GET = 0,
    WIRE_SET = 1,
};
#define WIRE_COMMAND_COUNT 2u
#define WIRE_AROUND_MAX    96u /* bytes of a request in front of its value, or behind it */

#define WIRE_NOTHING UINT32_MAX /* a hole that a template does not have */

/* A request with holes at key_at (DATA_KEY_SIZE bytes), at value_at (value_size) and at id_at (8). */
struct wire_template {
    uint32_t size; /* bytes of the whole request */
    uint32_t key_at;
    uint32_t value_at;
    uint32_t id_at;
    uint32_t head_size; /* bytes in front of the value, or all of it */
    uint32_t tail_size; /* bytes behind the value */
    uint8_t head[WIRE_AROUND_MAX];
    uint8_t tail[WIRE_AROUND_MAX];
};

/* What a reply says. */
enum wire_outcome {
    WIRE_MORE = 0, /* it is not there as a whole yet */
    WIRE_DONE,     /* a set was stored */
    WIRE_VALUE,    /* a get found this value */
    WIRE_MISS,     /* a get found nothing */
    WIRE_ERROR,    /* the server refused; the text says why */
    WIRE_BROKEN,   /* that is no reply of this protocol, or not to this request */
};

struct wire_reply {
    uint64_t size;          /* bytes of the reply; of WIRE_MORE: unset */
    struct kvs_bytes bytes; /* the value, or the error's text; a view */
};

struct wire {
    const char *name;

    /* Fills in the template of a command for values of value_size bytes. */
    void (*describe)(enum wire_command command, uint32_t value_size, struct wire_template *ret);

    /* Looks at the reply to a request of that command and id; key is that of the request. */
    enum wire_outcome (*parse)(enum wire_command command, const uint8_t *key, uint64_t id,
                               const uint8_t *from, uint64_t size, struct wire_reply *ret);
    uint32_t reply_around; /* a get's reply is at most so many bytes larger than its value */
    bool reply_names_key;  /* parse looks at key */

    /* Writes the request that gives a password of at most PLAN_PASSWORD_MAX bytes, and returns its size: WIRE_AROUND_MAX
       more at most. The reply is one to WIRE_SET, id 0. NULL: there are no passwords. */
    uint32_t (*log_in)(const char *password, uint8_t *to);
};

extern const struct wire wire_kvs;
extern const struct wire wire_resp;
extern const struct wire wire_memcached;

/* As wire_put, but for the key and the id, which are the caller's to write. */
static inline void wire_put_around(const struct wire_template *template, const uint8_t *value,
                                   uint32_t value_size, uint8_t *to)
{
    memcpy(to, template->head, template->head_size);
    if (template->value_at == WIRE_NOTHING)
        return;
    memcpy(to + template->value_at, value, value_size);
    memcpy(to + template->value_at + value_size, template->tail, template->tail_size);
}

/* Writes one request to `to` (template->size bytes of room); value is value_size bytes, which the
   caller has stamped. */
static inline void wire_put(const struct wire_template *template, uint64_t id, const uint8_t *key,
                            const uint8_t *value, uint32_t value_size, uint8_t *to)
{
    wire_put_around(template, value, value_size, to);
    memcpy(to + template->key_at, key, DATA_KEY_SIZE);
    if (template->id_at != WIRE_NOTHING)
        store_le64(to + template->id_at, id);
}

/* For describe: a template that is text around a key of "%s" and, behind that, a value. */
void wire_describe_text(const char *before_key, const char *before_value, const char *tail,
                        uint32_t value_size, struct wire_template *ret);

#endif
