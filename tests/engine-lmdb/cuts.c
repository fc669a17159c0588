/*
 * See cuts.h. The record is replayed onto a disk that has, of each file, what is flushed for sure and a list
 * of what is not; a cut is made from these, and the disk goes on unharmed.
 */
#include "engine-lmdb/cuts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR         512u
#define FILES_MAX      256u
#define CUTS_RARE      8u /* times as many before anything but a write */
#define EIGHTHS        8u
#define ALL_OR_NOTHING 2u

/* A file's bytes. */
struct content {
    uint8_t *data;
    uint64_t size;
    uint64_t capacity; /* behind size there are zeros */
};

/* What has happened and was not flushed, in order. */
struct pending {
    const struct trace_op **ops;
    size_t count;
    size_t capacity;
};

struct disk {
    struct content flushed[FILES_MAX];
    struct pending pending[FILES_MAX];
    struct pending names; /* not flushed */
    char name[CUT_FILES_MAX][TRACE_NAME_MAX];
    uint32_t named[CUT_FILES_MAX]; /* which file has it */
    unsigned name_count;
    enum cuts_lie lie;
    uint64_t random;
};

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "cuts: %s\n", what);
    abort();
}

static uint64_t draw(struct disk *disk, uint64_t below)
{
    disk->random ^= disk->random << 13;
    disk->random ^= disk->random >> 7;
    disk->random ^= disk->random << 17;
    return (disk->random >> 8) % below;
}

static void *grown(void *memory, size_t bytes)
{
    void *more = realloc(memory, bytes);
    require(more != NULL, "no memory");
    return more;
}

/* ---- bytes -------------------------------------------------------------------------------------- */

static void content_resize(struct content *content, uint64_t size)
{
    if (size > content->capacity) {
        uint64_t capacity = size + size / 2;
        content->data = grown(content->data, capacity);
        memset(content->data + content->capacity, 0, capacity - content->capacity);
        content->capacity = capacity;
    }
    if (size < content->size)
        memset(content->data + size, 0, content->size - size);
    content->size = size;
}

static void content_write(struct content *content, const uint8_t *from, uint64_t size,
                          uint64_t offset)
{
    if (offset + size > content->size)
        content_resize(content, offset + size);
    memcpy(content->data + offset, from, size);
}

/* All of an operation. */
static void content_apply(struct content *content, const struct trace_op *op)
{
    if (op->kind == TRACE_LENGTH)
        content_resize(content, op->size);
    else
        content_write(content, op->data, op->size, op->offset);
}

/* Some of its sectors, each with this likelihood; of a length nothing or all. */
static void content_apply_torn(struct content *content, const struct trace_op *op,
                               struct disk *disk, uint64_t eighths)
{
    uint64_t done = 0;
    while (op->kind == TRACE_WRITE && done < op->size) {
        uint64_t part = SECTOR - (op->offset + done) % SECTOR;
        part = part < op->size - done ? part : op->size - done;
        if (draw(disk, EIGHTHS) < eighths)
            content_write(content, op->data + done, part, op->offset + done);
        done += part;
    }
    if (op->kind == TRACE_LENGTH && draw(disk, EIGHTHS) < eighths)
        content_resize(content, op->size);
}

/* ---- what is not flushed -------------------------------------------------------------------------- */

static void pending_add(struct pending *pending, const struct trace_op *op)
{
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity == 0 ? 16 : 2 * pending->capacity;
        pending->ops = grown(pending->ops, pending->capacity * sizeof(const struct trace_op *));
    }
    pending->ops[pending->count++] = op;
}

/* Drops the writes that another one, which is on the disk already, has covered. */
static void pending_cover(struct pending *pending, const struct trace_op *by)
{
    size_t kept = 0;
    for (size_t i = 0; i < pending->count; i++) {
        const struct trace_op *op = pending->ops[i];
        uint64_t end = op->offset + op->size;
        bool is_outside =
            op->kind != TRACE_WRITE || op->offset >= by->offset + by->size || end <= by->offset;
        require(is_outside || (op->offset >= by->offset && end <= by->offset + by->size),
                "a synced write covers half of one that is not");
        if (is_outside)
            pending->ops[kept++] = op;
    }
    pending->count = kept;
}

