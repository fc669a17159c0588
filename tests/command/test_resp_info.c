/* INFO: sections, and where their fields come from. */
#include "support/support.h"

#include <string.h>

#include "conversation.h"

static void visit_stats(void *arg, kvs_stat_fn visit, void *visit_arg)
{
    (void)arg;
    visit(visit_arg, "uptime_ms", 93784000);
    visit(visit_arg, "connections", 3);
    visit(visit_arg, "connections_accepted", 11);
    visit(visit_arg, "requests", 1234);
    visit(visit_arg, "engine_keys", 42);
    visit(visit_arg, "engine_log_bytes", 77);
}

static void save_state(void *arg, struct save_state *ret)
{
    (void)arg;
    *ret = (struct save_state){.last_success_s = 1700000000, .last_failed = true, .count = 9};
}

static void command_figures(void *arg, uint32_t index, struct command_figures *ret)
{
    uint32_t *get_index = arg;
    if (index == *get_index)
        *ret = (struct command_figures){
            .calls = 4, .failed_calls = 1, .rejected_calls = 2, .total_us = 10};
}

static void visit_settings(void *arg,
                           void (*visit)(void *visit_arg, const char *name, const char *value),
                           void *visit_arg)
{
    (void)arg;
    visit(visit_arg, "maxclients", "100");
    visit(visit_arg, "port", "4000");
}

static void begin(struct conversation *talk)
{
    conversation_begin(talk);
    talk->context.hooks.visit_settings = visit_settings;
    talk->context.visit_stats = visit_stats;
    talk->context.hooks.save_state = save_state;
}

/* An engine that gave up after a failed write. */
static void visit_stats_of_broken(void *arg, kvs_stat_fn visit, void *visit_arg)
{
    (void)arg;
    visit(visit_arg, "engine_read_only", 1);
}

static void failed_writes_are_told(void **state)
{
    (void)state;
    struct conversation talk;
    begin(&talk);
    conversation_expect_part(&talk, "INFO persistence", "\r\naof_last_write_status:ok\r\n");
    talk.context.visit_stats = visit_stats_of_broken;
    conversation_expect_part(&talk, "INFO persistence", "\r\naof_last_write_status:err\r\n");
    conversation_end(&talk);
}

static void all_usual_sections_are_there(void **state)
{
    (void)state;
    struct conversation talk;
    static const char *const parts[] = {
        "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\nkvs_version:",
        "\r\nkvs_engine:test\r\n",
        "\r\nuptime_in_seconds:93784\r\nuptime_in_days:1\r\n",
        "\r\ntcp_port:4000\r\n",
        "\r\n\r\n# Clients\r\nconnected_clients:3\r\nmaxclients:100\r\n",
        "\r\n\r\n# Memory\r\nused_memory:",
        "\r\nused_memory_human:",
        "\r\n\r\n# Persistence\r\nloading:0\r\n",
        "\r\nrdb_last_save_time:1700000000\r\nrdb_last_bgsave_status:err\r\nrdb_saves:9\r\n",
        "\r\n\r\n# Stats\r\ntotal_connections_received:11\r\ntotal_commands_processed:1234\r\n",
        "\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n",
        "\r\n\r\n# CPU\r\nused_cpu_sys:",
        "\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n",
        "\r\n\r\n# Keyspace\r\ndb0:keys=42,expires=0,avg_ttl=0\r\n",
    };
    begin(&talk);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        conversation_expect_part(&talk, "INFO", parts[i]);
        conversation_expect_part(&talk, "info default", parts[i]);
        conversation_expect_part(&talk, "info everything", parts[i]);
    }
    assert_null(strstr(conversation_say(&talk, "INFO"), "# Kvs"));
    assert_null(strstr(conversation_say(&talk, "INFO"), "keyspace_hits")); /* nobody counts them */
    conversation_end(&talk);
}

/* 30 seconds for 3 of 4 parts: 10 more. */
static void show_loading(void *arg, struct loading *ret)
{
    const uint64_t *done = arg;
    *ret = (struct loading){
        .started_ms = CONVERSATION_NOW_MS - 30000, .done = *done, .total = *done > 0 ? 4 : 0};
}

static void loading_is_told_with_what_is_left(void **state)
{
    (void)state;
    struct conversation talk;
    uint64_t done = 3;
    begin(&talk);
    talk.context.show_loading = show_loading;
    talk.context.loading_arg = &done;
    conversation_expect_part(&talk, "INFO persistence",
                             "# Persistence\r\nloading:1\r\nasync_loading:0\r\n"
                             "loading_start_time:1699999975\r\nloading_total_bytes:4\r\n"
                             "loading_loaded_bytes:3\r\nloading_loaded_perc:75.00\r\n"
                             "loading_eta_seconds:10\r\n");
    done = 0; /* nothing is known */
    conversation_expect_part(&talk, "INFO persistence",
                             "loading_loaded_perc:0.00\r\nloading_eta_seconds:1\r\n");
    done = 4; /* nearly there: clients ask again in a second */
    conversation_expect_part(&talk, "INFO persistence",
                             "loading_loaded_perc:100.00\r\nloading_eta_seconds:1\r\n");
    atomic_store(&talk.no_store.is_open, true);
    conversation_expect_part(&talk, "INFO persistence", "loading:0\r\nasync_loading:0\r\nrdb_");
    conversation_end(&talk);
}

static void one_section_comes_alone(void **state)
{
    (void)state;
    struct conversation talk;
    begin(&talk);
    conversation_expect(&talk, "INFO keyspace",
                        "$45\r\n# Keyspace\r\ndb0:keys=42,expires=0,avg_ttl=0\r\n\r\n");
    conversation_expect(&talk, "INFO CLUSTER", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
    conversation_expect(&talk, "INFO cluster modules",
                        "$43\r\n# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n");
    conversation_expect(&talk, "INFO nonsense", "$0\r\n\r\n");
    conversation_expect_part(&talk, "INFO kvs", "\r\nengine_log_bytes:77\r\n");
    (void)conversation_say(&talk, "HELLO 3");
    conversation_expect(&talk, "INFO CLUSTER", "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
    conversation_end(&talk);
}

static void commands_that_were_called_have_a_line(void **state)
{
    (void)state;
    struct conversation talk;
    begin(&talk);
    uint32_t index = (uint32_t)resp_table_find(&talk.table, (struct kvs_bytes){"ping", 4});
    talk.context.hooks.arg = &index;
    talk.context.hooks.command_figures = command_figures;
    conversation_expect(&talk, "INFO commandstats",
                        "$97\r\n# Commandstats\r\ncmdstat_ping:calls=4,usec=10,usec_per_call=2.50,"
                        "rejected_calls=2,failed_calls=1\r\n\r\n");
    conversation_end(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_usual_sections_are_there),
        cmocka_unit_test(loading_is_told_with_what_is_left),
        cmocka_unit_test(failed_writes_are_told),
        cmocka_unit_test(one_section_comes_alone),
        cmocka_unit_test(commands_that_were_called_have_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
