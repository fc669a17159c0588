/* Where a load goes: a protocol and an address, as "kvs://127.0.0.1:4000". */
#ifndef BENCH_LOAD_ENDPOINT_H
#define BENCH_LOAD_ENDPOINT_H

#include <stdbool.h>

#include "base/address.h"
#include "load/wire.h"

struct endpoint {
    const struct wire *wire;
    struct address address;
    char text[ADDRESS_TEXT_MAX + 16]; /* as it was read, in its canonical form */
};

/*
 * Reads "PROTOCOL://IP:PORT"; the protocols are kvs, resp (redis is another name for it) and
 * memcached. KVS_OK; KVS_INVALID; KVS_DENIED: the address is not a loopback one and allow_remote is
 * false, since a load generator that is pointed at somebody else's machine is an attack.
 */
KVS_MUST_USE kvs_status endpoint_parse(const char *text, bool allow_remote, struct endpoint *ret,
                                       struct kvs_error *err);

#endif
