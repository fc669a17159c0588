/* See resp_multi.h. What is collected lies in one allocation for each command or watched key. */
#include "command/resp_multi.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "command/command.h"
#include "command/store.h"
#include "command/transaction.h"

struct queued {
    struct queued *next;
    const struct resp_command *command;
    uint32_t count;
    struct kvs_bytes arguments[]; /* count of them, and then what they are views of */
};

struct watch {
    struct watch *next;
    struct watched watched;
    uint8_t bytes[]; /* the key and the value */
};

struct multi {
    struct queued *first; /* owned, all of these */
    struct queued *last;
    struct watch *watches;
    uint64_t count;       /* of the commands */
    size_t bytes;         /* of all of it */
    bool spoiled;         /* EXEC must fail */
    bool needs_store;     /* of the commands one does */
    bool watches_unknown; /* a key was watched before its value could be read: EXEC does nothing */
};

static struct multi *multi_of(struct client *client)
{
    if (client->multi == NULL)
        client->multi = calloc(1, sizeof(*client->multi));
    return client->multi;
}

static void set_open(struct client *client, bool open)
{
    atomic_store_explicit(&client->in_multi, open, memory_order_relaxed);
}

static void free_queued(struct multi *multi)
{
    while (multi->first != NULL) {
        struct queued *next = multi->first->next;
        free(multi->first);
        multi->first = next;
    }
}

static void free_watches(struct multi *multi)
{
    while (multi->watches != NULL) {
        struct watch *next = multi->watches->next;
        multi->bytes -=
            sizeof(*next) + multi->watches->watched.key.len + multi->watches->watched.stored.len;
        free(multi->watches);
        multi->watches = next;
    }
    multi->watches_unknown = false;
}

void multi_discard(struct client *client)
{
    struct multi *multi = client->multi;
    if (multi == NULL)
        return;
    free_queued(multi);
    free_watches(multi);
    free(multi);
    client->multi = NULL;
    set_open(client, false);
}

void multi_spoil(struct client *client)
{
    if (multi_is_open(client))
        client->multi->spoiled = true;
}

/* ---- collecting --------------------------------------------------------------------------- */

static bool fits(const struct multi *multi, uint64_t bytes)
{
    return bytes <= MULTI_BYTES_MAX - multi->bytes;
}

static struct queued *copy_command(const struct resp_command *command,
                                   const struct kvs_bytes *arguments, uint32_t count, size_t size)
{
    struct queued *queued = malloc(size);
    if (queued == NULL)
        return NULL;
    queued->next = NULL;
    queued->command = command;
    queued->count = count;
    uint8_t *to = (uint8_t *)(queued->arguments + count);
    for (uint32_t i = 0; i < count; i++) {
        if (arguments[i].len > 0)
            memcpy(to, arguments[i].ptr, arguments[i].len);
        queued->arguments[i] = bytes_of(to, arguments[i].len);
        to += arguments[i].len;
    }
    return queued;
}

bool multi_queue(struct client *client, const struct resp_command *command,
                 const struct kvs_bytes *arguments, uint32_t count, struct resp_writer *reply)
{
    struct multi *multi = client->multi;
    uint64_t size = sizeof(struct queued) + (uint64_t)count * sizeof(*arguments);
    for (uint32_t i = 0; i < count; i++)
        size += arguments[i].len;
    struct queued *queued = NULL;
    if (!fits(multi, size)) {
        resp_error(reply, "ERR the transaction is over the limit of %zu bytes", MULTI_BYTES_MAX);
    } else {
        queued = copy_command(command, arguments, count, size);
        if (queued == NULL)
            resp_error(reply, "ERR out of memory");
    }
    if (queued == NULL) {
        multi->spoiled = true;
        return false;
    }
    if (multi->last != NULL)
        multi->last->next = queued;
    else
        multi->first = queued;
    multi->last = queued;
    multi->count++;
    multi->needs_store |= (command->flags & RESP_LOADING_OK) == 0;
    multi->bytes += size;
    resp_simple(reply, "QUEUED");
    return true;
}

static void run_multi(struct call *call)
{
    if (multi_is_open(call->client)) {
        resp_error(call->reply, "ERR MULTI calls can not be nested");
    } else if (multi_of(call->client) == NULL) {
        resp_error(call->reply, "ERR out of memory");
    } else {
        set_open(call->client, true);
        resp_ok(call->reply);
    }
}

