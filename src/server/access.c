/* See access.h. Passwords are changed under the lock and compared under it: logging in is rare, and
   takes microseconds. */
#include "server/access.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"

#define USER       "default"
#define LOG_GAP_NS NS_PER_S

static kvs_status read_passwords(struct passwords *passwords, const struct access_config *config,
                                 struct kvs_error *err)
{
    memset(passwords, 0, sizeof(*passwords));
    if (config->no_auth && (config->password != NULL || config->password_file != NULL))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "a password is set and --no-auth is said: choose one");
    return passwords_init(passwords, config->password, config->password_file, err);
}

static void set_policy(struct access *access, const struct access_config *config)
{
    atomic_store_explicit(&access->required, access->passwords.count > 0, memory_order_relaxed);
    atomic_store_explicit(&access->socket_no_auth, config->socket_no_auth, memory_order_relaxed);
}

kvs_status access_init(struct access *access, const struct access_config *config,
                       const struct log *log, struct kvs_error *err)
{
    memset(access, 0, sizeof(*access));
    (void)pthread_mutex_init(&access->lock, NULL);
    access->log = log;
    kvs_status status = read_passwords(&access->passwords, config, err);
    if (status == KVS_OK)
        set_policy(access, config);
    return status;
}

void access_deinit(struct access *access)
{
    if (access->log == NULL)
        return;
    explicit_bzero(&access->passwords, sizeof(access->passwords));
    (void)pthread_mutex_destroy(&access->lock);
    access->log = NULL;
}

/* access_check for a server that has, or has not, a password. */
static kvs_status check(bool has_password, const struct access_config *config,
                        const struct listeners *listeners, struct kvs_error *err)
{
    if (config->no_auth || has_password)
        return KVS_OK;
    for (uint32_t i = 0; i < listeners->count; i++) {
        const struct listener *listener = &listeners->items[i];
        char text[LISTENER_TEXT_MAX];
        if (listener->address.size == 0 || address_is_local(&listener->address) ||
            (listener->tls && config->client_certificates))
            continue;
        listener_format(listener, text);
        return kvs_error_set(
            err, KVS_DENIED, 0,
            "%s may be reached from other machines, and no password is set: set one "
            "with --password-file or KVS_PASSWORD, or say --no-auth if everybody "
            "who reaches it may read and change everything",
            text);
    }
    return KVS_OK;
}

kvs_status access_check(const struct access *access, const struct access_config *config,
                        const struct listeners *listeners, struct kvs_error *err)
{
    return check(atomic_load_explicit(&access->required, memory_order_relaxed) != 0, config,
                 listeners, err);
}

kvs_status access_reload(struct access *access, const struct access_config *config,
                         const struct listeners *listeners, struct kvs_error *err)
{
    struct passwords passwords;
    kvs_status status = read_passwords(&passwords, config, err);
    if (status == KVS_OK)
        status = check(passwords.count > 0, config, listeners, err);
    if (status == KVS_OK) {
        (void)pthread_mutex_lock(&access->lock);
        access->passwords = passwords;
        set_policy(access, config);
        (void)pthread_mutex_unlock(&access->lock);
    }
    explicit_bzero(&passwords, sizeof(passwords));
    return status;
}

enum authentication access_authenticate(struct access *access, struct kvs_bytes user,
                                        struct kvs_bytes password)
{
    (void)pthread_mutex_lock(&access->lock);
    bool wanted = access->passwords.count > 0;
    bool right = passwords_accept(&access->passwords, password);
    (void)pthread_mutex_unlock(&access->lock);
    if (!wanted)
        return AUTHENTICATION_NOT_SET;
    return right && bytes_equal(user, bytes_of_text(USER)) ? AUTHENTICATED : AUTHENTICATION_WRONG;
}

bool access_needs_password(const struct access *access)
{
    return atomic_load_explicit(&access->required, memory_order_relaxed) != 0;
}

bool access_note_failure(struct access *access, uint32_t attempt, const char *peer)
{
    bool last = attempt >= ACCESS_ATTEMPTS_MAX;
    uint64_t now_ns = clock_now_ns();
    uint64_t others = 0;
    (void)atomic_fetch_add_explicit(&access->failures, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&access->lock);
    bool log = access->logged_ns == 0 || now_ns - access->logged_ns >= LOG_GAP_NS;
    if (log) {
        others = access->unlogged;
        access->unlogged = 0;
        access->logged_ns = now_ns;
    } else {
        access->unlogged++;
    }
    (void)pthread_mutex_unlock(&access->lock);
    char more[64] = "";
    if (others > 0)
        (void)snprintf(more, sizeof(more), "; %llu others were not logged",
                       (unsigned long long)others);
    if (log)
        log_warn(access->log, "wrong password from %s (attempt %u%s%s)", peer, attempt,
                 last ? ", closing the connection" : "", more);
    return last;
}
