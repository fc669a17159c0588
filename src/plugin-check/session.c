/*
 * See session.h. A submission's completion counter is the hand-over: complete() writes the status,
 * then adds to the counter (release); whoever waits reads it (acquire). A completion that comes
 * twice is found when the submission is waited for, or when the session is closed: engines may not
 * complete anything later than that.
 */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define SYNC_INTERVAL_MS 50u
#define BUSY_PAUSE_NS    1000000L
#define SETTLE_NS        200000L

/* ---- open and close -------------------------------------------------------------------------- */

bool session_has(const struct check *check, uint64_t capabilities)
{
    return (check->plugin->ops.engine.capabilities & capabilities) == capabilities;
}

kvs_status session_try_open(struct session *session, struct check *check, const char *dir,
                            uint32_t flags, uint32_t durability, struct check_error *error)
{
    memset(session, 0, sizeof(*session));
    check_error_init(error);
    session->check = check;
    session->ops = &check->plugin->ops.engine;
    session->dir = dir;
    session->durability = durability;
    const struct plugin_host_config host_config = {.plugin = check->plugin,
                                                   .log = &check->log,
                                                   .options = check->options,
                                                   .option_count = check->option_count};
    kvs_status status = plugin_host_new(&host_config, &session->host, &error->error);
    if (status != KVS_OK)
        check_skip(check, "%s", error->message);
    const struct kvs_engine_config config = {
        .size = (uint32_t)sizeof(config),
        .flags = flags,
        .durability = durability,
        .threads = 4,
        .sync_interval_ms = SYNC_INTERVAL_MS,
        .data_dir = dir,
        .host = plugin_host_services(session->host),
    };
    status = session->ops->open(&config, &session->db, &error->error);
    if (status != KVS_OK) {
        plugin_host_free(session->host);
        return status;
    }
    (void)pthread_mutex_init(&session->write_lock, NULL);
    return KVS_OK;
}

void session_open_in(struct session *session, struct check *check, const char *dir, uint32_t flags,
                     uint32_t durability)
{
    struct check_error error;
    check_doing(check, "open");
    check_status(check, "open", KVS_OK,
                 session_try_open(session, check, dir, flags, durability, &error), &error);
    check_doing(check, "using an open store");
}

void session_open(struct session *session, struct check *check)
{
    session_open_in(session, check, check->dir, KVS_OPEN_CREATE, KVS_DURABILITY_NONE);
}

void session_close(struct session *session)
{
    struct check_error error;
    check_error_init(&error);
    check_doing(session->check, "close");
    check_status(session->check, "close", KVS_OK, session->ops->close(session->db, &error.error),
                 &error);
    plugin_host_free(session->host);
    (void)pthread_mutex_destroy(&session->write_lock);
    check_doing(session->check, "after close");
}

void session_reopen(struct session *session)
{
    session_close(session);
    session_open_in(session, session->check, session->dir, KVS_OPEN_CREATE, session->durability);
}

/* ---- bytes --------------------------------------------------------------------------------- */

struct kvs_bytes session_text(const char *text)
{
    return (struct kvs_bytes){text, strlen(text)};
}

struct kvs_bytes session_key(char text[SESSION_KEY_MAX], unsigned number)
{
    (void)snprintf(text, SESSION_KEY_MAX, "k%07u", number % 10000000u);
    return session_text(text);
}

