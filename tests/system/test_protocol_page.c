/*
 * docs/protocol.md against the real server: the client that the page gives, in Python, does what it
 * says, and the frames of the page's example get the replies of the page. (Whether the page agrees
 * with the codec, byte for byte, is tests/protocol's.)
 */
#include "system/matrix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/expect.h"

#define FRAME_MAX    256u
#define PYTHON       "/usr/bin/env", "python3"
#define NOT_THERE    127 /* exit status of env */
#define EXIT_MISUSED 2

static char *page; /* the whole of docs/protocol.md; set by main */

/* The text of the block that begins with ```HEAD, without its fences. Malloced. */
static char *find_block(const char *head)
{
    char fence[64];
    (void)snprintf(fence, sizeof(fence), "\n```%s\n", head);
    const char *at = strstr(page, fence);
    if (at == NULL)
        fail_msg("the page has no block '%s'", head);
    at += strlen(fence);
    const char *end = strstr(at, "\n```\n");
    assert_non_null(end);
    return strndup(at, (size_t)(end + 1 - at));
}

static void write_file(const char *path, const char *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
    (void)close(fd);
}

/* ---- the client --------------------------------------------------------------------------- */

/* What else the client of the page can be asked: any bytes, sizes, faults and going on after. */
static const char driver[] = "import sys\n"
                             "from client import Client\n"
                             "client = Client('127.0.0.1', int(sys.argv[1]))\n"
                             "key, value = bytes(range(256)), bytes(range(256)) * 4096\n"
                             "assert client.get(key) is None\n"
                             "assert client.remove(key) is False\n"
                             "client.set(key, value)\n"
                             "assert client.get(key) == value\n"
                             "client.set(key, b'')\n"
                             "assert client.get(key) == b''\n"
                             "try:\n"
                             "    client.set(b'', value)\n"
                             "    sys.exit('an empty key was taken')\n"
                             "except RuntimeError as error:\n"
                             "    assert 'status -1: ' in str(error), error\n"
                             "try:\n"
                             "    client.get(b'k' * (int(client.hello()['key_max']) + 1))\n"
                             "    sys.exit('a large key was taken')\n"
                             "except RuntimeError as error:\n"
                             "    assert 'status -2: ' in str(error), error\n"
                             "other = Client('127.0.0.1', int(sys.argv[1]))\n"
                             "assert other.get(key) == b''\n"
                             "assert client.remove(key) is True\n"
                             "assert other.get(key) is None\n"
                             "print('done')\n";

static bool run_python(const char *script, const char *const *arguments, const char *expected)
{
    const char *const argv[] = {PYTHON, script, arguments[0], arguments[1], NULL};
    struct program_result result = program_run(argv, NULL, 0);
    bool there = result.exit_status != NOT_THERE;
    if (there) {
        assert_string_equal(result.err, "");
        assert_int_equal(result.exit_status, 0);
        expect_in(result.out, expected);
    }
    program_result_deinit(&result);
    return there;
}

static void the_pages_client_works(const struct pair *pair)
{
    struct server_process server;
    char port[16];
    char *dir = temp_dir_new();
    char *data_dir = path_join(dir, "data");
    char *client = path_join(dir, "client.py");
    char *drive = path_join(dir, "drive.py");
    char *code = find_block("python");
    write_file(client, code);
    write_file(drive, driver);
    pair_start(&server, pair, data_dir, NULL);
    (void)snprintf(port, sizeof(port), "%u", server.port);
    if (run_python(client, (const char *const[]){"127.0.0.1", port},
                   "\nb'Oslo'\nTrue False None\n"))
        (void)run_python(drive, (const char *const[]){port, NULL}, "done\n");
    else
        print_message("skipped: there is no python3\n");
    server_process_stop(&server);
    free(code);
    free(drive);
    free(client);
    free(data_dir);
    temp_dir_free(dir);
}

/* ---- the frames --------------------------------------------------------------------------- */

/* The bytes of a block of lines "XX XX XX   what they are". */
static size_t read_frame(const char *head, uint8_t frame[FRAME_MAX])
{
    size_t size = 0;
    char *block = find_block(head);
    for (const char *line = block; *line != '\0'; line = strchr(line, '\n') + 1) {
        unsigned byte;
        int used;
        for (const char *at = line; sscanf(at, "%2x%n", &byte, &used) == 1 && used == 2;) {
            assert_true(size < FRAME_MAX);
            frame[size++] = (uint8_t)byte;
            at += used;
            if (at[0] != ' ' || at[1] == ' ')
                break;
            at++;
        }
    }
    free(block);
    assert_true(size >= 16);
    return size;
}

static void expect_exchange(int fd, const char *request, const char *reply)
{
    uint8_t sent[FRAME_MAX];
    uint8_t expected[FRAME_MAX];
    uint8_t received[FRAME_MAX];
    assert_true(send_all(fd, sent, read_frame(request, sent)));
    size_t size = read_frame(reply, expected);
    assert_true(receive_all(fd, received, size));
    assert_memory_equal(received, expected, size);
}

static void the_pages_frames_are_answered(const struct pair *pair)
{
    struct server_process server;
    char *data_dir = temp_dir_new();
    pair_start(&server, pair, data_dir, NULL);
    int fd = connect_to(server.port);
    expect_exchange(fd, "hex get request", "hex missing reply");
    expect_exchange(fd, "hex set request", "hex set reply");
    expect_exchange(fd, "hex get request", "hex get reply");
    (void)close(fd);
    server_process_stop(&server);
    temp_dir_free(data_dir);
}

static char *read_page(const char *path)
{
    char *text = NULL;
    size_t cap = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL || getdelim(&text, &cap, '\0', file) < 0) {
        perror(path);
        return NULL;
    }
    (void)fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    static const struct matrix_test tests[] = {
        MATRIX_TEST(the_pages_client_works, MATRIX_PAIRS),
        MATRIX_TEST(the_pages_frames_are_answered, MATRIX_ENGINES),
    };
    page = argc == 2 ? read_page(argv[1]) : NULL;
    if (page == NULL)
        return EXIT_MISUSED;
    int failed = matrix_run(tests, sizeof(tests) / sizeof(tests[0]));
    free(page);
    return failed;
}
