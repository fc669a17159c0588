/*
 * Samples by redis-benchmark (cell.h): what its users would see. It costs about a core itself, so
 * it often is the limit; its figure stands beside that of the leaner generator for that reason. Its
 * requests are a fixed number, chosen by the rate that it reached the last time.
 */
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/cell.h"

#define REQUESTS_FIRST 20000u
#define REQUESTS_LEAST 5000u

/* The requests/s out of the line of CSV that begins with the test's name in quotes: "SET","12.3". */
static double rate_of(const char *output, const char *test)
{
    _cleanup_(freep) char *upper = g_ascii_strup(test, -1);
    _cleanup_(freep) char *begin = g_strdup_printf("\"%s\",\"", upper);
    const char *line = strstr(output, begin);
    return line != NULL ? g_ascii_strtod(line + strlen(begin), NULL) : 0;
}

static kvs_status run_program(const struct server_run *run, uint64_t requests, double *ret_rate,
                              struct kvs_error *err)
{
    const struct server_cell *cell = run->cell;
    _cleanup_(freep) gchar *output = NULL;
    _cleanup_(freep) gchar *complaint = NULL;
    GError *error = NULL;
    _cleanup_(freep) char *line =
        g_strdup_printf("redis-benchmark -h 127.0.0.1 -p %u -c %u -P %u -n %" G_GUINT64_FORMAT
                        " -d %u -r %" G_GUINT64_FORMAT " -t %s --csv",
                        run->shelf->instance.port, run->point, cell->pipeline, requests,
                        run->config->value_size, run->config->keys, cell->mix);
    if (!g_spawn_command_line_sync(line, &output, &complaint, NULL, &error)) {
        kvs_error_set(err, KVS_MISSING, 0, "%s", error->message);
        g_error_free(error);
        return KVS_MISSING;
    }
    *ret_rate = rate_of(output, cell->mix);
    if (*ret_rate > 0)
        return KVS_OK;
    g_strdelimit(complaint, "\n", ' ');
    return kvs_error_set(err, KVS_IO, 0, "redis-benchmark gave no figure: %.200s", complaint);
}

kvs_status server_redis_sample(void *arg, struct sample *ret, struct histogram *latency,
                               struct kvs_error *err)
{
    struct server_run *run = arg;
    struct process_usage before = {0};
    struct process_usage after = {0};
    double rate = 0;
    (void)latency;
    uint64_t requests = run->requests != 0 ? run->requests : REQUESTS_FIRST;
    (void)process_usage_read(run->shelf->instance.pid, &before);
    kvs_status status = run_program(run, requests, &rate, err);
    (void)process_usage_read(run->shelf->instance.pid, &after);
    if (status != KVS_OK)
        return status;
    double slice_s = (double)run->config->slice_ns / (double)NS_PER_S;
    run->requests = MAX((uint64_t)(rate * slice_s), REQUESTS_LEAST);
    struct process_usage server = process_usage_between(&before, &after);
    ret->helpers.user_ns = server.cpu_ns;
    ret->ops = requests;
    ret->value = rate;
    ret->wall_ns = (double)requests / rate * (double)NS_PER_S;
    sample_extra_add(ret, "server_cpu_per_request_ns", (double)server.cpu_ns / (double)requests);
    return KVS_OK;
}
