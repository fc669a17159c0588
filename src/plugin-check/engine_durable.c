/*
 * What an engine that claims KVS_ENGINE_DURABLE keeps: over a clean close, and over kill -9.
 *
 * For the latter a process of its own opens the store and writes; over a pipe it says what was
 * acknowledged. It is killed in the middle, and the store is opened and looked at here. Each of its
 * threads numbers its steps: step n sets "left" and "right" of n in one batch (or one after the
 * other where there are no batches), and removes "left" of n - LAG.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rules_list.h"
#include "session.h"

#define KEYS    100u
#define WRITERS 3u
#define STEPS   60u /* acknowledged steps of all writers before the kill */
#define LAG     5u

/* ---- a clean close ------------------------------------------------------------------------------ */

void engine_durable_close(struct check *check)
{
    static const uint32_t modes[] = {KVS_DURABILITY_ALWAYS, KVS_DURABILITY_INTERVAL,
                                     KVS_DURABILITY_NONE};
    for (unsigned mode = 0; mode < 3; mode++) {
        struct session session;
        session_open_in(&session, check, check->dir, KVS_OPEN_CREATE, modes[mode]);
        for (unsigned i = 0; i < KEYS; i++) {
            char text[SESSION_KEY_MAX];
            struct kvs_bytes key = session_key(text, mode * KEYS + i);
            session_put(&session, key, key);
            if (i % 4 == 0)
                session_drop(&session, key);
        }
        session_reopen(&session);
        for (unsigned i = 0; i < (mode + 1) * KEYS; i++) {
            char text[SESSION_KEY_MAX];
            struct kvs_bytes key = session_key(text, i);
            if (i % KEYS % 4 == 0)
                session_expect_none(&session, key, "remove, close and open");
            else
                session_expect(&session, key, key, "set, close and open");
        }
        session_close(&session);
    }
}

/* ---- kill -9 -------------------------------------------------------------------------------------- */

struct acknowledgement {
    uint32_t writer;
    uint32_t step;
};

struct writers {
    struct session *session;
    int pipe_fd;
};

static struct kvs_bytes step_key(char text[SESSION_KEY_MAX], bool left, uint32_t writer,
                                 uint32_t step)
{
    return session_key(text, (writer * 2 + (left ? 0 : 1)) * 100000u + step % 100000u);
}

static void write_step(struct session *session, struct kvs_tls *tls, uint32_t writer, uint32_t step)
{
    char texts[2][SESSION_KEY_MAX];
    struct kvs_bytes left = step_key(texts[0], true, writer, step);
    struct kvs_bytes right = step_key(texts[1], false, writer, step);
    if (session_has(session->check, KVS_ENGINE_HAS_SUBMIT)) {
        struct kvs_op ops[2] = {session_op_set(left, left), session_op_set(right, right)};
        check_status(session->check, "submit before the kill", KVS_OK,
                     session_submit(session, ops, 2, 0), NULL);
    } else {
        session_put(session, left, left);
        session_put(session, right, right);
    }
    if (step > LAG)
        check_status(
            session->check, "remove before the kill", KVS_OK,
            session_remove(session, tls, step_key(texts[0], true, writer, step - LAG), NULL), NULL);
}

static void write_on(void *arg, unsigned writer)
{
    const struct writers *writers = arg;
    struct kvs_tls *tls = session_attach(writers->session);
    for (uint32_t step = 1; step < 100000u; step++) {
        const struct acknowledgement acknowledgement = {writer, step};
        write_step(writers->session, tls, writer, step);
        if (write(writers->pipe_fd, &acknowledgement, sizeof(acknowledgement)) !=
            (ssize_t)sizeof(acknowledgement))
            check_skip(writers->session->check, "the pipe of acknowledgements broke");
    }
}

