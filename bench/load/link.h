/*
 * One connection of a load: a pipeline of requests goes out in one send, its replies are checked as
 * they come in, and when the last one is there the connection is ready for the next pipeline.
 *
 * A link belongs to one thread; the links of a thread share its kit.
 */
#ifndef BENCH_LOAD_LINK_H
#define BENCH_LOAD_LINK_H

#include <stdbool.h>

#include "load/draw.h"
#include "load/plan.h"
#include "load/tally.h"

/* What the links of a thread share. */
struct link_kit {
    const struct plan *plan;
    struct data data;
    struct wire_template templates[WIRE_COMMAND_COUNT];
    uint8_t *value; /* plan->value_size bytes, stamped for each set; owned */
    uint8_t *out;   /* room for a pipeline; owned */
    uint8_t *in;    /* in_cap bytes: what one recv may bring; owned */
    uint64_t in_cap;
    uint32_t depth_max; /* requests that fit into out and into a link's slots */
    uint64_t version;   /* of the last value that was set */
    struct tally *tally;
    struct client_tls *tls; /* NULL: none; owned */
};

/* A request that is under way. */
struct link_slot {
    uint64_t start_ns; /* from here its latency counts */
    uint64_t index;    /* of its key */
    enum draw_kind kind;
};

struct link {
    int fd;
    struct client_stream *stream; /* owned; NULL: the bytes go as they are */
    uint32_t count;               /* requests of the pipeline under way... */
    uint32_t answered;            /* ...and how many of them were answered */
    uint32_t unsent_size;
    uint64_t first_id;       /* of the pipeline */
    struct link_slot *slots; /* depth_max; owned */
    uint8_t *unsent;         /* what the socket did not take; owned; NULL: nothing */
    uint8_t *unsent_at;
    uint8_t *partial; /* the beginning of a reply; owned */
    uint64_t partial_size;
    uint64_t partial_cap;
};

/* Aborts without memory. plan and tally outlive it. */
void link_kit_init(struct link_kit *kit, const struct plan *plan, struct tally *tally);
/* Reads the certificates that a plan with TLS names, before anything is opened: as client_tls_new. */
KVS_MUST_USE kvs_status link_kit_read_tls(struct link_kit *kit, struct kvs_error *err);
void link_kit_deinit(struct link_kit *kit);

/* Connects, makes the socket non-blocking, and gets in (entry.h). KVS_OK, KVS_NETWORK, or what those give. */
KVS_MUST_USE kvs_status link_open(struct link *link, const struct link_kit *kit,
                                  struct kvs_error *err);
void link_close(struct link *link); /* no harm for one that is zeroed */

/* Sends the link's first count slots as the next pipeline. KVS_OK; KVS_PENDING: a part of it could
   not be sent yet, call link_flush when the socket is writable; KVS_NETWORK. */
KVS_MUST_USE kvs_status link_send(struct link *link, struct link_kit *kit, struct kvs_error *err);
KVS_MUST_USE kvs_status link_flush(struct link *link, struct kvs_error *err);

/*
 * Takes what has come in, and counts it. ret_now_ns: when that was. KVS_OK, whether or not the
 * pipeline is complete; KVS_NETWORK: the connection broke; KVS_PROTOCOL.
 */
KVS_MUST_USE kvs_status link_receive(struct link *link, struct link_kit *kit, uint64_t *ret_now_ns,
                                     struct kvs_error *err);

static inline bool link_is_idle(const struct link *link)
{
    return link->answered == link->count;
}

#endif
