/* See command.h. */
#include "load/command.h"

#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/secret.h"
#include "harness/number.h"
#include "load/generator.h"
#include "load/outcome.h"

#define SECONDS_MAX 86400.0

/* The options as they are typed, until they are read into a plan. */
struct texts {
    char *target;
    char *mix;
    char *distribution;
    char *connections;
    char *pipeline;
    char *threads;
    char *keys;
    char *value_size;
    char *rate;
    char *requests;
    char *seed;
    char *format;
    char *ca;
    char *certificate;
    char *key;
    char *server_name;
    char *password_file;
    char *password; /* what is said; owned */
    gboolean tls;
    gboolean insecure;
    gint pid;
    double seconds;
    double warm_up;
    double exponent;
    gboolean preload;
    gboolean allow_remote;
};

static void texts_deinit(struct texts *texts)
{
    free(texts->target);
    free(texts->mix);
    free(texts->distribution);
    free(texts->connections);
    free(texts->pipeline);
    free(texts->threads);
    free(texts->keys);
    free(texts->value_size);
    free(texts->rate);
    free(texts->requests);
    free(texts->seed);
    free(texts->format);
    free(texts->ca);
    free(texts->certificate);
    free(texts->key);
    free(texts->server_name);
    free(texts->password_file);
    if (texts->password != NULL)
        secret_free(texts->password, strlen(texts->password));
}

static const char summary[] =
    "Puts a load on a server that runs already, and checks its replies.\n\n"
    "  kvs-bench load --target kvs://127.0.0.1:4000 --preload --mix 1:10\n"
    "  kvs-bench load --target resp://127.0.0.1:6379 -c 500 -P 16 --mix set --pid $(pidof "
    "redis-server)\n"
    "  kvs-bench load --target memcached://127.0.0.1:11211 --rate 20k --mix a --preload\n\n"
    "A closed loop sends a connection's next pipeline when all replies to the last one are there.\n"
    "With --rate requests begin by the clock, and latencies count from when they should have.";

/* clang-format off */
static kvs_status parse(struct texts *texts, int argc, char **argv, struct kvs_error *err)
{
    const GOptionEntry entries[] = {
        {"target", 0, 0, G_OPTION_ARG_STRING, &texts->target, "Where to: kvs://, resp:// or memcached:// and IP:PORT", "URL"},
        {"connections", 'c', 0, G_OPTION_ARG_STRING, &texts->connections, "1 to 10000 (50)", "N"},
        {"pipeline", 'P', 0, G_OPTION_ARG_STRING, &texts->pipeline, "Requests in one send, 1 to 1024 (1)", "N"},
        {"mix", 'm', 0, G_OPTION_ARG_STRING, &texts->mix, "get, set, SETS:GETS, or a YCSB workload: a, b, c, d, f (1:1)", "MIX"},
        {"distribution", 0, 0, G_OPTION_ARG_STRING, &texts->distribution, "Of keys: uniform, zipf, sequential, latest (the mix's)", "NAME"},
        {"zipf", 0, 0, G_OPTION_ARG_DOUBLE, &texts->exponent, "Exponent of zipf and latest (0.99)", "X"},
        {"keys", 'k', 0, G_OPTION_ARG_STRING, &texts->keys, "How many different ones (100k)", "N"},
        {"value-size", 'd', 0, G_OPTION_ARG_STRING, &texts->value_size, "Bytes of a value (100)", "N"},
        {"preload", 0, 0, G_OPTION_ARG_NONE, &texts->preload, "Set every key first; then a get that misses is an error", NULL},
        {"rate", 'R', 0, G_OPTION_ARG_STRING, &texts->rate, "Open loop: begin so many requests per second", "N"},
        {"time", 't', 0, G_OPTION_ARG_DOUBLE, &texts->seconds, "Seconds that count (5)", "S"},
        {"requests", 'n', 0, G_OPTION_ARG_STRING, &texts->requests, "So many requests instead", "N"},
        {"warm-up", 'w', 0, G_OPTION_ARG_DOUBLE, &texts->warm_up, "Seconds before that (1)", "S"},
        {"threads", 'T', 0, G_OPTION_ARG_STRING, &texts->threads, "Of the generator (1)", "N"},
        {"seed", 's', 0, G_OPTION_ARG_STRING, &texts->seed, "Of all random numbers (1)", "N"},
        {"pid", 0, 0, G_OPTION_ARG_INT, &texts->pid, "The server's process: tell what it used", "PID"},
        {"format", 0, 0, G_OPTION_ARG_STRING, &texts->format, "text, json or csv (text)", "NAME"},
        {"tls", 0, 0, G_OPTION_ARG_NONE, &texts->tls, "Speak TLS; the server's certificate must be trusted by --ca", NULL},
        {"ca", 0, 0, G_OPTION_ARG_FILENAME, &texts->ca, "Certificates to trust (the system's)", "FILE"},
        {"cert", 0, 0, G_OPTION_ARG_FILENAME, &texts->certificate, "The load's own certificate", "FILE"},
        {"key", 0, 0, G_OPTION_ARG_FILENAME, &texts->key, "Its key", "FILE"},
        {"server-name", 0, 0, G_OPTION_ARG_STRING, &texts->server_name, "What the server's certificate must name (the address)", "NAME"},
        {"insecure", 0, 0, G_OPTION_ARG_NONE, &texts->insecure, "With --tls: whatever the server's certificate is", NULL},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &texts->password_file, "The password is the first line of FILE (otherwise that of the environment variable KVS_PASSWORD, for kvs:// and resp://)", "FILE"},
        {"allow-remote", 0, 0, G_OPTION_ARG_NONE, &texts->allow_remote, "Also for addresses that are not this machine's loopback", NULL},
        {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
    };
    /* clang-format on */
    GError *error = NULL;
    kvs_status status = KVS_OK;
    GOptionContext *context = g_option_context_new(NULL);
    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, entries, NULL);
    gchar **arguments = g_new0(gchar *, (gsize)argc + 1);
    arguments[0] = g_strdup("kvs-bench load");
    for (int i = 1; i < argc; i++)
        arguments[i] = g_strdup(argv[i]);
    if (!g_option_context_parse_strv(context, &arguments, &error)) {
        status =
            kvs_error_set(err, KVS_INVALID, 0, "%s; see kvs-bench load --help", error->message);
        g_error_free(error);
    } else if (g_strv_length(arguments) > 1) {
        status =
            kvs_error_set(err, KVS_INVALID, 0,
                          "%s: not an option of load; see kvs-bench load --help", arguments[1]);
    } else if (texts->target == NULL) {
        status = kvs_error_set(err, KVS_INVALID, 0,
                               "--target is missing; as --target kvs://127.0.0.1:4000");
    }
    g_option_context_free(context);
    g_strfreev(arguments);
    return status;
}

