/* Transactions, on every kind of store. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/hints.h"
#include "command/transaction.h"

#define NOW INT64_C(1700000000000)

struct fixture {
    struct store_fixture store;
    struct transaction *txn;
};

/* Waits for a commit that was pending. */
struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    kvs_status status;
    unsigned count;
};

static void on_complete(void *arg, kvs_status status)
{
    struct waiting *waiting = arg;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->status = status;
    waiting->count++;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->lock);
}

/* Commits and waits. Any thread. */
static kvs_status commit(struct transaction *txn)
{
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, KVS_PENDING, 0};
    kvs_status status = transaction_commit(txn, on_complete, &waiting);
    if (status != KVS_PENDING)
        return waiting.count == 0 ? status : KVS_INTERNAL;
    (void)pthread_mutex_lock(&waiting.lock);
    while (waiting.count == 0)
        (void)pthread_cond_wait(&waiting.changed, &waiting.lock);
    status = waiting.status;
    (void)pthread_mutex_unlock(&waiting.lock);
    return status;
}

static struct kvs_bytes text(const char *from)
{
    return bytes_of_text(from);
}

static void begin_at(struct fixture *fixture, int64_t now_ms)
{
    transaction_begin(fixture->txn, &fixture->store.store, NULL, now_ms, 0);
}

static void begin(struct fixture *fixture)
{
    begin_at(fixture, NOW);
}

static void must_set(struct fixture *fixture, const char *key, const char *value, int64_t expires)
{
    assert_int_equal(KVS_OK, transaction_set(fixture->txn, text(key), text(value), expires));
}

/* value NULL: it is missing. In the transaction at hand. */
static void must_hold(struct fixture *fixture, const char *key, const char *content,
                      int64_t expires)
{
    struct value value;
    kvs_status status = transaction_get(fixture->txn, text(key), &value);
    uint64_t len;
    int64_t looked_expires;
    if (content == NULL) {
        assert_int_equal(KVS_NOT_FOUND, status);
        assert_int_equal(KVS_NOT_FOUND,
                         transaction_look(fixture->txn, text(key), &len, &looked_expires));
        return;
    }
    assert_int_equal(KVS_OK, status);
    assert_int_equal(strlen(content), value.content.len);
    assert_memory_equal(content, value.content.ptr, value.content.len);
    assert_int_equal(expires, value.expires_at_ms);
    assert_int_equal(KVS_OK, transaction_look(fixture->txn, text(key), &len, &looked_expires));
    assert_int_equal(strlen(content), len);
    assert_int_equal(expires, looked_expires);
}

/* In a transaction of its own; both kinds. */
static void must_hold_at(struct fixture *fixture, int64_t now_ms, const char *key,
                         const char *content, int64_t expires)
{
    begin_at(fixture, now_ms);
    must_hold(fixture, key, content, expires);
    transaction_begin(fixture->txn, &fixture->store.store, NULL, now_ms, TRANSACTION_READ_ONLY);
    must_hold(fixture, key, content, expires);
    assert_int_equal(KVS_OK, commit(fixture->txn));
}

/* Somebody else writes: value NULL removes. */
static void interfere(struct fixture *fixture, const char *key, const char *value)
{
    struct transaction *other = transaction_new();
    assert_non_null(other);
    transaction_begin(other, &fixture->store.store, NULL, NOW, 0);
    if (value != NULL)
        assert_int_equal(KVS_OK, transaction_set(other, text(key), text(value), VALUE_NEVER));
    else
        assert_int_equal(KVS_OK, transaction_remove(other, text(key)));
    assert_int_equal(KVS_OK, commit(other));
    transaction_free(other);
}

static void test_sees_its_own_writes(struct fixture *fixture)
{
    begin(fixture);
    must_hold(fixture, "a", NULL, 0);
    must_set(fixture, "a", "1", VALUE_NEVER);
    must_hold(fixture, "a", "1", VALUE_NEVER);
    must_set(fixture, "a", "", NOW + 5);
    must_hold(fixture, "a", "", NOW + 5);
    must_set(fixture, "a", "3", TRANSACTION_KEEP);
    must_hold(fixture, "a", "3", NOW + 5);
    assert_int_equal(KVS_OK, transaction_remove(fixture->txn, text("a")));
    must_hold(fixture, "a", NULL, 0);
    must_set(fixture, "a", "4", TRANSACTION_KEEP);
    must_set(fixture, "b", "5", VALUE_NEVER);
    must_hold(fixture, "a", "4", VALUE_NEVER);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    must_hold_at(fixture, NOW, "a", "4", VALUE_NEVER);
    must_hold_at(fixture, NOW, "b", "5", VALUE_NEVER);
    begin(fixture);
    must_set(fixture, "a", "never committed", VALUE_NEVER);
    must_hold_at(fixture, NOW, "a", "4", VALUE_NEVER);
}