static void run_discard(struct call *call)
{
    if (!multi_is_open(call->client)) {
        resp_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    multi_discard(call->client);
    resp_ok(call->reply);
}

/* ---- watching ----------------------------------------------------------------------------- */

static bool is_watched(const struct multi *multi, struct kvs_bytes key)
{
    for (const struct watch *each = multi->watches; each != NULL; each = each->next) {
        if (bytes_equal(each->watched.key, key))
            return true;
    }
    return false;
}

/* Remembers what the key holds. KVS_OK, or a fault with its text. */
static kvs_status add_watch(struct call *call, struct multi *multi, struct kvs_bytes key,
                            const char **ret_message)
{
    struct kvs_bytes stored = {NULL, 0};
    kvs_status status = transaction_stored(call->txn, key, &stored);
    *ret_message = transaction_message(call->txn);
    if (status != KVS_OK && status != KVS_NOT_FOUND)
        return status;
    uint64_t size = sizeof(struct watch) + key.len + stored.len;
    *ret_message = "what is watched is over the limit";
    if (!fits(multi, size))
        return KVS_TOO_LARGE;
    struct watch *watch = malloc(size);
    *ret_message = NULL;
    if (watch == NULL)
        return KVS_NO_MEMORY;
    memcpy(watch->bytes, key.ptr, key.len);
    if (stored.len > 0)
        memcpy(watch->bytes + key.len, stored.ptr, stored.len);
    watch->watched = (struct watched){
        .key = bytes_of(watch->bytes, key.len),
        .present = status == KVS_OK,
        .stored = bytes_of(watch->bytes + key.len, stored.len),
        .now_ms = call->now_ms,
    };
    watch->next = multi->watches;
    multi->watches = watch;
    multi->bytes += size;
    return KVS_OK;
}

static void run_watch(struct call *call)
{
    if (multi_is_open(call->client)) {
        resp_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    struct multi *multi = multi_of(call->client);
    const char *message = NULL;
    kvs_status status = multi != NULL ? KVS_OK : KVS_NO_MEMORY;
    if (status == KVS_OK && !store_is_open(call->context->store)) {
        multi->watches_unknown = true;
        resp_ok(call->reply);
        return;
    }
    for (uint32_t i = 1; status == KVS_OK && i < call->argument_count; i++) {
        if (!is_watched(multi, call->arguments[i]))
            status = add_watch(call, multi, call->arguments[i], &message);
    }
    if (status == KVS_OK)
        resp_ok(call->reply);
    else
        resp_fault(call->reply, status, message);
}

/* Also between MULTI and EXEC, where it is collected and then too late to matter. */
static void run_unwatch(struct call *call)
{
    if (call->client->multi != NULL && !multi_is_open(call->client))
        free_watches(call->client->multi);
    resp_ok(call->reply);
}

/* ---- executing ---------------------------------------------------------------------------- */

/* Makes what is watched a condition. KVS_OK; KVS_CONDITION_FAILED: something changed; or a fault. */
static kvs_status apply_watches(const struct call *call, const struct multi *multi)
{
    kvs_status status = KVS_OK;
    for (const struct watch *each = multi->watches; each != NULL && status == KVS_OK;
         each = each->next)
        status = transaction_watch(call->txn, &each->watched);
    return status;
}

static void run_queued(const struct call *call, const struct multi *multi)
{
    resp_array(call->reply, multi->count);
    for (const struct queued *each = multi->first; each != NULL; each = each->next) {
        struct call part = *call;
        part.command = each->command;
        part.arguments = each->arguments;
        part.argument_count = each->count;
        each->command->run(&part);
    }
}

static void run_exec(struct call *call)
{
    const struct multi *multi = call->client->multi;
    if (!multi_is_open(call->client)) {
        resp_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    if (multi->spoiled) {
        resp_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    kvs_status status = multi->watches_unknown ? KVS_CONDITION_FAILED : apply_watches(call, multi);
    if (status == KVS_OK)
        run_queued(call, multi);
    else if (status == KVS_CONDITION_FAILED)
        resp_null_array(call->reply);
    else
        resp_fault(call->reply, status, transaction_message(call->txn));
}

bool multi_is_exec(const struct resp_command *command)
{
    return command->run == run_exec;
}

bool multi_needs_store(const struct client *client)
{
    return multi_is_open(client) && client->multi->needs_store;
}

static void finish_exec(struct client *client)
{
    if (multi_is_open(client))
        multi_discard(client);
}

const struct resp_command resp_multi_commands[] = {
    {.name = "multi",
     .arity = 1,
     .flags = RESP_FAST | RESP_AT_ONCE | RESP_LOADING_OK,
     .group = "transactions",
     .since = "1.2.0",
     .summary = "Begin a transaction: commands wait for EXEC",
     .run = run_multi},
    {.name = "exec",
     .arity = 1,
     .flags = RESP_WRITE | RESP_AT_ONCE | RESP_LOADING_OK,
     .group = "transactions",
     .since = "1.2.0",
     .summary = "Run the commands of a transaction, all at one moment",
     .run = run_exec,
     .finished = finish_exec},
    {.name = "discard",
     .arity = 1,
     .flags = RESP_FAST | RESP_AT_ONCE | RESP_LOADING_OK,
     .group = "transactions",
     .since = "2.0.0",
     .summary = "Forget the commands of a transaction",
     .run = run_discard},
    {.name = "watch",
     .arity = -2,
     .flags = RESP_FAST | RESP_AT_ONCE | RESP_LOADING_OK,
     .first_key = 1,
     .last_key = -1,
     .key_step = 1,
     .group = "transactions",
     .since = "2.2.0",
     .summary = "Let the next transaction fail if a key changes before it",
     .run = run_watch},
    {.name = "unwatch",
     .arity = 1,
     .flags = RESP_FAST | RESP_LOADING_OK,
     .group = "transactions",
     .since = "2.2.0",
     .summary = "Forget all watched keys",
     .run = run_unwatch},
    {.name = NULL},
};
