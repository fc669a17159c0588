/* Many clients at once through libkvs: a thousand threads that set a thousand keys, a hundred that
   read a hundred, also after a restart; and all of them on one key. */
#include "system/matrix.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvs/client.h>

#include "base/bytes.h"
#include "system/limits.h"

#define WRITERS       1000u
#define READERS       100u
#define READ_KEYS     100u
#define ROUNDS_ON_ONE 3u
#define STACK_BYTES   ((size_t)256 * 1024)
#define TIMEOUT_MS    60000u
#define TEXT_MAX      64u

/* What the threads of one crowd share. Constant but for the barrier. */
struct crowd {
    const char *address;
    pthread_barrier_t together; /* all of them begin at once */
};

struct member {
    struct crowd *crowd;
    unsigned number;
    pthread_t thread;
    struct test_error error; /* the first failure; read after the join */
};

static struct kvs_client *client_of(struct member *member)
{
    struct kvs_client *client = NULL;
    struct kvs_client_config config = {
        .size = sizeof(config),
        .address = member->crowd->address,
        .connect_timeout_ms = TIMEOUT_MS,
        .request_timeout_ms = TIMEOUT_MS,
    };
    if (kvs_client_new(&config, &client, &member->error.error) != KVS_OK)
        return NULL;
    return client;
}

/* Runs count threads with body at once; every one of them must end without an error. */
static void run_crowd(const struct server_process *server, unsigned count,
                      void *(*body)(void *member))
{
    struct crowd crowd = {.address = server->address};
    struct member *members = calloc(count, sizeof(*members));
    pthread_attr_t attributes;
    unsigned failed = 0;
    (void)pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
    assert_int_equal(pthread_barrier_init(&crowd.together, NULL, count), 0);
    for (unsigned i = 0; i < count; i++) {
        members[i].crowd = &crowd;
        members[i].number = i;
        test_error_init(&members[i].error);
        assert_int_equal(pthread_create(&members[i].thread, &attributes, body, &members[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_join(members[i].thread, NULL), 0);
        if (members[i].error.error.status != KVS_OK && failed++ < 5)
            print_error("thread %u: %s\n", i, members[i].error.message);
    }
    assert_int_equal(failed, 0);
    (void)pthread_barrier_destroy(&crowd.together);
    (void)pthread_attr_destroy(&attributes);
    free(members);
}

static void name_key(char key[TEXT_MAX], char value[TEXT_MAX], unsigned number)
{
    (void)snprintf(key, TEXT_MAX, "key %u", number);
    (void)snprintf(value, TEXT_MAX, "value of %u", number);
}

static void *set_own_key(void *arg)
{
    struct member *member = arg;
    char key[TEXT_MAX];
    char value[TEXT_MAX];
    struct kvs_client *client = client_of(member);
    name_key(key, value, member->number);
    (void)pthread_barrier_wait(&member->crowd->together);
    if (client != NULL)
        (void)!kvs_client_set(client, bytes_of_text(key), bytes_of_text(value),
                              &member->error.error);
    kvs_client_free(client);
    return NULL;
}

static kvs_status check_value(struct kvs_client *client, const char *key, const char *value,
                              struct kvs_error *err)
{
    struct kvs_bytes found;
    kvs_status status = kvs_client_get(client, bytes_of_text(key), &found, err);
    if (status > 0)
        return kvs_error_set(err, KVS_INTERNAL, 0, "'%s' is lost", key);
    if (status == KVS_OK && !bytes_equal(found, bytes_of_text(value)))
        return kvs_error_set(err, KVS_INTERNAL, 0, "'%s' has the value '%.*s'", key, (int)found.len,
                             (const char *)found.ptr);
    return status;
}

/* Each thread reads all of the keys, beginning with another one. */
static void *read_keys(void *arg)
{
    struct member *member = arg;
    char key[TEXT_MAX];
    char value[TEXT_MAX];
    struct kvs_client *client = client_of(member);
    (void)pthread_barrier_wait(&member->crowd->together);
    for (unsigned i = 0; client != NULL && i < READ_KEYS; i++) {
        name_key(key, value, (member->number + i) % READ_KEYS * (WRITERS / READ_KEYS));
        if (check_value(client, key, value, &member->error.error) != KVS_OK)
            break;
    }
    kvs_client_free(client);
    return NULL;
}

static void *read_own_key(void *arg)
{
    struct member *member = arg;
    char key[TEXT_MAX];
    char value[TEXT_MAX];
    struct kvs_client *client = client_of(member);
    name_key(key, value, member->number);
    (void)pthread_barrier_wait(&member->crowd->together);
    if (client != NULL)
        (void)check_value(client, key, value, &member->error.error);
    kvs_client_free(client);
    return NULL;
}

static void a_thousand_set_and_a_hundred_read(const struct pair *pair)
{
    struct server_process server;
    if (!raise_descriptor_limit(WRITERS + 100))
        return;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    run_crowd(&server, WRITERS, set_own_key);
    run_crowd(&server, READERS, read_keys);
    server_process_stop(&server);
    pair_start(&server, pair, data_dir, NULL);
    run_crowd(&server, READERS, read_keys);
    run_crowd(&server, WRITERS, read_own_key);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

/* Sets the one key, and then must see a value that somebody set: whole, and never none. */
static void *fight_for_one_key(void *arg)
{
    struct member *member = arg;
    char own[TEXT_MAX];
    struct kvs_bytes found;
    struct kvs_error *err = &member->error.error;
    struct kvs_client *client = client_of(member);
    struct kvs_bytes key = bytes_of_text("the one");
    (void)pthread_barrier_wait(&member->crowd->together);
    for (unsigned i = 0; client != NULL && i < ROUNDS_ON_ONE; i++) {
        unsigned number;
        (void)snprintf(own, sizeof(own), "set by %u, whole", member->number);
        if (kvs_client_set(client, key, bytes_of_text(own), err) != KVS_OK)
            break;
        kvs_status status = kvs_client_get(client, key, &found, err);
        if (status < 0)
            break;
        (void)snprintf(own, sizeof(own), "%.*s", status == KVS_OK ? (int)found.len : 0,
                       status == KVS_OK ? (const char *)found.ptr : "");
        if (sscanf(own, "set by %u", &number) != 1 || number >= READERS ||
            strstr(own, ", whole") == NULL) {
            (void)kvs_error_set(err, KVS_INTERNAL, 0, "the one key has the value '%s'", own);
            break;
        }
    }
    kvs_client_free(client);
    return NULL;
}

static void all_on_one_key(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    run_crowd(&server, READERS, fight_for_one_key);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(a_thousand_set_and_a_hundred_read, MATRIX_PAIRS),
        MATRIX_TEST(all_on_one_key, MATRIX_PAIRS),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
