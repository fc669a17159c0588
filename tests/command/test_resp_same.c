/*
 * The commands on keys beside a redis-server: the same commands with random arguments, good and bad,
 * must give the same replies, byte by byte. Skipped where there is no redis-server.
 *
 * What is not compared: empty keys (ours have at least one byte) and what depends on the moment: time
 * that is left may differ a little, and nothing expires while the test runs.
 *
 * KVS_TEST_SEED repeats a run.
 */
#include "resp_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

#define COMMANDS     10000
#define ARGUMENTS    12u
#define KEYS         7u
#define REPLY_MAX    65536u
#define SECONDS_SLOP 2
#define MS_SLOP      5000

/* ---- the other server ----------------------------------------------------------------------- */

struct redis {
    pid_t pid;
    int fd;
    char *dir;
    char path[108];
    char reply[REPLY_MAX];
};

static bool redis_connect(void *arg)
{
    struct redis *redis = arg;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", redis->path);
    redis->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(redis->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return true;
    (void)close(redis->fd);
    return waitpid(redis->pid, NULL, WNOHANG) != 0; /* it did not even start */
}

static bool redis_start(struct redis *redis)
{
    memset(redis, 0, sizeof(*redis));
    if (system("command -v redis-server >/dev/null 2>&1") != 0)
        return false;
    redis->dir = temp_dir_new();
    (void)snprintf(redis->path, sizeof(redis->path), "%s/s", redis->dir);
    redis->pid = fork();
    assert_true(redis->pid >= 0);
    if (redis->pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        (void)execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis->path,
                     "--save", "", "--appendonly", "no", "--dir", redis->dir, (char *)NULL);
        _exit(127);
    }
    wait_until(redis_connect, redis);
    return true;
}

static void redis_stop(struct redis *redis)
{
    (void)close(redis->fd);
    (void)kill(redis->pid, SIGKILL);
    (void)waitpid(redis->pid, NULL, 0);
    temp_dir_free(redis->dir);
}

static void read_exactly(struct redis *redis, size_t *len, size_t count)
{
    while (count > 0) {
        assert_true(*len + count < REPLY_MAX);
        ssize_t got = read(redis->fd, redis->reply + *len, count);
        assert_true(got > 0);
        *len += (size_t)got;
        count -= (size_t)got;
    }
}

/* Reads one reply, with all that is in it. */
static void read_reply(struct redis *redis, size_t *len)
{
    size_t start = *len;
    do
        read_exactly(redis, len, 1);
    while (redis->reply[*len - 1] != '\n');
    redis->reply[*len] = '\0';
    long long count = strtoll(redis->reply + start + 1, NULL, 10);
    if (redis->reply[start] == '$' && count >= 0)
        read_exactly(redis, len, (size_t)count + 2);
    for (long long i = 0; redis->reply[start] == '*' && i < count; i++)
        read_reply(redis, len);
}

static struct kvs_bytes redis_run(struct redis *redis, const struct kvs_bytes *arguments,
                                  uint32_t count)
{
    char text[4096];
    size_t len = (size_t)snprintf(text, sizeof(text), "*%u\r\n", count);
    for (uint32_t i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "$%u\r\n", (unsigned)arguments[i].len);
        memcpy(text + len, arguments[i].ptr, arguments[i].len);
        len += arguments[i].len;
        memcpy(text + len, "\r\n", 2);
        len += 2;
    }
    assert_int_equal((ssize_t)len, write(redis->fd, text, len));
    size_t got = 0;
    read_reply(redis, &got);
    return bytes_of(redis->reply, got);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* K a key, V a value, I an integer, F a number, S a small one, P a pattern, T a time in seconds or M in
   milliseconds from now, A and B moments; ? an option out of the words behind the |, so many at most
   as there are of them. */
static const char *const templates[] = {
    "GET K",
    "SET K V ????|NX XX GET KEEPTTL EX PX EXAT PXAT 100000 1000000 -1 4102444800 4102444800000 foo",
    "SET K V EX T ??|NX XX GET KEEPTTL PX",
    "SET K V PXAT B ??|NX XX GET KEEPTTL PX",
    "SET K I",
    "SET K F",
    "SETNX K V",
    "SETEX K T V",
    "PSETEX K M V",
    "GETSET K V",
    "GETDEL K",
    "GETEX K ??|EX PX EXAT PXAT PERSIST 100000 1000000 4102444800 -1 foo",
    "GETEX K EX T ?|PERSIST PX foo",
    "MGET K K K",
    "MSET K V K V",
    "MSET K V K",
    "MSETNX K V K V",
    "DEL K K",
    "UNLINK K",
    "EXISTS K K K",
    "TOUCH K K",
    "TYPE K",
    "STRLEN K",
    "APPEND K V",
    "GETRANGE K S S",
    "SUBSTR K S S",
    "SETRANGE K S V",
    "INCR K",
    "DECR K",
    "INCRBY K I",
    "DECRBY K I",
    "INCRBYFLOAT K F",
    "EXPIRE K T ??|NX XX GT LT foo",
    "PEXPIRE K M ??|NX XX GT LT foo",
    "EXPIREAT K A ??|NX XX GT LT foo",
    "PEXPIREAT K B ??|NX XX GT LT foo",
    "TTL K",
    "PTTL K",
    "EXPIRETIME K",
    "PEXPIRETIME K",
    "PERSIST K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K ??|REPLACE DB 0 99 foo",
    "SCAN 0 COUNT 1000 MATCH P",
    "SCAN 0 ??|COUNT MATCH TYPE string 0 x",
    "SCAN x",
    "KEYS P",
    "FLUSHALL ?|ASYNC SYNC foo",
    "GET",
    "SET K",
    "INCRBY K",
    "EXPIRE K",
    "MSET K",
    "GETRANGE K S",
    "COPY K",
};

