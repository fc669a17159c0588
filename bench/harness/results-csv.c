/* results_write_csv (results.h): a line per sample, with everything that was taken beside it. */
#include "harness/results.h"

#include <inttypes.h>

static const char csv_head[] =
    "block,cell,threads,subject,unit,attempt,round,value,ops,wall_ns,settled,disturbed,p50_ns,p99_"
    "ns,max_ns,"
    "user_ns,system_ns,voluntary_switches,involuntary_switches,written_bytes,machine_ns,bounce_ns,"
    "multiply_ns,memory_ns,extras\n";

static void csv_sample(GString *text, const struct series *series, const struct sample *sample)
{
    const struct usage *usage = &sample->usage;
    const struct controls_reading *controls = &sample->controls;
    g_string_append_printf(text, "%s,%s,%u,%s,%s,%u,%u,%.9g,%" PRIu64 ",%.0f,%d,%d,%.0f,%.0f,%.0f",
                           series->config.block, series->config.cell, series->config.threads,
                           series->config.subject, series->config.unit, sample->attempt,
                           sample->round, sample->value, sample->ops, sample->wall_ns,
                           sample->settled, sample->disturbed, sample->p50_ns, sample->p99_ns,
                           sample->max_ns);
    g_string_append_printf(text,
                           ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                           ",%.2f,%.3f,%.2f,",
                           usage->user_ns, usage->system_ns, usage->voluntary_switches,
                           usage->involuntary_switches, usage->written_bytes, usage->machine_ns,
                           controls->bounce_ns, controls->multiply_ns, controls->memory_ns);
    for (uint32_t i = 0; i < sample->extra_count; i++)
        g_string_append_printf(text, "%s%s=%.9g", i > 0 ? ";" : "", sample->extras[i].name,
                               sample->extras[i].value);
    g_string_append_c(text, '\n');
}

kvs_status results_write_csv(const struct results *results, const char *path, struct kvs_error *err)
{
    GString *text = g_string_new(csv_head);
    for (guint i = 0; i < results->series->len; i++) {
        const struct series *series = g_ptr_array_index(results->series, i);
        for (guint k = 0; k < series->samples->len; k++)
            csv_sample(text, series, series_sample(series, k));
    }
    GError *error = NULL;
    bool written = g_file_set_contents(path, text->str, (gssize)text->len, &error);
    g_string_free(text, TRUE);
    if (written)
        return KVS_OK;
    kvs_error_set(err, KVS_IO, 0, "%s", error->message);
    g_error_free(error);
    return KVS_IO;
}