static void test_notices_others(struct fixture *fixture)
{
    static const struct {
        const char *before; /* NULL: missing */
        const char *after;
        kvs_status status;
    } cases[] = {
        {"1", "2", KVS_CONDITION_FAILED},
        {"1", NULL, KVS_CONDITION_FAILED},
        {NULL, "1", KVS_CONDITION_FAILED},
        {NULL, NULL, KVS_OK},
        {"1", "1", KVS_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int kind = 0; kind < 3; kind++) {
            interfere(fixture, "read", cases[i].before);
            interfere(fixture, "written", NULL);
            begin(fixture);
            must_hold(fixture, "read", cases[i].before, VALUE_NEVER);
            if (kind == 0)
                must_set(fixture, "read", "mine", VALUE_NEVER);
            else if (kind == 1)
                assert_int_equal(KVS_OK, transaction_remove(fixture->txn, text("read")));
            must_set(fixture, "written", "mine", VALUE_NEVER);
            interfere(fixture, "read", cases[i].after);
            assert_int_equal(cases[i].status, commit(fixture->txn));
            bool won = cases[i].status == KVS_OK;
            must_hold_at(fixture, NOW, "written", won ? "mine" : NULL, VALUE_NEVER);
            must_hold_at(fixture, NOW, "read",
                         !won || kind == 2 ? cases[i].after
                         : kind == 0       ? "mine"
                                           : NULL,
                         VALUE_NEVER);
        }
    }
    /* What was not read is written whatever there is. */
    begin(fixture);
    must_set(fixture, "read", "blind", VALUE_NEVER);
    interfere(fixture, "read", "other");
    assert_int_equal(KVS_OK, commit(fixture->txn));
    must_hold_at(fixture, NOW, "read", "blind", VALUE_NEVER);
    /* Two reads are of one moment. */
    begin(fixture);
    must_hold(fixture, "read", "blind", VALUE_NEVER);
    must_hold(fixture, "written", "mine", VALUE_NEVER);
    interfere(fixture, "read", "other");
    assert_int_equal(KVS_CONDITION_FAILED, commit(fixture->txn));
}

static void test_expired_reads_as_missing(struct fixture *fixture)
{
    begin(fixture);
    must_set(fixture, "k", "v", NOW + 10);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    must_hold_at(fixture, NOW + 10, "k", "v", NOW + 10);
    must_hold_at(fixture, NOW + 11, "k", NULL, 0);
    begin_at(fixture, NOW + 11);
    must_set(fixture, "k", "new", TRANSACTION_KEEP);
    must_hold(fixture, "k", "new", VALUE_NEVER);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    must_hold_at(fixture, NOW + 20, "k", "new", VALUE_NEVER);

    /* So does one that was expired when the transaction set it. */
    begin_at(fixture, NOW + 21);
    must_set(fixture, "k", "late", NOW + 20);
    must_hold(fixture, "k", NULL, 0);
    must_set(fixture, "k", "newer", TRANSACTION_KEEP);
    must_hold(fixture, "k", "newer", VALUE_NEVER);
    must_set(fixture, "k", "late", NOW + 20);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    must_hold_at(fixture, NOW + 21, "k", NULL, 0);

    /* The condition is about what is stored, expired or not. */
    begin(fixture);
    must_set(fixture, "k", "v", NOW + 10);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    begin_at(fixture, NOW + 11);
    must_hold(fixture, "k", NULL, 0);
    must_set(fixture, "k", "mine", VALUE_NEVER);
    interfere(fixture, "k", "other");
    assert_int_equal(KVS_CONDITION_FAILED, commit(fixture->txn));
    must_hold_at(fixture, NOW, "k", "other", VALUE_NEVER);
}

/* A value that looks as if it had a trailer. */
static void test_deceptive_values(struct fixture *fixture)
{
    uint8_t bytes[3 * VALUE_TRAILER_BYTES];
    struct value value;
    value_encode(bytes, text("content"), 1);
    struct kvs_bytes content = bytes_of(bytes, 7 + VALUE_TRAILER_BYTES);
    begin(fixture);
    assert_int_equal(KVS_OK, transaction_set(fixture->txn, text("k"), content, VALUE_NEVER));
    assert_int_equal(KVS_OK, transaction_set(fixture->txn, text("l"), content, NOW));
    assert_int_equal(KVS_OK, commit(fixture->txn));
    begin(fixture);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(KVS_OK, transaction_get(fixture->txn, text(i == 0 ? "k" : "l"), &value));
        assert_true(bytes_equal(content, value.content));
        assert_int_equal(i == 0 ? VALUE_NEVER : NOW, value.expires_at_ms);
    }
}

