/*
 * What the log engine's index does on this machine, without the engine: rates of one and two
 * threads, readers beside a writer, memory per key, the longest call.
 *
 *     bench_index [KEYS...]            default: 1000000 10000000
 *
 * A record is simulated by its 16-byte key in an array; a hit compares it there, so it costs the
 * two cache misses that it costs in the engine. Each rate is the median of five rounds; the rounds
 * of the kinds that are compared with one another are interleaved.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "index.h"

#define ROUNDS      5
#define ROUND_LOOKS 2000000u
#define MANY        16u /* lookups whose cache misses overlap */

struct record {
    uint64_t key[2];
};

struct bench {
    struct epoch *epoch;
    struct index *index;
    struct record *records; /* by place */
    uint64_t keys;
};

struct lookups {
    const struct bench *bench;
    uint64_t seed;
    uint64_t offset; /* added to key numbers: 0 for hits, keys for misses */
    uint64_t found;
    double per_s;
};

struct writer {
    const struct bench *bench;
    uint64_t changes;
    double per_s;
    _Atomic bool stop;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x7FB5D329728EA185);
    x = (x ^ x >> 27) * UINT64_C(0x81DADEF4BC2DD44D);
    return x ^ x >> 33;
}

static struct record key_of(uint64_t number)
{
    return (struct record){{mix(number), number}};
}

