/*
 * See crowd.h. The threads wait on a futex for the iteration's number to change, so that no lock is
 * handed from one to the next when they all wake; the last one to end wakes the caller.
 *
 * I1 crowd->task and the clients' results change hands by `round` (release by the caller, acquired
 *    by the threads) and by `left` (released by each thread, acquired by the caller).
 */
#include "classic/crowd.h"

#include <errno.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/descriptors.h"

#define STACK_SIZE     (64u << 10)
#define FILES_BESIDE   200u
#define REPLY_TIMEOUT  20 /* s */
#define SEED           UINT64_C(1000)
#define REPLY_SIZE_MAX 512u

struct client {
    struct crowd *crowd;
    uint32_t number;
    pthread_t thread;

    /* Of the last iteration. */
    kvs_status status;
    int os_errno;
    const char *what; /* a constant */
    uint64_t latency_ns;
    uint32_t retransmits;
};

struct crowd {
    struct data data;
    struct wire_template templates[WIRE_COMMAND_COUNT];
    uint8_t value[CROWD_VALUE_SIZE]; /* unstamped */
    struct crowd_task task;
    bool ending;
    _Atomic uint32_t round;
    _Atomic uint32_t left;
    uint32_t count; /* threads that were made */
    struct client clients[CROWD_CLIENTS];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static kvs_status client_fail(struct client *client, kvs_status status, const char *what)
{
    client->os_errno = errno;
    client->what = what;
    return status;
}

static int client_connect(struct client *client)
{
    const struct timeval timeout = {.tv_sec = REPLY_TIMEOUT};
    const int on = 1;
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(client->crowd->task.port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static kvs_status client_send(struct client *client, int fd, uint8_t key[DATA_KEY_SIZE])
{
    const struct crowd *crowd = client->crowd;
    const struct wire_template *template = &crowd->templates[crowd->task.command];
    uint8_t value[CROWD_VALUE_SIZE];
    uint8_t request[2 * WIRE_AROUND_MAX + CROWD_VALUE_SIZE];
    data_key(&crowd->data, client->number, key);
    memcpy(value, crowd->value, sizeof(value));
    data_value_stamp(&crowd->data, client->number, crowd->task.version, value);
    wire_put(template, client->number, key, value, CROWD_VALUE_SIZE, request);
    if (send(fd, request, template->size, MSG_NOSIGNAL) != (ssize_t) template->size)
        return client_fail(client, KVS_NETWORK, "cannot send");
    return KVS_OK;
}

/* Is this the value that the client's key must hold? */
static bool value_is_right(const struct client *client, struct kvs_bytes value)
{
    const struct crowd *crowd = client->crowd;
    uint8_t expected[CROWD_VALUE_SIZE];
    if (value.len != CROWD_VALUE_SIZE)
        return false;
    memset(expected, 'x', sizeof(expected));
    if (!crowd->task.constant) {
        memcpy(expected, crowd->value, sizeof(expected));
        data_value_stamp(&crowd->data, client->number, crowd->task.version, expected);
    }
    return memcmp(value.ptr, expected, sizeof(expected)) == 0;
}

static kvs_status client_receive(struct client *client, int fd, const uint8_t *key)
{
    const struct crowd_task *task = &client->crowd->task;
    uint8_t reply[REPLY_SIZE_MAX];
    size_t size = 0;
    struct wire_reply parsed;
    enum wire_outcome outcome;
    do {
        ssize_t got = recv(fd, reply + size, sizeof(reply) - size, 0);
        if (got <= 0)
            return client_fail(client, KVS_NETWORK, "no reply");
        size += (size_t)got;
        outcome = wire_kvs.parse(task->command, key, client->number, reply, size, &parsed);
    } while (outcome == WIRE_MORE && size < sizeof(reply));
    if (task->command == WIRE_SET)
        return outcome == WIRE_DONE ? KVS_OK : client_fail(client, KVS_PROTOCOL, "a set failed");
    if (outcome != WIRE_VALUE)
        return client_fail(client, KVS_PROTOCOL, "a get gave no value");
    return value_is_right(client, parsed.bytes)
               ? KVS_OK
               : client_fail(client, KVS_CORRUPT, "a get gave another value than was set");
}

static uint32_t retransmits_of(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_total_retrans : 0;
}

/* A client's part of an iteration. */
static kvs_status client_run(struct client *client)
{
    uint8_t key[DATA_KEY_SIZE];
    uint64_t begin_ns = clock_now_ns();
    errno = 0;
    int fd = client_connect(client);
    if (fd < 0)
        return client_fail(client, KVS_NETWORK, "cannot connect");
    kvs_status status = client_send(client, fd, key);
    if (status == KVS_OK)
        status = client_receive(client, fd, key);
    client->latency_ns = clock_now_ns() - begin_ns;
    client->retransmits = retransmits_of(fd);
    (void)close(fd);
    return status;
}

static void *client_main(void *arg)
{
    struct client *client = arg;
    struct crowd *crowd = client->crowd;
    for (uint32_t round = 0;; round++) {
        while (atomic_load_explicit(&crowd->round, memory_order_acquire) == round)
            futex_wait(&crowd->round, round);
        if (crowd->ending)
            return NULL;
        client->status = client_run(client);
        if (atomic_fetch_sub_explicit(&crowd->left, 1, memory_order_acq_rel) == 1)
            futex_wake(&crowd->left, 1);
    }
}

/* Lets the threads go on. */
static void next_round(struct crowd *crowd)
{
    (void)atomic_fetch_add_explicit(&crowd->round, 1, memory_order_release);
    futex_wake(&crowd->round, (int)crowd->count);
}

void crowd_free(struct crowd *crowd)
{
    if (crowd == NULL)
        return;
    crowd->ending = true;
    next_round(crowd);
    for (uint32_t i = 0; i < crowd->count; i++)
        (void)pthread_join(crowd->clients[i].thread, NULL);
    free(crowd);
}

kvs_status crowd_new(struct crowd **ret_crowd, struct kvs_error *err)
{
    pthread_attr_t attributes;
    kvs_status status = descriptors_allow(2 * CROWD_CLIENTS + FILES_BESIDE, err);
    if (status != KVS_OK)
        return status;
    struct crowd *crowd = g_new0(struct crowd, 1);
    crowd->data = (struct data){SEED, CROWD_CLIENTS, CROWD_VALUE_SIZE};
    data_value_init(&crowd->data, crowd->value);
    for (uint32_t i = 0; i < WIRE_COMMAND_COUNT; i++)
        wire_kvs.describe((enum wire_command)i, CROWD_VALUE_SIZE, &crowd->templates[i]);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int code = 0;
    for (; crowd->count < CROWD_CLIENTS && code == 0; crowd->count += code == 0) {
        struct client *client = &crowd->clients[crowd->count];
        client->crowd = crowd;
        client->number = crowd->count;
        code = pthread_create(&client->thread, &attributes, client_main, client);
    }
    (void)pthread_attr_destroy(&attributes);
    if (code != 0) {
        crowd_free(crowd);
        return kvs_error_set(err, KVS_NO_MEMORY, code, "cannot make %u client threads: %s",
                             CROWD_CLIENTS, g_strerror(code));
    }
    *ret_crowd = crowd;
    return KVS_OK;
}

kvs_status crowd_run(struct crowd *crowd, const struct crowd_task *task, struct histogram *latency,
                     struct crowd_result *ret, struct kvs_error *err)
{
    struct crowd_result result = {0};
    uint32_t left;
    crowd->task = *task;
    atomic_store_explicit(&crowd->left, crowd->count, memory_order_relaxed);
    uint64_t begin_ns = clock_now_ns();
    next_round(crowd);
    while ((left = atomic_load_explicit(&crowd->left, memory_order_acquire)) != 0)
        futex_wait(&crowd->left, left);
    result.wall_ns = clock_now_ns() - begin_ns;
    for (uint32_t i = 0; i < crowd->count; i++) {
        const struct client *client = &crowd->clients[i];
        if (client->status != KVS_OK)
            return kvs_error_set(err, client->status, client->os_errno, "client %u: %s%s%s", i,
                                 client->what, client->os_errno != 0 ? ": " : "",
                                 client->os_errno != 0 ? g_strerror(client->os_errno) : "");
        if (latency != NULL)
            histogram_record(latency, client->latency_ns);
        result.retransmits += client->retransmits;
    }
    *ret = result;
    return KVS_OK;
}