static kvs_status read_seconds(const char *name, double seconds, double min, uint64_t *ret_ns,
                               struct kvs_error *err)
{
    if (!(seconds >= min && seconds <= SECONDS_MAX))
        return kvs_error_set(err, KVS_INVALID, 0, "--%s %g: write seconds, %g to %g", name, seconds,
                             min, SECONDS_MAX);
    *ret_ns = (uint64_t)(seconds * (double)NS_PER_S);
    return KVS_OK;
}

/* Reads a number that a uint32_t holds. */
static kvs_status read_u32(const char *name, const char *text, uint32_t min, uint32_t max,
                           uint32_t *ret, struct kvs_error *err)
{
    uint64_t number = *ret;
    kvs_status status = number_read(name, text, min, max, &number, err);
    *ret = (uint32_t)number;
    return status;
}

static kvs_status read_numbers(const struct texts *texts, struct plan *plan, struct kvs_error *err)
{
    kvs_status status = read_u32("connections", texts->connections, 1, PLAN_CONNECTIONS_MAX,
                                 &plan->connections, err);
    if (status == KVS_OK)
        status = read_u32("pipeline", texts->pipeline, 1, PLAN_PIPELINE_MAX, &plan->pipeline, err);
    if (status == KVS_OK)
        status = read_u32("threads", texts->threads, 1, PLAN_THREADS_MAX, &plan->threads, err);
    if (status == KVS_OK)
        status = read_u32("value-size", texts->value_size, 0, (uint32_t)PLAN_VALUE_MAX,
                          &plan->value_size, err);
    if (status == KVS_OK)
        status = number_read("keys", texts->keys, 1, PLAN_KEYS_MAX, &plan->keys, err);
    if (status == KVS_OK)
        status = number_read("rate", texts->rate, 1, UINT64_C(100000000), &plan->rate, err);
    if (status == KVS_OK)
        status = number_read("requests", texts->requests, 1, UINT64_MAX, &plan->requests, err);
    if (status == KVS_OK)
        status = number_read("seed", texts->seed, 0, UINT64_MAX, &plan->seed, err);
    if (status == KVS_OK)
        status = read_seconds("time", texts->seconds, 0.001, &plan->duration_ns, err);
    if (status == KVS_OK)
        status = read_seconds("warm-up", texts->warm_up, 0, &plan->warm_up_ns, err);
    return status;
}

