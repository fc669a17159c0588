/*
 * In builds that measure coverage (-Db_coverage=true) every test runs with this preloaded: a process
 * that ends with _exit() writes its counters too, as one that ends with exit() does. Children that a
 * test or kvs-plugin-check forks end so.
 *
 * The program and each plugin have counters of their own, which the first destructor of each writes: gcc
 * gives it the priority 100, before all without one. The other destructors are not run, since _exit() is
 * not to run them. What is not from this build's folder has no counters.
 *
 * A process that a signal ends writes nothing.
 */
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef void destructor(void);

static int is_ours(const char *path)
{
    char program[4096];
    if (path[0] == '\0') { /* the program */
        ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
        program[length > 0 ? length : 0] = '\0';
        path = program;
    }
    return strncmp(path, BUILD_FOLDER "/", sizeof(BUILD_FOLDER)) == 0;
}

static int write_counters(struct dl_phdr_info *object, size_t size, void *arg)
{
    const ElfW(Dyn) *entry = NULL;
    const ElfW(Addr) *destructors = NULL;
    size_t count = 0;
    (void)size;
    (void)arg;
    if (!is_ours(object->dlpi_name))
        return 0;
    for (size_t i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = (const void *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_FINI_ARRAY)
            destructors = (const void *)(object->dlpi_addr + entry->d_un.d_ptr);
        else if (entry->d_tag == DT_FINI_ARRAYSZ)
            count = entry->d_un.d_val / sizeof(*destructors);
    /* The only one of an object without counters is the C library's. */
    if (count >= 2)
        ((destructor *)destructors[0])();
    return 0;
}

__attribute__((visibility("default"))) _Noreturn void _exit(int status)
{
    (void)dl_iterate_phdr(write_counters, NULL);
    for (;;)
        (void)syscall(SYS_exit_group, status);
}
