/*
 * The functions of <kvs/client.h>. Each of them fills a struct request and goes through
 * client_call: connect if need be, send, receive one reply.
 *
 * Invariants.
 * I1  Between two calls an open channel is at a frame's border: whatever leaves it elsewhere (a
 *     timeout, half a reply, a reply that is not ours, bytes behind it) closes it before the call
 *     returns. So a late reply can never be taken for that of a later request.
 * I2  A request is handed to the socket at most once: a call connects before it sends, and never
 *     again after. Whether an idle connection is still good is asked before sending, by one recv()
 *     that peeks (0.4 us beside the 20 us and more of a round trip), so that the first call after
 *     the server was restarted works. The server can still go away in between: KVS_NETWORK.
 * I3  No reply takes more memory than REPLY_BODY_MAX, and none of more than INPUT_KEPT_MAX is kept
 *     beyond the next call. It is dropped after that call has sent its request, so a value that
 *     was got may be handed to set as it is.
 */
#include <kvs/client.h>
#include <kvs/version.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "client/call.h"
#include "client/channel.h"
#include "protocol/native.h"

#define CONNECT_TIMEOUT_MS UINT64_C(5000)
#define REQUEST_TIMEOUT_MS UINT64_C(30000)

#define TLS_PREFIX "tls:" /* of an address, as servers write theirs */

#define REPLY_BODY_MAX (NATIVE_VALUE_MAX + 65536u) /* bytes: a value, or text of a sane size */
#define INPUT_KEPT_MAX ((size_t)1 << 20)           /* bytes */

/* What a caller of the first version has; members that came later are 0 for it. */
#define CONFIG_SIZE_MIN (offsetof(struct kvs_client_config, request_timeout_ms) + sizeof(uint64_t))

struct kvs_client {
    struct channel channel;
    uint64_t connect_timeout_ms;
    uint64_t request_timeout_ms;
    uint64_t id_last;       /* of requests; 0 is never used: a server says it where it knows none */
    struct buffer input;    /* the last reply, which views of the caller point into */
    struct buffer output;   /* the body of a request that is put together (call.h) */
    char *password;         /* owned; NULL: none */
    struct client_tls *tls; /* owned; NULL: none */
};

static kvs_status check_password(const char *password, struct kvs_error *err)
{
    size_t size = password != NULL ? strlen(password) : 1;
    if (size == 0 || size > NATIVE_PASSWORD_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "a password has 1 to %u bytes",
                             NATIVE_PASSWORD_MAX);
    return KVS_OK;
}

static kvs_status make_tls(struct kvs_client *client, const struct kvs_client_config *config,
                           struct kvs_error *err)
{
    const struct client_tls_config tls = {
        .ca = config->tls_ca,
        .certificate = config->tls_cert,
        .key = config->tls_key,
        .server_name = config->tls_server_name,
        .insecure = (config->flags & KVS_CLIENT_TLS_INSECURE) != 0,
    };
    return client_tls_new(&tls, &client->tls, err);
}

static kvs_status check_flags(const struct kvs_client_config *config, struct kvs_error *err)
{
    const uint32_t all = KVS_CLIENT_TLS | KVS_CLIENT_TLS_INSECURE;
    bool needs_tls = (config->flags & KVS_CLIENT_TLS_INSECURE) != 0 || config->tls_ca != NULL ||
                     config->tls_cert != NULL || config->tls_key != NULL ||
                     config->tls_server_name != NULL;
    if (config->reserved != 0 || config->reserved2 != 0 || (config->flags & ~all) != 0)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "kvs_client_config: reserved is not 0, or a flag is not known");
    if (needs_tls && (config->flags & KVS_CLIENT_TLS) == 0)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "certificates are given, but TLS is not asked for: add --tls");
    return KVS_OK;
}

