/*
 * See controls.h.
 *
 * Bounce: two threads, each pinned to a CPU of its own, take turns at setting one word. A batch of
 * turns is timed, and the median of the batches counts, so a batch in which a thread lost its CPU
 * does no harm. Who finds itself waiting for BOUNCE_LIMIT_NS ends the exchange for both: the other
 * one does not run, and a benchmark next door must not be made to wait for it.
 *
 * The turn word is written by both threads and read by both: release on writing, acquire on
 * reading, though nothing else depends on the order.
 */
#include "harness/controls.h"

#include <glib.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/random.h"
#include "harness/statistics.h"

#define BOUNCE_BATCHES     24u
#define BOUNCE_TURNS       64u /* in each direction, per batch */
#define BOUNCE_LIMIT_NS    (20 * NS_PER_MS)
#define BOUNCE_GIVEN_UP    UINT32_MAX
#define BOUNCE_CLOCK_EVERY 4096u
#define BATCHES            9u
#define MULTIPLY_COUNT     20000u
#define MEMORY_COUNT       1000u
#define CACHE_LINE_BYTES   64u
#define MEMORY_LINE_COUNT  ((uint32_t)(CONTROLS_MEMORY_BYTES / CACHE_LINE_BYTES))

struct line {
    alignas(CACHE_LINE_BYTES) uint32_t next; /* the index of the line to read after this one */
};

struct controls {
    struct line *lines; /* one cycle through all of CONTROLS_MEMORY_BYTES; mapped */
    uint32_t at;        /* where the last reading ended: the next one goes on over cold lines */
    uint64_t multiplied;
};

kvs_status controls_new(struct controls **ret_controls, struct kvs_error *err)
{
    struct line *lines = mmap(NULL, CONTROLS_MEMORY_BYTES, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (lines == MAP_FAILED)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory for the control figures");
    struct random random;
    random_init(&random, 1);
    _cleanup_(freep) uint32_t *order = g_new(uint32_t, MEMORY_LINE_COUNT);
    for (uint32_t i = 0; i < MEMORY_LINE_COUNT; i++)
        order[i] = i;
    random_shuffle(&random, order, MEMORY_LINE_COUNT);
    for (uint32_t i = 0; i < MEMORY_LINE_COUNT; i++)
        lines[order[i]].next = order[(i + 1) % MEMORY_LINE_COUNT];
    struct controls *controls = g_new0(struct controls, 1);
    controls->lines = lines;
    controls->multiplied = 3;
    *ret_controls = controls;
    return KVS_OK;
}

void controls_free(struct controls *controls)
{
    if (controls == NULL)
        return;
    (void)munmap(controls->lines, CONTROLS_MEMORY_BYTES);
    free(controls);
}

struct bounce {
    alignas(CACHE_LINE_BYTES) _Atomic uint32_t turn; /* counts up: even is the caller's turn */
    alignas(CACHE_LINE_BYTES) uint32_t partner_cpu;
};

static void pin(uint32_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* Waits until turn has the value; false when either side gave up. */
static bool bounce_wait(struct bounce *bounce, uint32_t value)
{
    uint64_t begin_ns = 0;
    for (uint32_t spins = 1;; spins++) {
        uint32_t turn = atomic_load_explicit(&bounce->turn, memory_order_acquire);
        if (turn == value)
            return true;
        if (turn == BOUNCE_GIVEN_UP)
            return false;
        if (spins % BOUNCE_CLOCK_EVERY != 0)
            continue;
        uint64_t now_ns = clock_now_ns();
        if (begin_ns == 0)
            begin_ns = now_ns;
        else if (now_ns - begin_ns > BOUNCE_LIMIT_NS) {
            atomic_store_explicit(&bounce->turn, BOUNCE_GIVEN_UP, memory_order_release);
            return false;
        }
    }
}

static void *bounce_partner(void *arg)
{
    struct bounce *bounce = arg;
    pin(bounce->partner_cpu);
    for (uint32_t turn = 1; turn < 2 * BOUNCE_TURNS * BOUNCE_BATCHES; turn += 2) {
        if (!bounce_wait(bounce, turn))
            return NULL;
        atomic_store_explicit(&bounce->turn, turn + 1, memory_order_release);
    }
    return NULL;
}

/* The caller's side; the number of whole batches that were timed into ret. */
static size_t bounce_caller(struct bounce *bounce, double ret[BOUNCE_BATCHES])
{
    uint32_t turn = 0;
    for (size_t batch = 0; batch < BOUNCE_BATCHES; batch++) {
        uint64_t begin_ns = clock_now_ns();
        for (uint32_t i = 0; i < BOUNCE_TURNS; i++, turn += 2) {
            atomic_store_explicit(&bounce->turn, turn + 1, memory_order_release);
            if (!bounce_wait(bounce, turn + 2))
                return batch;
        }
        ret[batch] = (double)(clock_now_ns() - begin_ns) / (2.0 * BOUNCE_TURNS);
    }
    return BOUNCE_BATCHES;
}

/* The first two CPUs that this process may use; false when there is only one. */
static bool two_cpus(const cpu_set_t *allowed, uint32_t *ret_first, uint32_t *ret_second)
{
    uint32_t found[2];
    size_t count = 0;
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
        if (CPU_ISSET(cpu, allowed))
            found[count++] = cpu;
    }
    if (count < 2)
        return false;
    *ret_first = found[0];
    *ret_second = found[1];
    return true;
}

double controls_bounce_ns(void)
{
    cpu_set_t allowed;
    struct bounce bounce = {0};
    pthread_t partner;
    uint32_t own_cpu;
    if (pthread_getaffinity_np(pthread_self(), sizeof(allowed), &allowed) != 0 ||
        !two_cpus(&allowed, &own_cpu, &bounce.partner_cpu) ||
        pthread_create(&partner, NULL, bounce_partner, &bounce) != 0)
        return 0;
    double batches[BOUNCE_BATCHES];
    pin(own_cpu);
    size_t count = bounce_caller(&bounce, batches);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(allowed), &allowed);
    (void)pthread_join(partner, NULL);
    return count > 0 ? statistics_median(batches, count) : 0;
}