static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "longer key"};
static const char *const integers[] = {
    "0",
    "1",
    "-1",
    "42",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "01",
    "-0",
    "+1",
    " 1",
    "1 ",
    "",
    "x",
    "7a",
    "1e3",
    "1.5",
    "0x1",
    "-9223372036854775807",
    "100000000000",
};
static const char *const floats[] = {
    "0",    "1.5",   "-2.25", "1e10",  "1e-10",  "0.1", "3.0",
    "inf",  "-inf",  "nan",   "1e400", "1e4932", "x",   "",
    " 1",   "0x1p3", "5.0e3", "-0.0",  "1.",     ".5",  "123456789.123456789",
    "1e20", "-1e17",
};
static const char *const smalls[] = {"0", "1", "2", "-1", "-2", "-100", "100", "5", "x", "3"};
static const char *const values[] = {
    "",
    "a",
    "hello world",
    "10",
    "-7",
    "3.25",
    "0.0000001",
    "some\r\nlines",
    "9223372036854775807",
    "a longer value that takes more than the few bytes of all the others, by some",
};
static const char *const patterns[] = {
    "*", "k*", "k?", "k[0-3]", "k[^0-3]", "[^k]*", "*5", "k\\1", "k[", "?*?", "", "k[3-0]", "**",
};
static const char *const seconds[] = {
    "100",
    "0",
    "-1",
    "1000000",
    "9223372036854775807",
    "9223372036854775",
    "9223370000000000",
    "x",
    "",
    "-9223372036854775808",
    "200",
    "300",
};
static const char *const milliseconds[] = {
    "100000",
    "0",
    "-1",
    "1000000000",
    "9223372036854775807",
    "9223370000000000000",
    "x",
    "-9223372036854775808",
    "200000",
};
static const char *const moments_s[] = {
    "4102444800", "1", "0", "-5", "9223372036854775807", "9223372036854775", "4102444801", "x",
};
static const char *const moments_ms[] = {
    "4102444800000", "1", "0", "-5", "9223372036854775807", "4102444800001", "4102444800499", "x",
};

static uint64_t state;

static uint32_t dice(uint32_t sides)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % sides;
}

#define PICK(list) bytes_of_text((list)[dice(sizeof(list) / sizeof((list)[0]))])

static struct kvs_bytes pick(const char *token, size_t len)
{
    if (len != 1)
        return bytes_of(token, len);
    switch (*token) {
    case 'K':
        return PICK(keys);
    case 'V':
        return PICK(values);
    case 'I':
        return PICK(integers);
    case 'F':
        return PICK(floats);
    case 'S':
        return PICK(smalls);
    case 'P':
        return PICK(patterns);
    case 'T':
        return PICK(seconds);
    case 'M':
        return PICK(milliseconds);
    case 'A':
        return PICK(moments_s);
    case 'B':
        return PICK(moments_ms);
    default:
        return bytes_of(token, len);
    }
}

/* One of the words behind the bar. */
static struct kvs_bytes pick_word(const char *words)
{
    uint32_t count = 1;
    for (const char *at = words; *at != '\0'; at++)
        count += *at == ' ';
    for (uint32_t skipped = dice(count); skipped > 0; skipped--)
        words = strchr(words, ' ') + 1;
    return bytes_of(words, strcspn(words, " "));
}

static uint32_t make_command(struct kvs_bytes arguments[ARGUMENTS])
{
    const char *template = templates[dice(sizeof(templates) / sizeof(templates[0]))];
    const char *bar = strchr(template, '|');
    uint32_t count = 0;
    for (const char *at = template; *at != '\0' && *at != '|';) {
        size_t len = strcspn(at, " |");
        if (*at == '?') {
            for (uint32_t options = dice((uint32_t)len + 1); options > 0; options--)
                arguments[count++] = pick_word(bar + 1);
        } else {
            arguments[count++] = pick(at, len);
        }
        at += len;
        at += *at == ' ';
    }
    return count;
}

