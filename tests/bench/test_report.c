/*
 * The report: well-formed, whole without a network, every chart with all of its series; and, where
 * a Chromium is installed, rendered: everything drawn lies inside its chart, and no text covers
 * another.
 */
#include "fake.h"

#include <math.h>
#include <string.h>

#include <glib.h>

#include "base/cleanup.h"
#include "harness/random.h"
#include "harness/results.h"
#include "report/report.h"
#include "report/scale.h"

#define LONG_CELL "redis_benchmark_get_p16_none" /* as long as names get */

enum {
    SUBJECTS = 7,
    ROUNDS = 6
};

static const char *const subjects[SUBJECTS] = {"kvs-log", "kvs-lmdb", "l<m>&b", "tkrzw",
                                               "leveldb", "rocksdb",  "table"};

static void add_series(struct results *results, struct fake *fake, struct random *random,
                       const char *cell, guint subject, uint32_t threads)
{
    const struct series_config config = {
        .block = "reads",
        .cell = cell,
        .subject = subjects[subject],
        .threads = threads,
        .help = "what <this> & that is",
        .unit = "ops/s",
        .floor = subject == SUBJECTS - 1,
        .ops = &fake_ops,
        .arg = fake,
    };
    struct series *series = series_new(&config);
    double rate = 3e5 * (subject == SUBJECTS - 1 ? 40 : subject + 1) * threads;
    for (uint32_t round = 0; round < ROUNDS; round++)
        fake_sample_add(series, 0, round, rate * (0.9 + 0.2 * random_unit(random)));
    for (int i = 0; i < 20000; i++)
        histogram_record(
            series->latency,
            (uint64_t)(1e9 / rate *
                       exp(3 * random_unit(random) * random_unit(random) * random_unit(random))));
    g_ptr_array_add(results->series, series);
}

/* A page with a cell of one number of threads, one of three, targets, and a failure. */
static char *report_of_all(const char *dir, struct fake *fake)
{
    char program[] = "kvs-bench";
    char *arguments[] = {program, NULL};
    struct results results;
    struct test_error error;
    struct random random;
    char *path = path_join(dir, "report.html");
    test_error_init(&error);
    random_init(&random, 4);
    results_init(&results, dir, 1, arguments);
    results.reference = "kvs-log";
    for (guint i = 0; i < SUBJECTS; i++) {
        add_series(&results, fake, &random, LONG_CELL, i, 1);
        add_series(&results, fake, &random, "mixed", i, 1);
        add_series(&results, fake, &random, "mixed", i, 2);
        add_series(&results, fake, &random, "mixed", i, 8);
    }
    struct series *failed = fake_series(fake, "reads", "set", "lmdb");
    failed->failure = g_strdup("<no> & \"never\"");
    g_ptr_array_add(results.series, failed);
    static const struct target target = {.text = "twice",
                                         .numerator = LONG_CELL "/t1/kvs-log",
                                         .denominator = LONG_CELL "/t1/l<m>&b",
                                         .limit = 2,
                                         .unit = "x"};
    struct target_result judged = target_judge(&target, results.series, 1);
    g_array_append_val(results.targets, judged);
    assert_status(KVS_OK, report_write(&results, path, &error.error), &error);
    results_deinit(&results);
    return path;
}

static char *file_text(const char *path)
{
    gchar *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* ---- as a text ---------------------------------------------------------------------------- */

/* Counts what was drawn in each image: by class and colour. */
struct counts {
    guint images;
    GHashTable *classes; /* "IMAGE CLASS" to the number of elements */
};

static void on_element(GMarkupParseContext *context, const gchar *name, const gchar **names,
                       const gchar **values, gpointer data, GError **error)
{
    struct counts *counts = data;
    (void)context;
    (void)error;
    if (strcmp(name, "svg") == 0)
        counts->images++;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], "class") != 0)
            continue;
        gchar *key = g_strdup_printf("%u %s", counts->images, values[i]);
        guint before = GPOINTER_TO_UINT(g_hash_table_lookup(counts->classes, key));
        g_hash_table_insert(counts->classes, key, GUINT_TO_POINTER(before + 1));
    }
}

