/*
 * One connection of a load: a pipeline of requests goes out in one send, its replies are checked as
 * they come in, and when the last one is there the connection is ready for the next pipeline.
 *
 * A link belongs to one thread; the links of a thread share its kit.
 */
#ifndef BENCH_LOAD_LINK_H
#define BENCH_LOAD_LINK_H

#include <stdbool.h>

#include "load/pipeline.h"
#include "load/tally.h"

/* What the links of a thread share. */
struct link_kit {
    const struct plan *plan;
    struct pipeline pipeline;    /* what is sent next, or was sent last */
    struct pipeline_slot *slots; /* of a pipeline that is no link's yet; pipeline.capacity; owned */
    uint32_t ready;              /* how many of them have their requests in pipeline */
    uint8_t *in;                 /* in_cap bytes: what one recv may bring; owned */
    uint64_t in_cap;
    struct tally *tally;
    struct client_tls *tls; /* NULL: none; owned */
};

struct link {
    int fd;
    struct client_stream *stream; /* owned; NULL: the bytes go as they are */
    uint32_t count;               /* requests of the pipeline under way... */
    uint32_t answered;            /* ...and how many of them were answered */
    uint32_t unsent_size;
    uint64_t first_id;           /* of the pipeline */
    struct pipeline_slot *slots; /* as many as kit->pipeline has room for; owned */
    uint8_t *unsent;             /* what the socket did not take; owned; NULL: nothing */
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

/* Makes the requests of the kit's first count slots, for whichever link takes them. */
void link_kit_prepare(struct link_kit *kit, uint32_t count);
/* Gives a link what was prepared as its next pipeline, which begins at start_ns. */
void link_take_prepared(struct link *link, struct link_kit *kit, uint64_t start_ns);

/* Sends the link's first count slots as the next pipeline; prepared: it was taken. KVS_OK; KVS_PENDING:
   a part of it could not be sent yet, call link_flush when the socket is writable; KVS_NETWORK. */
KVS_MUST_USE kvs_status link_send(struct link *link, struct link_kit *kit, bool prepared,
                                  struct kvs_error *err);
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
