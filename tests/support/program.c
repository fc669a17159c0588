/* See program.h. Standard streams are files in memory, so that nothing can block on a full pipe. */
#include "support/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define ARGUMENTS_MAX 64
#define RUNNING_MAX   64
#define PAUSE_NS      2000000L

static void pause_shortly(void)
{
    struct timespec pause = {0, PAUSE_NS};
    (void)nanosleep(&pause, NULL);
}

static const char *from_environment(const char *name)
{
    const char *path = getenv(name);
    if (path == NULL) {
        print_error("%s is not set: run this through 'meson test'\n", name);
        abort();
    }
    return path;
}

const char *program_server(void)
{
    return from_environment("KVS_TEST_SERVER");
}

const char *program_client(void)
{
    return from_environment("KVS_TEST_CLIENT");
}

/* ---- processes ---------------------------------------------------------------------------- */

/* Those that run, by the main thread's account; 0: a free place. */
static pid_t running[RUNNING_MAX];

static void replace_running(pid_t from, pid_t to)
{
    for (size_t i = 0; i < RUNNING_MAX; i++) {
        if (running[i] == from) {
            running[i] = to;
            return;
        }
    }
}

void program_kill_leftovers(void)
{
    for (size_t i = 0; i < RUNNING_MAX; i++) {
        if (running[i] == 0)
            continue;
        (void)kill(running[i], SIGKILL);
        (void)waitpid(running[i], NULL, 0);
        running[i] = 0;
    }
}

static int status_of(int wait_status)
{
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

/* Waits for the end of a child; kills it and fails the test when that takes too long. */
static int wait_for_end(pid_t pid)
{
    uint64_t deadline_ns = clock_now_ns() + support_wait_ms() * NS_PER_MS;
    int status;
    for (;;) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            replace_running(pid, 0);
            return status_of(status);
        }
        if (clock_now_ns() > deadline_ns) {
            program_kill_leftovers();
            fail_msg("process %d did not end within %u ms", (int)pid, support_wait_ms());
        }
        pause_shortly();
    }
}

static int memory_file(void)
{
    int fd = memfd_create("stream", MFD_CLOEXEC);
    if (fd < 0)
        abort();
    return fd;
}

static char *read_whole(int fd, size_t *ret_size)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        abort();
    size_t size = (size_t)info.st_size;
    char *content = malloc(size + 1);
    size_t have = 0;
    while (have < size) {
        ssize_t count = pread(fd, content + have, size - have, (off_t)have);
        if (count <= 0)
            break;
        have += (size_t)count;
    }
    content[have] = '\0';
    if (ret_size != NULL)
        *ret_size = have;
    return content;
}

static pid_t start(const char *const *argv, int in, int out, int err)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        fail_msg("cannot start %s: %s", argv[0], strerror(errno));
    if (pid > 0) {
        replace_running(0, pid);
        return pid;
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(127);
    (void)dup2(in, STDIN_FILENO);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    union {
        const char *const *from;
        char *const *to;
    } arguments = {argv};
    (void)execv(argv[0], arguments.to);
    _exit(127);
}

struct program_result program_run(const char *const *argv, const char *input, size_t input_size)
{
    struct program_result result;
    int in = memory_file();
    int out = memory_file();
    int err = memory_file();
    if (input_size > 0 && pwrite(in, input, input_size, 0) != (ssize_t)input_size)
        abort();
    result.exit_status = wait_for_end(start(argv, in, out, err));
    result.out = read_whole(out, &result.out_size);
    result.err = read_whole(err, &result.err_size);
    (void)close(in);
    (void)close(out);
    (void)close(err);
    return result;
}

void program_result_deinit(struct program_result *result)
{
    free(result->out);
    free(result->err);
    memset(result, 0, sizeof(*result));
}

/* ---- servers ------------------------------------------------------------------------------ */

