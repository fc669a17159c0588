/*
 * One SIGBUS handler for the process, and the ranges that it knows.
 *
 * Why not sigsetjmp() around each read: it would cost a few ns for each get, and everything between
 * would have to be safe to leave at any instruction. With zeros in the place of the page, the read
 * runs to its end, and checks that are made anyway find out.
 *
 * Why the handler may do what it does. It runs in the middle of a load or store of the thread's own
 * (that is what a SIGBUS with these codes is), to an address in a range: never inside malloc or under
 * a lock of the C library. It reads atomics and makes system calls (mmap, and sigaction to pass a
 * signal on), both without locks or memory in user space; POSIX does not list mmap, but on Linux it
 * is a bare system call. It allocates nothing, waits for nobody and restores errno.
 *
 * State: that of a signal is the process's, so this is one of the few places with globals. Their
 * memory is never freed, since no one can tell when the last thread has left the handler; it is
 * reused, so it is bounded by the number of ranges at once.
 *
 * Invariants:
 * S1  A node, once in the list, stays there, and its next never changes: the list can be walked at
 *     any time by any thread, even in the handler.
 * S2  A node's version is odd while it means nothing. What the handler read of a node counts if the
 *     version was even and the same before and after. A range that is being touched does not change
 *     (sigbus_remove's contract), so its node is always found.
 * S3  The mark is set before the zeros are mapped.
 * S4  The handler is set only after what it passes signals on to is known.
 */
#include "sigbus.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sigbus_node {
    struct sigbus_range range; /* first */
    struct sigbus_node *next;  /* S1 */
    struct sigbus_node *next_free;

    /* S2. Written under the lock, release; read by the handler, acquire. */
    _Atomic uint64_t version;
    _Atomic uintptr_t begin;
    _Atomic uintptr_t end;
    _Atomic bool writable;
};

/* What was there before us. Constant once it is known to the handler. */
struct sigbus_former {
    struct sigaction action;
    struct sigbus_former *older; /* keeps it reachable */
};

static pthread_mutex_t sigbus_lock = PTHREAD_MUTEX_INITIALIZER;

/* Guarded by the lock. */
static unsigned sigbus_installs;
static bool sigbus_set; /* our handler is, or may be, in use */
static struct sigbus_node *sigbus_free;

/* Written under the lock, release; read by the handler, acquire: what they lead to is complete. */
static _Atomic(struct sigbus_node *) sigbus_nodes;
static _Atomic(struct sigbus_former *) sigbus_formers; /* the newest counts */
static _Atomic uintptr_t sigbus_page_bytes;

/* ---- the handler -------------------------------------------------------------------------- */

/* What the handler knows of a range. */
struct sigbus_place {
    struct sigbus_node *node; /* NULL: the address is in none */
    uintptr_t begin;
    uintptr_t end;
    bool writable;
};

static struct sigbus_place sigbus_find(uintptr_t address)
{
    struct sigbus_node *node = atomic_load_explicit(&sigbus_nodes, memory_order_acquire);
    for (; node != NULL; node = node->next) {
        uint64_t version = atomic_load_explicit(&node->version, memory_order_acquire);
        struct sigbus_place place = {
            .node = node,
            .begin = atomic_load_explicit(&node->begin, memory_order_acquire),
            .end = atomic_load_explicit(&node->end, memory_order_acquire),
            .writable = atomic_load_explicit(&node->writable, memory_order_acquire),
        };
        bool same = atomic_load_explicit(&node->version, memory_order_relaxed) == version;
        if (version % 2 == 0 && same && address >= place.begin && address < place.end) /* S2 */
            return place;
    }
    return (struct sigbus_place){0};
}

#if defined(__SANITIZE_THREAD__)
#define SIGBUS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGBUS_TSAN 1
#endif
#endif
#ifdef SIGBUS_TSAN
/* ThreadSanitizer's mmap() counts as a write to all of the memory. Here it changes none that anybody
   could read. */
#define mmap(...) (void *)syscall(SYS_mmap, __VA_ARGS__)
#endif

