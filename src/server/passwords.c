/* See passwords.h. The digest is HMAC-SHA256 with a key that is drawn at random. */
#include "server/passwords.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/secret.h"

#define WHAT "the password file"

static void digest(const struct passwords *passwords, struct kvs_bytes password,
                   uint8_t ret[PASSWORD_DIGEST])
{
    gsize size = PASSWORD_DIGEST;
    GHmac *hmac = g_hmac_new(G_CHECKSUM_SHA256, passwords->key, sizeof(passwords->key));
    g_hmac_update(hmac, password.ptr, (gssize)password.len);
    g_hmac_get_digest(hmac, ret, &size);
    g_hmac_unref(hmac);
}

static kvs_status add(struct passwords *passwords, struct kvs_bytes password, struct kvs_error *err)
{
    if (password.len == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "the password is empty");
    if (password.len > PASSWORD_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "a password has at most %u bytes", PASSWORD_MAX);
    if (passwords->count == PASSWORDS_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "there are more than %u passwords",
                             PASSWORDS_MAX);
    digest(passwords, password, passwords->digests[passwords->count++]);
    return KVS_OK;
}

static kvs_status add_file(struct passwords *passwords, const char *path, struct kvs_error *err)
{
    char *content;
    size_t size;
    kvs_status status = secret_file_read(path, WHAT, &content, &size, err);
    if (status != KVS_OK)
        return status;
    struct kvs_bytes rest = bytes_of(content, size);
    struct kvs_bytes line;
    uint32_t before = passwords->count;
    while (status == KVS_OK && secret_next_line(&rest, &line)) {
        if (line.len > 0)
            status = add(passwords, line, err);
    }
    secret_free(content, size);
    if (status == KVS_OK && passwords->count == before)
        status = kvs_error_set(err, KVS_INVALID, 0,
                               WHAT " %s is empty: write a password into it, one a line", path);
    return status;
}

kvs_status passwords_init(struct passwords *passwords, const char *password, const char *path,
                          struct kvs_error *err)
{
    memset(passwords, 0, sizeof(*passwords));
    if (getrandom(passwords->key, sizeof(passwords->key), 0) != (ssize_t)sizeof(passwords->key))
        return kvs_error_set(err, KVS_IO, errno, "the kernel gives no random bytes: %s",
                             strerror(errno));
    kvs_status status = KVS_OK;
    if (password != NULL)
        status = add(passwords, bytes_of_text(password), err);
    if (status == KVS_OK && path != NULL)
        status = add_file(passwords, path, err);
    return status;
}

bool passwords_accept(const struct passwords *passwords, struct kvs_bytes password)
{
    uint8_t given[PASSWORD_DIGEST];
    bool accepted = false;
    /* Longer than any: not worth hashing, and says nothing about those that there are. */
    if (password.len > PASSWORD_MAX)
        return false;
    digest(passwords, password, given);
    for (uint32_t i = 0; i < passwords->count; i++)
        accepted |= secret_equal(given, passwords->digests[i], sizeof(given));
    explicit_bzero(given, sizeof(given));
    return accepted;
}
