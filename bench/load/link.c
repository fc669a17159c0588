/*
 * See link.h. The buffers for sending and receiving belong to the thread, so that ten thousand
 * connections do not need ten thousand of them, and so that they stay in the cache. Only what a
 * socket does not take, or the beginning of a reply whose end is still missing, is kept with its
 * link; in the usual case neither happens, and nothing is allocated or copied.
 */
#include "load/link.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <glib.h>

#include "base/clock.h"
#include "load/entry.h"

#define IN_MIN            (UINT64_C(256) << 10)
#define BATCH_BYTES_MAX   (UINT64_C(1) << 20) /* of a pipeline that is not the plan's (preload) */
#define PRELOAD_DEPTH     64u
#define CONNECT_TIMEOUT_S 10

void link_kit_init(struct link_kit *kit, const struct plan *plan, struct tally *tally)
{
    uint64_t request_max = (uint64_t)plan->value_size + 2 * WIRE_AROUND_MAX;
    uint32_t depth = (uint32_t)MIN(BATCH_BYTES_MAX / request_max, PRELOAD_DEPTH);
    depth = MAX(MAX(depth, plan->pipeline), 1);
    *kit = (struct link_kit){.plan = plan, .tally = tally};
    pipeline_init(&kit->pipeline, plan, depth);
    kit->slots = g_new0(struct pipeline_slot, depth);
    kit->in_cap = MAX(IN_MIN, 2 * ((uint64_t)plan->value_size + plan->endpoint.wire->reply_around));
    kit->in = g_malloc(kit->in_cap);
}

kvs_status link_kit_read_tls(struct link_kit *kit, struct kvs_error *err)
{
    return kit->plan->tls ? client_tls_new(&kit->plan->tls_config, &kit->tls, err) : KVS_OK;
}

void link_kit_deinit(struct link_kit *kit)
{
    client_tls_free(kit->tls);
    pipeline_deinit(&kit->pipeline);
    g_free(kit->slots);
    g_free(kit->in);
    *kit = (struct link_kit){0};
}

static kvs_status network_fault(const struct link_kit *kit, const char *what, int code,
                                struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NETWORK, code, "%s: %s: %s", kit->plan->endpoint.text, what,
                         g_strerror(code));
}

kvs_status link_open(struct link *link, const struct link_kit *kit, struct kvs_error *err)
{
    const struct address *address = &kit->plan->endpoint.address;
    const struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_S}; /* for connect: it is a send */
    const int on = 1;
    *link = (struct link){.fd = -1, .first_id = 1};
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return network_fault(kit, "cannot make a socket", errno, err);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&address->storage, address->size) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        int code = errno == EINPROGRESS ? ETIMEDOUT : errno;
        (void)close(fd);
        return network_fault(kit, "cannot connect", code, err);
    }
    link->fd = fd;
    link->slots = g_new0(struct pipeline_slot, kit->pipeline.capacity);
    kvs_status status =
        kit->tls != NULL ? entry_shake_hands(kit->plan, kit->tls, fd, &link->stream, err) : KVS_OK;
    if (status == KVS_OK && kit->plan->password != NULL)
        status = entry_log_in(kit->plan, fd, link->stream, err);
    return status;
}

void link_close(struct link *link)
{
    if (link->slots == NULL)
        return;
    client_stream_free(link->stream);
    (void)close(link->fd);
    g_free(link->slots);
    g_free(link->unsent);
    g_free(link->partial);
    *link = (struct link){.fd = -1};
}

/* Why the last call on the link's socket failed. */
static const char *reason_of(const struct link *link, int code)
{
    return code == EPROTO && link->stream != NULL ? client_stream_reason(link->stream)
                                                  : g_strerror(code);
}