static bool sigbus_map_zeros(const struct sigbus_place *place, uintptr_t begin, uintptr_t bytes)
{
    int protection = PROT_READ | (place->writable ? PROT_WRITE : 0);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    // cppcheck-suppress leakReturnValNotUsed ; in place of what is there
    return mmap((void *)begin, bytes, protection, flags, -1, 0) != MAP_FAILED;
}

/* Puts zeros where the page is missing. */
static bool sigbus_mend(const struct sigbus_place *place, uintptr_t address)
{
    uintptr_t page_bytes = atomic_load_explicit(&sigbus_page_bytes, memory_order_acquire);
    uintptr_t page = address & ~(page_bytes - 1);
    uint64_t none = SIGBUS_NONE;
    (void)atomic_compare_exchange_strong_explicit(&place->node->range.failed_at, &none,
                                                  page - place->begin, memory_order_acq_rel,
                                                  memory_order_acquire); /* S3 */
    // cppcheck-suppress leakNoVarFunctionCall ; what it gives is true or false
    if (sigbus_map_zeros(place, page, page_bytes))
        return true;
    /* The process may not have so many mappings. To replace the range as a whole adds none. */
    return sigbus_map_zeros(place, place->begin, place->end - place->begin);
}

/* True: the thread touched memory that cannot be had. Other codes are about misaligned access,
   memory that somebody else found broken, or come from kill() and the like. */
static bool sigbus_is_access(const siginfo_t *info)
{
    return info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR ||
           info->si_code == BUS_MCEERR_AR;
}

static void sigbus_set_default(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGBUS, &action, NULL);
}

/* Does what would have been done without us. */
static void sigbus_pass_on(int signal_number, siginfo_t *info, void *context)
{
    const struct sigaction *former =
        &atomic_load_explicit(&sigbus_formers, memory_order_acquire)->action;
    bool repeats = sigbus_is_access(info) || info->si_code == BUS_ADRALN;
    if ((former->sa_flags & SA_SIGINFO) != 0) {
        former->sa_sigaction(signal_number, info, context);
    } else if (former->sa_handler == SIG_IGN && !repeats) {
        return;
    } else if (former->sa_handler == SIG_DFL || former->sa_handler == SIG_IGN) {
        sigbus_set_default();
        if (!repeats)
            (void)raise(signal_number); /* delivered when the handler returns */
        /* Else the access is repeated on return, fails again and ends the process, as it would have
           done at first: the core dump shows the place. */
    } else {
        former->sa_handler(signal_number);
    }
}

static void sigbus_handle(int signal_number, siginfo_t *info, void *context)
{
    int error = errno;
    bool mended = false;
    if (sigbus_is_access(info)) {
        uintptr_t address = (uintptr_t)info->si_addr;
        struct sigbus_place place = sigbus_find(address);
        mended = place.node != NULL && sigbus_mend(&place, address);
    }
    if (!mended)
        sigbus_pass_on(signal_number, info, context);
    errno = error;
}

/* ---- setting it --------------------------------------------------------------------------- */

static bool sigbus_is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == sigbus_handle;
}

/* Whether a signal goes the same way from both. */
static bool sigbus_is_same(const struct sigaction *a, const struct sigaction *b)
{
    bool same_function = (a->sa_flags & SA_SIGINFO) != 0 ? a->sa_sigaction == b->sa_sigaction
                                                         : a->sa_handler == b->sa_handler;
    return a->sa_flags == b->sa_flags && same_function;
}

/* Notes what is there now, unless the newest note says the same: setting the handler again and
   again, as stores are opened and closed, must not pile notes up. */