static void remember(struct fixture *fixture, const char *key, struct watched *watched,
                     uint8_t copy[64])
{
    struct kvs_bytes stored;
    begin(fixture);
    kvs_status status = transaction_stored(fixture->txn, text(key), &stored);
    *watched = (struct watched){.key = text(key), .now_ms = NOW};
    if (status == KVS_NOT_FOUND)
        return;
    assert_int_equal(KVS_OK, status);
    memcpy(copy, stored.ptr, stored.len);
    watched->present = true;
    watched->stored = bytes_of(copy, stored.len);
}

static void test_watch(struct fixture *fixture)
{
    struct watched watched[2];
    uint8_t copies[2][64];
    interfere(fixture, "there", "1");
    remember(fixture, "there", &watched[0], copies[0]);
    remember(fixture, "gone", &watched[1], copies[1]);
    begin(fixture);
    assert_int_equal(KVS_OK, transaction_watch(fixture->txn, &watched[0]));
    assert_int_equal(KVS_OK, transaction_watch(fixture->txn, &watched[1]));
    must_set(fixture, "x", "1", VALUE_NEVER);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    /* It changes between the look and the commit, ... */
    begin(fixture);
    assert_int_equal(KVS_OK, transaction_watch(fixture->txn, &watched[1]));
    must_set(fixture, "x", "2", VALUE_NEVER);
    interfere(fixture, "gone", "no more");
    assert_int_equal(KVS_CONDITION_FAILED, commit(fixture->txn));
    must_hold_at(fixture, NOW, "x", "1", VALUE_NEVER);
    /* ... or before. */
    begin(fixture);
    assert_int_equal(KVS_CONDITION_FAILED, transaction_watch(fixture->txn, &watched[1]));
    interfere(fixture, "there", NULL);
    begin(fixture);
    assert_int_equal(KVS_CONDITION_FAILED, transaction_watch(fixture->txn, &watched[0]));
    /* It expires. */
    begin(fixture);
    must_set(fixture, "there", "1", NOW + 1);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    remember(fixture, "there", &watched[0], copies[0]);
    begin_at(fixture, NOW + 1);
    assert_int_equal(KVS_OK, transaction_watch(fixture->txn, &watched[0]));
    begin_at(fixture, NOW + 2);
    assert_int_equal(KVS_CONDITION_FAILED, transaction_watch(fixture->txn, &watched[0]));
    watched[0].now_ms = NOW + 2; /* it was gone then already */
    assert_int_equal(KVS_OK, transaction_watch(fixture->txn, &watched[0]));
}

static void test_many_keys(struct fixture *fixture)
{
    enum {
        KEYS = 1000
    };
    static char keys[KEYS][16];
    for (int round = 0; round < 3; round++) { /* larger, small, larger again */
        int count = round == 1 ? 5 : KEYS;
        begin(fixture);
        for (int i = 0; i < count; i++) {
            (void)snprintf(keys[i], sizeof(keys[i]), "%d-%d", round, i);
            if (i % 2 == 0)
                must_hold(fixture, keys[i], NULL, 0);
            must_set(fixture, keys[i], keys[i], i % 3 == 0 ? NOW + i : VALUE_NEVER);
            must_hold(fixture, keys[i / 2], keys[i / 2],
                      i / 2 % 3 == 0 ? NOW + i / 2 : VALUE_NEVER);
        }
        assert_int_equal(KVS_OK, commit(fixture->txn));
        begin(fixture);
        for (int i = count - 1; i >= 0; i--)
            must_hold(fixture, keys[i], keys[i], i % 3 == 0 ? NOW + i : VALUE_NEVER);
        assert_int_equal(KVS_OK, commit(fixture->txn));
    }
}

