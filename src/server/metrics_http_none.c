/* metrics_http.h in a build without libmicrohttpd: there is no page. */
#include "server/metrics_http.h"

kvs_status metrics_http_start(const struct address *address, const struct metrics_source *source,
                              struct metrics_http **ret_http, struct kvs_error *err)
{
    (void)address;
    (void)source;
    (void)ret_http;
    return kvs_error_set(err, KVS_UNSUPPORTED, 0,
                         "this kvs was built without libmicrohttpd: leave --metrics-addr out, or "
                         "build it with -Dmetrics=enabled");
}

uint16_t metrics_http_port(const struct metrics_http *http)
{
    (void)http;
    return 0;
}

void metrics_http_stop(struct metrics_http *http)
{
    (void)http;
}
