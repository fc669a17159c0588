/* submit: conditions, order, limits, completions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules_list.h"
#include "session.h"

#define OPS_TESTED_MAX 100000u /* operations of the largest batch that is tried */
#define IN_FLIGHT      64u

static struct kvs_op with_condition(struct kvs_op op, uint32_t condition, const char *expected)
{
    op.condition = condition;
    op.expected = session_text(expected);
    return op;
}

static struct kvs_op set_text(const char *key, const char *value)
{
    return session_op_set(session_text(key), session_text(value));
}

/* Submits one operation; checks its status, and that of the batch: KVS_OK. */
static void submit_one(struct session *session, struct kvs_op op, kvs_status wanted,
                       const char *what)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "submit of %s", what);
    check_status(session->check, text, KVS_OK, session_submit(session, &op, 1, 0), NULL);
    (void)snprintf(text, sizeof(text), "the operation %s", what);
    check_status(session->check, text, wanted, op.status, NULL);
}

void engine_submit_applies(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("old"), session_text("value"));
    struct kvs_op ops[] = {set_text("a", "1"), set_text("b", ""),
                           session_op_remove(session_text("old"))};
    check_status(check, "submit of three operations", KVS_OK, session_submit(&session, ops, 3, 0),
                 NULL);
    for (unsigned i = 0; i < 3; i++)
        check_status(check, "an operation of a batch", KVS_OK, ops[i].status, NULL);
    session_expect(&session, session_text("a"), session_text("1"), "submit");
    session_expect(&session, session_text("b"), session_text(""), "submit");
    session_expect_none(&session, session_text("old"), "a batch that removes it");
    session_close(&session);
}

void engine_submit_remove_not_found(struct check *check)
{
    struct session session;
    session_open(&session, check);
    submit_one(&session, session_op_remove(session_text("none")), KVS_NOT_FOUND,
               "a remove of a missing key");
    session_close(&session);
}

void engine_submit_conditions(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("there"), session_text("value"));
    const struct {
        struct kvs_op op;
        kvs_status wanted;
        const char *what;
    } cases[] = {
        {with_condition(set_text("there", "x"), KVS_IF_ABSENT, ""), KVS_CONDITION_FAILED,
         "set if absent of a present key"},
        {with_condition(set_text("none", "x"), KVS_IF_PRESENT, ""), KVS_CONDITION_FAILED,
         "set if present of a missing key"},
        {with_condition(set_text("there", "x"), KVS_IF_EQUAL, "valuE"), KVS_CONDITION_FAILED,
         "set if equal to another value"},
        {with_condition(set_text("there", "x"), KVS_IF_EQUAL, "valu"), KVS_CONDITION_FAILED,
         "set if equal to a shorter value"},
        {with_condition(set_text("none", "x"), KVS_IF_EQUAL, ""), KVS_CONDITION_FAILED,
         "set if equal of a missing key"},
        {with_condition(session_op_remove(session_text("there")), KVS_IF_EQUAL, "other"),
         KVS_CONDITION_FAILED, "remove if equal to another value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        submit_one(&session, cases[i].op, cases[i].wanted, cases[i].what);
        session_expect(&session, session_text("there"), session_text("value"), cases[i].what);
        session_expect_none(&session, session_text("none"), cases[i].what);
    }
    submit_one(&session, with_condition(set_text("new", "1"), KVS_IF_ABSENT, ""), KVS_OK,
               "set if absent of a missing key");
    submit_one(&session, with_condition(set_text("new", "2"), KVS_IF_PRESENT, ""), KVS_OK,
               "set if present of a present key");
    submit_one(&session, with_condition(set_text("new", "3"), KVS_IF_EQUAL, "2"), KVS_OK,
               "set if equal to its value");
    session_expect(&session, session_text("new"), session_text("3"), "three conditions that held");
    submit_one(&session, with_condition(session_op_remove(session_text("new")), KVS_IF_EQUAL, "3"),
               KVS_OK, "remove if equal to its value");
    session_expect_none(&session, session_text("new"), "a remove whose condition held");
    session_close(&session);
}

