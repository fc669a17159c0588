/*
 * Feeds all files of a store to what opens, verifies and salvages stores. The input is
 *     u8 flags, then for each file: u8 which (0 manifest, 1 snapshot, 2 + n segment n), u16 bytes,
 *     u16 zeros; the bytes, and behind them in the file so many zeros.
 * A segment's bytes are the first 64 of its header, the rest of which is zeros, and what comes behind
 * the header. The flags say whether checksums are made right, and whether the store is salvaged too.
 *
 * Aborts where what these say does not fit together:
 * S1  What is opened for reading changes nothing, and neither does verifying.
 * S2  A store that verifying finds sound opens, and every key in it can be read.
 * S3  Opened for writing it has what it had for reading, and again when it is opened once more.
 * S4  What is salvaged opens, is sound, and has all of a store in which nothing was damaged.
 */
#include "disk_memory.h"
#include "engine.h"
#include "fuzz.h"
#include "manifest_format.h"
#include "mend.h"
#include "repair.h"
#include "snapshot.h"
#include "verify.h"

#include "../support/stub_host.h"

#define MEND          1u
#define SALVAGE       2u
#define FILE_HEAD     5u  /* bytes */
#define PREFIX        64u /* bytes of a segment's header */
#define SEGMENTS      16u
#define SEGMENT_BYTES 16384u

static struct stub_host fuzz_stub;

/* What a store holds, whatever the order. */
struct digest {
    uint64_t keys;
    uint64_t sum;
    bool unreadable; /* a key's value, or the key by its name */
};

/* ---- the input ---------------------------------------------------------------------------- */

static uint16_t load_u16(const uint8_t *from)
{
    return (uint16_t)(from[0] | from[1] << 8);
}

static struct kvs_bytes secret_of(const struct memory_files *files)
{
    static const uint8_t none[MANIFEST_SECRET_BYTES];
    uint64_t bytes = 0;
    const uint8_t *manifest = memory_files_get(files, MANIFEST_NAME, &bytes);
    if (manifest == NULL || bytes < MANIFEST_HEADER_BYTES)
        return (struct kvs_bytes){none, sizeof(none)};
    return (struct kvs_bytes){manifest + 32, MANIFEST_SECRET_BYTES};
}

static void put_file(struct memory_files *files, uint8_t which, const uint8_t *data, uint64_t bytes,
                     uint64_t zeros, bool mend)
{
    char name[SEGMENT_NAME_MAX];
    uint64_t head = bytes < PREFIX ? bytes : PREFIX;
    uint64_t gap = which >= 2 && bytes > PREFIX ? SEGMENT_HEADER_BYTES - PREFIX : 0;
    uint64_t size = bytes + gap + zeros;
    uint8_t *content = calloc(1, size + 1);
    require(content != NULL);
    memcpy(content, data, head);
    memcpy(content + head + gap, data + head, bytes - head);
    if (which >= 2)
        segment_name(which - 2u, name);
    if (mend && which == 0)
        mend_manifest(content, size);
    else if (mend && which == 1)
        mend_snapshot(content, size);
    else if (mend)
        mend_segment(content, size, secret_of(files));
    memory_files_put(files,
                     which == 0   ? MANIFEST_NAME
                     : which == 1 ? SNAPSHOT_NAME
                                  : name,
                     content, size);
    free(content);
}

static void put_files(struct memory_files *files, const uint8_t *data, size_t size, bool mend)
{
    while (size >= FILE_HEAD) {
        uint8_t which = data[0] % (2 + SEGMENTS);
        uint64_t bytes = load_u16(data + 1);
        uint64_t zeros = load_u16(data + 3);
        data += FILE_HEAD;
        size -= FILE_HEAD;
        bytes = bytes < size ? bytes : size;
        put_file(files, which, data, bytes, zeros, mend);
        data += bytes;
        size -= bytes;
    }
}

/* ---- using it ----------------------------------------------------------------------------- */

static void digest_add(struct digest *digest, uint64_t hash, struct kvs_bytes bytes)
{
    const uint8_t *at = bytes.ptr;
    for (uint64_t i = 0; i < bytes.len; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    digest->sum += hash * UINT64_C(0x9E3779B97F4A7C15);
}

struct look {
    struct kvs_db *db;
    struct digest *digest;
};

static int32_t see_value(void *arg, struct kvs_bytes value)
{
    digest_add(arg, UINT64_C(0xcbf29ce484222325) + value.len, value);
    return 0;
}

static int32_t see_key(void *arg, struct kvs_bytes key, struct kvs_bytes value)
{
    const struct look *look = arg;
    digest_add(look->digest, key.len, key);
    (void)see_value(look->digest, value);
    look->digest->keys++;
    kvs_status status = engine_log_ops.get(look->db, NULL, key, see_value, look->digest, NULL);
    /* Not found: a footer whose checksum was made right says that it has another hash. */
    require(status == KVS_OK || status == KVS_CORRUPT || status == KVS_NOT_FOUND);
    look->digest->unreadable |= status != KVS_OK;
    return 0;
}

static void take_keys(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, "keys") == 0)
        *(uint64_t *)arg = value;
}

