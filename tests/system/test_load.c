/* 50, 500 and 10,000 clients at once that speak the Redis protocol, with every reply checked, on the
   real server; and afterwards what they counted together. */
#include "system/matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/limits.h"
#include "system/resp_load.h"

#define REQUESTS_A_ROUND  4u
#define DESCRIPTORS_SPARE 200u

/* Sends a line, gives the number in the reply: ":N", or the bulk string of one. */
static unsigned long ask(int fd, const char *line)
{
    char reply[64];
    size_t size = 0;
    unsigned lines = 1;
    assert_true(send_all(fd, line, strlen(line)));
    for (unsigned seen = 0; seen < lines;) {
        assert_true(size < sizeof(reply) - 1);
        assert_true(receive_all(fd, reply + size, 1));
        if (reply[0] == '$')
            lines = 2;
        seen += reply[size++] == '\n';
    }
    reply[size] = '\0';
    const char *number = reply[0] == '$' ? strchr(reply, '\n') + 1 : reply + 1;
    return strtoul(number, NULL, 10);
}

/* The shared counters add up to one for each round: none was lost or counted twice. */
static void check_counts(uint16_t port, unsigned expected)
{
    unsigned long sum = 0;
    int fd = connect_to(port);
    for (unsigned i = 0; i < RESP_LOAD_COUNTERS; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "EXISTS counter:%u\r\n", i);
        if (ask(fd, line) == 0)
            continue;
        (void)snprintf(line, sizeof(line), "GET counter:%u\r\n", i);
        sum += ask(fd, line);
    }
    assert_int_equal(sum, expected);
    (void)close(fd);
}

static void load_with(const struct pair *pair, unsigned connections, unsigned rounds,
                      const char *sync)
{
    const char *const arguments[] = {"--sync", sync, NULL};
    struct server_process server;
    if (!raise_descriptor_limit(connections + DESCRIPTORS_SPARE))
        return;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, arguments);
    const struct resp_load load = {
        .port = server.port, .connections = connections, .rounds = rounds, .value_size = 100};
    resp_load_run(&load);
    check_counts(server.port, connections * rounds);
    print_message("%s: %u connections, %u requests\n", pair->engine, connections,
                  connections * rounds * REQUESTS_A_ROUND);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

static void fifty_clients(const struct pair *pair)
{
    load_with(pair, 50, 100, "none");
}

static void fifty_clients_whose_writes_wait_for_the_disk(const struct pair *pair)
{
    load_with(pair, 50, 5, "always");
}

static void five_hundred_clients(const struct pair *pair)
{
    load_with(pair, 500, 10, "none");
}

static void ten_thousand_clients(const struct pair *pair)
{
    load_with(pair, 10000, 2, "none");
}

int main(void)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(fifty_clients, MATRIX_ENGINES),
        MATRIX_TEST(fifty_clients_whose_writes_wait_for_the_disk, MATRIX_ENGINES),
        MATRIX_TEST(five_hundred_clients, MATRIX_ENGINES),
        MATRIX_TEST(ten_thousand_clients, MATRIX_ENGINES),
    };
    return matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
}
