/*
 * See resp_info.h. INFO: sections of "name:value" lines. Fields have the names that tools read from
 * Redis where they mean the same here; what Redis has and this server has not is left out, but for
 * constants that clients look for. The section "kvs" has all figures of the server as they are.
 */
#include "command/resp_info.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <kvs/version.h>

#include "base/bytes.h"
#include "command/command.h"
#include "command/figures.h"
#include "command/redis_version.h"
#include "command/store.h"
#include "command/word.h"
#include "protocol/resp_reply.h"

#define LINE_MAX_SIZE   512u
#define SECONDS_A_DAY   86400u
#define LOADING_ETA_MAX 86400u /* seconds */

/* What is written so far, and where it comes from. */
struct page {
    const struct call *call;
    struct figures figures;
    struct save_state save;
    uint64_t port; /* settings of the server; 0: not known, or no limit */
    uint64_t clients_max;
    struct buffer text; /* owned */
    kvs_status status;
};

KVS_PRINTF(2, 3) static void add(struct page *page, const char *format, ...)
{
    if (page->status == KVS_OK)
        page->status = buffer_reserve(&page->text, LINE_MAX_SIZE);
    if (page->status != KVS_OK)
        return;
    va_list arguments;
    va_start(arguments, format);
    int size =
        vsnprintf((char *)page->text.data + page->text.end, LINE_MAX_SIZE, format, arguments);
    va_end(arguments);
    if (size > 0 && (size_t)size < LINE_MAX_SIZE)
        buffer_commit(&page->text, (size_t)size);
}

static void add_number(struct page *page, const char *name, uint64_t value)
{
    add(page, "%s:%" PRIu64 "\r\n", name, value);
}

/* The figure `figure` of the server under the name `name`. */
static void add_figure(struct page *page, const char *name, const char *figure)
{
    add_number(page, name, figures_get(&page->figures, figure));
}

/* Bytes, and the same for people. */
static void add_bytes(struct page *page, const char *name, uint64_t value)
{
    static const char units[] = "BKMGT";
    double shown = (double)value;
    size_t unit = 0;
    for (; shown >= 1024 && unit < sizeof(units) - 2; unit++)
        shown /= 1024;
    add_number(page, name, value);
    add(page, unit == 0 ? "%s_human:%.0f%c\r\n" : "%s_human:%.2f%c\r\n", name, shown, units[unit]);
}

/* ---- the sections -------------------------------------------------------------------------- */

static void add_server(struct page *page)
{
    const struct command_context *context = page->call->context;
    uint64_t uptime_s = figures_get(&page->figures, "uptime_ms") / 1000;
    struct utsname system;
    if (uname(&system) != 0)
        (void)strcpy(system.sysname, "unknown");
    add(page, "redis_version:" REDIS_VERSION "\r\nredis_mode:standalone\r\n");
    add(page, "kvs_version:" KVS_VERSION "\r\nkvs_engine:%s\r\n", context->engine_name);
    /* Whether MSET and MULTI are all or nothing across a crash, too. */
    add_number(page, "kvs_atomic_batches",
               context->store->engine != NULL &&
                   (context->store->engine->capabilities & KVS_ENGINE_BATCH_ATOMIC) != 0);
    add(page, "os:%s %s %s\r\n", system.sysname, system.release, system.machine);
    add_number(page, "arch_bits", sizeof(void *) * 8);
    add(page, "multiplexing_api:epoll\r\n");
    add_number(page, "process_id", (uint64_t)getpid());
    add_number(page, "tcp_port", page->port);
    add_number(page, "server_time_usec", (uint64_t)page->call->now_ms * 1000);
    add_number(page, "uptime_in_seconds", uptime_s);
    add_number(page, "uptime_in_days", uptime_s / SECONDS_A_DAY);
}

static void add_clients(struct page *page)
{
    add_figure(page, "connected_clients", "connections");
    add_number(page, "maxclients", page->clients_max);
    add(page, "cluster_connections:0\r\nblocked_clients:0\r\ntracking_clients:0\r\n");
}

