/* See report.h. Text is a line per rule, with the reason behind a failure or a skip; JSON is one
   object, written as the results come. */
#include "report.h"

#include <string.h>

static const char *kind_text(uint32_t kind)
{
    return kind == VERDICT_PASS ? "pass" : kind == VERDICT_SKIP ? "skipped" : "FAIL";
}

/* A JSON string. Bytes that are no ASCII are passed on: messages are UTF-8. */
static void print_string(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            (void)fprintf(out, "\\%c", *at);
        else if ((unsigned char)*at < ' ')
            (void)fprintf(out, "\\u%04x", (unsigned)(unsigned char)*at);
        else
            (void)fputc(*at, out);
    }
    (void)fputc('"', out);
}

void report_begin(struct report *report)
{
    if (!report->as_json)
        return;
    (void)fprintf(report->out, "{\"plugin\": ");
    print_string(report->out, report->path);
    (void)fprintf(report->out, ", \"rules\": [");
}

static void add_json(struct report *report, const struct result *result)
{
    bool is_first = report->passed + report->failed + report->skipped == 1;
    const char *kind = result->kind == VERDICT_FAIL ? "fail" : kind_text(result->kind);
    (void)fprintf(report->out, "%s\n  {\"rule\": \"%s\", \"result\": \"%s\", \"ms\": %u",
                  is_first ? "" : ",", result->rule->name, kind, result->milliseconds);
    if (result->text[0] != '\0') {
        (void)fprintf(report->out, ", \"reason\": ");
        print_string(report->out, result->text);
    }
    (void)fputc('}', report->out);
}

void report_add(struct report *report, const struct result *result)
{
    report->passed += result->kind == VERDICT_PASS;
    report->failed += result->kind == VERDICT_FAIL;
    report->skipped += result->kind == VERDICT_SKIP;
    if (report->as_json) {
        add_json(report, result);
    } else {
        (void)fprintf(report->out, "%-7s  %s\n", kind_text(result->kind), result->rule->name);
        if (result->kind == VERDICT_FAIL)
            (void)fprintf(report->out, "         %s\n         the rule: %s\n", result->text,
                          result->rule->meaning);
        else if (result->kind == VERDICT_SKIP)
            (void)fprintf(report->out, "         %s\n", result->text);
    }
    (void)fflush(report->out);
}

void report_end(struct report *report)
{
    if (report->as_json)
        (void)fprintf(report->out, "\n], \"passed\": %u, \"failed\": %u, \"skipped\": %u}\n",
                      report->passed, report->failed, report->skipped);
    else
        (void)fprintf(report->out, "%u passed, %u failed, %u skipped\n", report->passed,
                      report->failed, report->skipped);
}

void report_list_rules(FILE *out)
{
    for (uint32_t kind = KVS_PLUGIN_ENGINE; kind <= KVS_PLUGIN_POOL; kind++) {
        const struct rule *rules[RULES_MAX];
        size_t count = rules_of(kind, rules);
        for (size_t i = 0; i < count; i++) {
            bool is_common = strncmp(rules[i]->name, "plugin.", 7) == 0;
            if (!is_common || kind == KVS_PLUGIN_ENGINE)
                (void)fprintf(out, "%-36s %s\n", rules[i]->name, rules[i]->meaning);
        }
    }
}
