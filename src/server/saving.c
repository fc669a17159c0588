/*
 * See saving.h. One save at a time: `state.running` is taken under the lock, and whoever took it writes
 * the checkpoint, on its own thread or on one made for it.
 *
 * I1  Only folders whose names this file makes are ever removed, and only their plain files; anything
 *     else in one leaves it where it is.
 */
#include "server/saving.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/store_marker.h"

#define NAME_PREFIX  "checkpoint-"
#define NAME_PATTERN "^checkpoint-[0-9]{8}T[0-9]{6}\\.[0-9]{3}Z$"
#define NAME_SIZE    64u

struct saving {
    /* Constant. */
    struct store *store;
    char *folder;
    uint32_t keep;
    const struct log *log;

    pthread_mutex_t lock; /* guards everything below */
    struct save_state state;
    pthread_t thread;
    bool has_thread; /* thread is to be joined */
};

struct saving *saving_new(struct store *store, const char *folder, uint32_t keep,
                          const struct log *log)
{
    struct saving *saving = calloc(1, sizeof(*saving));
    if (saving == NULL)
        return NULL;
    saving->store = store;
    saving->folder = g_strdup(folder);
    saving->keep = keep;
    saving->log = log;
    saving->state.last_success_s = time(NULL);
    (void)pthread_mutex_init(&saving->lock, NULL);
    return saving;
}

void saving_free(struct saving *saving)
{
    if (saving == NULL)
        return;
    if (saving->has_thread)
        (void)pthread_join(saving->thread, NULL);
    (void)pthread_mutex_destroy(&saving->lock);
    g_free(saving->folder);
    free(saving);
}

/* ---- old ones ----------------------------------------------------------------------------- */

static gint newest_first(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)b, *(const char *const *)a);
}

/* False: it was cut off, or is being made by somebody else. */
static bool is_whole(const char *folder, const char *name)
{
    g_autofree char *marker = g_build_filename(folder, name, STORE_MARKER_NAME, NULL);
    return access(marker, F_OK) == 0;
}

/* The checkpoints that are whole, newest first. */
static GPtrArray *list_checkpoints(const char *folder)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        if (g_regex_match_simple(NAME_PATTERN, name, 0, 0) && is_whole(folder, name))
            g_ptr_array_add(names, g_strdup(name));
    }
    if (dir != NULL)
        g_dir_close(dir);
    g_ptr_array_sort(names, newest_first);
    return names;
}

/* I1. False: something is left. */
static bool remove_checkpoint(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        GStatBuf status;
        if (g_lstat(file, &status) == 0 && S_ISREG(status.st_mode))
            (void)unlink(file);
    }
    if (dir != NULL)
        g_dir_close(dir);
    return rmdir(path) == 0;
}

static void remove_old(const struct saving *saving)
{
    if (saving->keep == 0)
        return;
    g_autoptr(GPtrArray) names = list_checkpoints(saving->folder);
    for (guint i = saving->keep; i < names->len; i++) {
        g_autofree char *path = g_build_filename(saving->folder, g_ptr_array_index(names, i), NULL);
        if (!remove_checkpoint(path))
            log_warn(saving->log, "cannot remove the old checkpoint %s: %s", path, strerror(errno));
    }
}

/* ---- saving ------------------------------------------------------------------------------- */

static void make_name(char name[NAME_SIZE])
{
    struct timespec now;
    struct tm calendar;
    char seconds[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &calendar);
    (void)strftime(seconds, sizeof(seconds), "%Y%m%dT%H%M%S", &calendar);
    (void)g_snprintf(name, NAME_SIZE, NAME_PREFIX "%s.%03uZ", seconds,
                     (unsigned)(now.tv_nsec / 1000000));
}

static kvs_status write_checkpoint(const struct saving *saving, struct kvs_error *err)
{
    char name[NAME_SIZE];
    make_name(name);
    if (g_mkdir_with_parents(saving->folder, 0700) != 0)
        return kvs_error_set(err, KVS_IO, errno, "cannot make the folder for checkpoints %s: %s",
                             saving->folder, strerror(errno));
    g_autofree char *path = g_build_filename(saving->folder, name, NULL);
    kvs_status status = store_checkpoint(saving->store, path, err);
    if (status != KVS_OK) {
        (void)remove_checkpoint(path);
        return status;
    }
    log_info(saving->log, "wrote the checkpoint %s", path);
    remove_old(saving);
    return KVS_OK;
}

/* Writes the checkpoint for which `running` was taken, and gives it back. */
static kvs_status save(struct saving *saving, struct kvs_error *err)
{
    kvs_status status = write_checkpoint(saving, err);
    (void)pthread_mutex_lock(&saving->lock);
    saving->state.running = false;
    saving->state.last_failed = status != KVS_OK;
    if (status == KVS_OK) {
        saving->state.count++;
        saving->state.last_success_s = time(NULL);
    }
    (void)pthread_mutex_unlock(&saving->lock);
    return status;
}

static void *save_on_thread(void *arg)
{
    struct saving *saving = arg;
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    if (save(saving, &error) != KVS_OK)
        log_error(saving->log, "no checkpoint was written: %s", message);
    return NULL;
}

/* Takes `running`. False: a save runs. */
static bool begin(struct saving *saving)
{
    (void)pthread_mutex_lock(&saving->lock);
    bool taken = !saving->state.running;
    if (taken && saving->has_thread) { /* it has given `running` back and is about to end */
        (void)pthread_join(saving->thread, NULL);
        saving->has_thread = false;
    }
    if (taken)
        saving->state.running = true;
    (void)pthread_mutex_unlock(&saving->lock);
    return taken;
}

kvs_status saving_save(struct saving *saving, bool in_background, struct kvs_error *err)
{
    if (saving->folder == NULL)
        return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                             "no folder for checkpoints is configured; start the server with "
                             "--checkpoint-dir");
    if (!begin(saving))
        return kvs_error_set(err, KVS_BUSY, 0, "a checkpoint is being written");
    if (!in_background)
        return save(saving, err);
    (void)pthread_mutex_lock(&saving->lock);
    int code = pthread_create(&saving->thread, NULL, save_on_thread, saving);
    saving->has_thread = code == 0;
    if (code != 0)
        saving->state.running = false;
    (void)pthread_mutex_unlock(&saving->lock);
    return code == 0 ? KVS_OK
                     : kvs_error_set(err, KVS_NO_MEMORY, code, "cannot start a thread: %s",
                                     strerror(code));
}

void saving_state(struct saving *saving, struct save_state *ret)
{
    (void)pthread_mutex_lock(&saving->lock);
    *ret = saving->state;
    (void)pthread_mutex_unlock(&saving->lock);
}