void engine_submit_skips_failed(struct check *check)
{
    struct session session;
    session_open(&session, check);
    struct kvs_op ops[] = {set_text("a", "1"),
                           with_condition(set_text("b", "2"), KVS_IF_PRESENT, ""),
                           set_text("c", "3")};
    check_status(check, "submit with one failed condition, without ALL_OR_NONE", KVS_OK,
                 session_submit(&session, ops, 3, 0), NULL);
    check_status(check, "the operation whose condition failed", KVS_CONDITION_FAILED, ops[1].status,
                 NULL);
    check_status(check, "the operation before it", KVS_OK, ops[0].status, NULL);
    check_status(check, "the operation after it", KVS_OK, ops[2].status, NULL);
    session_expect(&session, session_text("a"), session_text("1"),
                   "a batch with a failed condition");
    session_expect(&session, session_text("c"), session_text("3"),
                   "a batch with a failed condition");
    session_expect_none(&session, session_text("b"), "its failed condition");
    session_close(&session);
}

void engine_submit_all_or_none(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("old"), session_text("value"));
    struct kvs_op ops[] = {set_text("a", "1"), session_op_remove(session_text("old")),
                           with_condition(set_text("b", "2"), KVS_IF_PRESENT, ""),
                           set_text("c", "3")};
    check_status(check, "an ALL_OR_NONE batch with a failed condition", KVS_CONDITION_FAILED,
                 session_submit(&session, ops, 4, KVS_BATCH_ALL_OR_NONE), NULL);
    check_status(check, "the operation whose condition failed", KVS_CONDITION_FAILED, ops[2].status,
                 NULL);
    check_status(check, "an operation whose condition held", KVS_OK, ops[0].status, NULL);
    session_expect_none(&session, session_text("a"), "an ALL_OR_NONE batch that failed");
    session_expect_none(&session, session_text("c"), "an ALL_OR_NONE batch that failed");
    session_expect(&session, session_text("old"), session_text("value"),
                   "an ALL_OR_NONE batch that failed");
    ops[2].condition = KVS_IF_ABSENT;
    check_status(check, "an ALL_OR_NONE batch whose conditions hold", KVS_OK,
                 session_submit(&session, ops, 4, KVS_BATCH_ALL_OR_NONE), NULL);
    session_expect(&session, session_text("a"), session_text("1"), "an ALL_OR_NONE batch");
    session_expect(&session, session_text("b"), session_text("2"), "an ALL_OR_NONE batch");
    session_expect_none(&session, session_text("old"), "an ALL_OR_NONE batch that removes it");
    session_close(&session);
}

void engine_submit_in_order(struct check *check)
{
    struct session session;
    session_open(&session, check);
    struct kvs_op ops[] = {
        with_condition(set_text("key", "1"), KVS_IF_ABSENT, ""),
        with_condition(set_text("key", "2"), KVS_IF_EQUAL, "1"),
        session_op_remove(session_text("key")),
        with_condition(set_text("key", "3"), KVS_IF_ABSENT, ""),
        with_condition(set_text("key", "4"), KVS_IF_EQUAL, "3"),
    };
    check_status(check, "submit of five operations on one key", KVS_OK,
                 session_submit(&session, ops, 5, 0), NULL);
    for (unsigned i = 0; i < 5; i++) {
        char what[64];
        (void)snprintf(what, sizeof(what), "operation %u, which sees those before it", i);
        check_status(check, what, KVS_OK, ops[i].status, NULL);
    }
    session_expect(&session, session_text("key"), session_text("4"), "five operations on it");
    session_close(&session);
}

static struct kvs_op check_text(const char *key, uint32_t condition, const char *expected)
{
    struct kvs_op op = {.kind = KVS_OP_CHECK, .key = session_text(key), .status = INT32_MIN};
    return with_condition(op, condition, expected);
}