/* Bytes of the process in memory: all, and those that are no files. 0: not known. */
static void measure_memory(uint64_t *ret_resident, uint64_t *ret_own)
{
    unsigned long long resident = 0;
    unsigned long long shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    // NOLINTNEXTLINE(cert-err34-c): the kernel wrote the numbers
    if (file != NULL && fscanf(file, "%*u %llu %llu", &resident, &shared) != 2)
        resident = shared = 0;
    if (file != NULL)
        (void)fclose(file);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *ret_resident = resident * page;
    *ret_own = (resident > shared ? resident - shared : 0) * page;
}

static void add_memory(struct page *page)
{
    struct rusage usage = {0};
    uint64_t resident;
    uint64_t own;
    measure_memory(&resident, &own);
    (void)getrusage(RUSAGE_SELF, &usage);
    add_bytes(page, "used_memory", own);
    add_bytes(page, "used_memory_rss", resident);
    add_bytes(page, "used_memory_peak", (uint64_t)usage.ru_maxrss * 1024);
    add_bytes(page, "total_system_memory",
              (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    add_bytes(page, "maxmemory", 0);
    add(page,
        "maxmemory_policy:noeviction\r\nmem_fragmentation_ratio:1.00\r\nmem_allocator:libc\r\n");
}

/* Seconds that opening the store may still take: at least 1, after which clients ask again. */
static uint64_t loading_eta(const struct loading *loading, int64_t now_ms)
{
    if (loading->done == 0 || now_ms <= loading->started_ms)
        return 1;
    double elapsed_s = (double)(now_ms - loading->started_ms) / 1000.0;
    double eta_s = elapsed_s * (double)(loading->total - loading->done) / (double)loading->done;
    return eta_s < 1 ? 1 : eta_s > LOADING_ETA_MAX ? LOADING_ETA_MAX : (uint64_t)eta_s;
}

/* ioredis waits until this says that the store is open. */
static void add_loading(struct page *page)
{
    const struct command_context *context = page->call->context;
    bool is_loading = context->show_loading != NULL && !store_is_open(context->store);
    add(page, "loading:%d\r\nasync_loading:0\r\n", is_loading);
    if (!is_loading)
        return;
    struct loading loading = {0};
    context->show_loading(context->loading_arg, &loading);
    add_number(page, "loading_start_time", (uint64_t)loading.started_ms / 1000);
    add_number(page, "loading_total_bytes", loading.total);
    add_number(page, "loading_loaded_bytes", loading.done);
    add(page, "loading_loaded_perc:%.2f\r\n",
        loading.total > 0 ? (double)loading.done * 100.0 / (double)loading.total : 0.0);
    add_number(page, "loading_eta_seconds", loading_eta(&loading, page->call->now_ms));
}

static void add_persistence(struct page *page)
{
    const struct save_state *save = &page->save;
    add_loading(page);
    add_number(page, "rdb_bgsave_in_progress", save->running);
    add_number(page, "rdb_last_save_time", (uint64_t)save->last_success_s);
    add(page, "rdb_last_bgsave_status:%s\r\n", save->last_failed ? "err" : "ok");
    add_number(page, "rdb_saves", save->count);
    /* Every acknowledged write is in the store's files, as an append-only file would be. */
    add(page,
        "aof_enabled:1\r\naof_rewrite_in_progress:0\r\naof_last_bgrewrite_status:ok\r\n"
        "aof_last_write_status:%s\r\n",
        figures_get(&page->figures, "engine_read_only") != 0 ? "err" : "ok");
}

static void add_stats(struct page *page)
{
    add_figure(page, "total_connections_received", "connections_accepted");
    add_figure(page, "total_commands_processed", "requests");
    add_figure(page, "total_net_input_bytes", "received_bytes");
    add_figure(page, "total_net_output_bytes", "sent_bytes");
    add_figure(page, "rejected_connections", "clients_refused");
    add_figure(page, "expired_keys", "expired_keys");
    add_figure(page, "total_error_replies", "errors");
    add(page, "evicted_keys:0\r\npubsub_channels:0\r\npubsub_patterns:0\r\nlatest_fork_usec:0\r\n");
}

static void add_replication(struct page *page)
{
    add(page, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
              "master_repl_offset:0\r\nrepl_backlog_active:0\r\n");
}

static void add_seconds(struct page *page, const char *name, const struct timeval *time)
{
    add(page, "%s:%lld.%06ld\r\n", name, (long long)time->tv_sec, (long)time->tv_usec);
}

static void add_cpu(struct page *page)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    add_seconds(page, "used_cpu_sys", &usage.ru_stime);
    add_seconds(page, "used_cpu_user", &usage.ru_utime);
    (void)getrusage(RUSAGE_CHILDREN, &usage);
    add_seconds(page, "used_cpu_sys_children", &usage.ru_stime);
    add_seconds(page, "used_cpu_user_children", &usage.ru_utime);
}

static void add_commandstats(struct page *page)
{
    const struct command_context *context = page->call->context;
    if (context->hooks.command_figures == NULL)
        return;
    for (uint32_t i = 0; i < context->resp_commands->count; i++) {
        struct command_figures figures = {0};
        context->hooks.command_figures(context->hooks.arg, i, &figures);
        if (figures.calls == 0 && figures.rejected_calls == 0)
            continue;
        add(page,
            "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64
            ",usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64 "\r\n",
            context->resp_commands->commands[i]->name, figures.calls, figures.total_us,
            figures.calls > 0 ? (double)figures.total_us / (double)figures.calls : 0.0,
            figures.rejected_calls, figures.failed_calls);
    }
}

static void add_cluster(struct page *page)
{
    add(page, "cluster_enabled:0\r\n");
}

static void add_keyspace(struct page *page)
{
    uint64_t keys = figures_get(&page->figures, "engine_keys");
    if (keys > 0)
        add(page, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n", keys,
            figures_get(&page->figures, "expiring_keys"));
}

static void add_nothing(struct page *page)
{
    (void)page;
}

static void add_kvs(struct page *page)
{
    for (uint32_t i = 0; i < page->figures.count; i++)
        add_number(page, page->figures.items[i].name, page->figures.items[i].value);
}

static const struct section {
    const char *name;
    bool by_default; /* shown by INFO without arguments */
    void (*add)(struct page *page);
} sections[] = {
    {"Server", true, add_server},
    {"Clients", true, add_clients},
    {"Memory", true, add_memory},
    {"Persistence", true, add_persistence},
    {"Stats", true, add_stats},
    {"Replication", true, add_replication},
    {"CPU", true, add_cpu},
    {"Modules", true, add_nothing},
    {"Commandstats", false, add_commandstats},
    {"Errorstats", true, add_nothing},
    {"Cluster", true, add_cluster},
    {"Keyspace", true, add_keyspace},
    {"Kvs", false, add_kvs},
};

/* ---- the command --------------------------------------------------------------------------- */

static bool is_asked_for(const struct call *call, const struct section *section)
{
    if (call->argument_count == 1)
        return section->by_default;
    for (uint32_t i = 1; i < call->argument_count; i++) {
        struct kvs_bytes word = call->arguments[i];
        if (word_is(word, section->name) || word_is(word, "all") || word_is(word, "everything") ||
            (section->by_default && word_is(word, "default")))
            return true;
    }
    return false;
}

static void take_setting(void *arg, const char *name, const char *value)
{
    struct page *page = arg;
    if (strcmp(name, "port") == 0)
        page->port = strtoull(value, NULL, 10);
    else if (strcmp(name, "maxclients") == 0)
        page->clients_max = strtoull(value, NULL, 10);
}

static void run_info(struct call *call)
{
    const struct hooks *hooks = &call->context->hooks;
    struct page page = {.call = call};
    figures_take(&page.figures, call->context);
    if (hooks->save_state != NULL)
        hooks->save_state(hooks->arg, &page.save);
    if (hooks->visit_settings != NULL)
        hooks->visit_settings(hooks->arg, take_setting, &page);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        if (!is_asked_for(call, &sections[i]))
            continue;
        add(&page, "%s# %s\r\n", buffer_size(&page.text) > 0 ? "\r\n" : "", sections[i].name);
        sections[i].add(&page);
    }
    if (page.status == KVS_OK)
        resp_verbatim(call->reply, bytes_of(page.text.data + page.text.start,
                                            (uint64_t)buffer_size(&page.text)));
    else
        resp_fault(call->reply, page.status, NULL);
    buffer_deinit(&page.text);
}

const struct resp_command resp_info_commands[] = {
    {
        .name = "info",
        .arity = -1,
        .flags = RESP_LOADING_OK,
        .group = "server",
        .since = "1.0.0",
        .summary = "Tell about the server: sections of names and values",
        .run = run_info,
    },
    {.name = NULL},
};