static struct digest read_all(struct kvs_db *db)
{
    struct digest digest = {0, 0, false};
    struct look look = {db, &digest};
    uint64_t keys = 0;
    struct kvs_scan scan = {.size = sizeof(scan), .visit = see_key, .arg = &look};
    do {
        uint64_t seen = digest.keys;
        kvs_status status = engine_log_ops.scan(db, NULL, &scan, NULL);
        require(status == KVS_OK || status == KVS_CORRUPT);
        digest.unreadable |= status != KVS_OK;
        if (status != KVS_OK && digest.keys == seen)
            break;
    } while (scan.cursor != 0);
    engine_log_ops.stats(db, take_keys, &keys);
    require(digest.unreadable || keys == digest.keys);
    return digest;
}

static kvs_status open_store(struct memory_files *files, uint32_t flags, struct kvs_db **ret_db)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    const struct kvs_engine_config config = {
        .size = sizeof(config),
        .flags = flags,
        .durability = KVS_DURABILITY_NONE,
        .threads = 1,
        .host = &fuzz_stub.host,
    };
    kvs_status status = engine_open_on(disk_memory_open(files), &config, ret_db, &error);
    require(status == KVS_OK || (error.status == status && message[0] != '\0'));
    return status;
}

/* Opens, reads all, closes. */
static kvs_status look(struct memory_files *files, uint32_t flags, struct digest *ret_digest)
{
    struct kvs_db *db = NULL;
    kvs_status status = open_store(files, flags, &db);
    if (status != KVS_OK)
        return status;
    *ret_digest = read_all(db);
    require(engine_log_ops.close(db, NULL) == KVS_OK);
    return KVS_OK;
}

static bool is_same(const struct digest *one, const struct digest *two)
{
    return one->keys == two->keys && one->sum == two->sum;
}

static void report(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    (void)level;
    (void)message;
}

static kvs_status verify(struct memory_files *files)
{
    struct disk *disk = disk_memory_open(files);
    kvs_status status = verify_disk(disk, &fuzz_stub.host, report, NULL, NULL);
    disk_close(disk);
    return status;
}

static kvs_status open_target(const struct repair_target *target, struct disk **ret_disk,
                              struct kvs_error *err)
{
    (void)err;
    *ret_disk = disk_memory_open(target->arg);
    return KVS_OK;
}

/* S4 */
static void salvage(struct memory_files *files, kvs_status verified, const struct digest *before)
{
    struct memory_files *new_files = memory_files_new();
    const struct repair_target target = {"the new store", open_target, new_files};
    struct disk *disk = disk_memory_open(files);
    struct digest digest;
    kvs_status status = repair_disk_to(disk, &fuzz_stub.host, &target, report, NULL, NULL);
    disk_close(disk);
    require(verified != KVS_OK || status == KVS_OK);
    if (status == KVS_OK || status == KVS_CORRUPT) {
        require(verify(new_files) == KVS_OK);
        require(look(new_files, 0, &digest) == KVS_OK);
        require(!digest.unreadable);
        require(verified != KVS_OK || is_same(&digest, before));
    }
    memory_files_free(new_files);
}

static void use(struct memory_files *files, uint8_t flags)
{
    struct digest digests[3];
    uint64_t changes = memory_files_changes(files);
    kvs_status verified = verify(files);
    kvs_status opened = look(files, KVS_OPEN_READ_ONLY, &digests[0]);
    require(verified != KVS_OK || opened == KVS_OK); /* S2 */
    require(verified != KVS_OK || !digests[0].unreadable);
    if ((flags & SALVAGE) != 0)
        salvage(files, verified, &digests[0]);
    require(changes == memory_files_changes(files)); /* S1 */
    if (opened != KVS_OK)
        return;
    for (unsigned i = 1; i < 3; i++) { /* S3 */
        kvs_status status = look(files, 0, &digests[i]);
        if (status == KVS_NO_SPACE) /* no number, or no room, is left for a segment */
            return;
        require(status == KVS_OK);
        require(is_same(&digests[0], &digests[i]) || digests[0].unreadable);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    stub_host_init(&fuzz_stub, SEGMENT_BYTES, NULL, NULL);
    struct memory_files *files = memory_files_new();
    put_files(files, data + 1, size - 1, (data[0] & MEND) != 0);
    use(files, data[0]);
    memory_files_free(files);
    return 0;
}
