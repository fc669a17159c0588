/*
 * Feeds requests of the native protocol to the commands that read their bodies themselves (batch,
 * increment, mget, scan, expire, look), as a session does, on a store in memory that begins empty. Aborts
 * where a request ends with no status that a client knows, or an error without a message, or where a
 * transaction that its command was content with cannot be committed.
 */
#include "command/native_keys.h"
#include "fuzz.h"
#include "protocol/native.h"
#include "resp_runner.h"

#define NOW         INT64_C(1700000000000)
#define REQUEST_MAX 64u /* of one input */

static void run(struct resp_runner *runner, const struct command *command,
                const struct request *request)
{
    struct test_error error;
    struct buffer reply = {0};
    test_error_init(&error);
    struct native_call call = {.context = &runner->context,
                               .txn = runner->txn,
                               .request = request,
                               .now_ms = runner->now_ms++,
                               .reply = &reply,
                               .err = &error.error};
    transaction_begin(call.txn, call.context->store, NULL, call.now_ms,
                      command->writes ? 0 : TRANSACTION_READ_ONLY);
    kvs_status status = command->run(&call);
    require(status >= 0 || (error.error.status == status && error.message[0] != '\0'));
    if (status < 0)
        transaction_forget_writes(call.txn);
    test_error_init(&error);
    kvs_status committed =
        command->writes ? transaction_commit(call.txn, NULL, &error.error) : KVS_OK;
    require(committed == KVS_OK || status < 0 || committed == KVS_TOO_LARGE);
    buffer_deinit(&reply);
}

static void feed(struct resp_runner *runner, const uint8_t *data, size_t size)
{
    const struct request_limits limits = {64, 4096};
    size_t at = 0;
    for (unsigned i = 0; at < size && i < REQUEST_MAX; i++) {
        struct request request;
        uint64_t frame_size;
        enum decode_result result = native_decode_request(bytes_of(data + at, size - at), &limits,
                                                          &request, &frame_size, NULL);
        if (result == DECODE_MORE || result == DECODE_BROKEN || frame_size > size - at)
            return;
        const struct command *command =
            result == DECODE_REQUEST ? command_find(request.command) : NULL;
        if (command != NULL && command->run != NULL)
            run(runner, command, &request);
        at += frame_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resp_runner *runner = calloc(1, sizeof(*runner));
    uint8_t *copy = fuzz_copy(data, size); /* nothing behind its end */
    require(runner != NULL);
    resp_runner_open(runner, "memory");
    runner->now_ms = NOW;
    feed(runner, copy, size);
    resp_runner_close(runner);
    free(runner);
    free(copy);
    return 0;
}
