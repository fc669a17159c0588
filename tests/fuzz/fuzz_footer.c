/*
 * Feeds the end of a sealed segment to the reader of footers: what stands behind its frames. The first byte
 * says whether checksums are made right before, and the second one where the frames end, unless the
 * trailer is to be believed. Aborts where a promise of footer.h is broken.
 */
#include "disk_memory.h"
#include "footer.h"
#include "fuzz.h"
#include "mend.h"

#define MEND        1u
#define ANY_END     2u
#define PREFIX      2u    /* bytes in front of the footer */
#define FRAME_BYTES 2048u /* room for the frames that entries lead to */
#define SALT        UINT32_C(0x12345678)

static void check_entries(const struct segment *segment, uint64_t end,
                          const struct footer_entries *entries)
{
    require(entries->owned == NULL);
    require((const uint8_t *)entries->items == segment->memory + end);
    for (uint64_t i = 0; i < entries->count; i++) {
        const struct footer_entry *entry = &entries->items[i];
        struct footer_entry found;
        uint64_t offset = (uint64_t)entry->offset * FOOTER_UNIT;
        require(offset > SEGMENT_HEADER_BYTES && offset + footer_entry_bytes(entry) <= end);
        require(i == 0 || entries->items[i - 1].hash <= entry->hash);
        require(footer_find(segment, offset, &found, NULL) == KVS_OK &&
                found.offset == entry->offset);
    }
}

/* What was read can be written again, and is then the same. */
static void write_again(struct segment *segment, const struct footer_entries *entries)
{
    struct footer_entries copy = *entries;
    uint64_t bytes;
    copy.items = copy.owned =
        (void *)fuzz_copy((const uint8_t *)entries->items, entries->count * FOOTER_ENTRY_BYTES);
    require(disk_file_size(segment->file, &bytes, NULL) == KVS_OK);
    require(footer_write(segment, &copy, NULL) == KVS_OK);
    require(bytes == segment->bytes);
    struct footer_entries read;
    require(footer_open(segment, atomic_load(&segment->end), &read, NULL) == KVS_OK);
    require(read.count == copy.count);
    require(read.count == 0 ||
            memcmp(read.items, copy.items, copy.count * FOOTER_ENTRY_BYTES) == 0);
    footer_entries_deinit(&read);
    footer_entries_deinit(&copy);
}

static void read_all(struct segment *segment, uint64_t end)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct footer_entries entries;
    struct footer_entry entry;
    uint64_t found_end;
    atomic_store_explicit(&segment->end, end, memory_order_relaxed);
    bool has_end = footer_find_end(segment, &found_end);
    require(!has_end || (found_end >= SEGMENT_HEADER_BYTES && found_end < segment->bytes));
    kvs_status status = footer_open(segment, end, &entries, &error);
    require(status == KVS_OK || status == KVS_MISSING || status == KVS_CORRUPT);
    require(status == KVS_OK || (error.status == status && message[0] != '\0'));
    (void)!footer_find(segment, SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES, &entry, NULL);
    if (status != KVS_OK)
        return;
    require(has_end && found_end == end);
    check_entries(segment, end, &entries);
    write_again(segment, &entries);
    footer_entries_deinit(&entries);
}

static uint64_t choose_end(const uint8_t *data, const struct segment *segment)
{
    uint64_t end;
    if ((data[0] & ANY_END) == 0 && footer_find_end(segment, &end))
        return end;
    return SEGMENT_HEADER_BYTES + (uint64_t)data[1] * FOOTER_UNIT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char name[] = "00000005.seg";
    if (size < PREFIX)
        return 0;
    uint64_t begin = SEGMENT_HEADER_BYTES + FRAME_BYTES;
    uint64_t bytes = begin + size - PREFIX;
    uint8_t *content = calloc(1, bytes);
    require(content != NULL);
    memcpy(content + begin, data + PREFIX, size - PREFIX);
    if ((data[0] & MEND) != 0)
        mend_footer(content, bytes, SALT);
    struct memory_files *files = memory_files_new();
    memory_files_put(files, name, content, bytes);
    free(content);
    struct disk *disk = disk_memory_open(files);
    struct segment segment = {.number = 5, .generation = 9, .salt = SALT, .bytes = bytes};
    void *memory;
    require(disk_file_open(disk, name, 0, &segment.file, NULL) == KVS_OK);
    require(disk_file_map(segment.file, bytes, true, &memory, NULL) == KVS_OK);
    segment.memory = memory;
    read_all(&segment, choose_end(data, &segment));
    disk_file_close(segment.file);
    disk_close(disk);
    memory_files_free(files);
    return 0;
}
