/*
 * MULTI, EXEC, DISCARD, WATCH, UNWATCH: commands that a client collects and has done at one moment.
 *
 * EXEC runs the collected commands over one transaction, which becomes one batch of the engine: all of
 * it is applied or nothing, also across a crash where the engine's batches are atomic
 * (KVS_ENGINE_BATCH_ATOMIC). As with Redis, a command that answers with an error does not keep the
 * others from being applied.
 *
 * WATCH remembers values: EXEC does nothing if one of them is another one then. A key that was changed
 * and changed back counts as unchanged, unlike in Redis. What a key holds that is watched while the store
 * loads is not known: the EXEC after it does nothing, as if somebody had changed it.
 */
#ifndef COMMAND_RESP_MULTI_H
#define COMMAND_RESP_MULTI_H

#include <stdbool.h>
#include <stddef.h>

#include "command/client.h"
#include "command/resp_command.h"
#include "protocol/resp_reply.h"

#define MULTI_BYTES_MAX ((size_t)67108864) /* of all that a client collects and watches */

/* MULTI was said, and neither EXEC nor DISCARD yet. */
static inline bool multi_is_open(const struct client *client)
{
    return __builtin_expect(client->multi != NULL, 0) &&
           atomic_load_explicit(&client->in_multi, memory_order_relaxed) != 0;
}

/* Collects a command of an open MULTI, copying its arguments, and answers. False: with an error. */
bool multi_queue(struct client *client, const struct resp_command *command,
                 const struct kvs_bytes *arguments, uint32_t count, struct resp_writer *reply);

/* A command was refused: an open MULTI cannot be executed any more. */
void multi_spoil(struct client *client);

/* This is EXEC. */
bool multi_is_exec(const struct resp_command *command);

/* One of the collected commands is not allowed while the store loads, so EXEC is not either. */
bool multi_needs_store(const struct client *client);

/* Forgets what is collected and watched: the client begins anew, or is gone. */
void multi_discard(struct client *client);

extern const struct resp_command resp_multi_commands[];

#endif
