/* sync, stats, checkpoint, compact, verify, repair, reconfigure; leaks. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "plugin/options.h"
#include "rules_list.h"
#include "session.h"

#define UPKEEP_KEYS 100u

static void fill(struct session *session)
{
    for (unsigned i = 0; i < UPKEEP_KEYS; i++) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, i);
        session_put(session, key, session_text("overwritten"));
        session_put(session, key, key);
    }
    for (unsigned i = 0; i < UPKEEP_KEYS; i += 5) {
        char text[SESSION_KEY_MAX];
        session_drop(session, session_key(text, i));
    }
}

static void expect_filled(struct session *session, const char *after)
{
    for (unsigned i = 0; i < UPKEEP_KEYS; i++) {
        char text[SESSION_KEY_MAX];
        struct kvs_bytes key = session_key(text, i);
        if (i % 5 == 0)
            session_expect_none(session, key, after);
        else
            session_expect(session, key, key, after);
    }
}

static const char *make_folder(struct check *check, char path[512], const char *name)
{
    (void)snprintf(path, 512, "%s/%s", check->dir, name);
    if (mkdir(path, 0700) != 0)
        check_skip(check, "cannot make the folder %s", path);
    return path;
}

/* ---- sync and stats -------------------------------------------------------------------------- */

void engine_sync_returns(struct check *check)
{
    struct session session;
    struct check_error error;
    session_open(&session, check);
    check_error_init(&error);
    for (unsigned i = 0; i < 3; i++) {
        check_status(check, "sync", KVS_OK, session.ops->sync(session.db, &error.error), &error);
        session_put(&session, session_text("key"), session_text("value"));
    }
    session_expect(&session, session_text("key"), session_text("value"), "sync");
    session_close(&session);
}

void engine_stats_keys(struct check *check)
{
    struct session session;
    session_open(&session, check);
    for (unsigned round = 0; round < 2; round++) {
        uint64_t before = session_count_keys(&session);
        CHECK(check, before == 0, "an empty store has %llu keys, says stats",
              (unsigned long long)before);
        fill(&session);
        uint64_t keys = session_count_keys(&session);
        CHECK(check, keys == UPKEEP_KEYS - UPKEEP_KEYS / 5,
              "stats says %llu keys after %u were set, overwritten and %u removed",
              (unsigned long long)keys, UPKEEP_KEYS, UPKEEP_KEYS / 5);
        for (unsigned i = 0; i < UPKEEP_KEYS; i++) {
            char text[SESSION_KEY_MAX];
            (void)session_remove(&session, NULL, session_key(text, i), NULL);
        }
    }
    session_close(&session);
}

static void check_figure(void *arg, const char *name, uint64_t value)
{
    struct check *check = arg;
    (void)value;
    CHECK(check, name != NULL && name[0] != '\0', "stats reported a figure without a name");
    CHECK(check, strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name),
          "the figure '%s' has other letters than a-z, 0-9 and _", name);
}

void engine_stats_names(struct check *check)
{
    struct session session;
    session_open(&session, check);
    session_put(&session, session_text("key"), session_text("value"));
    session.ops->stats(session.db, check_figure, check);
    session_close(&session);
}

/* ---- checkpoint, compact --------------------------------------------------------------------- */

void engine_checkpoint_opens(struct check *check)
{
    struct session session;
    struct session copy;
    struct check_error error;
    char paths[2][512];
    check_error_init(&error);
    session_open_in(&session, check, make_folder(check, paths[0], "store"), KVS_OPEN_CREATE,
                    KVS_DURABILITY_NONE);
    fill(&session);
    check_status(
        check, "checkpoint", KVS_OK,
        session.ops->checkpoint(session.db, make_folder(check, paths[1], "copy"), &error.error),
        &error);
    session_put(&session, session_text("later"), session_text("value"));
    session_open_in(&copy, check, paths[1], 0, KVS_DURABILITY_NONE);
    expect_filled(&copy, "opening a checkpoint");
    session_expect_none(&copy, session_text("later"),
                        "opening a checkpoint made before it was set");
    session_put(&copy, session_text("here"), session_text("value"));
    session_expect_none(&session, session_text("here"), "a set in its checkpoint");
    session_close(&session);
    session_close(&copy);
}

void engine_compact_keeps(struct check *check)
{
    struct session session;
    struct check_error error;
    check_error_init(&error);
    session_open(&session, check);
    fill(&session);
    check_doing(check, "compact");
    check_status(check, "compact", KVS_OK, session.ops->compact(session.db, &error.error), &error);
    expect_filled(&session, "compact");
    session_reopen(&session);
    if (session_has(check, KVS_ENGINE_DURABLE))
        expect_filled(&session, "compact and reopening");
    session_close(&session);
}

/* ---- verify, repair ------------------------------------------------------------------------------ */

static void take_finding(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    (void)level;
    (void)message;
}

/* A closed store in the folder `store`, and a configuration for it. */
static struct kvs_engine_config closed_store(struct session *session, struct check *check,
                                             char path[512])
{
    const struct plugin_host_config host = {.plugin = check->plugin,
                                            .log = &check->log,
                                            .options = check->options,
                                            .option_count = check->option_count};
    session_open_in(session, check, make_folder(check, path, "store"), KVS_OPEN_CREATE,
                    KVS_DURABILITY_NONE);
    fill(session);
    session_close(session);
    if (plugin_host_new(&host, &session->host, NULL) != KVS_OK)
        check_skip(check, "no host services");
    return (struct kvs_engine_config){.size = (uint32_t)sizeof(struct kvs_engine_config),
                                      .durability = KVS_DURABILITY_NONE,
                                      .sync_interval_ms = 100,
                                      .data_dir = path,
                                      .host = plugin_host_services(session->host)};
}

