/* What the tests of the manifest share: a folder, a model of what a manifest should hold. */
#ifndef TESTS_MANIFEST_SUPPORT_H
#define TESTS_MANIFEST_SUPPORT_H

#include "disk_faulty.h"
#include "disk_sim.h"
#include "manifest.h"
#include "support/support.h"

#define MANIFEST_TEST_NEW MANIFEST_NAME ".new"

/* A test's state, made by folder_setup(). */
struct folder {
    struct disk_sim *sim;
    struct disk *real; /* a folder of it */
    struct disk *disk; /* faulty, before that one */
};

int folder_setup(void **state);
int folder_teardown(void **state);

/* ---- files -------------------------------------------------------------------------------- */

struct content {
    uint8_t *data; /* malloced */
    uint64_t bytes;
};

struct content content_of(struct disk *disk, const char *name);
/* The manifest's, without the zeros at its end: what was reserved. */
struct content manifest_content(struct disk *disk);
void put_content(struct disk *disk, const char *name, const void *data, uint64_t bytes);
bool exists(struct disk *disk, const char *name);

/* ---- manifests ---------------------------------------------------------------------------- */

#define MODEL_SIZE 16u

struct model {
    uint32_t count;
    struct manifest_segment segments[MODEL_SIZE]; /* by number */
};

/* Every field from the generation, each different. */
struct manifest_segment segment_make(uint32_t number, uint64_t generation);
void assert_segment(const struct manifest_segment *a, const struct manifest_segment *b);
struct model model_of(const struct manifest *manifest);
bool model_equal(const struct model *a, const struct model *b);
void assert_model(const struct manifest *manifest, const struct model *expected);

struct manifest *must_create(struct disk *disk);
struct manifest *must_open(struct disk *disk, bool read_only);
/* The status; error is made anew. */
kvs_status open_fails(struct disk *disk, struct test_error *error);
void must_commit(struct manifest *manifest);
void assert_commit_fails(kvs_status expected, struct manifest *manifest);
/* A segment of the next generation: within a transaction, and in one of its own. */
void must_put(struct manifest *manifest, uint32_t number);
void put_one(struct manifest *manifest, uint32_t number);
void remove_one(struct manifest *manifest, uint32_t number);

#endif