static guint count_of(const struct counts *counts, guint image, const char *class_name,
                      guint colour)
{
    _cleanup_(freep) char *key = g_strdup_printf("%u %s s%u", image, class_name, colour);
    return GPOINTER_TO_UINT(g_hash_table_lookup(counts->classes, key));
}

/* The images in order: ratios; get: bars, violins, curves; mixed: lines, then violins and curves
   for 1, 2 and 8 threads. */
static void every_chart_has_its_series(void **state)
{
    (void)state;
    struct fake fake = {0};
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = report_of_all(dir, &fake);
    _cleanup_(freep) char *text = file_text(path);
    GError *error = NULL;
    static const GMarkupParser parser = {.start_element = on_element};
    struct counts counts = {.classes =
                                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &counts, NULL);
    if (!g_markup_parse_context_parse(context, text, -1, &error) ||
        !g_markup_parse_context_end_parse(context, &error))
        fail_msg("not well-formed: %s", error->message);
    g_markup_parse_context_free(context);
    assert_int_equal(counts.images, 1 + 3 + 1 + 6);
    assert_in_range(GPOINTER_TO_UINT(g_hash_table_lookup(counts.classes, "3 mark")), 2 * SUBJECTS,
                    3 * SUBJECTS);
    for (guint i = 0; i < SUBJECTS; i++) {
        bool floor = i == SUBJECTS - 1;
        if (i > 0) /* 4 rows, and the legend's box */
            assert_int_equal(count_of(&counts, 1, "fill", i), 4 + 1);
        assert_int_equal(count_of(&counts, 2, floor ? "floor" : "fill", i), 1);
        assert_int_equal(count_of(&counts, 3, "violin", i), 1);
        assert_int_equal(count_of(&counts, 4, "curve", i), 1);
        if (!floor) {
            assert_int_equal(count_of(&counts, 5, "curve", i), 1);
            assert_int_equal(count_of(&counts, 5, "band", i), 1);
            assert_int_equal(count_of(&counts, 5, "fill", i), 3 + 1);
        }
        assert_int_equal(count_of(&counts, 11, "curve", i), 1);
    }
    g_hash_table_destroy(counts.classes);
    temp_dir_free(dir);
}

static guint count_text(const char *text, const char *part)
{
    gchar **parts = g_strsplit(text, part, -1);
    guint count = g_strv_length(parts) - 1;
    g_strfreev(parts);
    return count;
}

static void add_point(struct results *results, struct fake *fake, const char *block,
                      const char *cell, const char *subject, uint32_t number, const char *parameter)
{
    const struct series_config config = {
        .block = block,
        .cell = cell,
        .subject = subject,
        .threads = number,
        .parameter = parameter,
        .unit = "requests/s",
        .ops = &fake_ops,
        .arg = fake,
    };
    struct series *series = series_new(&config);
    for (uint32_t round = 0; round < 3; round++)
        fake_sample_add(series, 0, round, 1000.0 * number + round);
    g_array_index(series->samples, struct sample, 0).note = "the load generator was the limit";
    g_ptr_array_add(results->series, series);
}

