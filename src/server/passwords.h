/*
 * The passwords that a server accepts. Kept as digests under a key of this process, so that the
 * passwords themselves are not in its memory, and so that comparing takes as long for a near miss as
 * for anything else, whatever the length of what is compared with.
 *
 * Not changed after it is made: to be read by any thread.
 */
#ifndef SERVER_PASSWORDS_H
#define SERVER_PASSWORDS_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/types.h>

#define PASSWORD_MAX    512u /* bytes */
#define PASSWORDS_MAX   64u
#define PASSWORD_DIGEST 32u

struct passwords {
    uint8_t key[PASSWORD_DIGEST];
    uint8_t digests[PASSWORDS_MAX][PASSWORD_DIGEST];
    uint32_t count;
};

/*
 * Takes a password and those of a file, one a line; both may be NULL. Empty lines are passed over. In a file
 * there must be one at least. KVS_OK; KVS_INVALID (an empty password, too long, too many), or what
 * secret_file_read gives. No message tells a password.
 */
KVS_MUST_USE kvs_status passwords_init(struct passwords *passwords, const char *password,
                                       const char *path, struct kvs_error *err);

/* True when it is one of them. */
bool passwords_accept(const struct passwords *passwords, struct kvs_bytes password);

#endif