/* One batch of dependent multiplications. */
static double multiply_batch_ns(struct controls *controls)
{
    uint64_t value = controls->multiplied;
    uint64_t begin_ns = clock_now_ns();
    for (uint32_t i = 0; i < MULTIPLY_COUNT; i++) {
        value *= UINT64_C(0x9e3779b97f4a7c15);
        __asm__ volatile("" : "+r"(value)); /* or the compiler multiplies ahead of time */
    }
    uint64_t spent_ns = clock_now_ns() - begin_ns;
    controls->multiplied = value | 1;
    return (double)spent_ns / MULTIPLY_COUNT;
}

/* One batch of dependent loads. */
static double memory_batch_ns(struct controls *controls)
{
    uint32_t at = controls->at;
    uint64_t begin_ns = clock_now_ns();
    for (uint32_t i = 0; i < MEMORY_COUNT; i++)
        at = controls->lines[at].next;
    controls->at = at;
    __asm__ volatile("" : : "r"(at) : "memory"); /* the loads end before the clock is read */
    return (double)(clock_now_ns() - begin_ns) / MEMORY_COUNT;
}

/* The median of the batches: one in which the thread lost its CPU does no harm. */
static double median_of_batches(struct controls *controls, double (*batch_ns)(struct controls *))
{
    double batches[BATCHES];
    for (size_t i = 0; i < BATCHES; i++)
        batches[i] = batch_ns(controls);
    return statistics_median(batches, BATCHES);
}

struct controls_reading controls_read(struct controls *controls)
{
    return (struct controls_reading){
        .bounce_ns = controls_bounce_ns(),
        .multiply_ns = median_of_batches(controls, multiply_batch_ns),
        .memory_ns = median_of_batches(controls, memory_batch_ns),
    };
}
