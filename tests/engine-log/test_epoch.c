/* Read sections and deferred frees. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "epoch.h"
#include "support/support.h"

struct thing {
    struct epoch_retired retired; /* first: the callbacks cast */
    atomic_uint *runs;
    unsigned *order; /* where to note the turn; may be NULL */
    unsigned again;  /* times it retires itself once more */
    struct epoch *epoch;
};

static void thing_run(struct epoch_retired *retired)
{
    struct thing *thing = (struct thing *)(void *)retired;
    unsigned turn = atomic_fetch_add(thing->runs, 1);
    if (thing->order != NULL)
        *thing->order = turn;
    if (thing->again > 0) {
        thing->again--;
        epoch_retire(thing->epoch, retired, thing_run);
    }
}

static struct epoch *epoch_make(void)
{
    struct test_error error;
    test_error_init(&error);
    struct epoch *epoch = NULL;
    assert_status(KVS_OK, epoch_new(&epoch, &error.error), &error);
    return epoch;
}

/* A thread that is told to begin a section and to end it. */
struct holder {
    pthread_t id;
    atomic_bool begun;
    atomic_bool end;
};

static bool flag_is_set(void *arg)
{
    return atomic_load((atomic_bool *)arg);
}

static void *holder_main(void *arg)
{
    struct holder *holder = arg;
    epoch_begin();
    epoch_begin();
    epoch_end(); /* the inner section: the outer one still holds */
    atomic_store(&holder->begun, true);
    while (!atomic_load(&holder->end))
        sched_yield();
    epoch_end();
    return NULL;
}

static void holder_begin(struct holder *holder)
{
    atomic_init(&holder->begun, false);
    atomic_init(&holder->end, false);
    assert_int_equal(pthread_create(&holder->id, NULL, holder_main, holder), 0);
    wait_until(flag_is_set, &holder->begun);
}

static void holder_end(struct holder *holder)
{
    atomic_store(&holder->end, true);
    pthread_join(holder->id, NULL);
}

static bool both_ran(void *arg)
{
    return atomic_load((atomic_uint *)arg) == 2;
}

static void test_sections_nest(void **state)
{
    (void)state;
    assert_false(epoch_inside());
    epoch_begin();
    epoch_begin();
    assert_true(epoch_inside());
    epoch_end();
    assert_true(epoch_inside());
    epoch_end();
    assert_false(epoch_inside());
}

/* What is retired while a section is open waits for it, and for nothing else. */
static void test_retired_waits_for_open_sections(void **state)
{
    (void)state;
    struct epoch *epoch = epoch_make();
    atomic_uint runs = 0;
    struct holder holder;
    holder_begin(&holder);
    struct thing first = {.runs = &runs};
    struct thing second = {.runs = &runs};
    epoch_begin(); /* retiring from inside a section */
    epoch_retire(epoch, &first.retired, thing_run);
    epoch_end();
    epoch_retire(epoch, &second.retired, thing_run);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(atomic_load(&runs), 0);
        sched_yield();
    }
    holder_end(&holder);
    wait_until(both_ran, &runs);
    epoch_free(epoch);
}

static void test_barrier_and_order(void **state)
{
    (void)state;
    enum {
        THINGS = 1000
    };
    struct epoch *epoch = epoch_make();
    atomic_uint runs = 0;
    unsigned order[THINGS];
    struct thing things[THINGS];
    epoch_barrier(epoch); /* nothing to wait for */
    for (unsigned i = 0; i < THINGS; i++) {
        things[i] = (struct thing){.runs = &runs, .order = &order[i]};
        epoch_retire(epoch, &things[i].retired, thing_run);
    }
    epoch_barrier(epoch);
    assert_int_equal(atomic_load(&runs), THINGS);
    for (unsigned i = 0; i < THINGS; i++)
        assert_int_equal(order[i], i);
    epoch_free(epoch);
}

/* Also what run() itself retires. */
static void test_free_runs_everything(void **state)
{
    (void)state;
    struct epoch *epoch = epoch_make();
    struct epoch *other = epoch_make();
    atomic_uint runs = 0;
    struct thing thing = {.runs = &runs, .again = 5, .epoch = epoch};
    epoch_retire(epoch, &thing.retired, thing_run);
    epoch_free(epoch);
    assert_int_equal(atomic_load(&runs), 6);
    epoch_free(other);
    epoch_free(NULL);
}

/* ---- threads that come and go ----------------------------------------------------------- */

static _Atomic(uint64_t *) shared;

static void *short_life(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        epoch_begin();
        uint64_t value = *atomic_load_explicit(&shared, memory_order_acquire);
        epoch_end();
        if (value != 42)
            return &shared;
    }
    pthread_exit(NULL);
}

struct box {
    struct epoch_retired retired;
    uint64_t value;
};

static void box_free(struct epoch_retired *retired)
{
    struct box *box = (struct box *)(void *)retired;
    box->value = 0; /* a reader that still looked would see it, or ASan would */
    free(box);
}

static struct box *box_publish(void)
{
    struct box *box = malloc(sizeof(*box));
    assert_non_null(box);
    box->value = 42;
    atomic_store_explicit(&shared, &box->value, memory_order_release);
    return box;
}

static void test_short_lived_threads(void **state)
{
    (void)state;
    struct epoch *epoch = epoch_make();
    unsigned threads_before = test_thread_count();
    struct box *box = box_publish();
    for (unsigned i = 0; i < 300; i++) {
        pthread_t ids[2];
        for (unsigned j = 0; j < 2; j++)
            assert_int_equal(pthread_create(&ids[j], NULL, short_life, NULL), 0);
        for (unsigned j = 0; j < 10; j++) {
            struct box *old = box;
            box = box_publish();
            epoch_retire(epoch, &old->retired, box_free);
        }
        for (unsigned j = 0; j < 2; j++) {
            void *result = &shared;
            pthread_join(ids[j], &result);
            assert_null(result);
        }
    }
    epoch_barrier(epoch); /* would hang if a thread that ended were waited for */
    epoch_synchronize();
    assert_int_equal(test_thread_count(), threads_before);
    free(box);
    epoch_free(epoch);
}

/* A key destructor of somebody else, run after the thread has left the registry. */
static pthread_key_t late_key;
static atomic_uint late_sections;

static void late_destructor(void *arg)
{
    uintptr_t turns = (uintptr_t)arg;
    epoch_begin();
    atomic_fetch_add(&late_sections, 1);
    epoch_end();
    if (turns > 1)
        (void)pthread_setspecific(late_key, (void *)(turns - 1));
}

static void *late_main(void *arg)
{
    (void)arg;
    (void)pthread_setspecific(late_key, (void *)(uintptr_t)2);
    epoch_begin();
    epoch_end();
    return NULL;
}

static void test_sections_in_late_destructors(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    for (unsigned i = 0; i < 50; i++) {
        pthread_t id;
        assert_int_equal(pthread_create(&id, NULL, late_main, NULL), 0);
        pthread_join(id, NULL);
        epoch_synchronize();
    }
    assert_int_equal(atomic_load(&late_sections), 100);
    assert_int_equal(pthread_key_delete(late_key), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections_nest),
        cmocka_unit_test(test_retired_waits_for_open_sections),
        cmocka_unit_test(test_barrier_and_order),
        cmocka_unit_test(test_free_runs_everything),
        cmocka_unit_test(test_short_lived_threads),
        cmocka_unit_test(test_sections_in_late_destructors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