/* Two classic benchmarks, their comparison, and a server's cell by connections. */
static void sections_have_comparisons_parameters_and_notes(void **state)
{
    (void)state;
    struct fake fake = {0};
    struct results results;
    struct test_error error;
    char program[] = "kvs-bench";
    char *arguments[] = {program, NULL};
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = path_join(dir, "report.html");
    static const uint32_t numbers[] = {1, 50};
    test_error_init(&error);
    results_init(&results, dir, 1, arguments);
    for (size_t i = 0; i < 2; i++) {
        add_point(&results, &fake, "classic:a", "write_a", "none", numbers[i], NULL);
        add_point(&results, &fake, "classic:a", "write_a", "floor", numbers[i], NULL);
    }
    for (size_t i = 0; i < 2; i++)
        add_point(&results, &fake, "classic:b", "write_b", "none", numbers[i], NULL);
    for (size_t i = 0; i < 2; i++)
        add_point(&results, &fake, "server:none", "set", "redis", numbers[i], "connections");
    assert_status(KVS_OK, report_write(&results, path, &error.error), &error);
    results_deinit(&results);
    _cleanup_(freep) char *text = file_text(path);
    struct counts counts = {.classes =
                                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};
    static const GMarkupParser parser = {.start_element = on_element};
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &counts, NULL);
    assert_true(g_markup_parse_context_parse(context, text, -1, NULL));
    g_markup_parse_context_free(context);
    assert_int_equal(counts.images, 4);
    for (guint colour = 0; colour < 2; colour++) { /* the comparison: a line for each benchmark */
        assert_int_equal(count_of(&counts, 1, "curve", colour), 1);
        assert_int_equal(count_of(&counts, 1, "band", colour), 1);
        assert_int_equal(count_of(&counts, 2, "curve", colour), 1); /* none, floor */
    }
    assert_int_equal(count_of(&counts, 4, "curve", 0), 1); /* colours begin anew */
    assert_non_null(strstr(text, "#section-classic"));
    assert_int_equal(count_text(text, "id=\"section-classic\""), 1); /* one, of two blocks */
    assert_non_null(strstr(text, ">connections</text>"));
    assert_non_null(strstr(text, "redis c50"));
    assert_non_null(strstr(text, "the load generator was the limit (1 of 3)"));
    g_hash_table_destroy(counts.classes);
    temp_dir_free(dir);
}

static void the_page_needs_nothing_else(void **state)
{
    (void)state;
    struct fake fake = {0};
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = report_of_all(dir, &fake);
    _cleanup_(freep) char *text = file_text(path);
    static const char *const never[] = {"http:",   "https:", "<script", "src=", "url(",
                                        "@import", "nan",    "\"inf",   "-inf"};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (strstr(text, never[i]) != NULL)
            fail_msg("the page has %s: %.60s", never[i], strstr(text, never[i]));
    }
    assert_non_null(strstr(text, "prefers-color-scheme:dark"));
    assert_non_null(strstr(text, "&lt;no&gt; &amp; &quot;never&quot;"));
    assert_non_null(strstr(text, "not reached"));
    temp_dir_free(dir);
}

/* ---- rendered ----------------------------------------------------------------------------- */

/* Looks at what the browser made of it and puts what is wrong into the page's title. */
static const char inspection[] =
    "<script>const wrong=[];"
    "document.querySelectorAll('details').forEach(d=>d.open=true);"
    "document.querySelectorAll('svg').forEach((svg,n)=>{"
    "const frame=svg.getBoundingClientRect();"
    "if(frame.width<300||frame.height<50)wrong.push(n+' is '+frame.width+'x'+frame.height);"
    "const out=b=>b.left<frame.left-1||b.right>frame.right+1||b.top<frame.top-1||"
    "b.bottom>frame.bottom+1;"
    "svg.querySelectorAll('rect,circle,path,text').forEach(e=>{"
    "const b=e.getBoundingClientRect();"
    "if(out(b))wrong.push(n+' '+e.tagName+' '+e.textContent+' lies outside');"
    "if(e.tagName=='path'&&b.width<1)wrong.push(n+' path is empty')});"
    "const texts=[...svg.querySelectorAll('text')].map(e=>[e.textContent,"
    "e.getBoundingClientRect()]);"
    "texts.forEach(([t,a],i)=>texts.slice(i+1).forEach(([u,b])=>{"
    "if(a.left<b.right-1&&b.left<a.right-1&&a.top<b.bottom-3&&b.top<a.bottom-3)"
    "wrong.push(n+' '+t+' covers '+u)}))});"
    "document.title='INSPECTED '+document.querySelectorAll('svg').length+' ['+wrong.join('; ')+']'"
    "</script></body>";

