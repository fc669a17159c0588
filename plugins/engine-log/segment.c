/* See segment.h. */
#include "segment.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "crc32c.h"

#define MAGIC         UINT32_C(0x3153564B) /* "KVS1" */
#define CHECKED_BEGIN 8u                   /* the header's CRC covers these bytes */
#define CHECKED_END   64u
/* Bytes of zeros that are on their way to the disk at once. */
#define ZERO_SYNC_BYTES ((uint64_t)4 << 20)
/* Bytes written at once. The page cache keeps in one piece what came in one write, and a store into the
   mapping makes all of that piece dirty: every sync of an append then writes as much. (After writes of
   1 MiB it took 0.9 ms instead of 0.08 ms; below 16 KiB only the zeros take longer.) */
#define ZERO_WRITE_BYTES ((uint64_t)16 << 10)

kvs_status segment_table_init(struct segment_table *table, struct kvs_error *err)
{
    /* Address space, not memory: a page is taken when one of its 512 segments is made. */
    void *slots = mmap(NULL, SEGMENT_NUMBER_COUNT * sizeof(*table->slots), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slots == MAP_FAILED)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory for the table of segments");
    table->slots = slots;
    return KVS_OK;
}

void segment_table_deinit(struct segment_table *table)
{
    if (table->slots != NULL)
        (void)munmap(table->slots, SEGMENT_NUMBER_COUNT * sizeof(*table->slots));
    table->slots = NULL;
}

void segment_name(uint32_t number, char name[SEGMENT_NAME_MAX])
{
    (void)snprintf(name, SEGMENT_NAME_MAX, "%08" PRIu32 ".seg",
                   number & (SEGMENT_NUMBER_COUNT - 1));
}

bool segment_name_parse(const char *name, uint32_t *ret_number)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(name[i] - '0');
    }
    if (strcmp(name + 8, ".seg") != 0 || number >= SEGMENT_NUMBER_COUNT)
        return false;
    *ret_number = number;
    return true;
}

/* ---- the header --------------------------------------------------------------------------- */

static void put32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

static void put64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

static void header_make(uint8_t header[SEGMENT_HEADER_BYTES], const struct segment_config *config)
{
    memset(header, 0, SEGMENT_HEADER_BYTES);
    put32(header, MAGIC);
    put32(header + 8, SEGMENT_FORMAT);
    put32(header + 12, config->number);
    put64(header + 16, config->generation);
    put64(header + 24, config->bytes);
    put32(header + 32, (uint32_t)config->kind);
    put64(header + 40, config->birth);
    put32(header + 4, crc32c(0, header + CHECKED_BEGIN, CHECKED_END - CHECKED_BEGIN));
}

bool segment_header_read(const uint8_t *from, struct segment_header *ret_header)
{
    uint32_t kind = get32(from + 32);
    if (get32(from) != MAGIC ||
        get32(from + 4) != crc32c(0, from + CHECKED_BEGIN, CHECKED_END - CHECKED_BEGIN) ||
        (kind != SEGMENT_APPENDED && kind != SEGMENT_COMPACTED))
        return false;
    *ret_header = (struct segment_header){
        .format = get32(from + 8),
        .number = get32(from + 12),
        .generation = get64(from + 16),
        .bytes = get64(from + 24),
        .birth = get64(from + 40),
        .kind = (enum segment_kind)kind,
    };
    return true;
}

static kvs_status header_check(const uint8_t *from, const char *name, uint32_t number,
                               uint64_t generation, struct segment_header *ret_header,
                               struct kvs_error *err)
{
    struct segment_header header;
    if (!segment_header_read(from, &header))
        return kvs_error_set(err, KVS_CORRUPT, 0, "%s: the segment's header (offset 0) is damaged",
                             name);
    if (header.format > SEGMENT_FORMAT)
        return kvs_error_set(err, KVS_INCOMPATIBLE, 0,
                             "%s has format %" PRIu32 ", this kvs knows formats up to %u", name,
                             header.format, SEGMENT_FORMAT);
    if (header.number != number || header.generation != generation)
        return kvs_error_set(err, KVS_CORRUPT, 0,
                             "%s holds segment %" PRIu32 " of generation %" PRIu64
                             ", the manifest expects segment %" PRIu32 " of generation %" PRIu64,
                             name, header.number, header.generation, number, generation);
    *ret_header = header;
    return KVS_OK;
}

/* ---- making and opening ------------------------------------------------------------------- */

