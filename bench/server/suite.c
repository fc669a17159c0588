/* See suite.h. */
#include "server/suite.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "harness/target.h"
#include "server/cell.h"

#define BLOCK     "server"
#define OWN       "kvs-log"
#define PEER      "redis"
#define BEGIN_S   0.4   /* starting a server and setting its keys, per series of a block */
#define CONNECT_S 80e-6 /* per connection, and for its being accepted */
#define BETWEEN_S 0.06  /* settling and controls, before each sample */

struct server_suite {
    struct server_config config;
    GPtrArray *shelves; /* of struct server_shelf *; owned */
    GPtrArray *texts;   /* of the targets; owned */
    GPtrArray *targets; /* of struct target *: the results point to them; owned */
};

struct server_suite *server_suite_new(const struct server_config *config)
{
    struct server_suite *suite = g_new0(struct server_suite, 1);
    suite->config = *config;
    suite->shelves = g_ptr_array_new_with_free_func(g_free);
    suite->texts = g_ptr_array_new_with_free_func(g_free);
    suite->targets = g_ptr_array_new_with_free_func(g_free);
    return suite;
}

void server_suite_free(struct server_suite *suite)
{
    if (suite == NULL)
        return;
    for (guint i = 0; i < suite->shelves->len; i++) {
        struct server_shelf *shelf = g_ptr_array_index(suite->shelves, i);
        instance_stop(&shelf->instance);
    }
    g_ptr_array_free(suite->shelves, TRUE);
    g_ptr_array_free(suite->texts, TRUE);
    g_ptr_array_free(suite->targets, TRUE);
    free(suite);
}

static struct server_shelf *shelf_of(struct server_suite *suite, const struct instance_kind *kind,
                                     enum instance_sync sync)
{
    for (guint i = 0; i < suite->shelves->len; i++) {
        struct server_shelf *shelf = g_ptr_array_index(suite->shelves, i);
        if (shelf->kind == kind && shelf->sync == sync)
            return shelf;
    }
    struct server_shelf *shelf = g_new0(struct server_shelf, 1);
    shelf->kind = kind;
    shelf->sync = sync;
    g_ptr_array_add(suite->shelves, shelf);
    return shelf;
}

/* ---- series --------------------------------------------------------------------------------- */

static kvs_status run_begin(void *arg, struct kvs_error *err)
{
    struct server_run *run = arg;
    return server_shelf_open(run->shelf, run->config, err);
}

static void run_free(void *arg)
{
    struct server_run *run = arg;
    if (--run->shelf->users == 0)
        instance_stop(&run->shelf->instance);
    free(run);
}

static const struct series_ops load_ops = {run_begin, server_load_sample, NULL, run_free};
static const struct series_ops redis_ops = {run_begin, server_redis_sample, NULL, run_free};

static bool is_wanted(const char *const *patterns, const char *id)
{
    for (size_t i = 0; patterns != NULL && patterns[i] != NULL; i++) {
        if (series_id_matches(id, patterns[i]))
            return true;
    }
    return patterns == NULL;
}

static void add_series(struct server_suite *suite, const char *const *patterns,
                       const struct server_cell *cell, const struct instance_kind *kind,
                       enum instance_sync sync, uint32_t point, GPtrArray *series)
{
    bool open = cell->kind == CELL_OPEN;
    _cleanup_(freep) char *block = g_strdup_printf("%s:%s", BLOCK, instance_sync_text(sync));
    _cleanup_(freep) char *name = g_strdup_printf("%s_%s", cell->name, instance_sync_text(sync));
    const char *parameter = open ? "requests/s due" : "connections";
    _cleanup_(freep) char *id =
        g_strdup_printf("%s/%s/%c%u/%s", BLOCK, name, parameter[0], point, kind->name);
    if (!is_wanted(patterns, id))
        return;
    struct server_run *run = g_new0(struct server_run, 1);
    *run = (struct server_run){.config = &suite->config, .cell = cell, .point = point};
    run->shelf = shelf_of(suite, kind, sync);
    run->shelf->users++;
    const struct series_config config = {
        .block = block,
        .cell = name,
        .subject = kind->name,
        .threads = point,
        .parameter = parameter,
        .help = cell->help,
        .unit = open ? "us" : "requests/s",
        .less_is_better = open,
        .begin_s = BEGIN_S / 8,
        .sample_s = BETWEEN_S + (open ? 0 : CONNECT_S * point) +
                    1.2 * (double)suite->config.slice_ns / (double)NS_PER_S,
        .ops = cell->kind == CELL_REDIS ? &redis_ops : &load_ops,
        .arg = run,
    };
    g_ptr_array_add(series, series_new(&config));
}