static void test_limits(struct fixture *fixture)
{
    struct store *store = &fixture->store.store;
    uint32_t key_max = store->limits.key_max;
    uint8_t *large = calloc(1, (size_t)key_max + 1);
    struct value value;
    char limit[16];
    assert_non_null(large);
    (void)snprintf(limit, sizeof(limit), "%u", key_max);
    struct kvs_bytes key = bytes_of(large, key_max + UINT64_C(1));
    begin(fixture);
    assert_int_equal(KVS_NOT_FOUND, transaction_get(fixture->txn, key, &value));
    assert_int_equal(KVS_NOT_FOUND, transaction_get(fixture->txn, text(""), &value));
    assert_int_equal(KVS_OK, transaction_remove(fixture->txn, key));
    assert_int_equal(KVS_TOO_LARGE, transaction_set(fixture->txn, key, text("v"), VALUE_NEVER));
    assert_non_null(strstr(transaction_message(fixture->txn), limit));
    assert_int_equal(KVS_INVALID, transaction_set(fixture->txn, text(""), text("v"), VALUE_NEVER));
    assert_int_equal(KVS_TOO_LARGE,
                     transaction_check(fixture->txn, text("k"), store->limits.value_max + 1ull));
    assert_int_equal(KVS_OK, transaction_check(fixture->txn, text("k"), store->limits.value_max));
    assert_int_equal(KVS_OK, commit(fixture->txn));
    free(large);
}

/* Where writes wait for the disk, transactions on one key follow each other without waiting: each rests on
   the one before, and none is answered before what it rests on. */
static void test_guesses(struct fixture *fixture)
{
    enum {
        CHAIN = 20
    };
    struct transaction *txns[CHAIN];
    struct waiting waiting[CHAIN];
    kvs_status statuses[CHAIN];
    char digits[CHAIN][16];
    if (fixture->store.store.hints == NULL)
        return;
    for (int i = 0; i < CHAIN; i++) {
        struct value value = {.content = {NULL, 0}};
        waiting[i] =
            (struct waiting){PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, KVS_PENDING, 0};
        txns[i] = transaction_new();
        assert_non_null(txns[i]);
        transaction_begin(txns[i], &fixture->store.store, NULL, NOW, 0);
        kvs_status status = transaction_get(txns[i], text("n"), &value);
        /* It may be on the disk by now, or be a guess; it is the one before in any case. */
        assert_int_equal(i == 0 ? KVS_NOT_FOUND : KVS_OK, status);
        if (i > 0)
            assert_memory_equal(digits[i - 1], value.content.ptr, value.content.len);
        (void)snprintf(digits[i], sizeof(digits[i]), "%d", i);
        assert_int_equal(KVS_OK, transaction_set(txns[i], text("n"), text(digits[i]), VALUE_NEVER));
        statuses[i] = transaction_commit(txns[i], on_complete, &waiting[i]);
    }
    /* One that only looks, at the same time: what it saw is checked, too. */
    begin(fixture);
    must_hold(fixture, "n", digits[CHAIN - 1], VALUE_NEVER);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    for (int i = 0; i < CHAIN; i++) {
        if (statuses[i] == KVS_PENDING) {
            (void)pthread_mutex_lock(&waiting[i].lock);
            while (waiting[i].count == 0)
                (void)pthread_cond_wait(&waiting[i].changed, &waiting[i].lock);
            statuses[i] = waiting[i].status;
            (void)pthread_mutex_unlock(&waiting[i].lock);
        }
        assert_int_equal(KVS_OK, statuses[i]);
        transaction_free(txns[i]);
    }
    must_hold_at(fixture, NOW, "n", digits[CHAIN - 1], VALUE_NEVER);
    /* A wrong guess is found out, also by one that writes nothing. */
    uint64_t number = hints_put(fixture->store.store.hints, text("n"), &(struct kvs_bytes){"x", 1});
    begin(fixture);
    must_hold(fixture, "n", "x", VALUE_NEVER);
    assert_int_equal(KVS_CONDITION_FAILED, commit(fixture->txn));
    begin(fixture);
    must_hold(fixture, "n", "x", VALUE_NEVER);
    must_set(fixture, "n", "y", VALUE_NEVER);
    assert_int_equal(KVS_CONDITION_FAILED, commit(fixture->txn));
    /* It is not believed for ever: this is the third one. (The write took the place of the hint.) */
    number = hints_put(fixture->store.store.hints, text("n"), &(struct kvs_bytes){"x", 1});
    begin(fixture);
    must_hold(fixture, "n", "x", VALUE_NEVER);
    assert_int_equal(KVS_CONDITION_FAILED, commit(fixture->txn));
    begin(fixture);
    must_hold(fixture, "n", digits[CHAIN - 1], VALUE_NEVER);
    assert_int_equal(KVS_OK, commit(fixture->txn));
    hints_take_back(fixture->store.store.hints, text("n"), number);
    must_hold_at(fixture, NOW, "n", digits[CHAIN - 1], VALUE_NEVER);
}

