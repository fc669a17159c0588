/*
 * See filler.h. In the filler's process a second thread looks at the process's memory every few
 * milliseconds while the store is filled; peak is written by it alone and read after it was joined.
 */
#include "engine/filler.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "engine/fixture.h"
#include "harness/usage.h"

#define REPORT_FORMAT "filled %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %lf"
#define LOOK_EVERY_NS (2 * NS_PER_MS)

/* ---- our side ----------------------------------------------------------------------------- */

/* Reads one line, without buffering ahead; false at the end of the stream. */
static bool read_line(int fd, char *line, size_t cap)
{
    size_t size = 0;
    while (size + 1 < cap) {
        ssize_t got = read(fd, line + size, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || line[size] == '\n')
            break;
        size++;
    }
    line[size] = '\0';
    return size > 0;
}

static GPtrArray *filler_arguments(const char *const *arguments, const struct peer *peer,
                                   const struct data *data, const char *dir)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
    for (size_t i = 0; arguments[i] != NULL; i++)
        g_ptr_array_add(all, g_strdup(arguments[i]));
    g_ptr_array_add(all, g_strdup_printf("--fill=%s", dir));
    g_ptr_array_add(all, g_strdup_printf("--peers=%s", peer->name));
    g_ptr_array_add(all, g_strdup_printf("--keys=%" PRIu64, data->keys));
    g_ptr_array_add(all, g_strdup_printf("--value-size=%" PRIu32, data->value_size));
    g_ptr_array_add(all, g_strdup_printf("--seed=%" PRIu64, data->seed));
    g_ptr_array_add(all, NULL);
    return all;
}

kvs_status filler_start(const char *const *arguments, const struct peer *peer,
                        const struct data *data, const char *dir, struct filler *ret,
                        struct kvs_error *err)
{
    char line[256];
    GError *error = NULL;
    struct filler filler = {0};
    struct filler_report *report = &filler.report;
    GPtrArray *all = filler_arguments(arguments, peer, data, dir);
    gboolean started = g_spawn_async_with_pipes(NULL, (gchar **)all->pdata, NULL,
                                                G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &filler.pid,
                                                &filler.stdin_fd, &filler.stdout_fd, NULL, &error);
    g_ptr_array_free(all, TRUE);
    if (!started) {
        kvs_error_set(err, KVS_IO, 0, "cannot start a filler: %s", error->message);
        g_error_free(error);
        return KVS_IO;
    }
    bool said = read_line(filler.stdout_fd, line, sizeof(line)) &&
                sscanf(line, REPORT_FORMAT, &report->before_bytes, &report->peak_bytes,
                       &report->filled_bytes, &report->resident_bytes, &report->fill_s) == 5;
    if (!said) {
        bool died = filler_stop(&filler, true, NULL) != KVS_OK;
        return kvs_error_set(err, KVS_IO, 0, "the filler of %s did not fill the store%s",
                             peer->name, died ? ": it ended early" : "");
    }
    *ret = filler;
    return KVS_OK;
}

kvs_status filler_stop(struct filler *filler, bool kill_it, struct kvs_error *err)
{
    int state = 0;
    if (kill_it)
        (void)kill(filler->pid, SIGKILL);
    (void)close(filler->stdin_fd);
    (void)close(filler->stdout_fd);
    while (waitpid(filler->pid, &state, 0) < 0 && errno == EINTR)
        continue;
    bool as_expected = kill_it ? WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL
                               : WIFEXITED(state) && WEXITSTATUS(state) == 0;
    return as_expected ? KVS_OK
                       : kvs_error_set(err, KVS_IO, 0, "the filler ended with state %d", state);
}

/* ---- the filler's side -------------------------------------------------------------------- */

struct watch {
    _Atomic bool stop; /* written once by the filler, relaxed: nothing follows from it */
    uint64_t peak_bytes;
};

static void *watch_main(void *arg)
{
    struct watch *watch = arg;
    const struct timespec pause = {.tv_nsec = (long)LOOK_EVERY_NS};
    while (!atomic_load_explicit(&watch->stop, memory_order_relaxed)) {
        uint64_t now_bytes = usage_memory_now().anonymous_bytes;
        if (now_bytes > watch->peak_bytes)
            watch->peak_bytes = now_bytes;
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

/* Fills the store with an eye on the memory. */
static kvs_status fill_watched(const struct peer *peer, const struct data *data, const char *dir,
                               struct filler_report *report, struct peer_store **ret_store,
                               struct kvs_error *err)
{
    pthread_t watcher;
    struct watch watch = {0};
    report->before_bytes = usage_memory_now().anonymous_bytes;
    kvs_status status = fixture_store_open(peer, data, dir, false, 1, ret_store, err);
    if (status != KVS_OK)
        return status;
    bool watched = pthread_create(&watcher, NULL, watch_main, &watch) == 0;
    uint64_t begin_ns = clock_now_ns();
    status = fixture_fill(peer, *ret_store, data, err);
    report->fill_s = (double)(clock_now_ns() - begin_ns) / (double)NS_PER_S;
    atomic_store_explicit(&watch.stop, true, memory_order_relaxed);
    if (watched)
        (void)pthread_join(watcher, NULL);
    struct usage_memory memory = usage_memory_now();
    report->filled_bytes = memory.anonymous_bytes;
    report->resident_bytes = memory.resident_bytes;
    report->peak_bytes =
        watch.peak_bytes > report->filled_bytes ? watch.peak_bytes : report->filled_bytes;
    return status;
}

int filler_main(const struct peer *peer, const struct data *data, const char *dir)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct filler_report report = {0};
    struct peer_store *store = NULL;
    char byte;
    kvs_status status = fill_watched(peer, data, dir, &report, &store, &error);
    if (status == KVS_OK) {
        (void)printf(REPORT_FORMAT "\n", report.before_bytes, report.peak_bytes,
                     report.filled_bytes, report.resident_bytes, report.fill_s);
        (void)fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
            continue;
    }
    if (store != NULL) {
        kvs_status closed = peer->ops->close(store, &error);
        status = status == KVS_OK ? closed : status;
    }
    if (status != KVS_OK)
        (void)fprintf(stderr, "kvs-bench: filling %s: %s\n", peer->name, message);
    return status == KVS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
