/* See options.h. */
#include "options.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/data.h"
#include "harness/number.h"
#include "harness/runner.h"
#include "peers/peer.h"

#define VALUE_SIZE_DEFAULT 100u
#define VALUE_SIZE_MAX     (UINT64_C(1) << 20)
#define KEYS_MAX           (UINT64_C(1) << 32)
#define SEED_DEFAULT       1u

/* What the options that were not given are. */
struct defaults {
    uint64_t keys;
    uint64_t reopen_keys;
    uint64_t slice_ms;
    uint64_t samples_min;
    double series_s;
    double precision;
};

static const struct defaults usual = {1000000, 1000000, 200, 5, 1.5, 0.03};
static const struct defaults quick = {100000, 100000, 50, 3, 0.3, 0.10};
static const struct defaults full = {1000000, 10000000, 300, 7, 6, 0.02};

/* The texts of the options that hold numbers, until they are read. */
struct number_texts {
    char *seed;
    char *keys;
    char *reopen_keys;
    char *value_size;
    char *slice_ms;
    char *samples_min;
};

static kvs_status read_numbers(struct options *options, const struct number_texts *texts,
                               struct kvs_error *err)
{
    kvs_status status = number_read("seed", texts->seed, 0, UINT64_MAX, &options->seed, err);
    if (status == KVS_OK)
        status = number_read("keys", texts->keys, 1000, KEYS_MAX, &options->keys, err);
    if (status == KVS_OK && texts->reopen_keys == NULL && texts->keys != NULL)
        options->reopen_keys = options->keys;
    if (status == KVS_OK)
        status = number_read("reopen-keys", texts->reopen_keys, 1000, KEYS_MAX,
                             &options->reopen_keys, err);
    if (status == KVS_OK)
        status = number_read("value-size", texts->value_size, DATA_STAMP_SIZE, VALUE_SIZE_MAX,
                             &options->value_size, err);
    if (status == KVS_OK)
        status = number_read("slice", texts->slice_ms, 1, 60000, &options->slice_ms, err);
    if (status == KVS_OK)
        status = number_read("samples", texts->samples_min, 1, RUNNER_SAMPLES_MAX,
                             &options->samples_min, err);
    return status;
}

static void set_defaults(struct options *options)
{
    const struct defaults *defaults = options->quick ? &quick : options->full ? &full : &usual;
    options->seed = SEED_DEFAULT;
    options->value_size = VALUE_SIZE_DEFAULT;
    options->keys = defaults->keys;
    options->reopen_keys = defaults->reopen_keys;
    options->slice_ms = defaults->slice_ms;
    options->samples_min = defaults->samples_min;
    if (options->series_s <= 0)
        options->series_s = defaults->series_s;
    if (options->precision <= 0)
        options->precision = defaults->precision;
    else
        options->precision /= 100;
    options->threshold = options->threshold > 0 ? options->threshold / 100 : 0;
    if (options->dir == NULL)
        options->dir = g_strdup(g_get_tmp_dir());
    if (options->out == NULL)
        options->out = g_strdup("kvs-bench-results");
    if (options->baselines == NULL)
        options->baselines = g_build_filename(options->out, "baselines", NULL);
}

static const char summary[] =
    "Measures kvs: whole servers beside Redis and memcached, engines beside other stores,\n"
    "thread pools.\n\n"
    "A PATTERN chooses what is measured: part of BLOCK/CELL/tTHREADS/SUBJECT, or all of it\n"
    "with * and ?. Without one, everything is.\n\n"
    "  kvs-bench --list                     what there is to measure\n"
    "  kvs-bench --quick                    everything, small and fast\n"
    "  kvs-bench classic/ server/*_p16_none/c50/*\n"
    "  kvs-bench reads/ --peers kvs-log,lmdb\n"
    "  kvs-bench --save before; ...; kvs-bench --compare before\n"
    "  kvs-bench load --help                a load for a server that runs already";

