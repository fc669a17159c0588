/*
 * See outcome.h. JSON and CSV have the same fields with the same names: they are made of one list.
 */
#include "load/outcome.h"

#include <inttypes.h>

#include <jansson.h>

#include "base/clock.h"
#include "harness/format.h"

/* The list of fields, in order. Texts have no commas or quotes in them but those of errors. */
static json_t *fields_of_plan(const struct plan *plan)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:I, s:i, s:I, s:f, s:f, s:b, s:I}", "target",
                     plan->endpoint.text, "mix", plan->mix.name, "distribution",
                     plan_distribution_text(plan->distribution), "threads", (int)plan->threads,
                     "connections", (int)plan->connections, "pipeline", (int)plan->pipeline, "keys",
                     (json_int_t)plan->keys, "value_bytes", (int)plan->value_size, "rate_limit",
                     (json_int_t)plan->rate, "warm_up_s",
                     (double)plan->warm_up_ns / (double)NS_PER_S, "zipf_exponent", plan->exponent,
                     "preload", plan->preload, "seed", (json_int_t)plan->seed);
}

static void add_latency(json_t *fields, const char *name, const struct histogram *histogram)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    char text[48];
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s%s_ns", name, quantiles[i].name);
        uint64_t value = quantiles[i].share < 1 ? histogram_quantile(histogram, quantiles[i].share)
                                                : histogram->max;
        (void)json_object_set_new(fields, text, json_integer((json_int_t)value));
    }
}

static void add_number(json_t *fields, const char *name, uint64_t value)
{
    (void)json_object_set_new(fields, name, json_integer((json_int_t)value));
}

static void add_real(json_t *fields, const char *name, double value)
{
    (void)json_object_set_new(fields, name, json_real(value));
}

static json_t *fields_of(const struct plan *plan, const struct generator_outcome *outcome)
{
    json_t *fields = fields_of_plan(plan);
    add_real(fields, "wall_s", outcome->wall_ns / (double)NS_PER_S);
    add_number(fields, "requests", outcome->replies);
    add_real(fields, "requests_per_s", outcome->requests_per_s);
    add_real(fields, "gets_per_s", outcome->gets_per_s);
    add_real(fields, "sets_per_s", outcome->sets_per_s);
    add_latency(fields, "", &outcome->latency);
    add_latency(fields, "get_", &outcome->get_latency);
    add_latency(fields, "set_", &outcome->set_latency);
    add_number(fields, "misses", outcome->misses);
    add_number(fields, "errors", outcome->errors);
    add_number(fields, "wrong", outcome->wrong);
    add_number(fields, "late", outcome->late);
    add_number(fields, "lag_p99_ns", histogram_quantile(&outcome->lag, 0.99));
    add_real(fields, "requests_per_send", outcome->requests_per_send);
    add_real(fields, "generator_cpu_share", outcome->busiest_share);
    (void)json_object_set_new(fields, "generator_bound", json_boolean(outcome->generator_bound));
    (void)json_object_set_new(fields, "overloaded", json_boolean(outcome->overloaded));
    const struct process_usage *server = &outcome->server;
    add_real(fields, "server_cpu_share", (double)server->cpu_ns / outcome->wall_ns);
    add_number(fields, "server_voluntary_switches", server->voluntary_switches);
    add_number(fields, "server_involuntary_switches", server->involuntary_switches);
    add_number(fields, "server_written_bytes", server->written_bytes);
    add_number(fields, "server_resident_bytes", server->resident_bytes);
    (void)json_object_set_new(fields, "error_text", json_string(outcome->error_text));
    return fields;
}

void outcome_write_json(const struct plan *plan, const struct generator_outcome *outcome, FILE *out)
{
    json_t *fields = fields_of(plan, outcome);
    (void)json_object_set_new(fields, "format", json_string(OUTCOME_FORMAT));
    (void)json_dumpf(fields, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    (void)fputc('\n', out);
    json_decref(fields);
}

static void write_csv_text(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)fputc('"', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static void write_csv_value(json_t *value, FILE *out)
{
    if (json_is_string(value))
        write_csv_text(json_string_value(value), out);
    else if (json_is_integer(value))
        (void)fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        (void)fprintf(out, "%.9g", json_real_value(value));
    else
        (void)fputs(json_is_true(value) ? "1" : "0", out);
}

void outcome_write_csv(const struct plan *plan, const struct generator_outcome *outcome, FILE *out)
{
    json_t *fields = fields_of(plan, outcome);
    const char *name;
    json_t *value;
    const char *before = "";
    json_object_foreach(fields, name, value)
    {
        (void)fprintf(out, "%s%s", before, name);
        before = ",";
    }
    // cppcheck-suppress redundantAssignment ; json_object_foreach() is a loop
    before = "\n";
    json_object_foreach(fields, name, value)
    {
        (void)fputs(before, out);
        write_csv_value(value, out);
        before = ",";
    }
    (void)fputc('\n', out);
    json_decref(fields);
}

static void print_latency(const char *name, const struct histogram *histogram, FILE *out)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 1};
    char text[FORMAT_MAX];
    if (histogram->count == 0)
        return;
    (void)fprintf(out, "  %-8s", name);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        format_ns((double)histogram_quantile(histogram, shares[i]), text);
        (void)fprintf(out, " %9s", text);
    }
    (void)fputc('\n', out);
}