kvs_status kvs_client_new(const struct kvs_client_config *config, struct kvs_client **ret_client,
                          struct kvs_error *err)
{
    struct kvs_client_config known = {0};
    struct address address;
    if (config->size < CONFIG_SIZE_MIN)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "kvs_client_config.size is %u: set it to sizeof(config)",
                             config->size);
    /* Whole members only: what an older caller did not know is 0. */
    uint32_t size = config->size < sizeof(known) ? config->size & ~7u : (uint32_t)sizeof(known);
    memcpy(&known, config, size);
    if (known.address != NULL && strncmp(known.address, TLS_PREFIX, strlen(TLS_PREFIX)) == 0) {
        known.address += strlen(TLS_PREFIX);
        known.flags |= KVS_CLIENT_TLS;
    }
    kvs_status status = check_flags(&known, err);
    if (status == KVS_OK)
        status =
            address_parse(known.address != NULL ? known.address : ADDRESS_DEFAULT, &address, err);
    if (status == KVS_OK)
        status = check_password(known.password, err);
    if (status != KVS_OK)
        return status;

    struct kvs_client *client = calloc(1, sizeof(*client));
    if (client == NULL ||
        (known.password != NULL && (client->password = strdup(known.password)) == NULL)) {
        free(client);
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for a client");
    }
    if ((known.flags & KVS_CLIENT_TLS) != 0) {
        status = make_tls(client, &known, err);
        if (status != KVS_OK) {
            client->channel.fd = -1;
            kvs_client_free(client);
            return status;
        }
    }
    channel_init(&client->channel, &address, client->tls);
    client->connect_timeout_ms =
        known.connect_timeout_ms != 0 ? known.connect_timeout_ms : CONNECT_TIMEOUT_MS;
    client->request_timeout_ms =
        known.request_timeout_ms != 0 ? known.request_timeout_ms : REQUEST_TIMEOUT_MS;
    *ret_client = client;
    return KVS_OK;
}

void kvs_client_free(struct kvs_client *client)
{
    if (client == NULL)
        return;
    channel_close(&client->channel);
    client_tls_free(client->tls);
    buffer_deinit(&client->input);
    buffer_deinit(&client->output);
    if (client->password != NULL)
        secret_free(client->password, strlen(client->password));
    free(client);
}

/* Sizes that no server takes are refused here, before a byte of them is sent. */
static kvs_status check_sizes(const struct request *request, struct kvs_error *err)
{
    bool has_key = request->command == REQUEST_GET || request->command == REQUEST_SET ||
                   request->command == REQUEST_REMOVE;
    if (has_key && request->key.len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "a key has at least 1 byte");
    if (request->key.len > NATIVE_KEY_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a key of %llu bytes is over the limit of %u bytes",
                             (unsigned long long)request->key.len, NATIVE_KEY_MAX);
    if (request->value.len > NATIVE_VALUE_MAX)
        return kvs_error_set(err, KVS_TOO_LARGE, 0,
                             "a value of %llu bytes is over the limit of %u bytes",
                             (unsigned long long)request->value.len, NATIVE_VALUE_MAX);
    return KVS_OK;
}

/* Forgets the last reply, and its memory where it was large (I3). */
static void drop_input(struct kvs_client *client)
{
    if (client->input.cap > INPUT_KEPT_MAX)
        buffer_deinit(&client->input);
    else
        buffer_consume(&client->input, buffer_size(&client->input));
}

static kvs_status send_request(struct kvs_client *client, const struct request *request,
                               const struct deadline *deadline, struct kvs_error *err)
{
    uint8_t header[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX];
    struct iovec parts[] = {
        {header, native_encode_request(header, request)},
        {(void *)(uintptr_t)request->key.ptr, request->key.len},
        {(void *)(uintptr_t)request->value.ptr, request->value.len},
    };
    return channel_send(&client->channel, parts, sizeof(parts) / sizeof(parts[0]), deadline, err);
}

