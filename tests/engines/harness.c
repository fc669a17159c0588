/* See harness.h. */
#include "engines/harness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXIT_SKIPPED   77
#define OPTIONS_MAX    16u
#define THREAD_STACK   ((size_t)256 * 1024)
#define CHECKSUM_BYTES 8u

/* The engine under test: set once, before any test. */
static struct plugin *engine;

int engine_tests_run(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
                     size_t count)
{
    struct test_error error;
    test_error_init(&error);
    if (argc != 2) {
        print_error("usage: %s ENGINE\n", argv[0]);
        return EXIT_FAILURE;
    }
    kvs_status status =
        plugin_open(test_plugin_dirs(), KVS_PLUGIN_ENGINE, argv[1], &engine, &error.error);
    if (status == KVS_MISSING) {
        print_message("this build has no engine '%s': %s\n", argv[1], error.message);
        return EXIT_SKIPPED;
    }
    if (status != KVS_OK) {
        print_error("%s\n", error.message);
        return EXIT_FAILURE;
    }
    int failed = _cmocka_run_group_tests(group, tests, count, NULL, NULL);
    plugin_free(engine);
    return failed;
}

const struct kvs_engine_ops *engine_ops(void)
{
    return &engine->ops.engine;
}

bool engine_has(uint64_t capability)
{
    return (engine_ops()->capabilities & capability) == capability;
}

void engine_require(uint64_t capabilities)
{
    if (engine_has(capabilities))
        return;
    print_message("the engine does not offer what this test is about (%#llx)\n",
                  (unsigned long long)(capabilities & ~engine_ops()->capabilities));
    skip();
}

bool engine_has_option(const char *name)
{
    const struct kvs_plugin *descriptor = engine->descriptor;
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = (const void *)((const char *)descriptor->options +
                                                         (size_t)i * descriptor->option_stride);
        if (strcmp(option->name, name) == 0)
            return true;
    }
    return false;
}

/* ---- an open store ------------------------------------------------------------------------ */

static void sink(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    if (getenv("KVS_TEST_LOG") != NULL)
        (void)fprintf(stderr, "%u %s\n", level, message);
}

/* Those of the options whose names the engine knows. */
static uint32_t known_options(const struct session_config *config, const char *known[OPTIONS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->option_count && count < OPTIONS_MAX; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(config->options[i], "="),
                       config->options[i]);
        if (engine_has_option(name))
            known[count++] = config->options[i];
    }
    return count;
}

kvs_status session_try_open(struct session *session, const char *dir,
                            const struct session_config *config, struct test_error *error)
{
    static const struct session_config defaults = {0};
    const char *options[OPTIONS_MAX];
    if (config == NULL)
        config = &defaults;
    memset(session, 0, sizeof(*session));
    log_init(&session->log, KVS_LOG_DEBUG, sink, NULL);
    struct plugin_host_config host_config = {.plugin = engine,
                                             .log = &session->log,
                                             .options = options,
                                             .option_count = known_options(config, options)};
    kvs_status status = plugin_host_new(&host_config, &session->host, &error->error);
    if (status != KVS_OK)
        return status;
    struct kvs_engine_config engine_config = {
        .size = sizeof(engine_config),
        .flags = config->flags != 0 ? config->flags : KVS_OPEN_CREATE,
        .durability = config->durability != 0 ? config->durability : KVS_DURABILITY_NONE,
        .threads = 4,
        .sync_interval_ms = config->interval_ms != 0 ? config->interval_ms : 100,
        .data_dir = dir,
        .host = plugin_host_services(session->host),
    };
    status = engine_ops()->open(&engine_config, &session->db, &error->error);
    if (status != KVS_OK) {
        plugin_host_free(session->host);
        return status;
    }
    (void)pthread_mutex_init(&session->write_lock, NULL);
    return KVS_OK;
}

void session_open(struct session *session, const char *dir, const struct session_config *config)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, session_try_open(session, dir, config, &error), &error);
}