static kvs_status read_tls(const struct texts *texts, struct plan *plan, struct kvs_error *err)
{
    if (!texts->tls && (texts->ca != NULL || texts->certificate != NULL || texts->key != NULL ||
                        texts->server_name != NULL || texts->insecure))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "--ca, --cert, --key, --server-name and --insecure go with --tls");
    plan->tls = texts->tls;
    plan->tls_config = (struct client_tls_config){
        .ca = texts->ca,
        .certificate = texts->certificate,
        .key = texts->key,
        .server_name = texts->server_name,
        .insecure = texts->insecure,
    };
    return KVS_OK;
}

static kvs_status read_password(struct texts *texts, struct plan *plan, struct kvs_error *err)
{
    if (plan->endpoint.wire->log_in == NULL) {
        if (texts->password_file == NULL)
            return KVS_OK;
        return kvs_error_set(err, KVS_INVALID, 0, "%s servers take no password here",
                             plan->endpoint.wire->name);
    }
    kvs_status status =
        secret_password_read(texts->password_file, "KVS_PASSWORD", &texts->password, err);
    if (status == KVS_OK && texts->password != NULL && strlen(texts->password) > PLAN_PASSWORD_MAX)
        return kvs_error_set(err, KVS_INVALID, 0, "the password has more than %u bytes",
                             PLAN_PASSWORD_MAX);
    plan->password = texts->password;
    return status;
}

static kvs_status read_plan(struct texts *texts, struct plan *ret, struct kvs_error *err)
{
    struct plan plan = {
        .connections = 50,
        .pipeline = 1,
        .threads = 1,
        .value_size = 100,
        .keys = 100000,
        .seed = 1,
        .exponent = texts->exponent,
        .preload = texts->preload,
        .pid = texts->pid,
    };
    kvs_status status = endpoint_parse(texts->target, texts->allow_remote, &plan.endpoint, err);
    if (status == KVS_OK)
        status = plan_mix_parse(texts->mix != NULL ? texts->mix : "1:1", &plan.mix, err);
    plan.distribution = plan.mix.distribution;
    if (status == KVS_OK && texts->distribution != NULL)
        status = plan_distribution_parse(texts->distribution, &plan.distribution, err);
    if (status == KVS_OK && !(plan.exponent > 0 && plan.exponent <= 10))
        status = kvs_error_set(err, KVS_INVALID, 0, "--zipf %g: write a number above 0, up to 10",
                               plan.exponent);
    if (status == KVS_OK)
        status = read_numbers(texts, &plan, err);
    if (status == KVS_OK)
        status = read_tls(texts, &plan, err);
    if (status == KVS_OK)
        status = read_password(texts, &plan, err);
    if (status == KVS_OK)
        *ret = plan;
    return status;
}

typedef void (*write_fn)(const struct plan *plan, const struct generator_outcome *outcome,
                         FILE *out);

static kvs_status choose_format(const char *name, write_fn *ret, struct kvs_error *err)
{
    static const struct {
        const char *name;
        write_fn write;
    } formats[] = {
        {"text", outcome_write_text}, {"json", outcome_write_json}, {"csv", outcome_write_csv}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (name == NULL || strcmp(name, formats[i].name) == 0) {
            *ret = formats[i].write;
            return KVS_OK;
        }
    }
    return kvs_error_set(err, KVS_INVALID, 0, "--format %s: write text, json or csv", name);
}

kvs_status command_load(int argc, char **argv, struct kvs_error *err)
{
    _cleanup_(texts_deinit) struct texts texts = {.seconds = 5, .warm_up = 1, .exponent = 0.99};
    struct plan plan;
    write_fn write = NULL;
    kvs_status status = parse(&texts, argc, argv, err);
    if (status == KVS_OK)
        status = read_plan(&texts, &plan, err);
    if (status == KVS_OK)
        status = choose_format(texts.format, &write, err);
    if (status != KVS_OK)
        return status;
    _cleanup_(freep) struct generator_outcome *outcome = g_new0(struct generator_outcome, 1);
    status = generator_run(&plan, outcome, err);
    if (status != KVS_OK)
        return status;
    write(&plan, outcome, stdout);
    if (outcome->errors + outcome->wrong > 0)
        return kvs_error_set(err, KVS_IO, 0, "%llu errors, %llu wrong values: %s",
                             (unsigned long long)outcome->errors,
                             (unsigned long long)outcome->wrong, outcome->error_text);
    return KVS_OK;
}
