/*
 * docs/protocol.md says what the code does: its example frames, byte for byte, and its table of
 * statuses. Usage: test_document PATH
 */
#include "support/support.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "protocol/native.h"

#define FRAME_MAX 256u
#define LINE_SIZE 512u

static FILE *document;

/* Reads "C7 01 ..." at the start of line; stops at what is no pair of hex digits and a blank. */
static size_t read_hex(const char *line, uint8_t *to, size_t room)
{
    size_t count = 0;
    while (isxdigit((unsigned char)line[0]) && isxdigit((unsigned char)line[1]) &&
           (line[2] == ' ' || line[2] == '\n')) {
        const char digits[] = {line[0], line[1], '\0'};
        assert_true(count < room);
        to[count++] = (uint8_t)strtoul(digits, NULL, 16);
        if (line[2] == '\n')
            break;
        line += 3;
    }
    return count;
}

/* The bytes of the block that begins with "```hex NAME". */
static size_t read_block(const char *name, uint8_t bytes[FRAME_MAX])
{
    char line[LINE_SIZE];
    char fence[64];
    size_t size = 0;
    bool inside = false;
    (void)snprintf(fence, sizeof(fence), "```hex %s\n", name);
    rewind(document);
    while (fgets(line, sizeof(line), document) != NULL) {
        if (inside && strcmp(line, "```\n") == 0)
            return size;
        if (inside) {
            size_t count = read_hex(line, bytes + size, FRAME_MAX - size);
            assert_true(count > 0);
            size += count;
        }
        inside = inside || strcmp(line, fence) == 0;
    }
    fail_msg("the page has no block '%s'", name);
    return 0;
}

static void check_request(const char *name, const struct request *request)
{
    uint8_t written[FRAME_MAX];
    uint8_t encoded[FRAME_MAX];
    size_t size = native_encode_request(encoded, request);
    memcpy(encoded + size, request->key.ptr, request->key.len);
    size += request->key.len;
    if (request->value.len > 0)
        memcpy(encoded + size, request->value.ptr, request->value.len);
    size += request->value.len;
    assert_int_equal(read_block(name, written), size);
    assert_memory_equal(written, encoded, size);
}

static void check_reply(const char *name, uint64_t id, kvs_status status, const char *body)
{
    uint8_t written[FRAME_MAX];
    uint8_t encoded[FRAME_MAX];
    size_t size = NATIVE_HEADER_SIZE + strlen(body);
    native_encode_reply(encoded, id, status, (uint32_t)strlen(body));
    memcpy(encoded + NATIVE_HEADER_SIZE, body, strlen(body));
    assert_int_equal(read_block(name, written), size);
    assert_memory_equal(written, encoded, size);
}

static void the_example_requests_are_what_a_client_sends(void **state)
{
    (void)state;
    const struct kvs_bytes key = bytes_of_text("city");
    const struct request set = {
        .id = 1, .command = REQUEST_SET, .key = key, .value = bytes_of_text("Oslo")};
    const struct request get = {.id = 2, .command = REQUEST_GET, .key = key};
    check_request("set request", &set);
    check_request("get request", &get);
}

/* Sent by the library to a socket of ours, which answers as the page says. */
struct batch_example {
    int listener;
    uint8_t request[FRAME_MAX];
    size_t request_size;
};

static void *answer_batch(void *arg)
{
    struct batch_example *example = arg;
    uint8_t reply[FRAME_MAX];
    size_t size = read_block("batch reply", reply);
    int fd = accept4(example->listener, NULL, NULL, SOCK_CLOEXEC);
    example->request_size = 0;
    while (fd >= 0 && example->request_size < NATIVE_HEADER_SIZE + 44u) {
        ssize_t got =
            read(fd, example->request + example->request_size, FRAME_MAX - example->request_size);
        if (got <= 0)
            break;
        example->request_size += (size_t)got;
    }
    store_le64(reply + NATIVE_ID_OFFSET, load_le64(example->request + NATIVE_ID_OFFSET));
    (void)!write(fd, reply, size);
    (void)close(fd);
    return NULL;
}

static void the_example_batch_is_what_the_library_sends(void **state)
{
    (void)state;
    struct batch_example example;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t address_size = sizeof(address);
    uint8_t written[FRAME_MAX];
    char text[64];
    pthread_t thread;
    struct kvs_client *client;
    example.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(example.listener, (struct sockaddr *)&address, sizeof(address)));
    assert_int_equal(0, listen(example.listener, 1));
    assert_int_equal(0, getsockname(example.listener, (struct sockaddr *)&address, &address_size));
    assert_int_equal(0, pthread_create(&thread, NULL, answer_batch, &example));
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(address.sin_port));
    struct kvs_client_config config = {.size = sizeof(config), .address = text};
    struct kvs_client_op op = {.kind = KVS_CLIENT_SET,
                               .condition = KVS_CLIENT_IF_EQUAL,
                               .expires = KVS_CLIENT_EXPIRES_IN,
                               .time_ms = 10000,
                               .key = bytes_of_text("city"),
                               .value = bytes_of_text("Rome"),
                               .expected = bytes_of_text("Oslo"),
                               .status = KVS_INTERNAL};
    assert_int_equal(KVS_OK, kvs_client_new(&config, &client, NULL));
    assert_int_equal(KVS_OK, kvs_client_batch(client, &op, 1, KVS_CLIENT_ALL_OR_NONE, NULL));
    assert_int_equal(KVS_OK, op.status);
    assert_int_equal(0, pthread_join(thread, NULL));
    kvs_client_free(client);
    (void)close(example.listener);
    size_t size = read_block("batch request", written);
    store_le64(example.request + NATIVE_ID_OFFSET, 3); /* the library counts from 1 */
    assert_int_equal(size, example.request_size);
    assert_memory_equal(written, example.request, size);
}