kvs_status session_try_close(struct session *session, struct test_error *error)
{
    kvs_status status = engine_ops()->close(session->db, error != NULL ? &error->error : NULL);
    plugin_host_free(session->host);
    (void)pthread_mutex_destroy(&session->write_lock);
    return status;
}

void session_close(struct session *session)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, session_try_close(session, &error), &error);
}

void session_reopen(struct session *session, const char *dir, const struct session_config *config)
{
    session_close(session);
    session_open(session, dir, config);
}

struct kvs_tls *session_attach(struct session *session)
{
    struct kvs_tls *tls = NULL;
    if (engine_has(KVS_ENGINE_HAS_THREADS) &&
        engine_ops()->thread_attach(session->db, &tls, NULL) != KVS_OK)
        return NULL;
    return tls;
}

void session_detach(struct session *session, struct kvs_tls *tls)
{
    if (tls != NULL)
        engine_ops()->thread_detach(session->db, tls);
}

/* ---- values ------------------------------------------------------------------------------- */

void copy_deinit(struct copy *copy)
{
    free(copy->data);
    *copy = (struct copy){NULL, 0, 0};
}

static int32_t copy_value(void *arg, struct kvs_bytes value)
{
    struct copy *copy = arg;
    if (copy->cap < value.len || copy->data == NULL) {
        free(copy->data);
        copy->cap = value.len + 1;
        copy->data = malloc(copy->cap);
        if (copy->data == NULL)
            abort();
    }
    if (value.len > 0)
        memcpy(copy->data, value.ptr, value.len);
    copy->len = value.len;
    return 0;
}

static uint64_t checksum(uint64_t seed, const void *from, uint64_t size)
{
    const uint8_t *bytes = from;
    uint64_t sum = seed;
    for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), bytes += sizeof(uint64_t))
        sum = (sum ^ load_le64(bytes)) * UINT64_C(0x9E3779B97F4A7C15) + (sum >> 29);
    for (uint64_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001B3);
    return sum ^ (sum >> 31);
}

/* Layout: number, size, filler that depends on both, and at the end the checksum. */
void pattern_make(struct kvs_bytes key, uint64_t number, void *value, uint64_t size)
{
    uint8_t *bytes = value;
    store_le64(bytes, number);
    store_le64(bytes + 8, size);
    memset(bytes + 16, (int)(number * 31 + size), size - 16);
    uint64_t seed = checksum(key.len, key.ptr, key.len);
    store_le64(bytes + size - CHECKSUM_BYTES, checksum(seed, bytes, size - CHECKSUM_BYTES));
}

bool pattern_check(struct kvs_bytes key, struct kvs_bytes value, uint64_t *ret_number)
{
    const uint8_t *bytes = value.ptr;
    if (value.len < PATTERN_MIN || load_le64(bytes + 8) != value.len)
        return false;
    uint64_t seed = checksum(key.len, key.ptr, key.len);
    if (load_le64(bytes + value.len - CHECKSUM_BYTES) !=
        checksum(seed, bytes, value.len - CHECKSUM_BYTES))
        return false;
    *ret_number = load_le64(bytes);
    return true;
}

struct kvs_bytes key_make(char text[KEY_TEXT_MAX], const char *prefix, uint64_t number)
{
    (void)snprintf(text, KEY_TEXT_MAX, "%s-%010llu", prefix, (unsigned long long)number);
    return bytes_of_text(text);
}

/* ---- operations --------------------------------------------------------------------------- */

static struct kvs_error *error_of(struct test_error *error)
{
    return error != NULL ? &error->error : NULL;
}

static void lock_writes(struct session *session)
{
    if (!engine_has(KVS_ENGINE_CONCURRENT_WRITERS))
        (void)pthread_mutex_lock(&session->write_lock);
}

static void unlock_writes(struct session *session)
{
    if (!engine_has(KVS_ENGINE_CONCURRENT_WRITERS))
        (void)pthread_mutex_unlock(&session->write_lock);
}

