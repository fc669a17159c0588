/*
 * Mapped files that cannot be read: files that are cut short under their mapping. What happens to a
 * signal that is not ours is tried in child processes, since it may be their end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sigbus.h"
#include "support/support.h"

#define PAGES   8u
#define THREADS 3u

static size_t page_bytes;

/* A file with a byte other than zero everywhere, mapped. */
struct mapped {
    int fd;
    uint8_t *memory;
    size_t bytes;
    struct sigbus_range *range; /* NULL: not known */
};

static struct mapped map_pages(unsigned pages, bool writable)
{
    struct mapped mapped = {.fd = memfd_create("sigbus", MFD_CLOEXEC), .bytes = pages * page_bytes};
    assert_true(mapped.fd >= 0);
    uint8_t *content = malloc(mapped.bytes);
    memset(content, 0x5a, mapped.bytes);
    assert_int_equal(write(mapped.fd, content, mapped.bytes), mapped.bytes);
    free(content);
    mapped.memory =
        mmap(NULL, mapped.bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, mapped.fd, 0);
    assert_true(mapped.memory != MAP_FAILED);
    return mapped;
}

static struct mapped watch_pages(unsigned pages, bool writable)
{
    struct mapped mapped = map_pages(pages, writable);
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK,
                  sigbus_add(mapped.memory, mapped.bytes, writable, &mapped.range, &error.error),
                  &error);
    return mapped;
}

static void lose_pages(const struct mapped *mapped, unsigned from)
{
    assert_int_equal(ftruncate(mapped->fd, (off_t)(from * page_bytes)), 0);
}

static void unmap(struct mapped *mapped)
{
    sigbus_remove(mapped->range);
    munmap(mapped->memory, mapped->bytes);
    close(mapped->fd);
}

static bool all_are(const uint8_t *memory, size_t bytes, uint8_t value)
{
    for (size_t i = 0; i < bytes; i++) {
        if (memory[i] != value)
            return false;
    }
    return true;
}

/* cmocka sets its own handler for each test: ours comes after it, and goes before. */
static void begin(void)
{
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(sigbus_install(NULL), KVS_OK);
}

static void end(void)
{
    sigbus_uninstall();
}

/* ---- our ranges --------------------------------------------------------------------------- */

static void lost_pages_read_as_zeros(void **state)
{
    (void)state;
    begin();
    struct mapped lost = watch_pages(PAGES, false);
    struct mapped sound = watch_pages(PAGES, false);
    assert_false(sigbus_failed(lost.range));
    assert_int_equal(sigbus_failed_at(lost.range), SIGBUS_NONE);
    lose_pages(&lost, 2);

    assert_true(all_are(lost.memory, 2 * page_bytes, 0x5a)); /* what is left is left */
    assert_false(sigbus_failed(lost.range));
    errno = 4711;
    assert_true(all_are(lost.memory + 5 * page_bytes + 100, 50, 0));
    assert_int_equal(errno, 4711);
    assert_true(sigbus_failed(lost.range));
    assert_int_equal(sigbus_failed_at(lost.range), 5 * page_bytes);
    assert_true(all_are(lost.memory + 2 * page_bytes, (PAGES - 2) * page_bytes, 0));
    assert_int_equal(sigbus_failed_at(lost.range), 5 * page_bytes); /* the first one it met */
    assert_true(all_are(lost.memory, 2 * page_bytes, 0x5a));

    assert_false(sigbus_failed(sound.range));
    assert_true(all_are(sound.memory, PAGES * page_bytes, 0x5a));
    unmap(&lost);
    unmap(&sound);
    sigbus_remove(NULL);
    end();
}

