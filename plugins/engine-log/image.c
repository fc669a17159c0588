/* See image.h. What cannot be read in one piece is read in halves, down to a page. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "segment.h"

#define PIECE_BYTES ((uint64_t)1 << 20)
#define PAGE_BYTES  UINT64_C(4096)

static kvs_status no_memory(const char *name, struct kvs_error *err)
{
    return kvs_error_set(err, KVS_NO_MEMORY, 0, "not enough memory to look at %s", name);
}

static bool add_hole(struct image *image, uint64_t begin, uint64_t end)
{
    if (image->hole_count > 0 && image->holes[image->hole_count - 1].end == begin) {
        image->holes[image->hole_count - 1].end = end;
        return true;
    }
    struct image_hole *holes =
        realloc(image->holes, (image->hole_count + UINT64_C(1)) * sizeof(holes[0]));
    if (holes == NULL)
        return false;
    image->holes = holes;
    holes[image->hole_count++] = (struct image_hole){begin, end};
    return true;
}

/* False: no memory for the holes. */
static bool read_piece(struct image *image, struct disk_file *file, uint64_t begin, uint64_t end)
{
    uint64_t got = 0;
    if (disk_file_read(file, begin, image->memory + begin, end - begin, &got, NULL) == KVS_OK) {
        memset(image->memory + begin + got, 0, end - begin - got); /* it has become shorter */
        return true;
    }
    if (end - begin <= PAGE_BYTES) {
        memset(image->memory + begin, 0, end - begin);
        return add_hole(image, begin, end);
    }
    uint64_t middle = begin + (end - begin) / 2 / PAGE_BYTES * PAGE_BYTES;
    if (middle == begin)
        middle += PAGE_BYTES;
    return read_piece(image, file, begin, middle) && read_piece(image, file, middle, end);
}

static kvs_status read_file(struct image *image, struct disk_file *file, const char *name,
                            struct kvs_error *err)
{
    kvs_status status = disk_file_size(file, &image->bytes, err);
    if (status != KVS_OK)
        return status;
    uint64_t room = image->bytes > SEGMENT_HEADER_BYTES ? image->bytes : SEGMENT_HEADER_BYTES;
    image->memory = malloc(room);
    if (image->memory == NULL)
        return no_memory(name, err);
    memset(image->memory + image->bytes, 0, room - image->bytes);
    for (uint64_t at = 0; at < image->bytes; at += PIECE_BYTES) {
        uint64_t end = image->bytes - at < PIECE_BYTES ? image->bytes : at + PIECE_BYTES;
        if (!read_piece(image, file, at, end))
            return no_memory(name, err);
    }
    return KVS_OK;
}

kvs_status image_read(struct disk *disk, const char *name, struct image *ret_image,
                      struct kvs_error *err)
{
    struct image image = {.memory = NULL};
    struct disk_file *file = NULL;
    kvs_status status = disk_file_open(disk, name, DISK_READ_ONLY, &file, err);
    if (status == KVS_OK)
        status = read_file(&image, file, name, err);
    disk_file_close(file);
    if (status == KVS_OK)
        *ret_image = image;
    else
        image_deinit(&image);
    return status;
}

void image_deinit(struct image *image)
{
    free(image->memory);
    free(image->holes);
    *image = (struct image){.memory = NULL};
}
