/* One request and its reply, for the functions of <kvs/client.h> that need more than a key and a value. */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include <kvs/client.h>

#include "base/buffer.h"
#include "protocol/request.h"

/*
 * Connects if need be, sends the request, receives its reply: the server's status. *ret_body is set with
 * KVS_OK and KVS_CONDITION_FAILED, a view that lives until the next call.
 */
kvs_status client_call(struct kvs_client *client, struct request *request,
                       struct kvs_bytes *ret_body, struct kvs_error *err);

/* The client's buffer for a request's body, empty. */
struct buffer *client_body(struct kvs_client *client);

#endif
