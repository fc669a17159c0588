/*
 * See resp_connection.h. What these change is in the client and takes effect with the next reply,
 * but for HELLO, whose own reply is in the version that it chose already, as clients expect.
 */
#include "command/resp_connection.h"

#include "base/bytes.h"
#include "command/client.h"
#include "command/command.h"
#include "command/redis_version.h"
#include "command/resp_errors.h"
#include "command/resp_multi.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

static const struct kvs_bytes default_user = {"default", 7};

static enum authentication authenticate(const struct call *call, struct kvs_bytes user,
                                        struct kvs_bytes password)
{
    const struct hooks *hooks = &call->context->hooks;
    enum authentication result = hooks->authenticate != NULL
                                     ? hooks->authenticate(hooks->arg, user, password)
                                     : AUTHENTICATION_NOT_SET;
    if (result == AUTHENTICATION_WRONG)
        call->client->wrong_passwords++; /* who serves the client looks at it */
    return result;
}

static bool answer_name(struct resp_writer *reply, kvs_status status)
{
    if (status == KVS_INVALID)
        resp_error(reply,
                   "ERR Client names cannot contain spaces, newlines or special characters.");
    else if (status != KVS_OK)
        resp_fault(reply, status, NULL);
    return status == KVS_OK;
}

static void run_auth(struct call *call)
{
    if (call->argument_count > 3) {
        resp_error_syntax(call->reply);
        return;
    }
    bool has_user = call->argument_count == 3;
    switch (authenticate(call, has_user ? call->arguments[1] : default_user,
                         call->arguments[has_user ? 2 : 1])) {
    case AUTHENTICATED:
        call->client->authenticated = true;
        resp_ok(call->reply);
        return;
    case AUTHENTICATION_NOT_SET:
        /* As Redis does: its user "default" has every password then. */
        if (has_user && bytes_equal(call->arguments[1], default_user))
            resp_ok(call->reply);
        else if (has_user)
            resp_error_wrong_password(call->reply);
        else
            resp_error(call->reply,
                       "ERR AUTH <password> called without any password configured for the default "
                       "user. Are you sure your configuration is correct?");
        return;
    case AUTHENTICATION_WRONG:
    default:
        resp_error_wrong_password(call->reply);
        return;
    }
}

/* ---- HELLO --------------------------------------------------------------------------------- */

struct hello {
    int64_t version; /* 0: as it is */
    const struct kvs_bytes *user;
    const struct kvs_bytes *password;
    const struct kvs_bytes *name;
};

/* Reads the arguments. False: the error is answered. */
static bool read_hello(const struct call *call, struct hello *hello)
{
    uint32_t at = 1;
    if (at < call->argument_count) {
        if (!word_integer(call->arguments[at++], &hello->version)) {
            resp_error(call->reply, "ERR Protocol version is not an integer or out of range");
            return false;
        }
        if (hello->version != 2 && hello->version != 3) {
            resp_error(call->reply, "NOPROTO unsupported protocol version");
            return false;
        }
    }
    while (at < call->argument_count) {
        uint32_t more = call->argument_count - at - 1;
        if (word_is(call->arguments[at], "auth") && more >= 2) {
            hello->user = &call->arguments[at + 1];
            hello->password = &call->arguments[at + 2];
            at += 3;
        } else if (word_is(call->arguments[at], "setname") && more >= 1) {
            hello->name = &call->arguments[at + 1];
            at += 2;
        } else {
            resp_error(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                       (int)(call->arguments[at].len < 64 ? call->arguments[at].len : 64),
                       (const char *)call->arguments[at].ptr);
            return false;
        }
    }
    return true;
}

static void answer_hello(const struct call *call)
{
    struct resp_writer *reply = call->reply;
    resp_map(reply, 7);
    resp_bulk_text(reply, "server");
    resp_bulk_text(reply, "redis");
    resp_bulk_text(reply, "version");
    resp_bulk_text(reply, REDIS_VERSION);
    resp_bulk_text(reply, "proto");
    resp_integer(reply, client_resp_version(call->client));
    resp_bulk_text(reply, "id");
    resp_integer(reply, (int64_t)call->client->id);
    resp_bulk_text(reply, "mode");
    resp_bulk_text(reply, "standalone");
    resp_bulk_text(reply, "role");
    resp_bulk_text(reply, "master");
    resp_bulk_text(reply, "modules");
    resp_array(reply, 0);
}

