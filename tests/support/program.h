/*
 * Running the real programs in tests: kvs-server and kvs-client of this build, as processes.
 */
#ifndef TESTS_PROGRAM_H
#define TESTS_PROGRAM_H

#include <stdint.h>
#include <sys/types.h>

#include "support/support.h"

/* How a program that ran to its end ended, and what it wrote. */
struct program_result {
    int exit_status; /* 128 + signal for one that was killed */
    char *out;       /* malloced, terminated; may hold zeros, see out_size */
    char *err;
    size_t out_size;
    size_t err_size;
};

/* Runs argv (argv[0] is the path) with input (may be NULL) on its standard input. Fails the test
   when it takes longer than support_wait_ms(). */
struct program_result program_run(const char *const *argv, const char *input, size_t input_size);
void program_result_deinit(struct program_result *result);

/* The programs of this build. */
const char *program_server(void);
const char *program_client(void);

/* A server process. Its log is kept in a file in its own temporary folder. It dies with the thread
   that started it, so that a test that fails leaves none behind. */
struct server_process {
    pid_t pid;
    uint16_t port;
    char address[128]; /* the first one where it listens; port 0: a Unix socket */
    char *log_dir;
    char *log_path;
};

/*
 * Starts kvs-server on a free port with further arguments (NULL-terminated; may be NULL), and waits
 * until it says where it listens. False: it ended instead; its log is then in *ret_log (malloced;
 * ret_log may be NULL), its exit status in *ret_status (may be NULL).
 */
bool server_process_start(struct server_process *server, const char *data_dir,
                          const char *const *arguments, char **ret_log, int *ret_status);
/* The same with the whole command line: argv[0] is the path of the program, which is or becomes
   kvs-server. */
bool server_process_start_argv(struct server_process *server, const char *const *argv,
                               char **ret_log, int *ret_status);
/* Starts it without waiting for anything; server->port and address are then not known. */
void server_process_spawn(struct server_process *server, const char *const *argv);
/* Sends the signal (0: none) and waits for the end. Returns the exit status as in program_result.
 */
int server_process_end(struct server_process *server, int signal_number);
/* Stops it with SIGTERM and fails the test, with the log, if that does not end it with 0. */
void server_process_stop(struct server_process *server);
/* What it has logged so far, malloced. */
char *server_process_log(const struct server_process *server);

/* Kills what a test that failed has left running. */
void program_kill_leftovers(void);

/* A blocking socket that is connected to 127.0.0.1:port. It waits support_wait_ms() at most. */
int connect_to(uint16_t port);
/* Sends or receives exactly size bytes; false when the connection ends before that, or nothing
   moves for support_wait_ms(). */
bool send_all(int fd, const void *from, size_t size);
bool receive_all(int fd, void *to, size_t size);

#endif