/* clang-format off */
static void entries_make(struct options *options, struct number_texts *texts, GOptionEntry *entries)
{
    const GOptionEntry all[] = {
        {"list", 'l', 0, G_OPTION_ARG_NONE, &options->list, "List the cells and the subjects", NULL},
        {"quick", 'q', 0, G_OPTION_ARG_NONE, &options->quick, "Small and imprecise", NULL},
        {"full", 'f', 0, G_OPTION_ARG_NONE, &options->full, "Large and precise; takes long", NULL},
        {"quiet", 0, 0, G_OPTION_ARG_NONE, &options->quiet, "No progress", NULL},
        {"peers", 'p', 0, G_OPTION_ARG_STRING, &options->peers, "These subjects of the engine benchmarks, and nothing else", "A,B,..."},
        {"reference", 'r', 0, G_OPTION_ARG_STRING, &options->reference,
         "The subject that the others are compared with (kvs-log)", "NAME"},
        {"keys", 'k', 0, G_OPTION_ARG_STRING, &texts->keys, "Keys in a store (1m)", "N"},
        {"reopen-keys", 0, 0, G_OPTION_ARG_STRING, &texts->reopen_keys,
         "Keys in the stores of the reopen and memory cells (as --keys)", "N"},
        {"value-size", 0, 0, G_OPTION_ARG_STRING, &texts->value_size, "Bytes of a value (100)", "N"},
        {"seed", 's', 0, G_OPTION_ARG_STRING, &texts->seed, "Of all random numbers (1)", "N"},
        {"time", 't', 0, G_OPTION_ARG_DOUBLE, &options->series_s,
         "Most seconds per series (1.5)", "S"},
        {"slice", 0, 0, G_OPTION_ARG_STRING, &texts->slice_ms, "Milliseconds of a sample (200)", "N"},
        {"samples", 0, 0, G_OPTION_ARG_STRING, &texts->samples_min,
         "At least so many samples of a series (5), at most 30", "N"},
        {"precision", 0, 0, G_OPTION_ARG_DOUBLE, &options->precision,
         "Go on until the median is known to this many percent (3)", "P"},
        {"threshold", 0, 0, G_OPTION_ARG_DOUBLE, &options->threshold,
         "Call no change below this many percent (5)", "P"},
        {"dir", 'd', 0, G_OPTION_ARG_FILENAME, &options->dir,
         "Where stores are made ($TMPDIR or /tmp)", "DIR"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &options->out,
         "Where results go (kvs-bench-results)", "DIR"},
        {"save", 0, 0, G_OPTION_ARG_STRING, &options->save, "Save the results as a baseline", "NAME"},
        {"compare", 0, 0, G_OPTION_ARG_STRING, &options->compare, "Compare with a baseline", "NAME"},
        {"baselines", 0, 0, G_OPTION_ARG_FILENAME, &options->baselines,
         "Where baselines are (OUT/baselines)", "DIR"},
        {"engine-opt", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->engine_options,
         "An option of an engine, as log:NAME=VALUE", "E:N=V"},
        {"plugin-dir", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->plugin_dirs,
         "Look for engines here first", "DIR"},
        {"fill", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->fill, NULL, NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->patterns, NULL,
         "[PATTERN...]"},
    };
    memcpy(entries, all, sizeof(all));
}
/* clang-format on */

#define ENTRIES_MAX 32

kvs_status options_parse(struct options *options, int argc, char **argv, struct kvs_error *err)
{
    struct number_texts texts = {0};
    GOptionEntry entries[ENTRIES_MAX] = {{0}};
    GError *error = NULL;
    *options = (struct options){.threshold = 5};
    entries_make(options, &texts, entries);
    GOptionContext *context = g_option_context_new(NULL);
    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, entries, NULL);
    gchar **arguments = g_new0(gchar *, (gsize)argc + 1);
    for (int i = 0; i < argc; i++)
        arguments[i] = g_strdup(argv[i]);
    gboolean parsed = g_option_context_parse_strv(context, &arguments, &error);
    g_option_context_free(context);
    g_strfreev(arguments);
    kvs_status status;
    if (parsed) {
        set_defaults(options);
        status = read_numbers(options, &texts, err);
    } else {
        status = kvs_error_set(err, KVS_INVALID, 0, "%s; see kvs-bench --help", error->message);
        g_error_free(error);
    }
    free(texts.seed);
    free(texts.keys);
    free(texts.reopen_keys);
    free(texts.value_size);
    free(texts.slice_ms);
    free(texts.samples_min);
    if (status != KVS_OK)
        options_deinit(options);
    return status;
}

void options_deinit(struct options *options)
{
    g_strfreev(options->patterns);
    g_strfreev(options->engine_options);
    g_strfreev(options->plugin_dirs);
    free(options->peers);
    free(options->reference);
    free(options->dir);
    free(options->out);
    free(options->save);
    free(options->compare);
    free(options->baselines);
    free(options->fill);
    *options = (struct options){0};
}