/* In the middle of memcpy and memcmp, which use other instructions. */
static void library_calls_go_on(void **state)
{
    (void)state;
    begin();
    struct mapped lost = watch_pages(PAGES, false);
    lose_pages(&lost, 1);
    uint8_t *copy = malloc(lost.bytes);
    uint8_t *zeros = calloc(1, lost.bytes);
    memcpy(copy, lost.memory, lost.bytes);
    assert_true(sigbus_failed(lost.range));
    assert_int_equal(sigbus_failed_at(lost.range) % page_bytes, 0);
    assert_true(all_are(copy, page_bytes, 0x5a));
    assert_memory_equal(copy + page_bytes, zeros, lost.bytes - page_bytes);
    unmap(&lost);

    lost = watch_pages(PAGES, false);
    lose_pages(&lost, 1);
    assert_memory_equal(lost.memory + page_bytes, zeros, lost.bytes - page_bytes);
    assert_true(sigbus_failed(lost.range));
    unmap(&lost);
    free(copy);
    free(zeros);
    end();
}

/* The writer goes on, and is told. */
static void lost_pages_can_be_written(void **state)
{
    (void)state;
    begin();
    struct mapped lost = watch_pages(PAGES, true);
    lose_pages(&lost, 3);
    memset(lost.memory + 4 * page_bytes + 10, 'x', page_bytes);
    assert_true(sigbus_failed(lost.range));
    assert_int_equal(sigbus_failed_at(lost.range), 4 * page_bytes);
    assert_true(all_are(lost.memory + 4 * page_bytes + 10, page_bytes, 'x'));
    memset(lost.memory, 'y', page_bytes); /* what is left goes to the file */
    char byte = 0;
    assert_int_equal(pread(lost.fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'y');
    unmap(&lost);
    end();
}

/* A range that does not fill its last page. */
static void the_last_page_counts(void **state)
{
    (void)state;
    begin();
    struct mapped lost = map_pages(2, false);
    assert_int_equal(sigbus_add(lost.memory, page_bytes + 1, false, &lost.range, NULL), KVS_OK);
    lose_pages(&lost, 0);
    assert_int_equal(lost.memory[2 * page_bytes - 1], 0);
    assert_true(sigbus_failed(lost.range));
    unmap(&lost);
    end();
}

/* A mark belongs to one range and ends with it. */
static void marks_do_not_stay(void **state)
{
    (void)state;
    begin();
    for (unsigned round = 0; round < 100; round++) {
        struct mapped mapped = watch_pages(1, false);
        assert_false(sigbus_failed(mapped.range));
        lose_pages(&mapped, 0);
        assert_int_equal(mapped.memory[0], 0);
        assert_true(sigbus_failed(mapped.range));
        unmap(&mapped);
    }
    end();
}

/* ---- other people's signals --------------------------------------------------------------- */

#define EXIT_FORMER 42
#define EXIT_ALIVE  43

static void former_action(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(signal_number == SIGBUS && info->si_signo == SIGBUS ? EXIT_FORMER : 1);
}

static void former_handler(int signal_number)
{
    _exit(signal_number == SIGBUS ? EXIT_FORMER : 1);
}

enum former {
    FORMER_ACTION,
    FORMER_HANDLER,
    FORMER_DEFAULT,
    FORMER_IGNORE
};

static void set_former(enum former former)
{
    struct sigaction action = {0};
    if (former == FORMER_ACTION) {
        action.sa_sigaction = former_action;
        action.sa_flags = SA_SIGINFO;
    } else if (former == FORMER_HANDLER) {
        action.sa_handler = former_handler;
    } else {
        action.sa_handler = former == FORMER_IGNORE ? SIG_IGN : SIG_DFL;
    }
    if (sigaction(SIGBUS, &action, NULL) != 0)
        _exit(1);
}

/* The ways in which a child meets a signal that is not about a range. */
static void touch_unknown(void)
{
    struct mapped other = map_pages(1, false);
    lose_pages(&other, 0);
    if (*(volatile uint8_t *)other.memory == 0)
        _exit(2);
}

static void touch_removed(void)
{
    struct mapped other = watch_pages(1, false);
    sigbus_remove(other.range);
    lose_pages(&other, 0);
    if (*(volatile uint8_t *)other.memory == 0)
        _exit(2);
}

static void touch_beside(void)
{
    struct mapped other = map_pages(3, false);
    struct sigbus_range *range;
    if (sigbus_add(other.memory + page_bytes, page_bytes, false, &range, NULL) != KVS_OK)
        _exit(3);
    lose_pages(&other, 0);
    if (other.memory[page_bytes] != 0 || !sigbus_failed(range))
        _exit(4);
    if (*(volatile uint8_t *)(other.memory + 2 * page_bytes) == 0)
        _exit(2);
}

static void be_told(void)
{
    struct mapped ours = watch_pages(1, false);
    union sigval value = {.sival_ptr = ours.memory};
    (void)sigqueue(getpid(), SIGBUS, value); /* its address means nothing */
    (void)raise(SIGBUS);
}

/* How a child ends that had `former` and meets the signal: its wait status. */
static int child_with(enum former former, void (*meet)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        end(); /* the test's */
        set_former(former);
        if (sigbus_install(NULL) != KVS_OK)
            _exit(1);
        meet();
        _exit(EXIT_ALIVE);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_exit(int status, int code)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
}

static void assert_killed(int status)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void others_are_passed_on(void **state)
{
    (void)state;
    begin();
    void (*const meets[])(void) = {touch_unknown, touch_removed, touch_beside, be_told};
    for (unsigned i = 0; i < 4; i++) {
        assert_exit(child_with(FORMER_ACTION, meets[i]), EXIT_FORMER);
        assert_exit(child_with(FORMER_HANDLER, meets[i]), EXIT_FORMER);
        assert_killed(child_with(FORMER_DEFAULT, meets[i]));
        /* The kernel does not let anybody ignore what he cannot go on after. */
        int status = child_with(FORMER_IGNORE, meets[i]);
        if (meets[i] == be_told)
            assert_exit(status, EXIT_ALIVE);
        else
            assert_killed(status);
    }
    end();
}

static bool former_is_set(void)
{
    struct sigaction now;
    assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
    return (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == former_action;
}

static void the_former_handler_comes_back(void **state)
{
    (void)state;
    begin();
    struct sigaction before;
    end(); /* the test's */
    assert_int_equal(sigaction(SIGBUS, NULL, &before), 0);
    set_former(FORMER_ACTION);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(sigbus_install(NULL), KVS_OK);
        assert_int_equal(sigbus_install(NULL), KVS_OK);
        assert_false(former_is_set());
        sigbus_uninstall();
        assert_false(former_is_set());
        struct mapped lost = watch_pages(1, false);
        lose_pages(&lost, 0);
        assert_int_equal(lost.memory[0], 0);
        unmap(&lost);
        sigbus_uninstall();
        assert_true(former_is_set());
    }
    assert_int_equal(sigaction(SIGBUS, &before, NULL), 0);
    assert_int_equal(sigbus_install(NULL), KVS_OK);
    end();
}

static struct sigaction below; /* what later_action passes on to */

static void later_action(int signal_number, siginfo_t *info, void *context)
{
    below.sa_sigaction(signal_number, info, context);
}

/* Somebody who comes after us and passes on is not undone, and we still work below him. */
static void later_handlers_stay(void **state)
{
    (void)state;
    begin();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        end(); /* the test's */
        set_former(FORMER_ACTION);
        if (sigbus_install(NULL) != KVS_OK)
            _exit(1);
        struct sigaction later = {.sa_sigaction = later_action, .sa_flags = SA_SIGINFO};
        struct sigaction now;
        if (sigaction(SIGBUS, &later, &below) != 0)
            _exit(2);
        sigbus_uninstall();
        if (sigaction(SIGBUS, NULL, &now) != 0 || now.sa_sigaction != later_action)
            _exit(3);
        if (sigbus_install(NULL) != KVS_OK)
            _exit(4);
        struct mapped lost = watch_pages(1, false);
        lose_pages(&lost, 0);
        if (lost.memory[0] != 0 || !sigbus_failed(lost.range))
            _exit(5);
        touch_unknown(); /* through both to the first */
        _exit(6);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_exit(status, EXIT_FORMER);
    end();
}

/* ---- many of everything ------------------------------------------------------------------- */

/* Takes all the mappings that the process may have, but for one: a page of a file again and again,
   which cannot be joined. False: this system allows very many. */
static bool use_up_mappings(int fd)
{
    void *last = NULL;
    for (unsigned i = 0; i < 200000; i++) {
        void *memory = mmap(NULL, page_bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
            return munmap(last, page_bytes) == 0;
        last = memory;
    }
    return false;
}

/* A page in the middle of a range needs two more: then the range as a whole is given up. */
static void without_mappings_to_spare(void **state)
{
    (void)state;
    begin();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct mapped lost = watch_pages(PAGES, false);
        lose_pages(&lost, PAGES / 2);
        bool used_up = use_up_mappings(lost.fd);
        bool zero = *(volatile uint8_t *)(lost.memory + (PAGES / 2) * page_bytes) == 0;
        uint8_t first = *(volatile uint8_t *)lost.memory;
        bool told = sigbus_failed_at(lost.range) == (PAGES / 2) * page_bytes;
        _exit(zero && told && first == (used_up ? 0 : 0x5a) ? EXIT_ALIVE : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_exit(status, EXIT_ALIVE);
    end();
}

/* Adds and removes ranges, and loses pages in each. */
static void *churn(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < 200; round++) {
        struct mapped mapped[3];
        for (unsigned i = 0; i < 3; i++) {
            mapped[i] = watch_pages(2, i == 1);
            assert_false(sigbus_failed(mapped[i].range));
        }
        lose_pages(&mapped[round % 3], 1);
        for (unsigned i = 0; i < 3; i++) {
            bool lost = i == round % 3;
            assert_true(all_are(mapped[i].memory + page_bytes, page_bytes, lost ? 0 : 0x5a));
            assert_int_equal(sigbus_failed(mapped[i].range), lost);
            unmap(&mapped[i]);
        }
    }
    return NULL;
}

static struct mapped shared; /* of the threads below */

/* Whoever sees zeros sees the mark. */
static void *read_shared(void *arg)
{
    (void)arg;
    for (unsigned page = 0; page < PAGES; page++) {
        uint8_t byte = *(volatile uint8_t *)(shared.memory + page * page_bytes);
        if (byte == 0)
            assert_true(sigbus_failed(shared.range));
        else
            assert_int_equal(byte, 0x5a);
    }
    return NULL;
}

static void threads_at_once(void **state)
{
    (void)state;
    begin();
    pthread_t churners[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&churners[i], NULL, churn, NULL), 0);
    for (unsigned round = 0; round < 100; round++) {
        pthread_t readers[THREADS];
        shared = watch_pages(PAGES, false);
        for (unsigned i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&readers[i], NULL, read_shared, NULL), 0);
        lose_pages(&shared, 0);
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(readers[i], NULL);
        assert_int_equal(*(volatile uint8_t *)shared.memory, 0);
        assert_true(sigbus_failed(shared.range));
        unmap(&shared);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(churners[i], NULL);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_pages_read_as_zeros),
        cmocka_unit_test(library_calls_go_on),
        cmocka_unit_test(lost_pages_can_be_written),
        cmocka_unit_test(the_last_page_counts),
        cmocka_unit_test(marks_do_not_stay),
        cmocka_unit_test(others_are_passed_on),
        cmocka_unit_test(the_former_handler_comes_back),
        cmocka_unit_test(later_handlers_stay),
        cmocka_unit_test(without_mappings_to_spare),
        cmocka_unit_test(threads_at_once),
    };
    return cmocka_run_group_tests_name("engine-log-sigbus", tests, NULL, NULL);
}