void engine_verify_sound(struct check *check)
{
    struct session session;
    struct check_error error;
    char path[512];
    check_error_init(&error);
    struct kvs_engine_config config = closed_store(&session, check, path);
    check_doing(check, "verify");
    check_status(check, "verify of a sound store", KVS_OK,
                 session.ops->verify(&config, take_finding, NULL, &error.error), &error);
    plugin_host_free(session.host);
    session_open_in(&session, check, path, 0, KVS_DURABILITY_NONE);
    expect_filled(&session, "verify");
    session_close(&session);
}

void engine_repair_salvages(struct check *check)
{
    struct session session;
    struct check_error error;
    char path[512];
    char target[512];
    check_error_init(&error);
    struct kvs_engine_config config = closed_store(&session, check, path);
    check_doing(check, "repair");
    check_status(check, "repair of a sound store", KVS_OK,
                 session.ops->repair(&config, make_folder(check, target, "target"), take_finding,
                                     NULL, &error.error),
                 &error);
    plugin_host_free(session.host);
    session_open_in(&session, check, target, 0, KVS_DURABILITY_NONE);
    expect_filled(&session, "repair of a sound store");
    session_close(&session);
}

/* ---- reconfigure -------------------------------------------------------------------------------- */

void engine_reconfigure_options(struct check *check)
{
    struct session session;
    const struct kvs_plugin *descriptor = check->plugin->descriptor;
    session_open(&session, check);
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        struct kvs_option_value value = {.size = (uint32_t)sizeof(value)};
        struct check_error error;
        char what[128];
        check_error_init(&error);
        if (session.host == NULL || plugin_host_services(session.host)
                                            ->config_get(plugin_host_services(session.host),
                                                         option->name, &value) != KVS_OK)
            check_skip(check, "no value of the option %s", option->name);
        (void)snprintf(what, sizeof(what), "reconfigure of the option %s to what it is",
                       option->name);
        check_status(
            check, what, (option->flags & KVS_OPTION_RELOADABLE) != 0 ? KVS_OK : KVS_UNSUPPORTED,
            session.ops->reconfigure(session.db, option->name, &value, &error.error), &error);
    }
    session_close(&session);
}

/* ---- leaks -------------------------------------------------------------------------------------- */

#define LEAK_WARM_UP  3u
#define LEAK_CYCLES   8u
#define LEAK_LONG_MIN 40u
#define LEAK_LONG_MAX 300u
#define LEAK_LONG_NS  UINT64_C(1500000000)

/* Opens, uses and closes a store. */
static void use_once(struct check *check)
{
    struct session session;
    session_open(&session, check);
    struct kvs_tls *tls = session_attach(&session);
    session_put(&session, session_text("key"), session_text("value"));
    session_expect(&session, session_text("key"), session_text("value"), "set");
    session_drop(&session, session_text("key"));
    session_detach(&session, tls);
    session_close(&session);
}

/* Fails when what count gives grows by at least one per cycle. */
static void expect_no_growth(struct check *check, uint64_t (*count)(void), const char *what)
{
    for (unsigned i = 0; i < LEAK_WARM_UP; i++)
        use_once(check);
    uint64_t before = count();
    for (unsigned i = 0; i < LEAK_CYCLES; i++)
        use_once(check);
    uint64_t after = count();
    CHECK(check, after < before + LEAK_CYCLES,
          "%u times open, use and close: %llu %s before, %llu after", LEAK_CYCLES,
          (unsigned long long)before, what, (unsigned long long)after);
}

/* Fails when it grows by more than slack and `each` per cycle: for what ended threads give back late
   and what grows up to a bound. So it takes many cycles, unless they take long. */
static void expect_bound(struct check *check, uint64_t (*count)(void), uint64_t each,
                         uint64_t slack, const char *what)
{
    unsigned cycles = 0;
    for (unsigned i = 0; i < LEAK_WARM_UP; i++)
        use_once(check);
    uint64_t before = count();
    uint64_t end_ns = clock_now_ns() + LEAK_LONG_NS;
    do {
        use_once(check);
        cycles++;
    } while (cycles < LEAK_LONG_MIN || (cycles < LEAK_LONG_MAX && clock_now_ns() < end_ns));
    uint64_t after = count();
    CHECK(check, after <= before + slack + each * cycles,
          "%u times open, use and close: %llu %s before, %llu after", cycles,
          (unsigned long long)before, what, (unsigned long long)after);
}

static uint64_t count_threads(void)
{
    return check_count_threads();
}

static uint64_t count_descriptors(void)
{
    return check_count_descriptors();
}

static uint64_t count_mappings(void)
{
    return check_count_mappings();
}

void engine_leaks_threads(struct check *check)
{
    expect_no_growth(check, count_threads, "threads");
}

void engine_leaks_descriptors(struct check *check)
{
    expect_no_growth(check, count_descriptors, "file descriptors");
}

void engine_leaks_mappings(struct check *check)
{
    if (check_is_sanitized())
        check_skip(check, "a sanitizer keeps memory of its own");
    expect_bound(check, count_mappings, 0, LEAK_LONG_MIN / 2, "mappings");
}

void engine_leaks_memory(struct check *check)
{
    if (check_is_sanitized())
        check_skip(check, "a sanitizer keeps memory of its own");
    expect_bound(check, check_heap_bytes, 48, 4096, "bytes of the heap in use");
}
