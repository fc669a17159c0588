/* See slow_requests.h. Rare, so it may decode the request again and allocate. */
#include "server/slow_requests.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "command/command.h"
#include "command/word.h"
#include "protocol/native.h"

#define SHOWN_MAX SLOW_LOG_ARGUMENTS_MAX
#define NOTE_SIZE 64u

/* The first request, as far as it is shown. */
struct shown {
    struct kvs_bytes arguments[SHOWN_MAX + 1]; /* the last one is for the note */
    uint32_t count;
    char note[NOTE_SIZE];
};

static void show_native(struct shown *shown, const struct session *session, struct kvs_bytes input)
{
    struct request request;
    uint64_t size;
    if (native_codec.decode(input, &session->service->commands->store->limits, &request, &size,
                            NULL) != DECODE_REQUEST ||
        command_find(request.command) == NULL)
        return;
    shown->arguments[shown->count++] = bytes_of_text(command_find(request.command)->name);
    if (request.key.len > 0)
        shown->arguments[shown->count++] = request.key;
}

/* AUTH and HELLO may carry a password. */
static bool is_secret(struct kvs_bytes name)
{
    return word_is(name, "auth") || word_is(name, "hello");
}

/* arguments is the caller's: the views lead into it. */
static void show_resp(struct shown *shown, const struct session *session, struct kvs_bytes input,
                      struct resp_arguments *arguments)
{
    struct resp_parser parser = {0};
    uint64_t size;
    if (resp_decode(&parser, input, &session->service->resp_limits, arguments, &size, NULL) !=
        DECODE_REQUEST)
        return;
    bool secret = arguments->count > 0 && is_secret(arguments->items[0]);
    for (uint32_t i = 0; i < arguments->count && i < SHOWN_MAX; i++)
        shown->arguments[shown->count++] =
            secret && i > 0 ? bytes_of_text("(redacted)") : arguments->items[i];
}

void slow_requests_note(struct slow_log *log, struct session *session, struct kvs_bytes input,
                        uint32_t request_count, uint64_t elapsed_ns)
{
    struct shown shown = {.count = 0};
    struct resp_arguments arguments = {0};
    if (session->protocol == &session_native)
        show_native(&shown, session, input);
    else
        show_resp(&shown, session, input, &arguments);
    if (shown.count == 0) {
        (void)snprintf(shown.note, sizeof(shown.note), "(no valid request)");
        shown.arguments[shown.count++] = bytes_of_text(shown.note);
    } else if (request_count > 1) {
        (void)snprintf(shown.note, sizeof(shown.note), "(and %" PRIu32 " more requests)",
                       request_count - 1);
        shown.arguments[shown.count++] = bytes_of_text(shown.note);
    }
    struct client *client = &session->client;
    (void)pthread_mutex_lock(&client->lock);
    struct slow_entry entry = {
        .time_s = (clock_unix_ms() - (int64_t)(elapsed_ns / NS_PER_MS)) / 1000,
        .duration_us = elapsed_ns / 1000,
        .arguments = shown.arguments,
        .argument_count = shown.count,
        .client_address = client->address,
        .client_name = client->name,
    };
    slow_log_add(log, &entry);
    (void)pthread_mutex_unlock(&client->lock);
    resp_arguments_deinit(&arguments);
}