/* ---- comparing ------------------------------------------------------------------------------ */

static void print_command(const struct kvs_bytes *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        print_error("'%.*s' ", (int)arguments[i].len, (const char *)arguments[i].ptr);
    print_error("\n");
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Compares replies with keys in any order, by sorting their lines. */
static bool same_lines(struct kvs_bytes ours, struct kvs_bytes theirs)
{
    char texts[2][REPLY_MAX];
    char *lines[2][256];
    size_t counts[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        struct kvs_bytes from = i == 0 ? ours : theirs;
        memcpy(texts[i], from.ptr, from.len);
        texts[i][from.len] = '\0';
        for (char *rest = texts[i], *line; (line = strsep(&rest, "\n")) != NULL;)
            lines[i][counts[i]++] = line;
        qsort(lines[i], counts[i], sizeof(char *), compare_lines);
    }
    bool same = counts[0] == counts[1];
    for (size_t i = 0; same && i < counts[0]; i++)
        same = strcmp(lines[0][i], lines[1][i]) == 0;
    return same;
}

static bool starts_with(struct kvs_bytes name, const char *word)
{
    return name.len == strlen(word) && memcmp(name.ptr, word, name.len) == 0;
}

static bool is_about_same(struct kvs_bytes command, struct kvs_bytes ours, struct kvs_bytes theirs)
{
    bool in_seconds = starts_with(command, "TTL") || starts_with(command, "EXPIRETIME");
    bool in_ms = starts_with(command, "PTTL") || starts_with(command, "PEXPIRETIME");
    if (bytes_equal(ours, theirs))
        return true;
    if (starts_with(command, "SCAN") || starts_with(command, "KEYS"))
        return same_lines(ours, theirs);
    if (!in_seconds && !in_ms)
        return false;
    long long difference = strtoll((const char *)ours.ptr + 1, NULL, 10) -
                           strtoll((const char *)theirs.ptr + 1, NULL, 10);
    return llabs(difference) <= (in_ms ? MS_SLOP : SECONDS_SLOP) &&
           ((const char *)ours.ptr)[1] != '-' && ((const char *)theirs.ptr)[1] != '-';
}

/* Runs it on both. False: they differ, which was printed. */
static bool run_both(struct resp_runner *runner, struct redis *redis,
                     const struct kvs_bytes *arguments, uint32_t count)
{
    struct kvs_bytes theirs = redis_run(redis, arguments, count);
    struct kvs_bytes ours = resp_run(runner, arguments, count);
    if (is_about_same(arguments[0], ours, theirs))
        return true;
    print_command(arguments, count);
    print_error("Redis: %.*sours:  %.*s", (int)theirs.len, (const char *)theirs.ptr, (int)ours.len,
                (const char *)ours.ptr);
    return false;
}

/* What is left behind. */
static bool same_state(struct resp_runner *runner, struct redis *redis)
{
    struct kvs_bytes arguments[KEYS + 1] = {bytes_of_text("MGET")};
    for (size_t i = 0; i < KEYS; i++)
        arguments[i + 1] = bytes_of_text(keys[i]);
    if (!run_both(runner, redis, arguments, KEYS + 1))
        return false;
    arguments[0] = bytes_of_text("PEXPIRETIME");
    arguments[1] = PICK(keys);
    return run_both(runner, redis, arguments, 2);
}

static void compare_on(const char *kind, struct redis *redis)
{
    struct resp_runner *runner = calloc(1, sizeof(*runner));
    assert_non_null(runner);
    resp_runner_open(runner, kind);
    struct kvs_bytes flush = bytes_of_text("FLUSHALL");
    bool same = run_both(runner, redis, &flush, 1);
    for (unsigned i = 0; i < COMMANDS && same; i++) {
        struct kvs_bytes arguments[ARGUMENTS];
        uint32_t count = make_command(arguments);
        same = run_both(runner, redis, arguments, count);
        if (same && !same_state(runner, redis)) {
            print_error("after ");
            print_command(arguments, count);
            same = false;
        }
    }
    resp_runner_close(runner);
    free(runner);
    if (same)
        return;
    redis_stop(redis);
    fail_msg("different replies on %s", kind);
}

static void test_same_replies(void **unused)
{
    (void)unused;
    static struct redis redis;
    const char *seed = getenv("KVS_TEST_SEED");
    if (!redis_start(&redis)) {
        print_message("there is no redis-server to compare with (apt-get install redis-server)\n");
        skip();
    }
    state = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("KVS_TEST_SEED=%llu\n", (unsigned long long)state);
    for (const char *const *kind = store_fixture_kinds(); *kind != NULL; kind++) {
        if (strcmp(*kind, "log") == 0 || strcmp(*kind, "lmdb") == 0)
            compare_on(*kind, &redis);
    }
    redis_stop(&redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_replies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