/* What of it a power loss leaves, applied to content. */
static void pending_apply_some(const struct pending *pending, struct disk *disk,
                               struct content *content)
{
    uint64_t style = draw(disk, 6);
    uint64_t eighths = 1 + draw(disk, EIGHTHS - 1);
    size_t chosen = pending->count > 0 ? (size_t)draw(disk, pending->count) : 0;
    for (size_t i = 0; style > 0 && i < pending->count; i++) {
        const struct trace_op *op = pending->ops[i];
        if (style == 1 || (style == 2 && i < chosen) || (style == 3 && i != chosen) ||
            (style == 4 && draw(disk, EIGHTHS) < eighths))
            content_apply(content, op);
        else if ((style == 2 && i == chosen) || style == 5)
            content_apply_torn(content, op, disk, eighths);
    }
}

/* ---- names ---------------------------------------------------------------------------------------- */

static void cut_drop(struct cut *cut, uint32_t *files, const char *name)
{
    for (unsigned i = 0; i < cut->count; i++) {
        if (strcmp(cut->files[i].name, name) != 0)
            continue;
        cut->count--;
        cut->files[i] = cut->files[cut->count];
        files[i] = files[cut->count];
        return;
    }
}

/* A change of names, on a folder that may not have had those before it. */
static void cut_change(struct cut *cut, uint32_t *files, const struct trace_op *op)
{
    cut_drop(cut, files, op->name);
    if (op->kind == TRACE_RENAME)
        cut_drop(cut, files, op->from);
    if (op->kind == TRACE_UNLINK)
        return;
    require(cut->count < CUT_FILES_MAX, "too many names");
    files[cut->count] = op->file;
    memcpy(cut->files[cut->count++].name, op->name, TRACE_NAME_MAX);
}

static void cut_take_names(struct cut *cut, uint32_t *files, const struct disk *disk)
{
    cut->count = disk->name_count;
    for (unsigned i = 0; i < disk->name_count; i++) {
        memcpy(cut->files[i].name, disk->name[i], TRACE_NAME_MAX);
        files[i] = disk->named[i];
    }
}

static void disk_sync_folder(struct disk *disk)
{
    struct cut folder = {0};
    uint32_t files[CUT_FILES_MAX];
    cut_take_names(&folder, files, disk);
    for (size_t i = 0; i < disk->names.count; i++)
        cut_change(&folder, files, disk->names.ops[i]);
    disk->names.count = 0;
    disk->name_count = folder.count;
    for (unsigned i = 0; i < folder.count; i++) {
        memcpy(disk->name[i], folder.files[i].name, TRACE_NAME_MAX);
        disk->named[i] = files[i];
    }
}

/* ---- the disk ------------------------------------------------------------------------------------- */

static void disk_write(struct disk *disk, const struct trace_op *op)
{
    struct pending *pending = &disk->pending[op->file];
    if (!op->is_synced || disk->lie == LIE_DSYNC) {
        pending_add(pending, op);
        return;
    }
    pending_cover(pending, op);
    content_apply(&disk->flushed[op->file], op);
}

/* Whatever the flush did not bring to the disk will not come there: the kernel takes it for written. */
static void disk_sync_failed(struct disk *disk, const struct trace_op *op)
{
    pending_apply_some(&disk->pending[op->file], disk, &disk->flushed[op->file]);
    disk->pending[op->file].count = 0;
}

static void disk_sync(struct disk *disk, const struct trace_op *op)
{
    struct pending *pending = &disk->pending[op->file];
    if (disk->lie == (op->is_data ? LIE_DATA : LIE_OTHERS))
        return;
    for (size_t i = 0; i < pending->count; i++)
        content_apply(&disk->flushed[op->file], pending->ops[i]);
    pending->count = 0;
}

