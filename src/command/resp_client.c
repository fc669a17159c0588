/*
 * See resp_client.h. CLIENT: what the asking client is called, and which others there are.
 *
 * I1  Other clients are looked at inside hooks.visit_clients only, which keeps them from going; their
 *     texts under their lock, the rest as relaxed atomics.
 */
#include "command/resp_client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "command/client.h"
#include "command/command.h"
#include "command/resp_errors.h"
#include "command/resp_subcommand.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

#define SHOWN_MAX     64u   /* bytes of an argument that an error repeats */
#define LINE_MAX_SIZE 1024u /* of a client in the list, but for its own texts */

/* ---- who one is ---------------------------------------------------------------------------- */

static void run_id(struct call *call)
{
    resp_integer(call->reply, (int64_t)call->client->id);
}

static void run_getname(struct call *call)
{
    /* Only this thread writes it. */
    if (call->client->name == NULL)
        resp_null(call->reply);
    else
        resp_bulk_text(call->reply, call->client->name);
}

static void run_setname(struct call *call)
{
    kvs_status status = client_set_text(call->client, &call->client->name, call->arguments[2]);
    if (status == KVS_OK)
        resp_ok(call->reply);
    else if (status == KVS_INVALID)
        resp_error(call->reply,
                   "ERR Client names cannot contain spaces, newlines or special characters.");
    else
        resp_fault(call->reply, status, NULL);
}

static void run_setinfo(struct call *call)
{
    struct client *client = call->client;
    char **text = NULL;
    const char *what = "lib-name";
    if (word_is(call->arguments[2], "lib-name")) {
        text = &client->library_name;
    } else if (word_is(call->arguments[2], "lib-ver")) {
        text = &client->library_version;
        what = "lib-ver";
    } else {
        resp_error(call->reply, "ERR Unrecognized option '%.*s'",
                   (int)(call->arguments[2].len < 64 ? call->arguments[2].len : 64),
                   (const char *)call->arguments[2].ptr);
        return;
    }
    kvs_status status = client_set_text(client, text, call->arguments[3]);
    if (status == KVS_OK)
        resp_ok(call->reply);
    else if (status == KVS_INVALID)
        resp_error(call->reply, "ERR %s cannot contain spaces, newlines or special characters.",
                   what);
    else
        resp_fault(call->reply, status, NULL);
}

/* ---- the list ------------------------------------------------------------------------------ */

/* Lines about clients, and which clients are wanted. */
struct listing {
    struct buffer text; /* owned */
    kvs_status status;
    int64_t now_ms;
    bool none;                   /* of a kind that there is none of */
    const struct kvs_bytes *ids; /* NULL: all */
    uint32_t id_count;
};

KVS_PRINTF(2, 3) static void add_text(struct listing *listing, const char *format, ...)
{
    if (listing->status == KVS_OK)
        listing->status = buffer_reserve(&listing->text, LINE_MAX_SIZE);
    if (listing->status != KVS_OK)
        return;
    va_list arguments;
    va_start(arguments, format);
    int size =
        vsnprintf((char *)listing->text.data + listing->text.end, LINE_MAX_SIZE, format, arguments);
    va_end(arguments);
    if (size > 0)
        buffer_commit(&listing->text,
                      (size_t)size < LINE_MAX_SIZE ? (size_t)size : LINE_MAX_SIZE - 1);
}

/* A text of a client, which may be long, with its name in front. Under the client's lock. */
static void add_own_text(struct listing *listing, const char *name, const char *text)
{
    add_text(listing, " %s=", name);
    if (listing->status == KVS_OK && text != NULL)
        listing->status = buffer_append(&listing->text, text, strlen(text));
}

static int64_t seconds_since(int64_t now_ms, int64_t then_ms)
{
    return now_ms > then_ms ? (now_ms - then_ms) / 1000 : 0;
}

/* Adds a client's line as Redis writes it. What is not known here is 0: client libraries expect to
   find all these numbers. */
static void add_client(struct listing *listing, struct client *client)
{
    int64_t active = atomic_load_explicit(&client->last_active_ms, memory_order_relaxed);
    const char *command = atomic_load_explicit(&client->last_command, memory_order_relaxed);
    bool in_multi = atomic_load_explicit(&client->in_multi, memory_order_relaxed) != 0;
    add_text(listing, "id=%" PRIu64 " addr=%s laddr=%s fd=0", client->id, client->address,
             client->local_address);
    (void)pthread_mutex_lock(&client->lock);
    add_own_text(listing, "name", client->name);
    add_text(listing,
             " age=%" PRId64 " idle=%" PRId64 " flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d"
             " qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0"
             " events=r cmd=%s user=default redir=-1 resp=%" PRIu32,
             seconds_since(listing->now_ms, client->created_ms),
             seconds_since(listing->now_ms, active), in_multi ? "x" : "N", in_multi ? 0 : -1,
             command != NULL ? command : "NULL", client_resp_version(client));
    add_own_text(listing, "lib-name", client->library_name);
    add_own_text(listing, "lib-ver", client->library_version);
    (void)pthread_mutex_unlock(&client->lock);
    add_text(listing, "\n");
}

