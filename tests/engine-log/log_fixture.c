/* See log_fixture.h. */
#include "log_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk_faulty.h"
#include "support/support.h"

#define VALUE_MAX_BYTES 4096u

static void host_log(const struct kvs_host *host, uint32_t level, const char *message)
{
    struct log_fixture *fixture = host->context;
    (void)message;
    atomic_fetch_add_explicit(&fixture->logged[level], 1, memory_order_relaxed);
}

static int32_t host_log_enabled(const struct kvs_host *host, uint32_t level)
{
    (void)host;
    (void)level;
    return 1;
}

static uint64_t host_now_ns(const struct kvs_host *host)
{
    struct timespec now;
    (void)host;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void log_fixture_new_index(struct log_fixture *fixture, uint32_t shard_bits)
{
    struct test_error error;
    test_error_init(&error);
    struct index_config config = {
        .size = sizeof(config),
        .shard_bits = shard_bits,
        .secret = fixture->secret,
        .epoch = fixture->db->epoch,
    };
    index_free(fixture->db->index);
    fixture->db->index = NULL;
    assert_status(KVS_OK, index_new(&config, &fixture->db->index, &error.error), &error);
}

struct log_fixture *log_fixture_new(uint32_t shard_bits)
{
    struct test_error error;
    test_error_init(&error);
    struct log_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->dir = temp_dir_new();
    fixture->secret = (struct kvs_bytes){FIXTURE_SECRET, strlen(FIXTURE_SECRET)};
    fixture->host = (struct kvs_host){
        .size = sizeof(fixture->host),
        .context = fixture,
        .log = host_log,
        .log_enabled = host_log_enabled,
        .now_ns = host_now_ns,
    };
    fixture->db = aligned_alloc(_Alignof(struct kvs_db), sizeof(*fixture->db));
    assert_non_null(fixture->db);
    memset(fixture->db, 0, sizeof(*fixture->db));
    fixture->db->host = &fixture->host;
    assert_status(KVS_OK, disk_open_real(fixture->dir, &fixture->below, &error.error), &error);
    fixture->db->disk = disk_faulty_new(fixture->below);
    assert_status(KVS_OK, epoch_new(&fixture->db->epoch, &error.error), &error);
    log_fixture_new_index(fixture, shard_bits);
    return fixture;
}

void log_fixture_free(struct log_fixture *fixture)
{
    index_free(fixture->db->index);
    epoch_free(fixture->db->epoch);
    disk_close(fixture->db->disk);
    disk_close(fixture->below);
    free(fixture->db);
    temp_dir_free(fixture->dir);
    free(fixture);
}

struct segment *log_fixture_segment(struct log_fixture *fixture, uint32_t number, uint64_t bytes)
{
    struct test_error error;
    test_error_init(&error);
    struct segment *segment = NULL;
    struct segment_config config = {
        .number = number,
        .kind = SEGMENT_APPENDED,
        .generation = 100 + number,
        .bytes = bytes,
        .secret = fixture->secret,
    };
    assert_status(KVS_OK, segment_create(fixture->db->disk, &config, &segment, &error.error),
                  &error);
    return segment;
}

struct segment *log_fixture_reopen(struct log_fixture *fixture, struct segment *segment)
{
    struct test_error error;
    test_error_init(&error);
    uint32_t number = segment->number;
    uint64_t end = atomic_load(&segment->end);
    struct segment *again = NULL;
    segment_free(segment);
    assert_status(KVS_OK,
                  segment_open(fixture->db->disk, number, 100 + number, fixture->secret, false,
                               &again, &error.error),
                  &error);
    atomic_store(&again->end, end);
    atomic_store(&again->sealed, 1);
    return again;
}

uint64_t log_fixture_append(struct segment *segment, const struct record *records, uint32_t count)
{
    return log_fixture_append_durable(segment, records, count, 0);
}

uint64_t log_fixture_append_durable(struct segment *segment, const struct record *records,
                                    uint32_t count, uint64_t durable)
{
    uint64_t begin = atomic_load(&segment->end);
    uint64_t at = begin + FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bytes = record_bytes(records[i].key.len, records[i].value.len);
        assert_true(at + bytes <= segment->bytes);
        (void)record_write(segment->memory + at, segment->salt, &records[i]);
        segment_count_record(segment, records[i].sequence);
        at += bytes;
    }
    struct frame_header header = {
        .bytes = (uint32_t)(at - begin),
        .records = count,
        .sequence = records[0].sequence,
        .durable_sequence = durable,
    };
    frame_write_header(segment->memory + begin, segment->salt, &header);
    atomic_store(&segment->end, at);
    return begin + FRAME_HEADER_BYTES;
}

struct record log_fixture_record(char text[32], uint32_t key, uint64_t sequence,
                                 uint64_t value_bytes)
{
    static const char value[VALUE_MAX_BYTES] = "a value";
    assert_true(value_bytes <= sizeof(value));
    int len = snprintf(text, 32, "key %u", key);
    return (struct record){
        .sequence = sequence,
        .kind = RECORD_SET,
        .key = {text, (uint64_t)len},
        .value = {value, value_bytes},
    };
}

struct record log_fixture_tombstone(char text[32], uint32_t key, uint64_t sequence)
{
    struct record record = log_fixture_record(text, key, sequence, 0);
    record.kind = RECORD_TOMBSTONE;
    return record;
}

void log_fixture_flip(const struct log_fixture *fixture, const char *name, uint64_t offset,
                      uint8_t mask)
{
    uint8_t byte;
    char *path = path_join(fixture->dir, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
    free(path);
}

uint64_t log_fixture_size(const struct log_fixture *fixture, const char *name)
{
    struct stat st;
    char *path = path_join(fixture->dir, name);
    assert_int_equal(stat(path, &st), 0);
    free(path);
    return (uint64_t)st.st_size;
}

uint8_t *log_fixture_content(const struct log_fixture *fixture, const char *name,
                             uint64_t *ret_bytes)
{
    uint64_t bytes = log_fixture_size(fixture, name);
    uint8_t *content = malloc(bytes + 1);
    char *path = path_join(fixture->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && content != NULL);
    assert_int_equal(pread(fd, content, bytes, 0), bytes);
    (void)close(fd);
    free(path);
    *ret_bytes = bytes;
    return content;
}

uint64_t log_fixture_random(uint64_t *state, uint64_t bound)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state * UINT64_C(0x9E3779B97F4A7C15) >> 32) % bound;
}