static void disk_run(struct disk *disk, const struct trace_op *op)
{
    require(op->file < FILES_MAX || op->kind == TRACE_SYNC_FOLDER, "too many files");
    switch (op->kind) {
    case TRACE_NAME:
    case TRACE_RENAME:
    case TRACE_UNLINK:
        pending_add(&disk->names, op);
        break;
    case TRACE_WRITE:
        disk_write(disk, op);
        break;
    case TRACE_LENGTH:
        pending_add(&disk->pending[op->file], op);
        break;
    case TRACE_SYNC:
        disk_sync(disk, op);
        break;
    case TRACE_SYNC_FAILED:
        disk_sync_failed(disk, op);
        break;
    case TRACE_SYNC_FOLDER:
    default:
        if (disk->lie != LIE_FOLDER)
            disk_sync_folder(disk);
        break;
    }
}

/* ---- cuts ----------------------------------------------------------------------------------------- */

static void choose_names(struct disk *disk, struct cut *cut, uint32_t *files)
{
    uint64_t style = draw(disk, 4);
    size_t first = disk->names.count > 0 ? (size_t)draw(disk, disk->names.count) : 0;
    cut_take_names(cut, files, disk);
    for (size_t i = 0; style > 0 && i < disk->names.count; i++) {
        if (style == 1 || (style == 2 && i < first) ||
            (style == 3 && draw(disk, ALL_OR_NOTHING) == 0))
            cut_change(cut, files, disk->names.ops[i]);
    }
}

static struct cut make_cut(struct disk *disk, const struct trace *trace, size_t moment)
{
    uint32_t files[CUT_FILES_MAX];
    struct cut cut = {
        .moment = moment, .least = trace->ops[moment].least, .most = trace->ops[moment].most};
    choose_names(disk, &cut, files);
    for (unsigned i = 0; i < cut.count; i++) {
        struct content content = {0};
        const struct content *flushed = &disk->flushed[files[i]];
        if (flushed->size > 0)
            content_write(&content, flushed->data, flushed->size, 0);
        pending_apply_some(&disk->pending[files[i]], disk, &content);
        cut.files[i].data = content.data;
        cut.files[i].size = content.size;
    }
    return cut;
}

static uint64_t weight_of(const struct trace_op *op)
{
    return op->kind == TRACE_WRITE ? 1 : CUTS_RARE;
}

static void disk_free(struct disk *disk)
{
    for (unsigned i = 0; i < FILES_MAX; i++) {
        free(disk->flushed[i].data);
        free(disk->pending[i].ops);
    }
    free(disk->names.ops);
    free(disk);
}

void cuts_show(const struct trace *trace, uint64_t seed, uint64_t count, enum cuts_lie lie,
               bool (*show)(void *arg, const struct cut *cut), void *arg)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    uint64_t all = 0;
    uint64_t before = 0;
    bool goes_on = true;
    require(disk != NULL, "no memory");
    disk->random = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t i = trace->begin; i < trace->count; i++)
        all += weight_of(&trace->ops[i]);
    for (size_t i = 0; i < trace->begin; i++)
        disk_run(disk, &trace->ops[i]);
    disk->lie = lie;
    for (size_t i = trace->begin; goes_on && i < trace->count; i++) {
        uint64_t after = before + weight_of(&trace->ops[i]);
        for (uint64_t n = count * before / all; goes_on && n < count * after / all; n++) {
            struct cut cut = make_cut(disk, trace, i);
            goes_on = show(arg, &cut);
            cut_free(&cut);
        }
        before = after;
        disk_run(disk, &trace->ops[i]);
    }
    disk_free(disk);
}

const struct cut_file *cut_find(const struct cut *cut, const char *name)
{
    for (unsigned i = 0; i < cut->count; i++) {
        if (strcmp(cut->files[i].name, name) == 0)
            return &cut->files[i];
    }
    return NULL;
}

struct cut cut_copy(const struct cut *cut)
{
    struct cut copy = *cut;
    for (unsigned i = 0; i < cut->count; i++) {
        copy.files[i].data = NULL;
        if (cut->files[i].size == 0)
            continue;
        copy.files[i].data = grown(NULL, cut->files[i].size);
        memcpy(copy.files[i].data, cut->files[i].data, cut->files[i].size);
    }
    return copy;
}

void cut_free(struct cut *cut)
{
    for (unsigned i = 0; i < cut->count; i++)
        free(cut->files[i].data);
    cut->count = 0;
}
