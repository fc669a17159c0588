/* See instance.h. The servers' output goes to the file "log" in their folder. */
#include "server/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/folder.h"

#define START_LIMIT_NS (10 * NS_PER_S)
#define STOP_LIMIT_NS  (10 * NS_PER_S)
#define POLL_NS        (5 * NS_PER_MS)
#define LOG_TAIL       300u /* bytes of a log in a message */
#define ARGUMENTS_MAX  24u

const struct instance_kind instance_kinds[] = {
    {"kvs-log", "kvs-server", "resp", true, true},
    {"kvs-native", "kvs-server", "kvs", true, true},
    {"redis", "redis-server", "resp", false, true},
    {"memcached", "memcached", "memcached", false, false},
};
const size_t instance_kind_count = G_N_ELEMENTS(instance_kinds);

const char *instance_sync_text(enum instance_sync sync)
{
    static const char *const texts[] = {"none", "interval", "always"};
    return texts[sync];
}

char *instance_program(const struct instance_kind *kind)
{
    static const char *const places[] = {"", "../src/server"}; /* installed; in a build folder */
    _cleanup_(freep) char *own = g_file_read_link("/proc/self/exe", NULL);
    if (kind->ours && own != NULL) {
        _cleanup_(freep) char *folder = g_path_get_dirname(own);
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
            _cleanup_(freep) char *path = g_build_filename(folder, places[i], kind->program, NULL);
            if (g_file_test(path, G_FILE_TEST_IS_EXECUTABLE))
                return TAKE(path);
        }
    }
    return g_find_program_in_path(kind->program);
}

/* A port of 127.0.0.1 that is free now. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    uint16_t port = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (bind(fd, (struct sockaddr *)&address, size) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        port = ntohs(address.sin_port);
    (void)close(fd);
    return port;
}

static bool accepts(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool connected = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    (void)close(fd);
    return connected;
}

/* Fills in the command line behind the program; the texts in it live as long as port and dir. */
static void arguments_of(const struct instance_kind *kind, enum instance_sync sync,
                         const char *port, const char *address, const char *dir, const char **to)
{
    static const char *const kvs_sync[] = {"none", "interval:1000", "always"};
    static const char *const redis_fsync[] = {"no", "everysec", "always"};
    const char *const kvs[] = {"--addr", address,  "--engine",     "log", "--data-dir",
                               dir,      "--sync", kvs_sync[sync], NULL};
    const char *const redis[] = {"--port",
                                 port,
                                 "--bind",
                                 "127.0.0.1",
                                 "--save",
                                 "",
                                 "--appendonly",
                                 sync == INSTANCE_NONE ? "no" : "yes",
                                 "--appendfsync",
                                 redis_fsync[sync],
                                 "--dir",
                                 dir,
                                 NULL};
    const char *const memcached[] = {"-p",   port, "-l",    "127.0.0.1", "-U",     "0", "-m",
                                     "1024", "-c", "20000", "-u",        "nobody", NULL};
    const char *const *from = kind->ours                                ? kvs
                              : strcmp(kind->program, "memcached") == 0 ? memcached
                                                                        : redis;
    for (size_t i = 0; from[i] != NULL; i++)
        *to++ = from[i];
    *to = NULL;
}

static void in_child(gpointer data)
{
    const char *log = data;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0)
        return;
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
}

static char *log_path(const struct instance *instance)
{
    return g_build_filename(instance->dir, "log", NULL);
}

/* The end of what the server has said, as one line. */
static char *log_tail(const struct instance *instance)
{
    _cleanup_(freep) char *path = log_path(instance);
    _cleanup_(freep) gchar *text = NULL;
    gsize size = 0;
    if (!g_file_get_contents(path, &text, &size, NULL))
        return g_strdup("");
    char *tail = g_strdup(size > LOG_TAIL ? text + size - LOG_TAIL : text);
    return g_strdelimit(g_strchomp(tail), "\n\r", ' ');
}

/* Waits until the server accepts connections. */
static kvs_status wait_ready(struct instance *instance, struct kvs_error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    uint64_t end_ns = clock_now_ns() + START_LIMIT_NS;
    for (;;) {
        int state;
        if (waitpid(instance->pid, &state, WNOHANG) == instance->pid) {
            _cleanup_(freep) char *tail = log_tail(instance);
            instance->pid = 0;
            return kvs_error_set(err, KVS_IO, 0, "%s ended at once: %s", instance->kind->program,
                                 tail);
        }
        if (accepts(instance->port))
            return KVS_OK;
        if (clock_now_ns() > end_ns)
            return kvs_error_set(err, KVS_TIMEOUT, 0, "%s does not listen on port %u",
                                 instance->kind->program, instance->port);
        (void)nanosleep(&pause, NULL);
    }
}

static kvs_status spawn(struct instance *instance, const char *program, enum instance_sync sync,
                        struct kvs_error *err)
{
    const char *argv[ARGUMENTS_MAX] = {program};
    GError *error = NULL;
    GPid pid;
    instance->port = free_port();
    _cleanup_(freep) char *port = g_strdup_printf("%u", instance->port);
    _cleanup_(freep) char *address = g_strdup_printf("127.0.0.1:%u", instance->port);
    _cleanup_(freep) char *data = g_build_filename(instance->dir, "data", NULL);
    _cleanup_(freep) char *log = log_path(instance);
    (void)g_mkdir_with_parents(data, 0777); /* the server complains if that failed */
    arguments_of(instance->kind, sync, port, address, data, argv + 1);
    if (!g_spawn_async(NULL, (gchar **)(uintptr_t)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, in_child,
                       log, &pid, &error)) {
        kvs_error_set(err, KVS_IO, 0, "%s", error->message);
        g_error_free(error);
        return KVS_IO;
    }
    instance->pid = pid;
    return KVS_OK;
}

kvs_status instance_start(const struct instance_kind *kind, enum instance_sync sync,
                          const char *base_dir, struct instance *ret, struct kvs_error *err)
{
    struct instance instance = {.kind = kind};
    _cleanup_(freep) char *program = instance_program(kind);
    if (program == NULL)
        return kvs_error_set(err, KVS_MISSING, 0, "%s is not installed", kind->program);
    kvs_status status = folder_new(base_dir, kind->name, &instance.dir, err);
    if (status == KVS_OK)
        status = spawn(&instance, program, sync, err);
    if (status == KVS_OK)
        status = wait_ready(&instance, err);
    if (status != KVS_OK) {
        instance_stop(&instance);
        return status;
    }
    *ret = instance;
    return KVS_OK;
}

void instance_stop(struct instance *instance)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    uint64_t end_ns = clock_now_ns() + STOP_LIMIT_NS;
    if (instance->pid > 0) {
        (void)kill(instance->pid, SIGTERM);
        while (waitpid(instance->pid, NULL, WNOHANG) == 0) {
            if (clock_now_ns() > end_ns)
                (void)kill(instance->pid, SIGKILL);
            (void)nanosleep(&pause, NULL);
        }
    }
    folder_free(instance->dir);
    *instance = (struct instance){0};
}