/* ---- races ---------------------------------------------------------------------------------- */

enum {
    THREADS = 4
};

struct counting {
    struct store *store;
    int rounds;
    pthread_barrier_t start;
};

/* One step: two counters go up, one of which expires far away, and their difference stays. */
static kvs_status count_once(struct transaction *txn, struct store *store)
{
    char digits[2][16];
    transaction_begin(txn, store, NULL, NOW, 0);
    for (int i = 0; i < 2; i++) {
        struct value value;
        int number = 0;
        struct kvs_bytes key = bytes_of(&"ab"[i], 1);
        kvs_status status = transaction_get(txn, key, &value);
        if (status == KVS_OK) {
            memcpy(digits[i], value.content.ptr, value.content.len);
            digits[i][value.content.len] = '\0';
            number = atoi(digits[i]);
        } else if (status != KVS_NOT_FOUND) {
            return status;
        }
        (void)snprintf(digits[i], sizeof(digits[i]), "%d", number + 1);
        status = transaction_set(txn, key, bytes_of_text(digits[i]),
                                 i == 0 ? NOW + 1000000 : VALUE_NEVER);
        if (status != KVS_OK)
            return status;
    }
    return commit(txn);
}

static void *count_up(void *arg)
{
    struct counting *counting = arg;
    struct transaction *txn = transaction_new();
    void *fault = txn == NULL ? arg : NULL;
    (void)pthread_barrier_wait(&counting->start);
    for (int done = 0; done < counting->rounds && fault == NULL;) {
        kvs_status status = count_once(txn, counting->store);
        if (status == KVS_OK)
            done++;
        else if (status != KVS_CONDITION_FAILED)
            fault = arg;
    }
    transaction_free(txn);
    return fault;
}

static void test_races_lose_nothing(struct fixture *fixture)
{
    bool waits = fixture->store.durability == KVS_DURABILITY_ALWAYS;
    struct counting counting = {.store = &fixture->store.store, .rounds = waits ? 25 : 250};
    pthread_t threads[THREADS];
    char total[16];
    (void)pthread_barrier_init(&counting.start, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, count_up, &counting));
    for (unsigned i = 0; i < THREADS; i++) {
        void *fault;
        assert_int_equal(0, pthread_join(threads[i], &fault));
        assert_null(fault);
    }
    (void)pthread_barrier_destroy(&counting.start);
    (void)snprintf(total, sizeof(total), "%d", THREADS * counting.rounds);
    must_hold_at(fixture, NOW, "a", total, NOW + 1000000);
    must_hold_at(fixture, NOW, "b", total, VALUE_NEVER);
}

/* ---- all of them on every kind ------------------------------------------------------------------ */

struct variant {
    const char *kind;
    void (*test)(struct fixture *fixture);
};

static void run_variant(void **state)
{
    const struct variant *variant = *state;
    struct fixture fixture;
    store_fixture_open(&fixture.store, variant->kind);
    fixture.txn = transaction_new();
    assert_non_null(fixture.txn);
    variant->test(&fixture);
    transaction_free(fixture.txn);
    store_fixture_close(&fixture.store);
}

int main(void)
{
    static const struct {
        const char *name;
        void (*test)(struct fixture *fixture);
    } all[] = {
        {"sees_its_own_writes", test_sees_its_own_writes},
        {"notices_others", test_notices_others},
        {"expired_reads_as_missing", test_expired_reads_as_missing},
        {"deceptive_values", test_deceptive_values},
        {"watch", test_watch},
        {"many_keys", test_many_keys},
        {"limits", test_limits},
        {"guesses", test_guesses},
        {"races_lose_nothing", test_races_lose_nothing},
    };
    enum {
        ALL = sizeof(all) / sizeof(all[0]),
        MOST = 6 * ALL
    };
    static struct variant variants[MOST];
    static char names[MOST][64];
    static struct CMUnitTest tests[MOST];
    size_t count = 0;
    for (const char *const *kind = store_fixture_kinds(); *kind != NULL; kind++) {
        for (size_t i = 0; i < ALL; i++, count++) {
            variants[count] = (struct variant){*kind, all[i].test};
            (void)snprintf(names[count], sizeof(names[count]), "%s on %s", all[i].name, *kind);
            tests[count] = (struct CMUnitTest){
                .name = names[count], .test_func = run_variant, .initial_state = &variants[count]};
        }
    }
    return _cmocka_run_group_tests("transaction", tests, count, NULL, NULL);
}
