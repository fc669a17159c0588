/*
 * What writers have sent to a server and what it acknowledged: memory that the process of the writers
 * writes and the test's own process, which kills servers, reads once the writers have ended. It lives
 * as long as the test, so rounds go on where the kill before left them.
 *
 * Each key belongs to one writer, each value says in its bytes which version of which key it is, and
 * no version comes twice. A writer has a few steps under way at a time, each of which is one change or
 * an atomic batch of some. After a kill the first of them, in the order in which they were sent, may
 * have happened, each as a whole, and no other one.
 */
#ifndef TESTS_CRASH_LEDGER_H
#define TESTS_CRASH_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#define LEDGER_WRITERS   50u
#define LEDGER_KEYS      240u /* of each writer */
#define LEDGER_STEPS     4u   /* under way at most */
#define LEDGER_CHANGES   4u   /* of a step at most */
#define LEDGER_NAME_MAX  32u
#define LEDGER_VALUE_MAX 110000u

/* What a key holds. */
struct ledger_state {
    uint32_t version;   /* 0: there is no such key */
    int64_t expires_ms; /* Unix time; 0: never */
};

struct ledger_change {
    uint32_t key;
    struct ledger_state to;
};

struct ledger_step {
    uint32_t count;
    struct ledger_change changes[LEDGER_CHANGES];
};

struct ledger_writer {
    struct ledger_state keys[LEDGER_KEYS]; /* as acknowledged */
    struct ledger_step under_way[LEDGER_STEPS];
    uint32_t under_way_count;
    uint32_t last_version;
    uint64_t acknowledged; /* steps */
};

struct ledger {
    struct ledger_writer writers[LEDGER_WRITERS];
    uint32_t key_limit; /* keys below this are written; the test raises it between rounds */
    char failure[512];  /* the first reply that should not be; empty: none */
};

/* Aborts without memory. */
struct ledger *ledger_new(void);
void ledger_free(struct ledger *ledger);

/* Notes a step before it is sent, and that the oldest one under way was acknowledged. */
void ledger_begin(struct ledger_writer *writer, const struct ledger_step *step);
void ledger_acknowledge(struct ledger_writer *writer);

/* The text of a key's name, and of a version of its value (into LEDGER_VALUE_MAX bytes). */
struct kvs_bytes ledger_name(char to[LEDGER_NAME_MAX], uint32_t writer, uint32_t key);
struct kvs_bytes ledger_value(uint8_t *to, uint32_t writer, uint32_t key, uint32_t version);

/* Which version of the key a value is. False: it is none that was ever sent. */
bool ledger_read_value(const struct ledger *ledger, uint32_t writer, uint32_t key,
                       struct kvs_bytes value, uint32_t *ret_version);

/* What was found in a store: of each key its version (0: none), and when that was, in Unix time. */
struct ledger_found {
    uint32_t versions[LEDGER_KEYS];
    int64_t before_ms;
    int64_t after_ms;
};

/*
 * Settles what of the steps under way has happened, by what was found. False, with a text that says
 * which key is not as it must be: no number of first steps explains it.
 */
bool ledger_settle(struct ledger *ledger, uint32_t writer, const struct ledger_found *found,
                   char *text, size_t text_size);

#endif