kvs_status session_set(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct kvs_bytes value, struct test_error *error)
{
    lock_writes(session);
    kvs_status status = engine_ops()->set(session->db, tls, key, value, error_of(error));
    unlock_writes(session);
    return status;
}

kvs_status session_remove(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                          struct test_error *error)
{
    lock_writes(session);
    kvs_status status = engine_ops()->remove(session->db, tls, key, error_of(error));
    unlock_writes(session);
    return status;
}

kvs_status session_get(struct session *session, struct kvs_tls *tls, struct kvs_bytes key,
                       struct copy *copy, struct test_error *error)
{
    return engine_ops()->get(session->db, tls, key, copy_value, copy, error_of(error));
}

void check_set(struct session *session, struct kvs_bytes key, struct kvs_bytes value)
{
    struct test_error error;
    test_error_init(&error);
    assert_status(KVS_OK, session_set(session, NULL, key, value, &error), &error);
}

void check_value(struct session *session, struct kvs_bytes key, struct kvs_bytes value)
{
    struct test_error error;
    struct copy copy = {NULL, 0, 0};
    test_error_init(&error);
    assert_status(KVS_OK, session_get(session, NULL, key, &copy, &error), &error);
    assert_int_equal(value.len, copy.len);
    if (value.len > 0)
        assert_memory_equal(value.ptr, copy.data, value.len);
    copy_deinit(&copy);
}

void check_missing(struct session *session, struct kvs_bytes key)
{
    struct test_error error;
    struct copy copy = {NULL, 0, 0};
    test_error_init(&error);
    assert_status(KVS_NOT_FOUND, session_get(session, NULL, key, &copy, &error), &error);
    assert_null(copy.data);
}

void check_set_pattern(struct session *session, struct kvs_bytes key, uint64_t number,
                       uint64_t size)
{
    void *value = malloc(size);
    assert_non_null(value);
    pattern_make(key, number, value, size);
    check_set(session, key, bytes_of(value, size));
    free(value);
}

void check_pattern(struct session *session, struct kvs_bytes key, uint64_t number)
{
    struct test_error error;
    struct copy copy = {NULL, 0, 0};
    uint64_t found = 0;
    test_error_init(&error);
    assert_status(KVS_OK, session_get(session, NULL, key, &copy, &error), &error);
    assert_true(pattern_check(key, bytes_of(copy.data, copy.len), &found));
    assert_int_equal(number, found);
    copy_deinit(&copy);
}

static void take_key_count(void *arg, const char *name, uint64_t value)
{
    if (strcmp(name, "keys") == 0)
        *(uint64_t *)arg = value;
}

uint64_t session_key_count(struct session *session)
{
    uint64_t count = UINT64_MAX;
    if (engine_has(KVS_ENGINE_HAS_STATS))
        engine_ops()->stats(session->db, take_key_count, &count);
    return count;
}

/* ---- batches ------------------------------------------------------------------------------- */

static void on_complete(void *arg, struct kvs_batch *batch, kvs_status status)
{
    struct submission *submission = arg;
    (void)batch;
    (void)pthread_mutex_lock(&submission->mutex);
    submission->status = status;
    submission->complete_count++;
    (void)pthread_cond_broadcast(&submission->changed);
    (void)pthread_mutex_unlock(&submission->mutex);
}

void submission_init(struct submission *submission, struct kvs_op *ops, uint64_t count,
                     uint32_t flags)
{
    memset(submission, 0, sizeof(*submission));
    test_error_init(&submission->error);
    (void)pthread_mutex_init(&submission->mutex, NULL);
    (void)pthread_cond_init(&submission->changed, NULL);
    submission->batch = (struct kvs_batch){.size = sizeof(submission->batch),
                                           .flags = flags,
                                           .ops = ops,
                                           .op_count = count,
                                           .complete = on_complete,
                                           .arg = submission,
                                           .err = &submission->error.error};
}