static bool is_wanted(const struct listing *listing, const struct client *client)
{
    if (listing->ids == NULL)
        return !listing->none;
    for (uint32_t i = 0; i < listing->id_count; i++) {
        int64_t id;
        if (word_integer(listing->ids[i], &id) && (uint64_t)id == client->id)
            return true;
    }
    return false;
}

static void list_client(void *arg, struct client *client)
{
    struct listing *listing = arg;
    if (is_wanted(listing, client))
        add_client(listing, client);
}

static void answer_listing(struct call *call, struct listing *listing)
{
    if (listing->status == KVS_OK)
        resp_verbatim(call->reply, bytes_of(listing->text.data + listing->text.start,
                                            (uint64_t)buffer_size(&listing->text)));
    else
        resp_fault(call->reply, listing->status, NULL);
    buffer_deinit(&listing->text);
}

static void run_info(struct call *call)
{
    struct listing listing = {.now_ms = call->now_ms};
    add_client(&listing, call->client);
    answer_listing(call, &listing);
}

/* Every client is of the type "normal". False: there is no such type; the error is answered. */
static bool read_type(const struct call *call, struct kvs_bytes type, bool *ret_none)
{
    *ret_none = word_is(type, "master") || word_is(type, "replica") || word_is(type, "slave") ||
                word_is(type, "pubsub");
    if (*ret_none || word_is(type, "normal"))
        return true;
    resp_error(call->reply, "ERR Unknown client type '%.*s'",
               (int)(type.len < SHOWN_MAX ? type.len : SHOWN_MAX), (const char *)type.ptr);
    return false;
}

/* CLIENT LIST [TYPE type] [ID id ...]. False: the error is answered. */
static bool read_list_options(const struct call *call, struct listing *listing)
{
    const struct kvs_bytes *arguments = call->arguments;
    if (call->argument_count == 2)
        return true;
    if (call->argument_count == 4 && word_is(arguments[2], "type")) {
        return read_type(call, arguments[3], &listing->none);
    }
    if (call->argument_count < 4 || !word_is(arguments[2], "id")) {
        resp_error_syntax(call->reply);
        return false;
    }
    listing->ids = arguments + 3;
    listing->id_count = call->argument_count - 3;
    for (uint32_t i = 0; i < listing->id_count; i++) {
        int64_t id;
        if (!word_integer(listing->ids[i], &id)) {
            resp_error(call->reply, "ERR Invalid client ID");
            return false;
        }
    }
    return true;
}

static void run_list(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    struct listing listing = {.now_ms = call->now_ms};
    if (!read_list_options(call, &listing))
        return;
    if (hooks->visit_clients != NULL)
        hooks->visit_clients(hooks->arg, list_client, &listing);
    else if (is_wanted(&listing, call->client))
        add_client(&listing, call->client);
    answer_listing(call, &listing);
}

/* ---- KILL ---------------------------------------------------------------------------------- */

/* Which clients to cut off, and those that were found. */
struct hunt {
    const struct client *asking;
    int64_t now_ms;
    int64_t id; /* 0: any */
    int64_t age_s;
    const struct kvs_bytes *address;
    const struct kvs_bytes *local_address;
    bool none;
    bool skip_me;
    bool me;              /* the asking one is among them */
    struct buffer others; /* the ids of the others; owned */
    kvs_status status;
};

static bool is_at(const struct kvs_bytes *wanted, const char *address)
{
    return wanted == NULL || bytes_equal(*wanted, bytes_of_text(address));
}

static void hunt_client(void *arg, struct client *client)
{
    struct hunt *hunt = arg;
    if (hunt->none || (hunt->id != 0 && (uint64_t)hunt->id != client->id) ||
        !is_at(hunt->address, client->address) ||
        !is_at(hunt->local_address, client->local_address) ||
        seconds_since(hunt->now_ms, client->created_ms) < hunt->age_s)
        return;
    if (client == hunt->asking) {
        hunt->me = !hunt->skip_me;
        return;
    }
    if (hunt->status == KVS_OK)
        hunt->status = buffer_append(&hunt->others, &client->id, sizeof(client->id));
}