/* Is the cell measured for that server, in that mode? */
static bool fits(const struct server_suite *suite, const struct server_cell *cell,
                 const struct instance_kind *kind, enum instance_sync sync, bool have_redis)
{
    if (cell->full && !suite->config.full)
        return false;
    if (sync != INSTANCE_NONE && (!kind->durable || (!cell->writes && !suite->config.full)))
        return false;
    if (cell->kind == CELL_REDIS)
        return have_redis && sync == INSTANCE_NONE && strcmp(kind->protocol, "resp") == 0;
    return true;
}

void server_suite_add(struct server_suite *suite, const char *const *patterns, GPtrArray *series)
{
    _cleanup_(freep) char *redis = g_find_program_in_path("redis-benchmark");
    for (uint32_t sync = 0; sync < INSTANCE_SYNC_COUNT; sync++) {
        for (size_t c = 0; c < server_cell_count; c++) {
            const struct server_cell *cell = &server_cells[c];
            for (size_t k = 0; k < instance_kind_count; k++) {
                const struct instance_kind *kind = &instance_kinds[k];
                _cleanup_(freep) char *program = instance_program(kind);
                if (program == NULL ||
                    !fits(suite, cell, kind, (enum instance_sync)sync, redis != NULL))
                    continue;
                for (size_t p = 0; p < CELL_POINTS_MAX && cell->points[p] != 0; p++)
                    add_series(suite, patterns, cell, kind, (enum instance_sync)sync,
                               cell->points[p], series);
            }
        }
    }
}

void server_suite_list(FILE *out)
{
    (void)fprintf(out, BLOCK "\n");
    for (size_t i = 0; i < server_cell_count; i++)
        (void)fprintf(out, "  %-24s %s%s\n", server_cells[i].name, server_cells[i].help,
                      server_cells[i].full ? " (--full)" : "");
    (void)fprintf(out, "  %-24s", "(its servers)");
    for (size_t i = 0; i < instance_kind_count; i++) {
        _cleanup_(freep) char *program = instance_program(&instance_kinds[i]);
        (void)fprintf(out, "%s %s%s", i > 0 ? "," : "", instance_kinds[i].name,
                      program == NULL ? " (not installed)" : "");
    }
    (void)fputc('\n', out);
}

/* ---- targets -------------------------------------------------------------------------------- */

/* How many times Redis's rate is wanted with a pipeline of so many; 0: no target. */
static double wanted_ratio(const struct server_cell *cell)
{
    if (cell->kind != CELL_CLOSED || cell->full)
        return 0;
    return cell->pipeline == 1 ? 1 : cell->pipeline == 16 ? 2.5 : 3;
}

static void judge(struct server_suite *suite, const struct series *own, const struct series *peer,
                  const char *extra, double limit, const GPtrArray *series, uint64_t seed,
                  GArray *ret)
{
    struct target *target = g_new0(struct target, 1);
    char *text = g_strdup_printf("%s, %u connections%s, against %s", own->config.cell,
                                 own->config.threads, extra != NULL ? ", p99" : "", PEER);
    g_ptr_array_add(suite->texts, text);
    g_ptr_array_add(suite->targets, target);
    *target = (struct target){
        .text = text,
        .numerator = own->id,
        .denominator = peer->id,
        .numerator_extra = extra,
        .denominator_extra = extra,
        .at_most = extra != NULL,
        .limit = limit,
        .unit = "x",
    };
    struct target_result result = target_judge(target, series, seed);
    if (result.state != TARGET_NOT_MEASURED)
        g_array_append_val(ret, result);
}

static const struct series *peer_of(const GPtrArray *all, const struct series *own)
{
    for (guint i = 0; i < all->len; i++) {
        const struct series *series = g_ptr_array_index(all, i);
        if (strcmp(series->config.cell, own->config.cell) == 0 &&
            series->config.threads == own->config.threads &&
            strcmp(series->config.subject, PEER) == 0)
            return series;
    }
    return NULL;
}

void server_suite_judge(struct server_suite *suite, const GPtrArray *series, uint64_t seed,
                        GArray *ret)
{
    for (guint i = 0; i < series->len; i++) {
        const struct series *own = g_ptr_array_index(series, i);
        if (!g_str_has_prefix(own->config.block, BLOCK ":") ||
            strcmp(own->config.subject, OWN) != 0)
            continue;
        const struct series *peer = peer_of(series, own);
        for (size_t c = 0; c < server_cell_count && peer != NULL; c++) {
            const struct server_cell *cell = &server_cells[c];
            size_t size = strlen(cell->name);
            if (wanted_ratio(cell) == 0 || strncmp(own->config.cell, cell->name, size) != 0 ||
                own->config.cell[size] != '_')
                continue;
            judge(suite, own, peer, NULL, wanted_ratio(cell), series, seed, ret);
            judge(suite, own, peer, "p99_ns", 1, series, seed, ret);
        }
    }
}
