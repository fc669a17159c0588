/* Folders for the stores that are measured. */
#ifndef BENCH_HARNESS_FOLDER_H
#define BENCH_HARNESS_FOLDER_H

#include <stdint.h>

#include <kvs/types.h>

/* Makes a new, empty folder "BASE/PREFIX-XXXXXX". The path is malloced. KVS_OK, KVS_IO. */
KVS_MUST_USE kvs_status folder_new(const char *base, const char *prefix, char **ret_path,
                                   struct kvs_error *err);

/* Removes the folder with all that is in it, and frees path. NULL is fine. */
void folder_free(char *path);
void folder_freep(char **path);

/* Copies the regular files of a folder, at any depth, into another that exists; holes stay holes.
   KVS_OK, KVS_IO, KVS_NO_SPACE. */
KVS_MUST_USE kvs_status folder_copy(const char *from, const char *to, struct kvs_error *err);

/* Bytes that the regular files below path have allocated on disk. */
uint64_t folder_disk_bytes(const char *path);

#endif