/* Runs the writers in a process of its own. */
static pid_t start_writers(struct check *check, uint32_t durability, int pipe_fds[2])
{
    if (pipe(pipe_fds) != 0)
        check_skip(check, "no pipe to be had");
    pid_t pid = fork();
    if (pid < 0)
        check_skip(check, "no process to be had");
    if (pid == 0) {
        struct session session;
        struct writers writers = {&session, pipe_fds[1]};
        (void)close(pipe_fds[0]);
        session_open_in(&session, check, check->dir, KVS_OPEN_CREATE, durability);
        check_threads(check, WRITERS, write_on, &writers);
        _exit(EXIT_FAILURE);
    }
    (void)close(pipe_fds[1]);
    return pid;
}

/* Reads until there are enough acknowledgements, kills the process, reads what is left. */
static void kill_in_the_middle(struct check *check, pid_t pid, int fd,
                               uint32_t acknowledged[WRITERS])
{
    struct acknowledgement next;
    unsigned count = 0;
    check_doing(check, "reading what a process that writes acknowledged");
    for (;;) {
        ssize_t size = read(fd, &next, sizeof(next));
        if (size < 0 && errno == EINTR)
            continue;
        if (size != (ssize_t)sizeof(next))
            break;
        acknowledged[next.writer] = next.step;
        if (++count == STEPS)
            (void)kill(pid, SIGKILL);
    }
    (void)close(fd);
    int wait_status = 0;
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (check->verdict->kind != VERDICT_NONE) /* the writer has said what it found */
        _exit(EXIT_SUCCESS);
    CHECK(check, count >= STEPS, "the process that wrote ended by itself (wait status %d)",
          wait_status);
}

static bool is_there(struct session *session, bool left, uint32_t writer, uint32_t step)
{
    char text[SESSION_KEY_MAX];
    struct shown shown = {.calls = 0};
    struct kvs_bytes key = step_key(text, left, writer, step);
    kvs_status status = session_get(session, NULL, key, &shown, NULL);
    if (status == KVS_OK)
        CHECK(session->check, session_equal(key, (struct kvs_bytes){shown.data, shown.len}),
              "after kill -9 a key has a value that was never set");
    else
        check_status(session->check, "get after kill -9", KVS_NOT_FOUND, status, NULL);
    session_forget(&shown);
    return status == KVS_OK;
}

static void expect_acknowledged(struct session *session, uint32_t writer, uint32_t acknowledged)
{
    struct check *check = session->check;
    for (uint32_t step = 1; step <= acknowledged; step++) {
        CHECK(check, is_there(session, false, writer, step),
              "a set was acknowledged and is gone after kill -9 (step %u of %u)", step,
              acknowledged);
        bool left = is_there(session, true, writer, step);
        if (step + LAG <= acknowledged)
            CHECK(check, !left, "a key whose removal was acknowledged is back after kill -9");
        else if (step + LAG > acknowledged + 1) /* the next step may have removed it already */
            CHECK(check, left, "a set was acknowledged and is gone after kill -9");
    }
    CHECK(check, !is_there(session, false, writer, acknowledged + 2),
          "a key is there after kill -9 that was not set yet");
    if (session_has(check, KVS_ENGINE_BATCH_ATOMIC | KVS_ENGINE_HAS_SUBMIT))
        CHECK(check,
              is_there(session, false, writer, acknowledged + 1) ==
                  is_there(session, true, writer, acknowledged + 1),
              "a batch that was under way at kill -9 is there in part");
}

static void survive_kill(struct check *check, uint32_t durability)
{
    struct session session;
    uint32_t acknowledged[WRITERS] = {0};
    int pipe_fds[2];
    pid_t pid = start_writers(check, durability, pipe_fds);
    kill_in_the_middle(check, pid, pipe_fds[0], acknowledged);
    session_open_in(&session, check, check->dir, 0, durability);
    for (uint32_t writer = 0; writer < WRITERS; writer++)
        expect_acknowledged(&session, writer, acknowledged[writer]);
    session_close(&session);
}

void engine_durable_kill_always(struct check *check)
{
    survive_kill(check, KVS_DURABILITY_ALWAYS);
}

void engine_durable_kill_interval(struct check *check)
{
    survive_kill(check, KVS_DURABILITY_INTERVAL);
}

void engine_durable_kill_none(struct check *check)
{
    survive_kill(check, KVS_DURABILITY_NONE);
}