void engine_submit_check(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("there"), session_text("value"));
    submit_one(&session, check_text("there", KVS_IF_EQUAL, "value"), KVS_OK,
               "check of a condition that holds");
    submit_one(&session, check_text("there", KVS_IF_ABSENT, ""), KVS_CONDITION_FAILED,
               "check of a condition that does not hold");
    struct kvs_op ops[] = {check_text("there", KVS_IF_EQUAL, "value"),
                           check_text("none", KVS_IF_ABSENT, ""), set_text("new", "1")};
    check_status(check, "an ALL_OR_NONE batch whose checks hold", KVS_OK,
                 session_submit(&session, ops, 3, KVS_BATCH_ALL_OR_NONE), NULL);
    ops[1] = check_text("new", KVS_IF_ABSENT, "");
    ops[2].value = session_text("2");
    check_status(check, "an ALL_OR_NONE batch with a check that fails", KVS_CONDITION_FAILED,
                 session_submit(&session, ops, 3, KVS_BATCH_ALL_OR_NONE), NULL);
    session_expect(&session, session_text("new"), session_text("1"), "a batch with a failed check");
    session_expect(&session, session_text("there"), session_text("value"), "checks of it");
    session_expect_none(&session, session_text("none"), "a check of it");
    session_close(&session);
}

/* Two writes, and between them one with a key over the limit. */
static void submit_with_too_large(struct session *session, struct kvs_op ops[3], uint32_t flags,
                                  kvs_status *ret_status)
{
    const uint64_t size = session->ops->key_max + 1;
    if (size > (UINT64_C(16) << 20))
        check_skip(session->check, "key_max is too far to go over it");
    void *key = check_memory(session->check, size);
    ops[0] = set_text("a", "1");
    ops[1] = session_op_set((struct kvs_bytes){key, size}, session_text("2"));
    ops[2] = set_text("c", "3");
    *ret_status = session_submit(session, ops, 3, flags);
    free(key);
}

void engine_submit_one_too_large(struct check *check)
{
    struct session session;
    struct kvs_op ops[3];
    kvs_status status;
    session_open(&session, check);
    submit_with_too_large(&session, ops, 0, &status);
    check_status(check, "submit with one operation over a limit", KVS_OK, status, NULL);
    check_status(check, "the operation over the limit", KVS_TOO_LARGE, ops[1].status, NULL);
    check_status(check, "the operation before it", KVS_OK, ops[0].status, NULL);
    session_expect(&session, session_text("a"), session_text("1"), "a batch with one too large");
    session_expect(&session, session_text("c"), session_text("3"), "a batch with one too large");
    session_close(&session);
}

void engine_submit_all_or_none_too_large(struct check *check)
{
    struct session session;
    struct kvs_op ops[3];
    kvs_status status;
    session_open(&session, check);
    submit_with_too_large(&session, ops, KVS_BATCH_ALL_OR_NONE, &status);
    check_status(check, "an ALL_OR_NONE batch with one operation over a limit", KVS_TOO_LARGE,
                 status, NULL);
    session_expect_none(&session, session_text("a"), "an ALL_OR_NONE batch that failed");
    session_expect_none(&session, session_text("c"), "an ALL_OR_NONE batch that failed");
    session_close(&session);
}

void engine_submit_limits(struct check *check)
{
    struct session session;
    session_open(&session, check);
    const uint64_t most = session.ops->batch_ops_max;
    const uint64_t count = most < OPS_TESTED_MAX ? most : OPS_TESTED_MAX;
    struct kvs_op *ops = check_memory(check, (count + 1) * sizeof(*ops));
    char(*keys)[SESSION_KEY_MAX] = check_memory(check, (count + 1) * sizeof(*keys));
    for (uint64_t i = 0; i <= count; i++)
        ops[i] = session_op_set(session_key(keys[i], (unsigned)i), session_text("v"));
    if (count == most) {
        check_doing(check, "a batch of batch_ops_max + 1 operations");
        check_status(check, "a batch of batch_ops_max + 1 operations", KVS_TOO_LARGE,
                     session_submit(&session, ops, count + 1, 0), NULL);
        session_expect_none(&session, ops[0].key, "a batch that gave KVS_TOO_LARGE");
    }
    uint64_t bytes = (UINT64_C(8) + 1) * count;
    if (bytes <= session.ops->batch_bytes_max) {
        check_doing(check, "a batch of %llu operations", (unsigned long long)count);
        check_status(check, "a batch as large as the engine says", KVS_OK,
                     session_submit(&session, ops, count, 0), NULL);
        for (uint64_t i = 0; i < count; i += 97)
            session_expect(&session, ops[i].key, session_text("v"), "a large batch");
    }
    free(ops);
    free(keys);
    session_close(&session);
}