static kvs_status sigbus_note_former(struct kvs_error *err)
{
    struct sigbus_former *newest = atomic_load_explicit(&sigbus_formers, memory_order_relaxed);
    struct sigaction now;
    (void)sigaction(SIGBUS, NULL, &now); /* cannot fail with these arguments */
    if (newest != NULL && sigbus_is_same(&newest->action, &now))
        return KVS_OK;
    struct sigbus_former *former = calloc(1, sizeof(*former));
    if (former == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the SIGBUS handler");
    former->action = now;
    former->older = newest;
    atomic_store_explicit(&sigbus_formers, former, memory_order_release); /* S4 */
    return KVS_OK;
}

static kvs_status sigbus_set_handler(struct kvs_error *err)
{
    kvs_status status = sigbus_note_former(err);
    if (status != KVS_OK)
        return status;
    atomic_store_explicit(&sigbus_page_bytes, (uintptr_t)sysconf(_SC_PAGESIZE),
                          memory_order_release);
    struct sigaction action = {.sa_sigaction = sigbus_handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
    sigbus_set = true;
    return KVS_OK;
}

kvs_status sigbus_install(struct kvs_error *err)
{
    kvs_status status = KVS_OK;
    pthread_mutex_lock(&sigbus_lock);
    if (!sigbus_set)
        status = sigbus_set_handler(err);
    if (status == KVS_OK)
        sigbus_installs++;
    pthread_mutex_unlock(&sigbus_lock);
    return status;
}

void sigbus_uninstall(void)
{
    pthread_mutex_lock(&sigbus_lock);
    assert(sigbus_installs > 0);
    struct sigaction now;
    if (--sigbus_installs == 0 && sigaction(SIGBUS, NULL, &now) == 0 && sigbus_is_ours(&now)) {
        (void)sigaction(SIGBUS,
                        &atomic_load_explicit(&sigbus_formers, memory_order_relaxed)->action, NULL);
        sigbus_set = false;
    }
    /* Else somebody came after us and passes on to us what is not his: we stay, passing it on. */
    pthread_mutex_unlock(&sigbus_lock);
}

/* ---- ranges ------------------------------------------------------------------------------- */

/* A node that means nothing. The lock is held. */
static struct sigbus_node *sigbus_node_take(void)
{
    struct sigbus_node *node = sigbus_free;
    if (node != NULL) {
        sigbus_free = node->next_free;
        return node;
    }
    node = calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    atomic_init(&node->version, 1);
    node->next = atomic_load_explicit(&sigbus_nodes, memory_order_relaxed);
    atomic_store_explicit(&sigbus_nodes, node, memory_order_release);
    return node;
}

/* S2: to an even version it begins to mean something, to an odd one it ends. */
static void sigbus_node_turn(struct sigbus_node *node)
{
    uint64_t version = atomic_load_explicit(&node->version, memory_order_relaxed);
    atomic_store_explicit(&node->version, version + 1, memory_order_release);
}

kvs_status sigbus_add(const void *memory, uint64_t bytes, bool writable,
                      struct sigbus_range **ret_range, struct kvs_error *err)
{
    pthread_mutex_lock(&sigbus_lock);
    assert(sigbus_installs > 0);
    struct sigbus_node *node = sigbus_node_take();
    if (node != NULL) {
        uintptr_t page_bytes = atomic_load_explicit(&sigbus_page_bytes, memory_order_relaxed);
        uintptr_t begin = (uintptr_t)memory;
        assert(begin % page_bytes == 0);
        uintptr_t end = (begin + bytes + page_bytes - 1) & ~(page_bytes - 1);
        atomic_store_explicit(&node->range.failed_at, SIGBUS_NONE, memory_order_release);
        atomic_store_explicit(&node->begin, begin, memory_order_release);
        atomic_store_explicit(&node->end, end, memory_order_release);
        atomic_store_explicit(&node->writable, writable, memory_order_release);
        sigbus_node_turn(node);
        *ret_range = &node->range;
    }
    pthread_mutex_unlock(&sigbus_lock);
    if (node == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory to watch a mapped file");
    return KVS_OK;
}

void sigbus_remove(struct sigbus_range *range)
{
    if (range == NULL)
        return;
    struct sigbus_node *node = (struct sigbus_node *)range;
    pthread_mutex_lock(&sigbus_lock);
    sigbus_node_turn(node);
    node->next_free = sigbus_free;
    sigbus_free = node;
    pthread_mutex_unlock(&sigbus_lock);
}