char *server_process_log(const struct server_process *server)
{
    int fd = open(server->log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return strdup("");
    char *log = read_whole(fd, NULL);
    (void)close(fd);
    return log;
}

static bool find_address(const char *log, struct server_process *server)
{
    static const char before[] = " listens on ";
    const char *at = strstr(log, before);
    if (at == NULL || strchr(at, '\n') == NULL)
        return false;
    at += sizeof(before) - 1;
    size_t size = strcspn(at, ",;\n");
    assert_true(size < sizeof(server->address));
    memcpy(server->address, at, size);
    server->address[size] = '\0';
    server->port = strncmp(server->address, "unix:", 5) == 0
                       ? 0
                       : (uint16_t)strtoul(strrchr(server->address, ':') + 1, NULL, 10);
    return true;
}

static void forget(struct server_process *server)
{
    temp_dir_free(server->log_dir);
    free(server->log_path);
    memset(server, 0, sizeof(*server));
}

/* Waits until the server listens. False: it ended with *ret_status. */
static bool wait_for_listening(struct server_process *server, int *ret_status)
{
    uint64_t deadline_ns = clock_now_ns() + support_wait_ms() * NS_PER_MS;
    for (;;) {
        char *log = server_process_log(server);
        bool listens = find_address(log, server);
        free(log);
        if (listens)
            return true;
        int status;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
            replace_running(server->pid, 0);
            *ret_status = status_of(status);
            return false;
        }
        if (clock_now_ns() > deadline_ns) {
            (void)server_process_end(server, SIGKILL);
            fail_msg("the server did not listen within %u ms", support_wait_ms());
        }
        pause_shortly();
    }
}

void server_process_spawn(struct server_process *server, const char *const *argv)
{
    memset(server, 0, sizeof(*server));
    server->log_dir = temp_dir_new();
    server->log_path = path_join(server->log_dir, "log");
    int log_fd = open(server->log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(log_fd >= 0 && null_fd >= 0);
    server->pid = start(argv, null_fd, log_fd, log_fd);
    (void)close(log_fd);
    (void)close(null_fd);
}

bool server_process_start_argv(struct server_process *server, const char *const *argv,
                               char **ret_log, int *ret_status)
{
    int status = 0;
    server_process_spawn(server, argv);
    if (wait_for_listening(server, &status))
        return true;
    if (ret_log != NULL)
        *ret_log = server_process_log(server);
    if (ret_status != NULL)
        *ret_status = status;
    forget(server);
    return false;
}

bool server_process_start(struct server_process *server, const char *data_dir,
                          const char *const *arguments, char **ret_log, int *ret_status)
{
    const char *argv[ARGUMENTS_MAX] = {program_server(), "--addr", "127.0.0.1:0",
                                       "--data-dir",     data_dir, NULL};
    size_t count = 5;
    for (; arguments != NULL && *arguments != NULL; arguments++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        argv[count++] = *arguments;
    }
    return server_process_start_argv(server, argv, ret_log, ret_status);
}

int server_process_end(struct server_process *server, int signal_number)
{
    if (signal_number != 0)
        (void)kill(server->pid, signal_number);
    int status = wait_for_end(server->pid);
    forget(server);
    return status;
}

void server_process_stop(struct server_process *server)
{
    (void)kill(server->pid, SIGTERM);
    int status = wait_for_end(server->pid);
    if (status != 0) {
        char *log = server_process_log(server);
        print_error("%s", log);
        free(log);
        fail_msg("the server ended with %d after SIGTERM", status);
    }
    forget(server);
}

/* ---- sockets ------------------------------------------------------------------------------ */

int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct timeval patience = {.tv_sec = support_wait_ms() / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        fail_msg("cannot connect to port %u: %s", port, strerror(errno));
    return fd;
}

bool send_all(int fd, const void *from, size_t size)
{
    const char *at = from;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0 && errno != EINTR)
            return false;
        at += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

bool receive_all(int fd, void *to, size_t size)
{
    char *at = to;
    while (size > 0) {
        ssize_t received = recv(fd, at, size, 0);
        if (received == 0 || (received < 0 && errno != EINTR))
            return false;
        at += received > 0 ? received : 0;
        size -= received > 0 ? (size_t)received : 0;
    }
    return true;
}
