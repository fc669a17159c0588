/* See fake_server.h. The thread ends when fake_server_stop shuts down the listening socket. */
#include "client/fake_server.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/bytes.h"
#include "protocol/native.h"

#define READ_CHUNK ((size_t)65536)
#define BACKLOG    64

struct fake_server {
    pthread_t thread;
    int listen_fd;
    char address[ADDRESS_TEXT_MAX];
    uint16_t port;
    fake_script_fn script;
    void *arg;
    uint32_t connection_count; /* atomic: written by the thread, read by the test */
    uint32_t request_count;    /* atomic: likewise */

    pthread_mutex_t lock;
    int connection_fd; /* guarded by lock; the connection being served, or -1 */
};

/* A fault of the fake itself: the test cannot go on. */
static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static void serve(struct fake_server *server, int fd)
{
    struct fake_connection connection = {
        .fd = fd,
        .index = __atomic_fetch_add(&server->connection_count, 1, __ATOMIC_RELAXED),
        .server = server,
    };
    (void)pthread_mutex_lock(&server->lock);
    server->connection_fd = fd;
    (void)pthread_mutex_unlock(&server->lock);
    server->script(&connection, server->arg);
    (void)pthread_mutex_lock(&server->lock);
    server->connection_fd = -1;
    (void)pthread_mutex_unlock(&server->lock);
    (void)close(fd);
    buffer_deinit(&connection.input);
}

static void *server_main(void *arg)
{
    struct fake_server *server = arg;
    for (;;) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        serve(server, fd);
    }
}