/* Checks that the reply is one to request id, which was sent whole or (if refused) in part. */
static kvs_status check_reply(const struct kvs_client *client, const struct native_reply *reply,
                              uint64_t id, bool sent_whole, struct kvs_error *err)
{
    if (reply->body_size > REPLY_BODY_MAX)
        return kvs_error_set(err, KVS_PROTOCOL, 0,
                             "%s announced a reply of %u bytes, over the limit of %u bytes",
                             client->channel.name, reply->body_size, REPLY_BODY_MAX);
    /* A server that could not read the request's id answers with 0 and an error. */
    if (reply->id != id && !(reply->id == 0 && reply->status < 0))
        return kvs_error_set(err, KVS_PROTOCOL, 0, "%s answered request %llu where %llu was asked",
                             client->channel.name, (unsigned long long)reply->id,
                             (unsigned long long)id);
    if (!sent_whole && reply->status >= 0)
        return kvs_error_set(err, KVS_PROTOCOL, 0, "%s answered a request before it was sent whole",
                             client->channel.name);
    return KVS_OK;
}

/* Receives one reply into the empty buffer input. */
static kvs_status receive_reply(struct kvs_client *client, struct buffer *input, uint64_t id,
                                bool sent_whole, const struct deadline *deadline,
                                struct native_reply *ret_reply, struct kvs_error *err)
{
    kvs_status status = channel_receive(&client->channel, input, NATIVE_HEADER_SIZE, deadline, err);
    if (status == KVS_OK)
        status = native_decode_reply(buffer_content(input), ret_reply, err);
    if (status == KVS_OK)
        status = check_reply(client, ret_reply, id, sent_whole, err);
    if (status == KVS_OK)
        status = channel_receive(&client->channel, input,
                                 NATIVE_HEADER_SIZE + (size_t)ret_reply->body_size, deadline, err);
    return status;
}

/* Sends the request and receives its reply, once. A failure leaves the channel to be closed. */
static kvs_status exchange(struct kvs_client *client, const struct request *request,
                           struct native_reply *ret_reply, struct kvs_error *err)
{
    struct deadline deadline = deadline_in_ms(client->request_timeout_ms);
    kvs_status status = send_request(client, request, &deadline, err);
    if (status != KVS_OK && status != KVS_STOPPED)
        return status;
    bool sent_whole = status == KVS_OK;
    drop_input(client);
    status =
        receive_reply(client, &client->input, request->id, sent_whole, &deadline, ret_reply, err);
    if (status != KVS_OK)
        return status;
    /* The stream is at a frame's border only if all went out and nothing came behind (I1). */
    if (!sent_whole ||
        buffer_size(&client->input) != NATIVE_HEADER_SIZE + (size_t)ret_reply->body_size)
        channel_close(&client->channel);
    return KVS_OK;
}

/* Makes the server's fault ours, with its message as one line of printable bytes. */
static kvs_status take_fault(kvs_status status, struct kvs_bytes body, struct kvs_error *err)
{
    char text[KVS_ERROR_MESSAGE_MAX];
    size_t size = body.len < sizeof(text) - 1 ? (size_t)body.len : sizeof(text) - 1;
    const uint8_t *from = body.ptr;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)(from[i] < 0x20 || from[i] == 0x7F ? '?' : from[i]);
    text[size] = '\0';
    return kvs_error_set(err, status, 0, "%s", size > 0 ? text : kvs_status_text(status));
}

static kvs_status server_fault(struct kvs_client *client, kvs_status status, struct kvs_bytes body,
                               struct kvs_error *err)
{
    /* After these the server may be about to close; asking again costs less than a failed call. */
    if (status == KVS_PROTOCOL || status == KVS_UNSUPPORTED || status == KVS_TOO_LARGE ||
        status == KVS_CLOSED)
        channel_close(&client->channel);
    return take_fault(status, body, err);
}

/* Gives the password. Its reply has a buffer of its own: the caller's views of the last one, which the
   request may be made of, are still good (I3). */