void submission_deinit(struct submission *submission)
{
    (void)pthread_cond_destroy(&submission->changed);
    (void)pthread_mutex_destroy(&submission->mutex);
}

kvs_status submission_start(struct session *session, struct kvs_tls *tls,
                            struct submission *submission)
{
    lock_writes(session);
    kvs_status status = engine_ops()->submit(session->db, tls, &submission->batch);
    unlock_writes(session);
    return status;
}

kvs_status submission_wait(struct submission *submission, kvs_status started)
{
    struct timespec deadline;
    if (started != KVS_PENDING)
        return started;
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += support_wait_ms() / 1000;
    (void)pthread_mutex_lock(&submission->mutex);
    int code = 0;
    while (submission->complete_count == 0 && code == 0)
        code = pthread_cond_timedwait(&submission->changed, &submission->mutex, &deadline);
    kvs_status status = submission->complete_count != 0 ? submission->status : KVS_TIMEOUT;
    (void)pthread_mutex_unlock(&submission->mutex);
    return status;
}

kvs_status session_submit(struct session *session, struct kvs_tls *tls, struct kvs_op *ops,
                          uint64_t count, uint32_t flags, struct test_error *error)
{
    struct submission *submission = malloc(sizeof(*submission));
    if (submission == NULL)
        abort();
    submission_init(submission, ops, count, flags);
    kvs_status started = submission_start(session, tls, submission);
    kvs_status status = submission_wait(submission, started);
    if (status == KVS_TIMEOUT)
        return status; /* and no free: the engine may still complete it */
    (void)pthread_mutex_lock(&submission->mutex);
    if (submission->complete_count != (started == KVS_PENDING ? 1u : 0u))
        status = KVS_INTERNAL;
    (void)pthread_mutex_unlock(&submission->mutex);
    if (error != NULL) {
        error->error.status = submission->error.error.status;
        memcpy(error->message, submission->error.message, sizeof(error->message));
    }
    submission_deinit(submission);
    free(submission);
    return status;
}

struct kvs_op op_set(struct kvs_bytes key, struct kvs_bytes value)
{
    return (struct kvs_op){.kind = KVS_OP_SET, .key = key, .value = value, .status = INT32_MIN};
}

struct kvs_op op_remove(struct kvs_bytes key)
{
    return (struct kvs_op){.kind = KVS_OP_REMOVE, .key = key, .status = INT32_MIN};
}

struct kvs_op op_check(struct kvs_bytes key)
{
    return (struct kvs_op){.kind = KVS_OP_CHECK, .key = key, .status = INT32_MIN};
}

/* ---- threads ------------------------------------------------------------------------------- */

void faults_add(struct faults *faults, const char *format, ...)
{
    if (atomic_fetch_add(&faults->count, 1) != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(faults->first, sizeof(faults->first), format, arguments);
    va_end(arguments);
}

void faults_check_at(struct faults *faults, const char *file, int line)
{
    unsigned count = atomic_load(&faults->count);
    if (count == 0)
        return;
    print_error("%u faults, the first: %s\n", count, faults->first);
    _fail(file, line);
}

struct thread_start {
    pthread_t thread;
    unsigned index;
    void (*run)(void *arg, unsigned index);
    void *arg;
};

static void *run_thread(void *arg)
{
    struct thread_start *start = arg;
    start->run(start->arg, start->index);
    return NULL;
}

void run_threads(unsigned count, void (*run)(void *arg, unsigned index), void *arg)
{
    struct thread_start *starts = calloc(count, sizeof(*starts));
    pthread_attr_t attributes;
    assert_non_null(starts);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    unsigned started = 0;
    for (; started < count; started++) {
        starts[started] = (struct thread_start){.index = started, .run = run, .arg = arg};
        if (pthread_create(&starts[started].thread, &attributes, run_thread, &starts[started]) != 0)
            break;
    }
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(starts[i].thread, NULL);
    (void)pthread_attr_destroy(&attributes);
    free(starts);
    assert_int_equal(count, started);
}