static void the_example_replies_are_what_a_server_sends(void **state)
{
    (void)state;
    check_reply("set reply", 1, KVS_OK, "");
    check_reply("get reply", 2, KVS_OK, "Oslo");
    check_reply("missing reply", 2, KVS_NOT_FOUND, "");

    const struct request_limits limits = {NATIVE_KEY_MAX, NATIVE_VALUE_MAX};
    const struct request empty = {.id = 2, .command = REQUEST_GET};
    uint8_t frame[NATIVE_HEADER_SIZE + NATIVE_SET_PREFIX];
    struct request decoded;
    struct test_error error;
    uint64_t size = native_encode_request(frame, &empty);
    test_error_init(&error);
    assert_int_equal(
        native_decode_request(bytes_of(frame, size), &limits, &decoded, &size, &error.error),
        DECODE_REJECT);
    check_reply("error reply", decoded.id, error.error.status, error.message);
}

struct named_status {
    kvs_status status;
    const char *name;
};
#define NAMED(status)                                                                              \
    {                                                                                              \
        status, #status                                                                            \
    }

static void the_table_of_statuses_is_that_of_the_header(void **state)
{
    (void)state;
    static const struct named_status statuses[] = {
        NAMED(KVS_OK),           NAMED(KVS_NOT_FOUND),
        NAMED(KVS_PENDING),      NAMED(KVS_CONDITION_FAILED),
        NAMED(KVS_BUSY),         NAMED(KVS_STOPPED),
        NAMED(KVS_INVALID),      NAMED(KVS_TOO_LARGE),
        NAMED(KVS_NO_SPACE),     NAMED(KVS_NO_MEMORY),
        NAMED(KVS_IO),           NAMED(KVS_CORRUPT),
        NAMED(KVS_READ_ONLY),    NAMED(KVS_CLOSED),
        NAMED(KVS_UNSUPPORTED),  NAMED(KVS_LOCKED),
        NAMED(KVS_INCOMPATIBLE), NAMED(KVS_MISSING),
        NAMED(KVS_TIMEOUT),      NAMED(KVS_NETWORK),
        NAMED(KVS_PROTOCOL),     NAMED(KVS_DENIED),
        NAMED(KVS_LOADING),      NAMED(KVS_INTERNAL),
    };
    const size_t count = sizeof(statuses) / sizeof(statuses[0]);
    size_t found = 0;
    char line[LINE_SIZE];
    rewind(document);
    while (fgets(line, sizeof(line), document) != NULL) {
        int status;
        char name[64];
        if (sscanf(line, "| %d | `%63[A-Z_]` |", &status, name) != 2)
            continue;
        assert_true(found < count);
        assert_int_equal(status, statuses[found].status);
        assert_string_equal(name, statuses[found].name);
        found++;
    }
    assert_int_equal(found, count);
    /* One more status in the header needs a row here and there. */
    assert_string_equal(kvs_status_text(KVS_STOPPED + 1), "unknown status");
    assert_string_equal(kvs_status_text(KVS_INTERNAL - 1), "unknown status");
}

static void the_table_of_commands_is_that_of_the_code(void **state)
{
    (void)state;
    static const struct named_status commands[] = {
        {REQUEST_PING, "ping"}, {REQUEST_HELLO, "hello"},   {REQUEST_GET, "get"},
        {REQUEST_SET, "set"},   {REQUEST_REMOVE, "remove"}, {REQUEST_STATS, "stats"},
        {REQUEST_AUTH, "auth"}, {REQUEST_BATCH, "batch"},   {REQUEST_INCREMENT, "increment"},
        {REQUEST_MGET, "mget"}, {REQUEST_SCAN, "scan"},     {REQUEST_EXPIRE, "expire"},
        {REQUEST_LOOK, "look"},
    };
    size_t found = 0;
    char line[LINE_SIZE];
    rewind(document);
    while (fgets(line, sizeof(line), document) != NULL) {
        int number;
        char name[64];
        if (sscanf(line, "| %d | %63[a-z] |", &number, name) != 2)
            continue;
        assert_true(found < sizeof(commands) / sizeof(commands[0]));
        assert_int_equal(number, commands[found].status);
        assert_string_equal(name, commands[found].name);
        found++;
    }
    assert_int_equal(found, sizeof(commands) / sizeof(commands[0]));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_requests_are_what_a_client_sends),
        cmocka_unit_test(the_example_batch_is_what_the_library_sends),
        cmocka_unit_test(the_example_replies_are_what_a_server_sends),
        cmocka_unit_test(the_table_of_statuses_is_that_of_the_header),
        cmocka_unit_test(the_table_of_commands_is_that_of_the_code),
    };
    document = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (document == NULL) {
        perror(argc == 2 ? argv[1] : "usage: test_document PATH");
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)fclose(document);
    return failed;
}