static kvs_status log_in(struct kvs_client *client, const struct deadline *deadline,
                         struct kvs_error *err)
{
    struct buffer input = {0};
    struct native_reply reply = {0};
    struct request request = {
        .command = REQUEST_AUTH, .id = ++client->id_last, .value = bytes_of_text(client->password)};
    kvs_status status = send_request(client, &request, deadline, err);
    /* KVS_STOPPED: the server has something to say before it closes. */
    if (status == KVS_OK || status == KVS_STOPPED)
        status = receive_reply(client, &input, request.id, status == KVS_OK, deadline, &reply, err);
    if (status == KVS_OK && reply.status < 0)
        status =
            take_fault(reply.status,
                       bytes_of(buffer_content(&input) + NATIVE_HEADER_SIZE, reply.body_size), err);
    else if (status == KVS_OK && reply.status != KVS_OK)
        status = kvs_error_set(err, KVS_PROTOCOL, 0, "%s answered a password with outcome %d",
                               client->channel.name, reply.status);
    buffer_deinit(&input);
    return status;
}

static kvs_status ensure_connection(struct kvs_client *client, struct kvs_error *err)
{
    if (channel_is_idle(&client->channel))
        return KVS_OK;
    channel_close(&client->channel);
    struct deadline deadline = deadline_in_ms(client->connect_timeout_ms);
    kvs_status status = channel_open(&client->channel, &deadline, err);
    if (status != KVS_OK || client->password == NULL)
        return status;
    status = log_in(client, &deadline, err);
    if (status != KVS_OK)
        channel_close(&client->channel);
    return status;
}

kvs_status client_call(struct kvs_client *client, struct request *request,
                       struct kvs_bytes *ret_body, struct kvs_error *err)
{
    struct native_reply reply;
    kvs_status status = check_sizes(request, err);
    if (status != KVS_OK)
        return status;
    status = ensure_connection(client, err);
    if (status != KVS_OK)
        return status;
    request->id = ++client->id_last;
    status = exchange(client, request, &reply, err);
    if (status != KVS_OK) {
        channel_close(&client->channel);
        return status;
    }
    struct kvs_bytes body =
        bytes_of(buffer_content(&client->input) + NATIVE_HEADER_SIZE, reply.body_size);
    if (reply.status < 0)
        return server_fault(client, reply.status, body, err);
    if (reply.status == KVS_OK || reply.status == KVS_CONDITION_FAILED)
        *ret_body = body;
    return reply.status;
}

struct buffer *client_body(struct kvs_client *client)
{
    if (client->output.cap > INPUT_KEPT_MAX)
        buffer_deinit(&client->output);
    else
        buffer_consume(&client->output, buffer_size(&client->output));
    return &client->output;
}

kvs_status kvs_client_ping(struct kvs_client *client, struct kvs_error *err)
{
    struct request request = {.command = REQUEST_PING};
    struct kvs_bytes echo;
    return client_call(client, &request, &echo, err);
}

kvs_status kvs_client_get(struct kvs_client *client, struct kvs_bytes key,
                          struct kvs_bytes *ret_value, struct kvs_error *err)
{
    struct request request = {.command = REQUEST_GET, .key = key};
    return client_call(client, &request, ret_value, err);
}

kvs_status kvs_client_set(struct kvs_client *client, struct kvs_bytes key, struct kvs_bytes value,
                          struct kvs_error *err)
{
    struct request request = {.command = REQUEST_SET, .key = key, .value = value};
    struct kvs_bytes nothing;
    return client_call(client, &request, &nothing, err);
}

kvs_status kvs_client_remove(struct kvs_client *client, struct kvs_bytes key, struct kvs_error *err)
{
    struct request request = {.command = REQUEST_REMOVE, .key = key};
    struct kvs_bytes nothing;
    return client_call(client, &request, &nothing, err);
}

kvs_status kvs_client_stats(struct kvs_client *client, struct kvs_bytes *ret_text,
                            struct kvs_error *err)
{
    struct request request = {.command = REQUEST_STATS};
    return client_call(client, &request, ret_text, err);
}

const char *kvs_client_version(void)
{
    return KVS_VERSION;
}