/* Sends what is at from; keeps the rest. */
static kvs_status send_or_keep(struct link *link, const uint8_t *from, uint32_t size, bool kept,
                               struct kvs_error *err)
{
    ssize_t sent = link->stream != NULL ? client_stream_write(link->stream, from, size)
                                        : send(link->fd, from, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return kvs_error_set(err, KVS_NETWORK, errno, "cannot send: %s", reason_of(link, errno));
    uint32_t done = sent < 0 ? 0 : (uint32_t)sent;
    if (done == size) {
        g_clear_pointer(&link->unsent, g_free);
        link->unsent_size = 0;
        return KVS_OK;
    }
    if (!kept) {
        link->unsent = g_memdup2(from + done, size - done);
        link->unsent_at = link->unsent;
    } else {
        link->unsent_at += done;
    }
    link->unsent_size = size - done;
    return KVS_PENDING;
}

kvs_status link_flush(struct link *link, struct kvs_error *err)
{
    return send_or_keep(link, link->unsent_at, link->unsent_size, true, err);
}

void link_kit_prepare(struct link_kit *kit, uint32_t count)
{
    pipeline_make(&kit->pipeline, kit->slots, count);
    kit->ready = count;
}

void link_take_prepared(struct link *link, struct link_kit *kit, uint64_t start_ns)
{
    struct pipeline_slot *slots = kit->slots;
    kit->slots = link->slots;
    link->slots = slots;
    link->count = kit->ready;
    kit->ready = 0;
    for (uint32_t i = 0; i < link->count; i++)
        slots[i].start_ns = start_ns;
}

kvs_status link_send(struct link *link, struct link_kit *kit, bool prepared, struct kvs_error *err)
{
    struct pipeline *pipeline = &kit->pipeline;
    if (!prepared) {
        pipeline_make(pipeline, link->slots, link->count);
        kit->ready = 0;
    }
    link->first_id = pipeline->first_id;
    link->answered = 0;
    return send_or_keep(link, pipeline->bytes, pipeline->size, false, err);
}

/* Is that what a set of this key wrote? Behind the stamp all values of a load are the same. */
static bool value_is_right(const struct pipeline *pipeline, uint64_t identity,
                           struct kvs_bytes value)
{
    const uint32_t size = pipeline->data.value_size;
    if (value.len != size)
        return false;
    if (size < DATA_STAMP_SIZE)
        return memcmp(value.ptr, pipeline->value, size) == 0;
    return data_identity_fits(identity, value.ptr) &&
           memcmp((const uint8_t *)value.ptr + DATA_STAMP_SIZE, pipeline->value + DATA_STAMP_SIZE,
                  size - DATA_STAMP_SIZE) == 0;
}

static void note_error(struct tally *tally, const char *what, struct kvs_bytes text)
{
    if (tally->error_text[0] == '\0')
        (void)snprintf(tally->error_text, sizeof(tally->error_text), "%s%.*s", what,
                       (int)MIN(text.len, TALLY_ERROR_MAX), (const char *)text.ptr);
}

/* Looks at one reply. False: it makes no sense. */
static bool take_reply(const struct link_kit *kit, const struct pipeline_slot *slot,
                       enum wire_outcome outcome, const struct wire_reply *reply)
{
    struct tally *tally = kit->tally;
    switch (outcome) {
    case WIRE_DONE:
        return true;
    case WIRE_VALUE:
        if (!value_is_right(&kit->pipeline, slot->identity, reply->bytes)) {
            tally->wrong++;
            note_error(tally, "a get found another value than was set", bytes_of("", 0));
        }
        return true;
    case WIRE_MISS:
        tally->misses++;
        if (kit->plan->preload && slot->index < kit->plan->keys) {
            tally->wrong++;
            note_error(tally, "a get did not find a key that was set", bytes_of("", 0));
        }
        return true;
    case WIRE_ERROR:
        tally->errors++;
        note_error(tally, "the server says: ", reply->bytes);
        return true;
    default:
        return false;
    }
}

/* Keeps the size bytes at from, the beginning of a reply, for the next time. */
static void keep_partial(struct link *link, const uint8_t *from, uint64_t size)
{
    if (size > link->partial_cap) {
        link->partial_cap = MAX(size, 4096);
        link->partial = g_realloc(link->partial, link->partial_cap);
    }
    if (size > 0)
        memcpy(link->partial, from, size);
    link->partial_size = size;
}

/* Takes the replies out of the size bytes in kit->in. */
static kvs_status take_replies(struct link *link, struct link_kit *kit, uint64_t size,
                               uint64_t now_ns, struct kvs_error *err)
{
    const struct wire *wire = kit->plan->endpoint.wire;
    struct tally_run run = {.count = 0};
    uint8_t key[DATA_KEY_SIZE];
    uint64_t at = 0;
    while (link->answered < link->count) {
        const struct pipeline_slot *slot = &link->slots[link->answered];
        const enum wire_command command = pipeline_command(slot->kind);
        struct wire_reply reply;
        if (wire->reply_names_key)
            data_identity_key(slot->identity, key);
        enum wire_outcome outcome = wire->parse(command, key, link->first_id + link->answered,
                                                kit->in + at, size - at, &reply);
        if (outcome == WIRE_MORE)
            break;
        if (!take_reply(kit, slot, outcome, &reply))
            return kvs_error_set(err, KVS_PROTOCOL, 0,
                                 "%s: what came back is no reply to the request; does that server "
                                 "speak %s?",
                                 kit->plan->endpoint.text, wire->name);
        tally_run_add(kit->tally, &run, command, slot->start_ns, now_ns);
        at += reply.size;
        link->answered++;
    }
    tally_run_end(kit->tally, &run, now_ns);
    if (at < size && link->answered == link->count)
        return kvs_error_set(err, KVS_PROTOCOL, 0, "%s: more replies than requests",
                             kit->plan->endpoint.text);
    if (size - at >= kit->in_cap)
        return kvs_error_set(err, KVS_PROTOCOL, 0,
                             "%s: a reply of more than %llu bytes; these keys hold other values",
                             kit->plan->endpoint.text, (unsigned long long)kit->in_cap);
    keep_partial(link, kit->in + at, size - at);
    return KVS_OK;
}

/* Takes what one read gives. KVS_PENDING: nothing was there. */
static kvs_status receive_once(struct link *link, struct link_kit *kit, uint64_t *ret_now_ns,
                               struct kvs_error *err)
{
    uint64_t have = link->partial_size;
    if (have > 0)
        memcpy(kit->in, link->partial, have);
    ssize_t got = link->stream != NULL
                      ? client_stream_read(link->stream, kit->in + have, kit->in_cap - have)
                      : recv(link->fd, kit->in + have, kit->in_cap - have, 0);
    *ret_now_ns = clock_now_ns();
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return KVS_PENDING;
    if (got < 0)
        return kvs_error_set(err, KVS_NETWORK, errno, "%s: cannot receive: %s",
                             kit->plan->endpoint.text, reason_of(link, errno));
    if (got == 0)
        return kvs_error_set(err, KVS_NETWORK, 0, "%s closed a connection%s%s",
                             kit->plan->endpoint.text,
                             kit->tally->error_text[0] != '\0' ? "; " : "", kit->tally->error_text);
    return take_replies(link, kit, have + (uint64_t)got, *ret_now_ns, err);
}

kvs_status link_receive(struct link *link, struct link_kit *kit, uint64_t *ret_now_ns,
                        struct kvs_error *err)
{
    kvs_status status;
    /* What TLS has unpacked already no poll will tell of. */
    do {
        status = receive_once(link, kit, ret_now_ns, err);
    } while (status == KVS_OK && link->stream != NULL && !link_is_idle(link));
    return status == KVS_PENDING ? KVS_OK : status;
}
