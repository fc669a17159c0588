/*
 * Runs a fuzzer's function over each file of a corpus, in builds without libFuzzer: what a fuzzer
 * once found stays found. Usage: fuzz_NAME_replay DIRECTORY
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds one file, from memory of exactly its size. */
static int replay(int dir_fd, const char *name)
{
    struct stat info;
    _cleanup_(closep) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        return -1;
    if (!S_ISREG(info.st_mode))
        return 0;
    _cleanup_(freep) uint8_t *data = malloc((size_t)info.st_size);
    if (info.st_size > 0 &&
        (data == NULL || read(fd, data, (size_t)info.st_size) != (ssize_t)info.st_size))
        return -1;
    (void)LLVMFuzzerTestOneInput(data, (size_t)info.st_size);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (dir == NULL) {
        perror(argc == 2 ? argv[1] : "usage: replay DIRECTORY");
        return 1;
    }
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        int fed = replay(dirfd(dir), entry->d_name);
        if (fed < 0) {
            perror(entry->d_name);
            return 1;
        }
        count += fed;
    }
    (void)closedir(dir);
    (void)printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
