/*
 * A disk in memory for fuzzers (disk.h), whose files are as long as they are and no byte longer: what
 * reads behind the end of a mapped file is found by AddressSanitizer. Nothing is ever lost; there is no
 * power to cut.
 *
 * Threads: any, like a disk; files are put and looked at while nobody else uses it.
 */
#ifndef TESTS_FUZZ_DISK_MEMORY_H
#define TESTS_FUZZ_DISK_MEMORY_H

#include "disk.h"

struct memory_files;

/* The files of one folder. They outlive every disk on them. */
struct memory_files *memory_files_new(void);
void memory_files_free(struct memory_files *files);

/* Makes a file with this content, or gives it to the one that is there. */
void memory_files_put(struct memory_files *files, const char *name, const void *content,
                      uint64_t bytes);

/* The content, and its size; NULL: there is no such file. */
const uint8_t *memory_files_get(const struct memory_files *files, const char *name,
                                uint64_t *ret_bytes);

/* Calls so far that changed something. */
uint64_t memory_files_changes(const struct memory_files *files);

/* Opens the folder as a disk; disk_close() closes it. */
struct disk *disk_memory_open(struct memory_files *files);

#endif