static void set_version(const struct call *call, uint32_t version)
{
    atomic_store_explicit(&call->client->resp_version, version, memory_order_relaxed);
    call->reply->version = version;
}

static void run_hello(struct call *call)
{
    struct hello hello = {0};
    if (!read_hello(call, &hello))
        return;
    if (hello.user != NULL) {
        enum authentication result = authenticate(call, *hello.user, *hello.password);
        if (result == AUTHENTICATION_WRONG ||
            (result == AUTHENTICATION_NOT_SET && !bytes_equal(*hello.user, default_user))) {
            resp_error_wrong_password(call->reply);
            return;
        }
        call->client->authenticated = true;
    }
    if (!call->client->authenticated) {
        resp_error(call->reply,
                   "NOAUTH HELLO must be called with the client already authenticated, otherwise "
                   "the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the "
                   "client and select the RESP protocol version at the same time");
        return;
    }
    if (hello.name != NULL &&
        !answer_name(call->reply, client_set_text(call->client, &call->client->name, *hello.name)))
        return;
    if (hello.version != 0)
        set_version(call, (uint32_t)hello.version);
    answer_hello(call);
}

/* ---- the small ones ------------------------------------------------------------------------ */

static void run_ping(struct call *call)
{
    if (call->argument_count > 2)
        resp_error_arity(call->reply, "ping");
    else if (call->argument_count == 2)
        resp_bulk(call->reply, call->arguments[1]);
    else
        resp_simple(call->reply, "PONG");
}

static void run_echo(struct call *call)
{
    resp_bulk(call->reply, call->arguments[1]);
}

static void run_select(struct call *call)
{
    int64_t number;
    if (!word_integer(call->arguments[1], &number))
        resp_error_not_integer(call->reply);
    else if (number != 0)
        resp_error(call->reply, "ERR DB index is out of range");
    else
        resp_ok(call->reply);
}

static void run_quit(struct call *call)
{
    call->client->close_after_reply = true;
    resp_ok(call->reply);
}

static void run_reset(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    if (!answer_name(call->reply,
                     client_set_text(call->client, &call->client->name, bytes_of(NULL, 0))))
        return;
    multi_discard(call->client);
    call->client->authenticated = call->client->trusted || hooks->needs_password == NULL ||
                                  !hooks->needs_password(hooks->arg);
    set_version(call, 2);
    call->client->replies_off = call->client->skips_next_reply = false;
    call->reply->muted = client_is_muted(call->client);
    resp_simple(call->reply, "RESET");
}

#define CONNECTION(name_, arity_, flags_, run_, since_, summary_)                                  \
    {                                                                                              \
        .name = (name_), .arity = (arity_), .flags = (flags_) | RESP_FAST | RESP_LOADING_OK,       \
        .group = "connection", .since = (since_), .summary = (summary_), .run = (run_)             \
    }

const struct resp_command resp_connection_commands[] = {
    CONNECTION("auth", -2, RESP_NO_AUTH | RESP_NO_MULTI, run_auth, "1.0.0",
               "Give the password of this server"),
    CONNECTION("echo", 2, 0, run_echo, "1.0.0", "Answer the argument"),
    CONNECTION("hello", -1, RESP_NO_AUTH | RESP_NO_MULTI, run_hello, "6.0.0",
               "Choose the version of the protocol; perhaps give password and name"),
    CONNECTION("ping", -1, 0, run_ping, "1.0.0", "Answer PONG, or the argument"),
    CONNECTION("quit", -1, RESP_NO_AUTH | RESP_AT_ONCE, run_quit, "1.0.0", "End the connection"),
    CONNECTION("reset", 1, RESP_NO_AUTH | RESP_AT_ONCE, run_reset, "6.2.0",
               "Make the connection as it was at its start"),
    CONNECTION("select", 2, 0, run_select, "1.0.0", "Choose a database: there is one, 0"),
    {.name = NULL},
};