bool session_equal(struct kvs_bytes a, struct kvs_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int32_t session_visit(void *arg, struct kvs_bytes value)
{
    struct shown *shown = arg;
    free(shown->data);
    shown->calls++;
    shown->len = value.len;
    shown->data = malloc(value.len + 1);
    if (shown->data == NULL)
        abort();
    if (value.len > 0)
        memcpy(shown->data, value.ptr, value.len);
    return shown->answer;
}

void session_forget(struct shown *shown)
{
    free(shown->data);
    *shown = (struct shown){.calls = 0};
}

/* ---- operations ---------------------------------------------------------------------------- */

static struct kvs_error *error_of(struct check_error *error)
{
    return error != NULL ? &error->error : NULL;
}

static void lock_writes(struct session *session)
{
    if ((session->ops->capabilities & KVS_ENGINE_CONCURRENT_WRITERS) == 0)
        (void)pthread_mutex_lock(&session->write_lock);
}

static void unlock_writes(struct session *session)
{
    if ((session->ops->capabilities & KVS_ENGINE_CONCURRENT_WRITERS) == 0)
        (void)pthread_mutex_unlock(&session->write_lock);
}

static uint64_t deadline_of(const struct check *check)
{
    return clock_now_ns() + (uint64_t)check->wait_ms * 1000000u;
}

/* True when the same call is worth another try. */
static bool is_busy(struct session *session, kvs_status status, uint64_t deadline_ns)
{
    const struct timespec pause_time = {0, BUSY_PAUSE_NS};
    if (status != KVS_BUSY)
        return false;
    if (clock_now_ns() > deadline_ns)
        check_fail(session->check, "a write gives KVS_BUSY for %u ms on end",
                   session->check->wait_ms);
    (void)nanosleep(&pause_time, NULL);
    return true;
}

kvs_status session_set(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct kvs_bytes value, struct check_error *error)
{
    uint64_t deadline_ns = deadline_of(session->check);
    kvs_status status;
    do {
        lock_writes(session);
        status = session->ops->set(session->db, tls, key, value, error_of(error));
        unlock_writes(session);
    } while (is_busy(session, status, deadline_ns));
    return status;
}

kvs_status session_remove(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                          struct check_error *error)
{
    uint64_t deadline_ns = deadline_of(session->check);
    kvs_status status;
    do {
        lock_writes(session);
        status = session->ops->remove(session->db, tls, key, error_of(error));
        unlock_writes(session);
    } while (is_busy(session, status, deadline_ns));
    return status;
}

kvs_status session_get(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct shown *shown, struct check_error *error)
{
    return session->ops->get(session->db, tls, key, session_visit, shown, error_of(error));
}

void session_put(struct session *session, struct kvs_bytes key, struct kvs_bytes value)
{
    struct check_error error;
    check_error_init(&error);
    check_status(session->check, "set", KVS_OK, session_set(session, NULL, key, value, &error),
                 &error);
}

void session_drop(struct session *session, struct kvs_bytes key)
{
    struct check_error error;
    check_error_init(&error);
    check_status(session->check, "remove of a key that is there", KVS_OK,
                 session_remove(session, NULL, key, &error), &error);
}

void session_expect(struct session *session, struct kvs_bytes key, struct kvs_bytes value,
                    const char *after)
{
    struct check_error error;
    struct shown shown = {.calls = 0};
    char what[128];
    check_error_init(&error);
    (void)snprintf(what, sizeof(what), "get after %s", after);
    check_status(session->check, what, KVS_OK, session_get(session, NULL, key, &shown, &error),
                 &error);
    CHECK(session->check, shown.calls == 1, "get gave KVS_OK and called the visitor %u times",
          shown.calls);
    CHECK(session->check, session_equal(value, (struct kvs_bytes){shown.data, shown.len}),
          "get after %s showed another value than was set (%llu bytes, not %llu)", after,
          (unsigned long long)shown.len, (unsigned long long)value.len);
    session_forget(&shown);
}

void session_expect_none(struct session *session, struct kvs_bytes key, const char *after)
{
    struct check_error error;
    struct shown shown = {.calls = 0};
    char what[128];
    check_error_init(&error);
    (void)snprintf(what, sizeof(what), "get of a missing key after %s", after);
    check_status(session->check, what, KVS_NOT_FOUND,
                 session_get(session, NULL, key, &shown, &error), &error);
    CHECK(session->check, shown.calls == 0, "get gave KVS_NOT_FOUND and called the visitor");
}

struct key_figure {
    unsigned count;
    uint64_t value;
};

static void take_keys(void *arg, const char *name, uint64_t value)
{
    struct key_figure *figure = arg;
    if (strcmp(name, "keys") != 0)
        return;
    figure->count++;
    figure->value = value;
}

uint64_t session_count_keys(struct session *session)
{
    struct key_figure figure = {0, 0};
    session->ops->stats(session->db, take_keys, &figure);
    CHECK(session->check, figure.count == 1, "stats reported the figure \"keys\" %u times",
          figure.count);
    return figure.value;
}

struct kvs_tls *session_attach(struct session *session)
{
    struct kvs_tls *tls = NULL;
    struct check_error error;
    if ((session->ops->capabilities & KVS_ENGINE_HAS_THREADS) == 0)
        return NULL;
    check_error_init(&error);
    check_status(session->check, "thread_attach", KVS_OK,
                 session->ops->thread_attach(session->db, &tls, &error.error), &error);
    return tls;
}

void session_detach(struct session *session, struct kvs_tls *tls)
{
    if ((session->ops->capabilities & KVS_ENGINE_HAS_THREADS) != 0)
        session->ops->thread_detach(session->db, tls);
}

/* ---- batches ------------------------------------------------------------------------------- */

struct kvs_op session_op_set(struct kvs_bytes key, struct kvs_bytes value)
{
    return (struct kvs_op){.kind = KVS_OP_SET, .key = key, .value = value, .status = INT32_MIN};
}

struct kvs_op session_op_remove(struct kvs_bytes key)
{
    return (struct kvs_op){.kind = KVS_OP_REMOVE, .key = key, .status = INT32_MIN};
}

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct submission *submission = arg;
    CHECK(submission->session->check, batch == &submission->batch,
          "complete() was called with another batch than its own");
    submission->status = status;
    (void)atomic_fetch_add_explicit(&submission->completions, 1, memory_order_release);
}