static void print_server(const struct generator_outcome *outcome, FILE *out)
{
    const struct process_usage *server = &outcome->server;
    char switches[FORMAT_MAX];
    char forced[FORMAT_MAX];
    char written[FORMAT_MAX];
    char resident[FORMAT_MAX];
    char cpu[FORMAT_MAX];
    double requests = outcome->replies > 0 ? (double)outcome->replies : 1;
    format_figure((double)server->voluntary_switches / requests, switches);
    format_figure((double)server->involuntary_switches / requests, forced);
    format_figure((double)server->written_bytes, written);
    format_figure((double)server->resident_bytes, resident);
    format_ns((double)server->cpu_ns / requests, cpu);
    (void)fprintf(
        out,
        "  server     %.0f%% of a CPU, %s per request; switches per request %s voluntary, "
        "%s forced; %sB written; %sB resident\n",
        100 * (double)server->cpu_ns / outcome->wall_ns, cpu, switches, forced, written, resident);
}

static void print_warnings(const struct plan *plan, const struct generator_outcome *outcome,
                           FILE *out)
{
    if (outcome->generator_bound)
        (void)fprintf(out,
                      "  NOTE the generator was the limit (a thread used %.0f%% of a CPU): the "
                      "server may be faster; give more --threads and CPUs\n",
                      100 * outcome->busiest_share);
    if (outcome->overloaded)
        (void)fprintf(out,
                      "  NOTE overloaded: %" PRIu64 "/s were due; %" PRIu64 " never began. The "
                      "latencies grow with the time of the run\n",
                      plan->rate, outcome->late);
    if (outcome->misses > 0)
        (void)fprintf(out, "  NOTE %" PRIu64 " gets found no key%s\n", outcome->misses,
                      plan->preload ? "" : " (--preload sets all of them first)");
}

void outcome_write_text(const struct plan *plan, const struct generator_outcome *outcome, FILE *out)
{
    char rate[FORMAT_MAX];
    char gets[FORMAT_MAX];
    char sets[FORMAT_MAX];
    format_figure(outcome->requests_per_s, rate);
    format_figure(outcome->gets_per_s, gets);
    format_figure(outcome->sets_per_s, sets);
    (void)fprintf(out,
                  "%s: mix %s, %s keys of %" PRIu64
                  ", values of %u bytes; %u connections, pipeline "
                  "%u, %u thread%s",
                  plan->endpoint.text, plan->mix.name, plan_distribution_text(plan->distribution),
                  plan->keys, plan->value_size, plan->connections, plan->pipeline, plan->threads,
                  plan->threads == 1 ? "" : "s");
    if (plan->rate != 0)
        (void)fprintf(out, "; %" PRIu64 "/s by the clock", plan->rate);
    (void)fprintf(out, "\n  requests   %s/s (%s gets/s, %s sets/s): %" PRIu64 " in %.2f s\n", rate,
                  gets, sets, outcome->replies, outcome->wall_ns / (double)NS_PER_S);
    (void)fprintf(out, "  %-8s %9s %9s %9s %9s %9s\n", "latency", "p50", "p90", "p99", "p99.9",
                  "max");
    print_latency("all", &outcome->latency, out);
    if (outcome->get_latency.count > 0 && outcome->set_latency.count > 0) {
        print_latency("gets", &outcome->get_latency, out);
        print_latency("sets", &outcome->set_latency, out);
    }
    if (plan->rate != 0)
        print_latency("lag", &outcome->lag, out);
    (void)fprintf(out, "  errors     %" PRIu64 " refused, %" PRIu64 " wrong values%s%s\n",
                  outcome->errors, outcome->wrong, outcome->error_text[0] != '\0' ? ": " : "",
                  outcome->error_text);
    (void)fprintf(out, "  generator  %.0f%% of a CPU (its busiest thread)\n",
                  100 * outcome->busiest_share);
    if (outcome->has_server)
        print_server(outcome, out);
    print_warnings(plan, outcome, out);
}