/* Cuts off all that match. Returns how many. Those that there is no memory for stay. */
static uint64_t hunt_down(struct call *call, struct hunt *hunt)
{
    const struct hooks *hooks = &call->context->hooks;
    uint64_t killed = 0;
    if (hooks->visit_clients != NULL)
        hooks->visit_clients(hooks->arg, hunt_client, hunt);
    else
        hunt_client(hunt, call->client);
    while (buffer_size(&hunt->others) > 0) {
        uint64_t id;
        memcpy(&id, buffer_content(&hunt->others), sizeof(id));
        buffer_consume(&hunt->others, sizeof(id));
        killed += hooks->kill_client != NULL && hooks->kill_client(hooks->arg, id);
    }
    buffer_deinit(&hunt->others);
    if (hunt->me) {
        call->client->close_after_reply = true;
        killed++;
    }
    return killed;
}

/* Reads one "NAME value" filter. False: the error is answered. */
static bool read_filter(const struct call *call, uint32_t at, struct hunt *hunt)
{
    struct kvs_bytes name = call->arguments[at];
    struct kvs_bytes value = call->arguments[at + 1];
    if (word_is(name, "id")) {
        if (word_integer(value, &hunt->id) && hunt->id > 0)
            return true;
        resp_error(call->reply, "ERR client-id should be greater than 0");
        return false;
    }
    if (word_is(name, "maxage")) {
        if (word_integer(value, &hunt->age_s) && hunt->age_s > 0)
            return true;
        resp_error(call->reply, "ERR maxage is not an integer or out of range");
        return false;
    }
    if (word_is(name, "type"))
        return read_type(call, value, &hunt->none);
    if (word_is(name, "user") && !bytes_equal(value, bytes_of_text("default"))) {
        resp_error(call->reply, "ERR No such user '%.*s'",
                   (int)(value.len < SHOWN_MAX ? value.len : SHOWN_MAX), (const char *)value.ptr);
        return false;
    }
    if (word_is(name, "user"))
        return true;
    if (word_is(name, "addr"))
        hunt->address = &call->arguments[at + 1];
    else if (word_is(name, "laddr"))
        hunt->local_address = &call->arguments[at + 1];
    else if (word_is(name, "skipme") && (word_is(value, "yes") || word_is(value, "no")))
        hunt->skip_me = word_is(value, "yes");
    else {
        resp_error_syntax(call->reply);
        return false;
    }
    return true;
}

static void run_kill(struct call *call)
{
    struct hunt hunt = {.asking = call->client, .now_ms = call->now_ms, .skip_me = true};
    if (call->argument_count == 3) { /* CLIENT KILL address:port */
        hunt.address = &call->arguments[2];
        hunt.skip_me = false;
        if (hunt_down(call, &hunt) > 0)
            resp_ok(call->reply);
        else
            resp_error(call->reply, "ERR No such client");
        return;
    }
    if (call->argument_count % 2 != 0) {
        resp_error_syntax(call->reply);
        return;
    }
    for (uint32_t at = 2; at < call->argument_count; at += 2) {
        if (!read_filter(call, at, &hunt))
            return;
    }
    resp_integer(call->reply, (int64_t)hunt_down(call, &hunt));
}

/* ---- REPLY --------------------------------------------------------------------------------- */

/* OFF and SKIP have no reply themselves. */
static void run_reply(struct call *call)
{
    struct client *client = call->client;
    if (word_is(call->arguments[2], "on")) {
        client->replies_off = client->skips_reply = false;
        call->reply->muted = false;
        resp_ok(call->reply);
    } else if (word_is(call->arguments[2], "off")) {
        client->replies_off = true;
        call->reply->muted = true;
    } else if (word_is(call->arguments[2], "skip")) {
        client->skips_next_reply = !client->replies_off;
    } else {
        resp_error_syntax(call->reply);
    }
}

/* ---- what clients send and this server has no need of -------------------------------------- */

static void run_on_off(struct call *call)
{
    if (word_is(call->arguments[2], "on") || word_is(call->arguments[2], "off"))
        resp_ok(call->reply);
    else
        resp_error_syntax(call->reply);
}

/* The options behind CLIENT TRACKING ON or OFF, which would say how. */
static bool are_tracking_options(const struct kvs_bytes *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((word_is(arguments[i], "redirect") || word_is(arguments[i], "prefix")) && i + 1 < count)
            i++;
        else if (!word_is(arguments[i], "bcast") && !word_is(arguments[i], "optin") &&
                 !word_is(arguments[i], "optout") && !word_is(arguments[i], "noloop"))
            return false;
    }
    return true;
}