void engine_submit_durable(struct check *check)
{
    struct session session;
    session_open(&session, check);
    struct kvs_op op = set_text("key", "value");
    check_status(check, "a batch with KVS_BATCH_DURABLE", KVS_OK,
                 session_submit(&session, &op, 1, KVS_BATCH_DURABLE), NULL);
    session_expect(&session, session_text("key"), session_text("value"), "a durable batch");
    session_close(&session);
}

/* ---- several at once ------------------------------------------------------------------------- */

struct flight {
    struct submission submission;
    struct kvs_op ops[2];
    char key[SESSION_KEY_MAX];
};

/* Starts IN_FLIGHT batches without waiting in between, then waits for all. */
static void fly(struct session *session, unsigned first_key)
{
    struct flight *flights = check_memory(session->check, IN_FLIGHT * sizeof(*flights));
    struct kvs_tls *tls = session_attach(session);
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        struct flight *flight = &flights[i];
        struct kvs_bytes key = session_key(flight->key, first_key + i);
        flight->ops[0] = session_op_set(key, key);
        flight->ops[1] = with_condition(session_op_set(key, key), KVS_IF_ABSENT, "");
        session_submission(&flight->submission, session, flight->ops, 2, 0);
        session_start(&flight->submission, tls);
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        check_status(session->check, "one of many batches under way", KVS_OK,
                     session_await(&flights[i].submission), NULL);
        check_status(session->check, "its first operation", KVS_OK, flights[i].ops[0].status, NULL);
        check_status(session->check, "its second operation, which sees the first",
                     KVS_CONDITION_FAILED, flights[i].ops[1].status, NULL);
    }
    session_detach(session, tls);
    free(flights);
}

static void fly_in_thread(void *arg, unsigned index)
{
    for (unsigned round = 0; round < 4; round++)
        fly(arg, (index * 4 + round) * IN_FLIGHT);
}

void engine_submit_completes_once(struct check *check)
{
    static const uint32_t modes[] = {KVS_DURABILITY_NONE, KVS_DURABILITY_ALWAYS};
    for (unsigned i = 0; i < 2; i++) {
        struct session session;
        session_open_in(&session, check, check->dir, KVS_OPEN_CREATE, modes[i]);
        check_threads(check, 4, fly_in_thread, &session);
        session_close(&session);
    }
}

/* One thread's batches, started without waiting, take effect in the order of their submits. */
void engine_submit_thread_order(struct check *check)
{
    struct session session;
    struct flight *flights = check_memory(check, IN_FLIGHT * sizeof(*flights));
    char values[IN_FLIGHT + 1][SESSION_KEY_MAX];
    session_open_in(&session, check, check->dir, KVS_OPEN_CREATE, KVS_DURABILITY_ALWAYS);
    session_put(&session, session_text("key"), session_key(values[0], 0));
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        struct flight *flight = &flights[i];
        flight->ops[0] = session_op_set(session_text("key"), session_key(values[i + 1], i + 1));
        flight->ops[0].condition = KVS_IF_EQUAL;
        flight->ops[0].expected = session_text(values[i]);
        session_submission(&flight->submission, &session, flight->ops, 1, 0);
        session_start(&flight->submission, NULL);
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        check_status(check, "one of a thread's batches", KVS_OK,
                     session_await(&flights[i].submission), NULL);
        check_status(check, "a condition on what the thread's batch before it wrote", KVS_OK,
                     flights[i].ops[0].status, NULL);
    }
    session_expect(&session, session_text("key"), session_text(values[IN_FLIGHT]),
                   "the last of a thread's batches");
    free(flights);
    session_close(&session);
}

/* What was completed is visible to a get that begins afterwards. */

static void write_and_read(void *arg, unsigned index)
{
    struct session *session = arg;
    for (unsigned i = 0; i < 100; i++) {
        char key[SESSION_KEY_MAX];
        struct kvs_bytes bytes = session_key(key, index * 1000 + i);
        struct kvs_op op = session_op_set(bytes, bytes);
        check_status(session->check, "submit", KVS_OK, session_submit(session, &op, 1, 0), NULL);
        session_expect(session, bytes, bytes, "the completion of its batch");
    }
}

void engine_submit_visible(struct check *check)
{
    struct session session;
    session_open(&session, check);
    check_threads(check, 4, write_and_read, &session);
    session_close(&session);
}