void session_submission(struct submission *submission, struct session *session, struct kvs_op *ops,
                        uint64_t count, uint32_t flags)
{
    memset(submission, 0, sizeof(*submission));
    check_error_init(&submission->error);
    submission->session = session;
    submission->batch = (struct kvs_batch){.size = (uint32_t)sizeof(submission->batch),
                                           .flags = flags,
                                           .ops = ops,
                                           .op_count = count,
                                           .complete = on_complete,
                                           .arg = submission,
                                           .err = &submission->error.error};
}

void session_start(struct submission *submission, struct kvs_tls *tls)
{
    struct session *session = submission->session;
    uint64_t deadline_ns = deadline_of(session->check);
    do {
        lock_writes(session);
        submission->started = session->ops->submit(session->db, tls, &submission->batch);
        unlock_writes(session);
    } while (is_busy(session, submission->started, deadline_ns));
}

static bool is_completed(void *arg)
{
    struct submission *submission = arg;
    return atomic_load_explicit(&submission->completions, memory_order_acquire) > 0;
}

kvs_status session_await(struct submission *submission)
{
    struct check *check = submission->session->check;
    const struct timespec settle_time = {0, SETTLE_NS};
    if (submission->started == KVS_PENDING && !check_wait_quietly(check, is_completed, submission))
        check_fail(check, "submit gave KVS_PENDING, and after %u ms complete() was not called",
                   check->wait_ms);
    if (submission->started == KVS_PENDING)
        (void)nanosleep(&settle_time, NULL); /* for one that comes once more */
    unsigned wanted = submission->started == KVS_PENDING ? 1 : 0;
    unsigned completions = atomic_load_explicit(&submission->completions, memory_order_acquire);
    CHECK(check, completions == wanted, "submit gave '%s', and complete() was called %u times",
          kvs_status_text(submission->started), completions);
    return submission->started == KVS_PENDING ? submission->status : submission->started;
}

kvs_status session_submit(struct session *session, struct kvs_op *ops, uint64_t count,
                          uint32_t flags)
{
    struct submission submission;
    session_submission(&submission, session, ops, count, flags);
    session_start(&submission, NULL);
    return session_await(&submission);
}