static void run_tracking(struct call *call)
{
    const struct kvs_bytes *arguments = call->arguments;
    bool on = word_is(arguments[2], "on");
    if ((!on && !word_is(arguments[2], "off")) ||
        !are_tracking_options(arguments + 3, call->argument_count - 3))
        resp_error_syntax(call->reply);
    else if (on)
        resp_error_unsupported(call->reply, "client-side caching is not supported");
    else
        resp_ok(call->reply);
}

static void run_caching(struct call *call)
{
    resp_error(call->reply, "ERR CLIENT CACHING can be called only when the client is in tracking "
                            "mode with OPTIN or OPTOUT mode enabled");
}

static void run_trackinginfo(struct call *call)
{
    resp_map(call->reply, 3);
    resp_bulk_text(call->reply, "flags");
    resp_set(call->reply, 1);
    resp_bulk_text(call->reply, "off");
    resp_bulk_text(call->reply, "redirect");
    resp_integer(call->reply, -1);
    resp_bulk_text(call->reply, "prefixes");
    resp_array(call->reply, 0);
}

static void run_getredir(struct call *call)
{
    resp_integer(call->reply, -1);
}

static void run_unblock(struct call *call)
{
    int64_t id;
    if (call->argument_count > 4)
        resp_error(call->reply, "ERR unknown subcommand or wrong number of arguments for "
                                "'UNBLOCK'. Try CLIENT HELP.");
    else if (call->argument_count == 4 && !word_is(call->arguments[3], "timeout") &&
             !word_is(call->arguments[3], "error"))
        resp_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    else if (!word_integer(call->arguments[2], &id))
        resp_error_not_integer(call->reply);
    else
        resp_integer(call->reply, 0); /* no command blocks */
}

static void run_pause(struct call *call)
{
    int64_t timeout_ms;
    if (call->argument_count > 4)
        resp_error(call->reply, "ERR unknown subcommand or wrong number of arguments for "
                                "'PAUSE'. Try CLIENT HELP.");
    else if (call->argument_count > 3 && !word_is(call->arguments[3], "write") &&
             !word_is(call->arguments[3], "all"))
        resp_error(call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    else if (!word_integer(call->arguments[2], &timeout_ms))
        resp_error(call->reply, "ERR timeout is not an integer or out of range");
    else if (timeout_ms < 0)
        resp_error(call->reply, "ERR timeout is negative");
    else if (timeout_ms > 0)
        resp_error_unsupported(call->reply, "CLIENT PAUSE is not supported");
    else
        resp_ok(call->reply);
}

static void run_unpause(struct call *call)
{
    resp_ok(call->reply);
}

static const struct resp_subcommand client_subcommands[] = {
    {"caching", 3, NULL, run_caching},
    {"getname", 2, ": the name of this connection", run_getname},
    {"getredir", 2, NULL, run_getredir},
    {"id", 2, ": the number of this connection", run_id},
    {"info", 2, ": this connection, as in LIST", run_info},
    {"kill", -3,
     "<address:port> | ID <id> | ADDR <address:port> | LADDR <address:port> | MAXAGE "
     "<seconds> | TYPE normal | USER <name> | SKIPME <yes|no>: cuts clients off",
     run_kill},
    {"list", -2, "[TYPE normal] [ID <id> ...]: the connected clients", run_list},
    {"no-evict", 3, "<on|off>: nothing is evicted anyway", run_on_off},
    {"no-touch", 3, "<on|off>: nothing is touched anyway", run_on_off},
    {"pause", -3, NULL, run_pause},
    {"reply", 3, "<on|off|skip>: whether replies are sent; skip: not of the next command",
     run_reply},
    {"setinfo", 4, "<LIB-NAME|LIB-VER> <text>: says which library this client is", run_setinfo},
    {"setname", 3, "<name>: names this connection", run_setname},
    {"tracking", -3, NULL, run_tracking},
    {"trackinginfo", 2, NULL, run_trackinginfo},
    {"unblock", -3, NULL, run_unblock},
    {"unpause", 2, NULL, run_unpause},
    {NULL, 0, NULL, NULL},
};

const struct resp_command resp_client_commands[] = {
    {
        .name = "client",
        .arity = -2,
        .flags = RESP_LOADING_OK,
        .group = "connection",
        .since = "2.4.0",
        .summary = "Name this connection; list and end connections",
        .run = resp_subcommand_run,
        .subcommands = client_subcommands,
    },
    {.name = NULL},
};