static bool is_cancelled(const struct segment_config *config)
{
    return config->cancel != NULL &&
           atomic_load_explicit(config->cancel, memory_order_relaxed) != 0;
}

static bool is_in_a_hurry(const struct segment_config *config)
{
    return config->hurry != NULL && atomic_load_explicit(config->hurry, memory_order_relaxed) != 0;
}

/* Writes zeros up to the end, or until somebody waits for the segment. */
static kvs_status fill_with_zeros(struct segment *segment, const struct segment_config *config,
                                  struct kvs_error *err)
{
    struct disk_file *file = segment->file;
    uint64_t from = SEGMENT_HEADER_BYTES;
    uint64_t to = config->bytes;
    uint8_t *zeros = calloc(1, ZERO_WRITE_BYTES);
    if (zeros == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    kvs_status status = KVS_OK;
    while (from < to && status == KVS_OK && !is_in_a_hurry(config)) {
        uint64_t end = (from / ZERO_WRITE_BYTES + 1) * ZERO_WRITE_BYTES;
        end = end < to ? end : to;
        status =
            is_cancelled(config) ? KVS_CLOSED : disk_file_write(file, from, zeros, end - from, err);
        from = end;
        /* All at once would keep the syncs of writes waiting behind it. */
        if (status == KVS_OK && from % ZERO_SYNC_BYTES == 0)
            status = disk_file_sync(file, err);
    }
    free(zeros);
    /* They are in memory. */
    segment->warmed = from < to ? from / ZERO_SYNC_BYTES * ZERO_SYNC_BYTES : to;
    return status;
}

/* Maps the file. From here on SIGBUS in this memory is dealt with. */
static kvs_status segment_map(struct segment *segment, uint64_t bytes, bool writable,
                              struct kvs_error *err)
{
    void *memory;
    kvs_status status = sigbus_install(err);
    if (status != KVS_OK)
        return status;
    status = disk_file_map(segment->file, bytes, writable, &memory, err);
    if (status == KVS_OK) {
        status = sigbus_add(memory, bytes, writable, &segment->range, err);
        if (status == KVS_OK) {
            segment->memory = memory;
            segment->bytes = bytes;
            segment->writable = writable;
            return KVS_OK;
        }
        disk_file_unmap(segment->file, memory, bytes);
    }
    sigbus_uninstall();
    return status;
}

static void segment_unmap(struct segment *segment)
{
    if (segment->memory == NULL)
        return;
    assert(segment->file != NULL); /* what is mapped */
    sigbus_remove(segment->range);
    disk_file_unmap(segment->file, segment->memory, segment->bytes);
    sigbus_uninstall();
}

kvs_status segment_say_failed(const struct segment *segment, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(segment->number, name);
    return kvs_error_set(err, KVS_IO, EIO,
                         "%s offset %" PRIu64
                         ": the disk does not deliver this part of the file, or it was cut short",
                         name, sigbus_failed_at(segment->range));
}

static kvs_status segment_prepare(struct segment *segment, const struct segment_config *config,
                                  struct kvs_error *err)
{
    uint8_t header[SEGMENT_HEADER_BYTES];
    bool is_partly = config->reserve != 0 && config->reserve < config->bytes;
    uint64_t reserved = is_partly ? config->reserve : config->bytes;
    kvs_status status = disk_file_reserve(segment->file, reserved, err);
    bool writable = status == KVS_OK;
    if (status == KVS_UNSUPPORTED) /* written with disk_file_write: a full disk is met there */
        reserved = config->bytes;
    if (status == KVS_UNSUPPORTED || (writable && is_partly))
        status = disk_file_truncate(segment->file, config->bytes, err);
    atomic_store_explicit(&segment->reserved, reserved, memory_order_relaxed);
    header_make(header, config);
    if (status == KVS_OK)
        status = disk_file_write(segment->file, 0, header, sizeof(header), err);
    if (status == KVS_OK && config->zero && writable)
        status = fill_with_zeros(segment, config, err);
    if (status == KVS_OK)
        status = disk_file_sync(segment->file, err);
    if (status == KVS_OK)
        status = segment_map(segment, config->bytes, writable, err);
    if (status == KVS_OK && config->huge_pages) /* refused: small pages do as well */
        (void)madvise(segment->memory, segment->bytes, MADV_HUGEPAGE);
    return status;
}

static struct segment *segment_new(uint32_t number, uint64_t generation, struct kvs_bytes secret,
                                   uint64_t bytes)
{
    struct segment *segment = aligned_alloc(_Alignof(struct segment), sizeof(*segment));
    if (segment == NULL)
        return NULL;
    memset(segment, 0, sizeof(*segment));
    segment->number = number;
    segment->generation = generation;
    segment->salt = record_salt(secret, generation);
    segment->bytes = bytes;
    atomic_store_explicit(&segment->end, SEGMENT_HEADER_BYTES, memory_order_relaxed);
    atomic_store_explicit(&segment->durable_end, SEGMENT_HEADER_BYTES, memory_order_relaxed);
    return segment;
}

kvs_status segment_create(struct disk *disk, const struct segment_config *config,
                          struct segment **ret_segment, struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    struct segment *segment =
        segment_new(config->number, config->generation, config->secret, config->bytes);
    if (segment == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    segment->kind = config->kind;
    segment->birth = config->birth;
    segment_name(config->number, name);
    kvs_status status = disk_file_open(disk, name, DISK_CREATE, &segment->file, err);
    if (status == KVS_OK)
        status = segment_prepare(segment, config, err);
    if (status != KVS_OK) {
        if (segment->file != NULL)
            (void)!disk_remove(disk, name, NULL);
        segment_free(segment);
        return status;
    }
    *ret_segment = segment;
    return KVS_OK;
}

static kvs_status segment_map_existing(struct segment *segment, const char *name, bool read_only,
                                       struct kvs_error *err)
{
    uint64_t bytes;
    kvs_status status = disk_file_size(segment->file, &bytes, err);
    if (status != KVS_OK)
        return status;
    if (bytes < SEGMENT_HEADER_BYTES)
        return kvs_error_set(err, KVS_CORRUPT, 0,
                             "%s: only %" PRIu64 " bytes, no segment is so short", name, bytes);
    status = segment_map(segment, bytes, !read_only, err);
    if (status != KVS_OK)
        return status;
    atomic_store_explicit(&segment->reserved, bytes, memory_order_relaxed);
    struct segment_header header = {0};
    status =
        header_check(segment->memory, name, segment->number, segment->generation, &header, err);
    if (segment_failed(segment))
        return segment_say_failed(segment, err);
    if (status != KVS_OK)
        return status;
    segment->kind = header.kind;
    segment->birth = header.birth;
    return KVS_OK;
}

kvs_status segment_open(struct disk *disk, uint32_t number, uint64_t generation,
                        struct kvs_bytes secret, bool read_only, struct segment **ret_segment,
                        struct kvs_error *err)
{
    char name[SEGMENT_NAME_MAX];
    struct segment *segment = segment_new(number, generation, secret, 0);
    if (segment == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    segment_name(number, name);
    kvs_status status =
        disk_file_open(disk, name, read_only ? DISK_READ_ONLY : 0, &segment->file, err);
    if (status == KVS_OK)
        status = segment_map_existing(segment, name, read_only, err);
    if (status != KVS_OK) {
        segment_free(segment);
        return status;
    }
    *ret_segment = segment;
    return KVS_OK;
}

kvs_status segment_reserve(struct segment *segment, uint64_t more, uint64_t step,
                           struct kvs_error *err)
{
    uint64_t needed = atomic_load_explicit(&segment->end, memory_order_relaxed) + more;
    if (needed <= atomic_load_explicit(&segment->reserved, memory_order_relaxed))
        return KVS_OK;
    uint64_t reserved = (needed + step - 1) / step * step;
    if (reserved > segment->bytes)
        reserved = segment->bytes;
    kvs_status status = disk_file_reserve(segment->file, reserved, err);
    if (status == KVS_OK)
        atomic_store_explicit(&segment->reserved, reserved, memory_order_relaxed);
    return status;
}

void segment_warm(const struct segment *segment, uint64_t offset, uint64_t bytes)
{
    if (offset >= segment->bytes)
        return;
    if (bytes > segment->bytes - offset)
        bytes = segment->bytes - offset;
#ifdef MADV_POPULATE_READ /* Linux 5.14 */
    (void)madvise(segment->memory + offset, bytes, MADV_POPULATE_READ);
#else
    (void)madvise(segment->memory + offset, bytes, MADV_WILLNEED);
#endif
}

void segment_settle(const struct segment *segment)
{
    (void)madvise(segment->memory, segment->bytes, MADV_NOHUGEPAGE);
}

void segment_free(struct segment *segment)
{
    if (segment == NULL)
        return;
    segment_unmap(segment);
    disk_file_close(segment->file);
    free(segment);
}