struct fake_server *fake_server_start_at(uint16_t port, fake_script_fn script, void *arg)
{
    const int on = 1;
    struct address address;
    struct fake_server *server = calloc(1, sizeof(*server));
    must(server != NULL, "calloc");
    server->script = script;
    server->arg = arg;
    server->connection_fd = -1;
    must(pthread_mutex_init(&server->lock, NULL) == 0, "pthread_mutex_init");
    must(address_parse("127.0.0.1:0", &address, NULL) == KVS_OK, "address_parse");
    ((struct sockaddr_in *)&address.storage)->sin_port = htons(port);
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(server->listen_fd >= 0, "socket");
    must(setsockopt(server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0,
         "SO_REUSEADDR");
    must(bind(server->listen_fd, (struct sockaddr *)&address.storage, address.size) == 0, "bind");
    must(listen(server->listen_fd, BACKLOG) == 0, "listen");
    must(getsockname(server->listen_fd, (struct sockaddr *)&address.storage, &address.size) == 0,
         "getsockname");
    server->port = address_port(&address);
    address_format(&address, server->address);
    must(pthread_create(&server->thread, NULL, server_main, server) == 0, "pthread_create");
    return server;
}

struct fake_server *fake_server_start(fake_script_fn script, void *arg)
{
    return fake_server_start_at(0, script, arg);
}

void fake_server_stop(struct fake_server *server)
{
    if (server == NULL)
        return;
    (void)shutdown(server->listen_fd, SHUT_RDWR);
    (void)pthread_mutex_lock(&server->lock);
    if (server->connection_fd >= 0)
        (void)shutdown(server->connection_fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listen_fd);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *fake_server_address(const struct fake_server *server)
{
    return server->address;
}

uint16_t fake_server_port(const struct fake_server *server)
{
    return server->port;
}

uint32_t fake_server_connections(const struct fake_server *server)
{
    return __atomic_load_n(&server->connection_count, __ATOMIC_RELAXED);
}

uint32_t fake_server_requests(const struct fake_server *server)
{
    return __atomic_load_n(&server->request_count, __ATOMIC_RELAXED);
}

static bool receive(struct fake_connection *connection, uint64_t size)
{
    struct buffer *input = &connection->input;
    while (buffer_size(input) < size) {
        must(buffer_reserve(input, READ_CHUNK) == KVS_OK, "buffer_reserve");
        ssize_t count = recv(connection->fd, input->data + input->end, buffer_room(input), 0);
        if (count <= 0)
            return false;
        buffer_commit(input, (size_t)count);
    }
    return true;
}

bool fake_read_request(struct fake_connection *connection, struct request *ret_request)
{
    const struct request_limits limits = {NATIVE_KEY_MAX, NATIVE_VALUE_MAX};
    buffer_consume(&connection->input, (size_t)connection->request_size);
    connection->request_size = 0;
    enum decode_result result = DECODE_MORE;
    for (uint64_t size = NATIVE_HEADER_SIZE; result == DECODE_MORE;
         connection->request_size = size) {
        if (!receive(connection, size))
            return false;
        struct kvs_bytes bytes =
            bytes_of(buffer_content(&connection->input), buffer_size(&connection->input));
        result = native_decode_request(bytes, &limits, ret_request, &size, NULL);
    }
    must(result == DECODE_REQUEST, "the client sent no valid request");
    (void)__atomic_fetch_add(&connection->server->request_count, 1, __ATOMIC_RELAXED);
    return true;
}

bool fake_read_header(struct fake_connection *connection, uint64_t *ret_id)
{
    uint8_t header[NATIVE_HEADER_SIZE];
    if (recv(connection->fd, header, sizeof(header), MSG_WAITALL) != (ssize_t)sizeof(header))
        return false;
    *ret_id = load_le64(header + 8);
    return true;
}

bool fake_write(struct fake_connection *connection, const void *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = send(connection->fd, bytes, size, MSG_NOSIGNAL);
        if (count < 0)
            return false;
        bytes = (const uint8_t *)bytes + count;
        size -= (size_t)count;
    }
    return true;
}

void fake_reply(struct fake_connection *connection, uint64_t id, kvs_status status,
                const void *body, size_t size)
{
    /* In one piece: a header alone would let Nagle's algorithm hold the body back, which is then
       lost when the script closes a connection with unread bytes. */
    uint8_t *reply = malloc(NATIVE_HEADER_SIZE + size);
    must(reply != NULL, "malloc");
    native_encode_reply(reply, id, status, (uint32_t)size);
    if (size > 0)
        memcpy(reply + NATIVE_HEADER_SIZE, body, size);
    (void)fake_write(connection, reply, NATIVE_HEADER_SIZE + size);
    free(reply);
}

void fake_reply_text(struct fake_connection *connection, uint64_t id, kvs_status status,
                     const char *body)
{
    fake_reply(connection, id, status, body, strlen(body));
}

void fake_wait_closed(struct fake_connection *connection)
{
    uint8_t bytes[READ_CHUNK];
    while (recv(connection->fd, bytes, sizeof(bytes), 0) > 0)
        ;
}

static uint32_t store_find(const struct fake_store *store, struct kvs_bytes key)
{
    for (uint32_t i = 0; i < FAKE_STORE_ENTRIES; i++) {
        const struct buffer *at = &store->entries[i].key;
        if (bytes_equal(bytes_of(at->data, buffer_size(at)), key))
            return i;
    }
    return FAKE_STORE_ENTRIES;
}

static void buffer_assign(struct buffer *buffer, struct kvs_bytes bytes)
{
    buffer_deinit(buffer);
    must(buffer_append(buffer, bytes.ptr, (size_t)bytes.len) == KVS_OK, "buffer_append");
}

static void store_set(struct fake_store *store, struct kvs_bytes key, struct kvs_bytes value)
{
    uint32_t index = store_find(store, key);
    if (index == FAKE_STORE_ENTRIES)
        index = store_find(store, bytes_of(NULL, 0));
    must(index < FAKE_STORE_ENTRIES, "the fake store is full");
    buffer_assign(&store->entries[index].key, key);
    buffer_assign(&store->entries[index].value, value);
}

static void store_answer(struct fake_store *store, struct fake_connection *connection,
                         const struct request *request)
{
    uint32_t index = store_find(store, request->key);
    bool found = request->key.len > 0 && index < FAKE_STORE_ENTRIES;
    switch (request->command) {
    case REQUEST_PING:
        fake_reply(connection, request->id, KVS_OK, request->value.ptr, request->value.len);
        break;
    case REQUEST_STATS:
        fake_reply_text(connection, request->id, KVS_OK, "keys 1\nuptime_s 2\n");
        break;
    case REQUEST_SET:
        store_set(store, request->key, request->value);
        fake_reply(connection, request->id, KVS_OK, NULL, 0);
        break;
    case REQUEST_GET:
        if (found)
            fake_reply(connection, request->id, KVS_OK, store->entries[index].value.data,
                       buffer_size(&store->entries[index].value));
        else
            fake_reply(connection, request->id, KVS_NOT_FOUND, NULL, 0);
        break;
    case REQUEST_REMOVE:
        if (found)
            buffer_deinit(&store->entries[index].key);
        fake_reply(connection, request->id, found ? KVS_OK : KVS_NOT_FOUND, NULL, 0);
        break;
    default:
        fake_reply_text(connection, request->id, KVS_UNSUPPORTED, "the fake does not know this");
    }
}

void fake_serve_store(struct fake_connection *connection, void *arg)
{
    struct request request;
    while (fake_read_request(connection, &request))
        store_answer(arg, connection, &request);
}

void fake_store_deinit(struct fake_store *store)
{
    for (uint32_t i = 0; i < FAKE_STORE_ENTRIES; i++) {
        buffer_deinit(&store->entries[i].key);
        buffer_deinit(&store->entries[i].value);
    }
}
