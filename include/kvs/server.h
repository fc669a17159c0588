/*
 * libkvs-server: a kvs server inside a program of your own. kvs-server is a thin shell around it;
 * tests and benchmarks start several in one process.
 *
 *     struct kvs_server_config config = {.size = sizeof(config), .address = "127.0.0.1:0"};
 *     if (kvs_server_new(&config, &server, &error) == KVS_OK)   // listens from here on
 *         kvs_server_run(server, &error);                       // returns after kvs_server_stop
 *     kvs_server_free(server);
 *
 * A server changes nothing of its process: no signal dispositions, no working directory, no limits.
 */
#ifndef KVS_SERVER_H
#define KVS_SERVER_H

#include <kvs/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvs_server;

enum { /* kvs_server_config.flags */
    /* kvs_server_new does not open the store: kvs_server_run does, and requests that need it are
       answered with "loading" until it is open. What is wrong with the store is then told by
       kvs_server_run. */
    KVS_SERVER_OPEN_LATE = 1u << 0
};

struct kvs_server_config {
    uint32_t size;
    uint32_t backlog;          /* of the listening socket; 0: 4096 */
    const char *address;       /* where to listen, see `listen`; NULL: nothing but `listen` says */
    const char *engine;        /* NULL: the one that made the data, or "log" */
    const char *pool;          /* NULL: "shared-queue" */
    uint32_t threads;          /* 0: the number of CPUs that this process may use */
    uint32_t durability;       /* KVS_DURABILITY_* of engine.h; 0: ALWAYS */
    uint64_t sync_interval_ms; /* with KVS_DURABILITY_INTERVAL */
    const char *data_dir;      /* made if missing; NULL: "kvs-data" */

    const char *const *plugin_dirs; /* looked through in order, before the built-in one */
    uint32_t plugin_dir_count;
    uint32_t engine_option_count;
    const char *const *engine_options; /* "NAME=VALUE" each */
    const char *const *pool_options;
    uint32_t pool_option_count;
    uint32_t log_level; /* KVS_LOG_* of plugin.h; 0: KVS_LOG_INFO */

    /* Called with each log line (terminated, no newline), from any thread. NULL: stderr. */
    void (*log)(void *arg, uint32_t level, const char *message);
    void *log_arg;

    uint64_t key_max;          /* bytes; 0: 65536, which is also the most */
    uint64_t value_max;        /* bytes; 0: 67108864, which is also the most */
    uint64_t drain_timeout_ms; /* how long a stop waits for slow readers; 0: 5000 */

    /* Where to listen, besides `address`: "IP:PORT" or "[IPv6]:PORT" (port 0: any free one),
       "unix:PATH", or "fd:N", a socket that listens already; with "tls:" in front, TLS is spoken
       there. With neither: 127.0.0.1:4000. */
    const char *const *listen;
    uint32_t listen_count;
    uint32_t socket_mode; /* permissions of the files of Unix sockets; 0: 0600 */
    /* Called once when requests are served, on a thread of the server's. NULL: nobody is told. */
    void (*ready)(void *arg);
    void *ready_arg;
    uint32_t flags; /* KVS_SERVER_* */

    /* Where clients' SAVE and BGSAVE write checkpoints, a new folder each; NULL: they may not. */
    const char *checkpoint_dir;
    uint32_t checkpoint_keep;       /* the newest that stay; 0: 2; UINT32_MAX: all */
    uint32_t slow_log_length;       /* requests that the slow log keeps; 0: 128 */
    uint64_t slow_log_threshold_us; /* from which duration on; 0: 10000; UINT64_MAX: none */
    const char *metrics_address;    /* "IP:PORT": serve figures over HTTP there; NULL: nowhere */

    /* Who may come in. Without a password everybody who reaches the server, so listening where other
       machines reach it is refused unless no_auth is 1. password_file: a password a line, of which each is
       good; nobody but its owner and group may read it. */
    const char *password;
    const char *password_file;
    uint32_t no_auth;
    uint32_t socket_no_auth;   /* 1: Unix sockets need no password, their permissions decide */
    uint64_t login_timeout_ms; /* for a TLS handshake and a password; 0: 10000 */

    /* TLS 1.3, at addresses with "tls:" in front. Paths of PEM files; read again by kvs_server_reload. */
    const char *tls_cert; /* the certificate, and the chain behind it */
    const char *tls_key;  /* nobody but its owner and group may read it */
    const char
        *tls_client_ca; /* clients must show a certificate of this CA; NULL: none is asked for */
    uint32_t tls_client_optional; /* 1: who has none may come in, too */
    uint32_t reserved;            /* 0 */

    /* What clients may take. Where 0 is a default, UINT64_MAX means that there is no limit. */
    uint64_t clients_max;     /* connections at a time; 0: as many as there are descriptors */
    uint64_t request_max;     /* bytes of a request of the Redis protocol; 0: 128 MiB */
    uint64_t reply_max;       /* bytes of replies to one client; 0: 256 MiB */
    uint64_t idle_timeout_ms; /* without a request; 0: no limit */
    uint64_t
        request_timeout_ms; /* from a request's first byte to its last, and again for each further
                                    64 KiB of it; 0: 60000 */
    uint64_t reader_timeout_ms; /* to take replies, and again for each 64 KiB of them; 0: 60000 */
};

/*
 * Opens the store, makes the pool and listens: connections queue from here on. KVS_OK, or negative
 * with err filled and nothing left behind. Everything in config may go when it returns, except what
 * log_arg points to.
 */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_server_new(const struct kvs_server_config *config,
                                                  struct kvs_server **ret_server,
                                                  struct kvs_error *err);

/*
 * Checks a configuration as kvs_server_new would: values, plugins and their options, and that the
 * data directory, if it exists, was made by this engine. Opens and changes nothing. KVS_OK, or what
 * kvs_server_new would say.
 */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_server_check(const struct kvs_server_config *config,
                                                    struct kvs_error *err);

/*
 * Serves until kvs_server_stop, then: stops accepting, answers what was received, syncs and closes
 * the store. KVS_OK, or the first fault on the way down. Called once, by one thread, which serves
 * as the reactor where the pool has no idle hook.
 */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_server_run(struct kvs_server *server, struct kvs_error *err);

/* Makes kvs_server_run return (also one that has not begun). From any thread or signal handler. */
KVS_EXPORT void kvs_server_stop(struct kvs_server *server);

/*
 * Takes over what can change while it serves: log_level, limits, passwords, certificates (files are read
 * again), socket_no_auth, login_timeout_ms. Everything else in config is looked at only to say what has
 * changed and needs a restart, which the log then names. KVS_OK; KVS_INVALID, or what reading the files
 * gave: then nothing was taken over. From any thread, one at a time, while it runs or before.
 */
KVS_EXPORT KVS_MUST_USE kvs_status kvs_server_reload(struct kvs_server *server,
                                                     const struct kvs_server_config *config,
                                                     struct kvs_error *err);

/* The port that it listens on. */
KVS_EXPORT uint16_t kvs_server_port(const struct kvs_server *server);

/* The port that metrics are served on; 0: nowhere. */
KVS_EXPORT uint16_t kvs_server_metrics_port(const struct kvs_server *server);

/* Frees a server that is not running. NULL is fine. */
KVS_EXPORT void kvs_server_free(struct kvs_server *server);

#ifdef __cplusplus
}
#endif

#endif
