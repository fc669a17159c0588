/*
 * Writes inputs for the fuzzers of the log engine's readers into a corpus folder, made from small stores
 * with all there can be in one (small_store.h). Run by hand when a format changes:
 *     BUILD/tests/fuzz/make_seeds tests/fuzz/corpus
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "footer.h"
#include "small_store.h"
#include "snapshot.h"
#include "support/support.h"

#define MEND               1u /* as the fuzzers have it */
#define SNAPSHOT_BOUND     2u
#define STORE_SALVAGED     2u
#define SEGMENT_COPIES     2u
#define FOOTER_ROOM        2048u /* as in fuzz_footer.c */
#define FUZZ_GENERATION    9u
#define SEGMENT_PREFIX     64u
#define TRAILER_GENERATION 24u
#define TRAILER_END        48u

static void put(struct buffer *out, const void *bytes, uint64_t size)
{
    assert_int_equal(KVS_OK, buffer_append(out, bytes, size));
}

static void put_byte(struct buffer *out, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    put(out, &byte, 1);
}

/* Writes what is in the buffer, and empties it. */
static void write_seed(const char *corpus, const char *fuzzer, const char *name,
                       struct buffer *seed)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", corpus, fuzzer, name);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        fail_msg("%s: %s", path, strerror(errno));
    size_t size = buffer_size(seed);
    assert_int_equal(size, fwrite(buffer_content(seed), 1, size, file));
    assert_int_equal(0, fclose(file));
    buffer_consume(seed, size);
}

static uint64_t content_bytes(const uint8_t *content, uint64_t bytes)
{
    while (bytes > 0 && content[bytes - 1] == 0)
        bytes--;
    return (bytes + 7) & ~UINT64_C(7);
}

/* A segment's frames; and what follows them in a sealed one. */
static void write_segment(const char *corpus, const char *name, uint32_t number,
                          const uint8_t *content, uint64_t bytes)
{
    struct buffer seed = {0};
    uint64_t end = content_bytes(content, bytes);
    put_byte(&seed, MEND | (number == SMALL_STORE_COMPACTED ? SEGMENT_COPIES : 0));
    if (end > SEGMENT_HEADER_BYTES)
        put(&seed, content + SEGMENT_HEADER_BYTES, end - SEGMENT_HEADER_BYTES);
    write_seed(corpus, "segment", name, &seed);
    if (number == SMALL_STORE_COMPACTED || number == SMALL_STORE_SEALED) {
        uint8_t trailer[FOOTER_TRAILER_BYTES];
        uint64_t at = bytes - sizeof(trailer);
        memcpy(trailer, content + at, sizeof(trailer));
        uint64_t entries = load_le64(trailer + TRAILER_END);
        assert_true(entries <= SEGMENT_HEADER_BYTES + FOOTER_ROOM);
        store_le64(trailer + TRAILER_GENERATION, FUZZ_GENERATION);
        store_le64(trailer + TRAILER_END, SEGMENT_HEADER_BYTES + FOOTER_ROOM);
        put_byte(&seed, MEND);
        put_byte(&seed, 0);
        put(&seed, content + entries, at - entries);
        put(&seed, trailer, sizeof(trailer));
        write_seed(corpus, "footer", name, &seed);
    }
    buffer_deinit(&seed);
}

/* A file of a whole store, as fuzz_store.c has it. */
static void put_file(struct buffer *store, unsigned which, const uint8_t *content, uint64_t bytes)
{
    uint8_t head[5] = {(uint8_t)which};
    uint64_t end = content_bytes(content, bytes);
    bool is_segment = which >= 2;
    uint64_t stored = is_segment ? end - (SEGMENT_HEADER_BYTES - SEGMENT_PREFIX) : end;
    if (is_segment && end <= SEGMENT_HEADER_BYTES)
        stored = SEGMENT_PREFIX + 1; /* its header is whole then */
    uint64_t zeros = bytes - (is_segment ? stored + SEGMENT_HEADER_BYTES - SEGMENT_PREFIX : stored);
    assert_true(stored <= UINT16_MAX && zeros <= UINT16_MAX);
    head[1] = (uint8_t)stored;
    head[2] = (uint8_t)(stored >> 8);
    head[3] = (uint8_t)zeros;
    head[4] = (uint8_t)(zeros >> 8);
    put(store, head, sizeof(head));
    if (is_segment) {
        put(store, content, SEGMENT_PREFIX);
        put(store, content + SEGMENT_HEADER_BYTES, stored - SEGMENT_PREFIX);
    } else {
        put(store, content, stored);
    }
}

static void write_store(const char *corpus, bool snapshot)
{
    struct small_store *store = small_store_new(snapshot);
    struct buffer seed = {0};
    struct buffer whole = {0};
    uint64_t bytes;
    const char *kind = snapshot ? "stopped" : "running";
    put_byte(&whole, MEND | STORE_SALVAGED);
    uint8_t *content = log_fixture_content(store->fixture, MANIFEST_NAME, &bytes);
    put_byte(&seed, MEND);
    put(&seed, content, content_bytes(content, bytes));
    write_seed(corpus, "manifest", kind, &seed);
    put_file(&whole, 0, content, bytes);
    free(content);
    for (uint32_t i = 0; i < SMALL_STORE_SEGMENTS; i++) {
        char name[SEGMENT_NAME_MAX];
        if (store->segments[i] == NULL)
            continue;
        segment_name(i, name);
        content = log_fixture_content(store->fixture, name, &bytes);
        write_segment(corpus, name, i, content, bytes);
        put_file(&whole, 2 + i, content, bytes);
        free(content);
    }
    if (snapshot) {
        content = log_fixture_content(store->fixture, SNAPSHOT_NAME, &bytes);
        put_byte(&seed, MEND | SNAPSHOT_BOUND);
        put(&seed, content, bytes);
        write_seed(corpus, "snapshot", kind, &seed);
        put_file(&whole, 1, content, bytes);
        free(content);
    }
    write_seed(corpus, "store", kind, &whole);
    buffer_deinit(&seed);
    buffer_deinit(&whole);
    small_store_free(store);
}

static const char *corpus;

static void writes_seeds(void **state)
{
    (void)state;
    write_store(corpus, false);
    write_store(corpus, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_seeds)};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: make_seeds CORPUS\n");
        return 2;
    }
    corpus = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