static char *with_inspection(const char *text)
{
    gchar **parts = g_strsplit(text, "</body>", 2);
    char *joined = g_strjoin(NULL, parts[0], inspection, parts[1], NULL);
    g_strfreev(parts);
    return joined;
}

static void rendered_charts_are_whole_and_readable(void **state)
{
    (void)state;
    struct fake fake = {0};
    _cleanup_(freep) char *browser = g_find_program_in_path("chromium");
    if (browser == NULL) {
        print_message("no chromium: not rendered\n");
        skip();
    }
    char *dir = temp_dir_new();
    _cleanup_(freep) char *path = report_of_all(dir, &fake);
    _cleanup_(freep) char *text = file_text(path);
    _cleanup_(freep) char *inspected = with_inspection(text);
    assert_true(g_file_set_contents(path, inspected, -1, NULL));
    _cleanup_(freep) char *profile = g_strdup_printf("--user-data-dir=%s/profile", dir);
    _cleanup_(freep) char *url = g_strdup_printf("file://%s", path);
    char *arguments[] = {browser,
                         (char[]){"--headless"},
                         (char[]){"--no-sandbox"},
                         profile,
                         (char[]){"--disable-gpu"},
                         (char[]){"--window-size=1000,2000"},
                         (char[]){"--dump-dom"},
                         url,
                         NULL};
    _cleanup_(freep) gchar *page = NULL;
    _cleanup_(freep) gchar *noise = NULL;
    assert_true(g_spawn_sync(NULL, arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, &page, &noise,
                             NULL, NULL));
    const char *title = strstr(page, "<title>INSPECTED");
    assert_non_null(title);
    if (strstr(title, "INSPECTED 11 []") == NULL)
        fail_msg("%.*s", (int)strcspn(title + 7, "<"), title + 7);
    temp_dir_free(dir);
}

/* ---- scales ------------------------------------------------------------------------------- */

static void scales_end_at_round_figures(void **state)
{
    (void)state;
    double ticks[SCALE_TICKS_MAX];
    struct scale scale = scale_linear(847, 100, 600);
    assert_true(fabs(scale.high - 1000) < 1e-9);
    assert_int_equal(scale_ticks(&scale, ticks), 6);
    assert_true(fabs(ticks[5] - 1000) < 1e-9);
    assert_true(fabs(scale_place(&scale, 500) - 350) < 1e-9);
    assert_true(fabs(scale_place(&scale, 2000) - 600) < 1e-9);
    scale = scale_linear(0, 0, 100);
    assert_true(scale.high > 0);
}

static void logarithmic_scales_always_have_ticks(void **state)
{
    (void)state;
    double ticks[SCALE_TICKS_MAX];
    struct scale decades = scale_logarithmic(1, 1000, 0, 300);
    assert_true(fabs(scale_place(&decades, 10) - 100) < 1e-9);
    for (double low = 1e-3; low < 1e7; low *= 1.37) {
        for (double factor = 1; factor < 1e9; factor *= 2.3) {
            struct scale scale = scale_logarithmic(low, low * factor, 0, 300);
            size_t count = scale_ticks(&scale, ticks);
            assert_in_range(count, 2, SCALE_TICKS_MAX);
            for (size_t i = 1; i < count; i++)
                assert_true(ticks[i] > ticks[i - 1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chart_has_its_series),
        cmocka_unit_test(sections_have_comparisons_parameters_and_notes),
        cmocka_unit_test(the_page_needs_nothing_else),
        cmocka_unit_test(rendered_charts_are_whole_and_readable),
        cmocka_unit_test(scales_end_at_round_figures),
        cmocka_unit_test(logarithmic_scales_always_have_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