static uint64_t resident_bytes(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (file != NULL)
        (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double per_second(uint64_t count, uint64_t since_ns)
{
    return (double)count * 1e9 / (double)(clock_now_ns() - since_ns);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(values[0]), by_value);
    return values[ROUNDS / 2];
}

/* ---- the kinds of work -------------------------------------------------------------------- */

static bool look_up(const struct bench *bench, const struct record *key, uint64_t hash)
{
    struct index_cursor cursor;
    uint64_t place;
    index_cursor_begin(&cursor, bench->index, hash);
    while ((place = index_cursor_next(&cursor)) != PLACE_NONE)
        if (memcmp(&bench->records[place], key, sizeof(*key)) == 0)
            return true;
    return false;
}

static uint64_t key_hash(const struct bench *bench, const struct record *key)
{
    return index_hash(bench->index, bytes_of(key, sizeof(*key)));
}

static void *run_lookups(void *arg)
{
    struct lookups *lookups = arg;
    const struct bench *bench = lookups->bench;
    uint64_t random = lookups->seed;
    uint64_t begin = clock_now_ns();
    lookups->found = 0;
    for (uint32_t i = 0; i < ROUND_LOOKS; i++) {
        random = mix(random + i);
        struct record key = key_of(random % bench->keys + lookups->offset);
        uint64_t hash = key_hash(bench, &key);
        epoch_begin();
        lookups->found += look_up(bench, &key, hash);
        epoch_end();
    }
    lookups->per_s = per_second(ROUND_LOOKS, begin);
    return NULL;
}

static void *run_many_lookups(void *arg)
{
    struct lookups *lookups = arg;
    const struct bench *bench = lookups->bench;
    uint64_t random = lookups->seed;
    uint64_t begin = clock_now_ns();
    lookups->found = 0;
    for (uint32_t i = 0; i < ROUND_LOOKS; i += MANY) {
        struct record keys[MANY];
        uint64_t hashes[MANY];
        epoch_begin();
        for (uint32_t j = 0; j < MANY; j++) {
            random = mix(random + i + j);
            keys[j] = key_of(random % bench->keys + lookups->offset);
            hashes[j] = key_hash(bench, &keys[j]);
            index_prefetch(bench->index, hashes[j]);
        }
        struct index_cursor cursors[MANY];
        uint64_t places[MANY];
        for (uint32_t j = 0; j < MANY; j++) {
            index_cursor_begin(&cursors[j], bench->index, hashes[j]);
            places[j] = index_cursor_next(&cursors[j]);
            __builtin_prefetch(&bench->records[places[j]]);
        }
        for (uint32_t j = 0; j < MANY; j++) {
            while (places[j] != PLACE_NONE &&
                   memcmp(&bench->records[places[j]], &keys[j], sizeof(keys[j])) != 0)
                places[j] = index_cursor_next(&cursors[j]);
            lookups->found += places[j] != PLACE_NONE;
        }
        epoch_end();
    }
    lookups->per_s = per_second(ROUND_LOOKS, begin);
    return NULL;
}

/* Replaces random keys' places by themselves: the same stores as an overwrite of the key. */
static void *run_replaces(void *arg)
{
    struct writer *writer = arg;
    const struct bench *bench = writer->bench;
    uint64_t random = 77;
    uint64_t begin = clock_now_ns();
    uint64_t changes = 0;
    while (!atomic_load_explicit(&writer->stop, memory_order_relaxed)) {
        random = mix(random + changes);
        uint64_t number = random % bench->keys;
        struct record key = key_of(number);
        changes += index_replace(bench->index, key_hash(bench, &key), number + 1, number + 1);
    }
    writer->per_s = per_second(changes, begin);
    writer->changes = changes;
    return NULL;
}

/* Inserts further keys and removes them again: tables move all the time. */
static void *run_inserts(void *arg)
{
    struct writer *writer = arg;
    const struct bench *bench = writer->bench;
    uint64_t begin = clock_now_ns();
    uint64_t changes = 0;
    uint64_t first = bench->keys * 2;
    uint64_t window = bench->keys / 4;
    for (uint64_t i = 0; !atomic_load_explicit(&writer->stop, memory_order_relaxed); i++) {
        struct record key = key_of(first + i % window);
        bool removes = i / window % 2 != 0;
        uint64_t hash = key_hash(bench, &key);
        if (removes)
            (void)index_remove(bench->index, hash, 1);
        else if (index_insert(bench->index, hash, 1) != KVS_OK)
            break;
        changes++;
    }
    writer->per_s = per_second(changes, begin);
    writer->changes = changes;
    return NULL;
}

/* ---- the measurements --------------------------------------------------------------------- */

static void measure_insert(struct bench *bench, uint64_t resident_before)
{
    uint64_t begin = clock_now_ns();
    uint64_t longest_ns = 0;
    double most = 0;
    double least = 1e9;
    uint64_t last_ns = begin;
    for (uint64_t i = 0; i < bench->keys; i++) {
        struct record key = key_of(i);
        if (index_insert(bench->index, key_hash(bench, &key), i + 1) != KVS_OK)
            abort();
        bench->records[i + 1] = key;
        if ((i & 63) == 0) {
            uint64_t now_ns = clock_now_ns();
            longest_ns = now_ns - last_ns > longest_ns ? now_ns - last_ns : longest_ns;
            last_ns = now_ns;
        }
        if ((i & 4095) == 0 && i >= bench->keys / 2) {
            double per_key = (double)index_memory_bytes(bench->index) / (double)(i + 1);
            most = per_key > most ? per_key : most;
            least = per_key < least ? per_key : least;
        }
    }
    double per_s = per_second(bench->keys, begin);
    printf("insert                %8.2f M/s   longest 64 inserts %.2f ms\n", per_s / 1e6,
           (double)longest_ns / 1e6);
    uint64_t resident = resident_bytes() - resident_before;
    uint64_t memory = index_memory_bytes(bench->index);
    printf(
        "memory per key        %8.2f bytes (from half the keys on: %.2f to %.2f); resident %.2f\n",
        (double)memory / (double)bench->keys, least, most, (double)resident / (double)bench->keys);
}

static double lookups_run(const struct bench *bench, void *(*run)(void *), unsigned threads,
                          uint64_t offset)
{
    struct lookups lookups[2];
    pthread_t ids[2];
    double sum = 0;
    for (unsigned i = 0; i < threads; i++) {
        lookups[i] = (struct lookups){.bench = bench, .seed = clock_now_ns() + i, .offset = offset};
        if (pthread_create(&ids[i], NULL, run, &lookups[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += lookups[i].per_s;
        if (lookups[i].found != (offset == 0 ? ROUND_LOOKS : 0))
            abort();
    }
    return sum;
}

static double lookups_beside(const struct bench *bench, void *(*write)(void *), double *ret_writes)
{
    struct writer writer = {.bench = bench};
    pthread_t id;
    if (pthread_create(&id, NULL, write, &writer) != 0)
        abort();
    double per_s = lookups_run(bench, run_lookups, 1, 0);
    atomic_store_explicit(&writer.stop, true, memory_order_relaxed);
    pthread_join(id, NULL);
    *ret_writes = writer.per_s;
    return per_s;
}

static void measure_lookups(const struct bench *bench)
{
    double hit[ROUNDS], miss[ROUNDS], many[ROUNDS], hit2[ROUNDS], replacing[ROUNDS],
        replaces[ROUNDS], inserting[ROUNDS], inserts[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        hit[i] = lookups_run(bench, run_lookups, 1, 0);
        miss[i] = lookups_run(bench, run_lookups, 1, bench->keys);
        many[i] = lookups_run(bench, run_many_lookups, 1, 0);
        hit2[i] = lookups_run(bench, run_lookups, 2, 0);
        replacing[i] = lookups_beside(bench, run_replaces, &replaces[i]);
        inserting[i] = lookups_beside(bench, run_inserts, &inserts[i]);
    }
    double base = median(hit);
    const struct {
        const char *name;
        double per_s;
    } lines[] = {
        {"find, hit", base},
        {"find, miss", median(miss)},
        {"find 16 at once", median(many)},
        {"find, 2 threads", median(hit2)},
        {"find beside replaces", median(replacing)},
        {"  the replaces", median(replaces)},
        {"find beside inserts", median(inserting)},
        {"  the inserts, removes", median(inserts)},
    };
    for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        printf("%-21s %8.2f M/s   %.2f of find, hit\n", lines[i].name, lines[i].per_s / 1e6,
               lines[i].per_s / base);
}

static void measure_snapshot(const struct bench *bench, const struct index_config *config)
{
    uint64_t *slots = malloc(bench->keys * sizeof(slots[0]));
    uint32_t shards = index_shard_count(bench->index);
    uint64_t *begins = malloc((shards + 1) * sizeof(begins[0]));
    if (slots == NULL || begins == NULL)
        abort();
    begins[0] = 0;
    epoch_begin();
    for (uint32_t i = 0; i < shards; i++)
        begins[i + 1] = begins[i] + index_shard_copy(bench->index, i, slots + begins[i],
                                                     bench->keys - begins[i]);
    epoch_end();
    struct index_config again = *config;
    again.shard_bits = index_shard_bits(bench->index);
    struct index *index = NULL;
    if (index_new(&again, &index, NULL) != KVS_OK)
        abort();
    uint64_t begin = clock_now_ns();
    for (uint32_t i = 0; i < shards; i++)
        if (index_load_shard(index, i, slots + begins[i], begins[i + 1] - begins[i]) != KVS_OK)
            abort();
    printf("load a snapshot       %8.2f ms    %.2f bytes per key\n",
           (double)(clock_now_ns() - begin) / 1e6,
           (double)index_memory_bytes(index) / (double)bench->keys);
    index_free(index);
    free(begins);
    free(slots);
}

static void bench_run(uint64_t keys)
{
    struct bench bench = {.keys = keys};
    if (epoch_new(&bench.epoch, NULL) != KVS_OK)
        abort();
    /* Huge pages, so that what is measured is the index and not the array's address translation. */
    size_t size = (keys + 1) * sizeof(bench.records[0]);
    bench.records = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bench.records == MAP_FAILED)
        abort();
    (void)madvise(bench.records, size, MADV_HUGEPAGE);
    memset(bench.records, 0, size);
    uint64_t resident_before = resident_bytes();
    struct index_config config = {
        .size = sizeof(config),
        .secret = bytes_of_text("the secret of a benchmark"),
        .epoch = bench.epoch,
    };
    if (index_new(&config, &bench.index, NULL) != KVS_OK)
        abort();
    printf("\n%" PRIu64 " keys, %u shards\n", keys, index_shard_count(bench.index));
    measure_insert(&bench, resident_before);
    measure_lookups(&bench);
    measure_snapshot(&bench, &config);
    index_free(bench.index);
    epoch_free(bench.epoch);
    (void)munmap(bench.records, size);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        bench_run(1000000);
        bench_run(10000000);
    }
    for (int i = 1; i < argc; i++)
        bench_run(strtoull(argv[i], NULL, 10));
    return 0;
}
