/*
 * Reads of one session that the engine does together: one get_many, whose values are shown in the
 * order of the lookups, whatever the engine's order is.
 *
 * A group is one thread's or the engine's: from read_group_submit to the completion nobody else
 * touches it, nor what its `show` writes to.
 */
#ifndef SERVER_READ_GROUP_H
#define SERVER_READ_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "command/store.h"

#define READ_GROUP_MAX 128u /* lookups that a group is made for; it grows for one larger request */

/* What a lookup came to. */
struct read_result {
    uint64_t index;
    uint64_t tag;
    kvs_status status;      /* KVS_OK, KVS_NOT_FOUND, or a fault */
    struct kvs_bytes value; /* KVS_OK; good until show returns */
    const char *message;    /* of a fault; may be NULL */
};

/* Called in the order of the lookups, one at a time, on any thread; as kvs_value_fn. False: no more
   for now. */
typedef bool (*read_show_fn)(void *arg, const struct read_result *result);

struct read_entry {
    uint64_t tag;         /* means something to the adder only */
    uint64_t input_end;   /* bytes of input up to the end of its request */
    size_t mark;          /* where it was shown to */
    size_t spilled_start; /* in spilled, when is_spilled */
    size_t spilled_size;
    bool is_spilled;
    bool is_dropped; /* found, but there was no room to keep it until its turn */
};

struct read_group {
    struct kvs_get_many request;
    struct kvs_lookup *lookups; /* owned, capacity of them; as many are used as request says */
    struct read_entry *entries; /* owned, likewise */
    uint64_t capacity;
    uint32_t place;  /* whom its requests count for (command_metrics.h); the adder's */
    uint64_t faults; /* of those that were shown */
    uint64_t shown;  /* lookups that were shown: always the first ones */
    bool stopped;    /* show wanted no more */
    bool can_stop;   /* not all need be shown: the rest is asked for again. Else show must go on */
    struct buffer spilled; /* values that came before their turn */
    bool broken;           /* after the end: nothing that was shown counts, see `fault` */
    struct read_result fault;
    read_show_fn show;
    /* A place to which take_back leads: what was shown since then is forgotten. */
    size_t (*mark)(void *arg);
    void (*take_back)(void *arg, size_t mark);
    void *show_arg;              /* of these three */
    void (*complete)(void *arg); /* as kvs_get_many.complete; then read_group_finish */
    void *complete_arg;
    kvs_status status; /* of the whole, once complete */
    struct kvs_error error;
    char message[KVS_ERROR_MESSAGE_MAX];
    struct read_group *next; /* in a worker's list of spares */
};

/* An empty group, or NULL: out of memory. */
struct read_group *read_group_new(void);
/* NULL is fine. */
void read_group_free(struct read_group *group);
/* Empties a group, so that it can be filled again. */
void read_group_reset(struct read_group *group);

/* Adds a lookup, whose key lives until the group is finished. False: out of memory. */
bool read_group_push(struct read_group *group, struct kvs_bytes key, uint64_t tag,
                     uint64_t input_end);

/*
 * Asks the store. KVS_PENDING: complete is called, perhaps before this returns, and then comes
 * read_group_finish. Otherwise the group is finished. At least one lookup was pushed; show, complete,
 * their arguments and can_stop are set.
 */
kvs_status read_group_submit(struct read_group *group, struct store *store, struct kvs_tls *tls);

/*
 * Shows what is left. A value whose lookup ended with a fault all the same is taken back, and with it all
 * behind it: where can_stop they are asked for again, else the group is broken. Then `shown` lookups were shown; fewer
 * than there are only where can_stop.
 */
void read_group_finish(struct read_group *group);

#endif
