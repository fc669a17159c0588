/*
 * See metrics_http.h. libmicrohttpd speaks HTTP on a thread of its own and calls `answer` there. The
 * limits keep a broken scraper from costing anything: few connections, a short timeout, no bodies.
 */
#include "server/metrics_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define CONNECTIONS_MAX 32u
#define TIMEOUT_S       10u
#define TEXT_SIZE       256u

#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_TEXT    "text/plain; charset=utf-8"

struct metrics_http {
    struct MHD_Daemon *daemon;
    struct metrics_source source;
};

/* Sends a copy of the body. */
static enum MHD_Result send_copy(struct MHD_Connection *connection, unsigned code, const char *type,
                                 const void *body, size_t size)
{
    union {
        const void *from;
        void *to;
    } bytes = {body}; /* copied at once: not changed */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, bytes.to, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    return send_copy(connection, code, TYPE_TEXT, text, strlen(text));
}

static enum MHD_Result send_figures(struct MHD_Connection *connection,
                                    const struct metrics_source *source)
{
    struct buffer out = {0};
    enum MHD_Result result =
        source->figures(source->arg, &out) == KVS_OK
            ? send_copy(connection, MHD_HTTP_OK, TYPE_METRICS, buffer_content(&out),
                        buffer_size(&out))
            : send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    buffer_deinit(&out);
    return result;
}

static enum MHD_Result send_state(struct MHD_Connection *connection,
                                  const struct metrics_source *source,
                                  bool (*state)(void *arg, char *text, size_t text_size))
{
    char text[TEXT_SIZE] = "";
    bool good = state(source->arg, text, sizeof(text) - 1);
    // NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.strcpy): room was kept for it
    (void)strcat(text, "\n");
    return send_text(connection, good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    const struct metrics_http *http = arg;
    (void)version;
    (void)upload;
    (void)state;
    if (*upload_size != 0) { /* a body is read and ignored */
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (strcmp(url, "/metrics") == 0)
        return send_figures(connection, &http->source);
    if (strcmp(url, "/health") == 0)
        return send_state(connection, &http->source, http->source.healthy);
    if (strcmp(url, "/ready") == 0)
        return send_state(connection, &http->source, http->source.ready);
    return send_text(connection, MHD_HTTP_NOT_FOUND, "see /metrics, /health, /ready\n");
}

kvs_status metrics_http_start(const struct address *address, const struct metrics_source *source,
                              struct metrics_http **ret_http, struct kvs_error *err)
{
    struct metrics_http *http = calloc(1, sizeof(*http));
    if (http == NULL)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "out of memory");
    http->source = *source;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC;
    if (address->storage.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    http->daemon =
        MHD_start_daemon(flags, address_port(address), NULL, NULL, answer, http,
                         MHD_OPTION_SOCK_ADDR, &address->storage, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_END);
    if (http->daemon == NULL) {
        int code = errno;
        char text[ADDRESS_TEXT_MAX];
        address_format(address, text);
        free(http);
        return kvs_error_set(err, KVS_NETWORK, code,
                             "cannot serve metrics on %s: %s; choose another --metrics-addr", text,
                             code != 0 ? strerror(code) : "libmicrohttpd does not say why");
    }
    *ret_http = http;
    return KVS_OK;
}

uint16_t metrics_http_port(const struct metrics_http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info != NULL ? info->port : 0;
}

void metrics_http_stop(struct metrics_http *http)
{
    if (http == NULL)
        return;
    MHD_stop_daemon(http->daemon);
    free(http);
}
