/*
 * See exports.h. The file is mapped, and its section of dynamic symbols read. Nothing in it is
 * believed before it was seen to lie inside the file.
 */
#include "exports.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

struct image {
    const uint8_t *bytes;
    size_t size;
};

static const void *part(const struct image *image, uint64_t offset, uint64_t size)
{
    if (offset > image->size || size > image->size - offset)
        return NULL;
    return image->bytes + offset;
}

static bool is_exported(const ElfW(Sym) * symbol)
{
    unsigned binding = ELF64_ST_BIND(symbol->st_info);
    unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    return symbol->st_shndx != SHN_UNDEF && (binding == STB_GLOBAL || binding == STB_WEAK) &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* Goes through one table of symbols, whose names are in the section `names`. */
static kvs_status list_symbols(const struct image *image, const ElfW(Shdr) * table,
                               const ElfW(Shdr) * names, const char *expected, unsigned *ret_count,
                               char *ret_name, size_t cap)
{
    const ElfW(Sym) *symbols = part(image, table->sh_offset, table->sh_size);
    const char *text = part(image, names->sh_offset, names->sh_size);
    if (symbols == NULL || text == NULL || names->sh_size == 0 || text[names->sh_size - 1] != '\0')
        return KVS_UNSUPPORTED;
    for (uint64_t i = 0; i < table->sh_size / sizeof(*symbols); i++) {
        if (!is_exported(&symbols[i]) || symbols[i].st_name >= names->sh_size ||
            strcmp(text + symbols[i].st_name, expected) == 0)
            continue;
        if ((*ret_count)++ == 0)
            (void)snprintf(ret_name, cap, "%s", text + symbols[i].st_name);
    }
    return KVS_OK;
}

static kvs_status list_image(const struct image *image, const char *expected, unsigned *ret_count,
                             char *ret_name, size_t cap)
{
    const ElfW(Ehdr) *header = part(image, 0, sizeof(*header));
    if (header == NULL || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        header->e_shentsize != sizeof(ElfW(Shdr)))
        return KVS_UNSUPPORTED;
    const ElfW(Shdr) *sections =
        part(image, header->e_shoff, (uint64_t)header->e_shnum * sizeof(*sections));
    if (sections == NULL)
        return KVS_UNSUPPORTED;
    *ret_count = 0;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_DYNSYM || sections[i].sh_link >= header->e_shnum)
            continue;
        return list_symbols(image, &sections[i], &sections[sections[i].sh_link], expected,
                            ret_count, ret_name, cap);
    }
    return KVS_UNSUPPORTED;
}

kvs_status exports_list(const char *path, const char *expected, unsigned *ret_count, char *ret_name,
                        size_t cap)
{
    struct stat info;
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0)
        return KVS_IO;
    struct image image = {.size = (size_t)info.st_size};
    if (image.size == 0)
        return KVS_UNSUPPORTED;
    void *mapping = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED)
        return KVS_IO;
    image.bytes = mapping;
    kvs_status status = list_image(&image, expected, ret_count, ret_name, cap);
    (void)munmap(mapping, image.size);
    return status;
}
