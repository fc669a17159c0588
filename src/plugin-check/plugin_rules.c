/* What every plugin owes: its file, its entry function, its descriptor, its options. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crew.h"
#include "exports.h"
#include "plugin/files.h"
#include "plugin/options.h"
#include "rules_list.h"
#include "session.h"

#define THREADS_OPTION_MAX 64u /* the largest count that is tried at an option's upper end */

/* ---- the file ------------------------------------------------------------------------------------ */

void plugin_load_succeeds(struct check *check)
{
    CHECK(check, check->plugin != NULL, "the plugin was not loaded");
}

void plugin_load_quiet(struct check *check)
{
    unsigned threads = check_count_threads();
    unsigned descriptors = check_count_descriptors();
    void *handle = dlopen(check->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    CHECK(check, handle != NULL, "dlopen: %s", dlerror());
    void *symbol = dlsym(handle, KVS_PLUGIN_ENTRY_NAME);
    CHECK(check, symbol != NULL, "it has no symbol " KVS_PLUGIN_ENTRY_NAME);
    kvs_plugin_entry_fn entry;
    memcpy(&entry, &symbol, sizeof(entry));
    (void)entry(KVS_ABI_MAJOR, KVS_ABI_MINOR);
    CHECK(check, check_count_threads() == threads,
          "loading it and asking for its list started %u threads", check_count_threads() - threads);
    CHECK(check, check_count_descriptors() == descriptors,
          "loading it and asking for its list opened %u file descriptors",
          check_count_descriptors() - descriptors);
}

void plugin_load_one_symbol(struct check *check)
{
    char name[128];
    unsigned count = 0;
    kvs_status status =
        exports_list(check->path, KVS_PLUGIN_ENTRY_NAME, &count, name, sizeof(name));
    if (status != KVS_OK)
        check_skip(check, "its table of symbols cannot be read here (%s)", kvs_status_text(status));
    CHECK(check, count == 0,
          "it exports %u symbols besides " KVS_PLUGIN_ENTRY_NAME
          ", as %s: compile with -fvisibility=hidden; link C++ with a version script",
          count, name);
}

void plugin_load_repeatable(struct check *check)
{
    void *handle = dlopen(check->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    CHECK(check, handle != NULL, "dlopen: %s", dlerror());
    void *symbol = dlsym(handle, KVS_PLUGIN_ENTRY_NAME);
    kvs_plugin_entry_fn entry;
    memcpy(&entry, &symbol, sizeof(entry));
    const struct kvs_plugin *const *list = entry(KVS_ABI_MAJOR, KVS_ABI_MINOR);
    CHECK(check, list == entry(KVS_ABI_MAJOR, KVS_ABI_MINOR),
          "the entry function returns another list at its second call");
    CHECK(check, list == entry(KVS_ABI_MAJOR, KVS_ABI_MINOR + 1000),
          "the entry function returns another list to a host of a later minor");
    CHECK(check, list == entry(KVS_ABI_MAJOR, 0),
          "the entry function returns another list to a host of minor 0");
}

/* ---- the descriptor ------------------------------------------------------------------------------- */

static void expect_line(struct check *check, const char *what, const char *text)
{
    CHECK(check, text[0] != '\0', "%s is empty", what);
    for (const char *at = text; *at != '\0'; at++)
        CHECK(check, (unsigned char)*at >= ' ',
              "%s is more than one line, or has control characters", what);
}

void plugin_descriptor_texts(struct check *check)
{
    const struct kvs_plugin *descriptor = check->plugin->descriptor;
    expect_line(check, "its version", descriptor->version);
    expect_line(check, "its description", descriptor->description);
    CHECK(check, descriptor->reserved == 0, "the descriptor's member reserved is not 0");
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        char what[128];
        (void)snprintf(what, sizeof(what), "the help of the option %s", option->name);
        CHECK(check, option->help != NULL, "the option %s has no help", option->name);
        expect_line(check, what, option->help);
        CHECK(check, option->reserved == 0, "the option %s has a member reserved that is not 0",
              option->name);
    }
}

/* ---- options --------------------------------------------------------------------------------------- */

/* Opens, uses and closes an instance with one more option. `setting` is "NAME=VALUE". */
static void use_with(struct check *check, const char *setting)
{
    const char **settings = check_memory(check, (check->option_count + 1) * sizeof(*settings));
    struct check with = *check;
    for (uint32_t i = 0; i < check->option_count; i++)
        settings[i] = check->options[i];
    settings[check->option_count] = setting; /* a later one wins */
    with.options = settings;
    with.option_count = check->option_count + 1;
    check_doing(check, "opening with %s", setting);
    if (check->plugin->kind == KVS_PLUGIN_ENGINE) {
        struct session session;
        struct check_error error;
        kvs_status status = session_try_open(&session, &with, check->dir, KVS_OPEN_CREATE,
                                             KVS_DURABILITY_NONE, &error);
        CHECK(check, status == KVS_OK,
              "open with %s, which the option's range allows, gave '%s': %s", setting,
              kvs_status_text(status), error.message);
        session_put(&session, session_text("key"), session_text("value"));
        session_expect(&session, session_text("key"), session_text("value"), "set");
        session_close(&session);
    } else {
        struct crew crew;
        struct check_error error;
        crew_init(&crew, &with);
        const struct kvs_pool_config config = crew_config(&crew, 2);
        kvs_status status = crew_try_create(&crew, &config, &error);
        CHECK(check, status == KVS_OK,
              "create with %s, which the option's range allows, gave '%s': %s", setting,
              kvs_status_text(status), error.message);
        struct task *tasks = crew_tasks(&crew, 20);
        for (unsigned i = 0; i < 20; i++)
            crew_spawn(&crew, crew_run, &tasks[i]);
        crew_await(&crew, tasks, 20);
        crew_shutdown(&crew, KVS_POOL_DRAIN);
        crew_destroy(&crew);
        free(tasks);
    }
    free(settings);
}

static void use_with_value(struct check *check, const struct kvs_option *option, const char *value,
                           size_t size)
{
    char setting[256];
    (void)snprintf(setting, sizeof(setting), "%s=%.*s", option->name, (int)size, value);
    use_with(check, setting);
}

/* The choices of an enum, one after the other. */
static void use_with_choices(struct check *check, const struct kvs_option *option)
{
    for (const char *at = option->range; *at != '\0';) {
        size_t size = strcspn(at, "|");
        use_with_value(check, option, at, size);
        at += size + (at[size] == '|');
    }
}

/* The ends of a range: the lower one, and the upper one where it is no amount of some resource. */
static void use_with_ends(struct check *check, const struct kvs_option *option)
{
    const char *dots = strstr(option->range, "..");
    uint64_t most;
    if (dots == NULL)
        return;
    if (dots > option->range)
        use_with_value(check, option, option->range, (size_t)(dots - option->range));
    if (text_parse_u64(dots + 2, &most) && most <= THREADS_OPTION_MAX)
        use_with_value(check, option, dots + 2, strlen(dots + 2));
}

void plugin_options_range(struct check *check)
{
    const struct kvs_plugin *descriptor = check->plugin->descriptor;
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        if (option->default_value != NULL)
            use_with_value(check, option, option->default_value, strlen(option->default_value));
        if (option->type == KVS_OPTION_BOOL) {
            use_with_value(check, option, "yes", 3);
            use_with_value(check, option, "no", 2);
        } else if (option->type == KVS_OPTION_ENUM) {
            use_with_choices(check, option);
        } else if (option->range != NULL) {
            use_with_ends(check, option);
        }
    }
}

/* The status of host services with one option. */
static kvs_status host_status(struct check *check, const char *name, const char *value,
                              struct check_error *error)
{
    char setting[256];
    const char *const settings[] = {setting};
    const struct plugin_host_config config = {
        .plugin = check->plugin, .log = &check->log, .options = settings, .option_count = 1};
    struct plugin_host *host = NULL;
    check_error_init(error);
    (void)snprintf(setting, sizeof(setting), "%s=%s", name, value);
    kvs_status status = plugin_host_new(&config, &host, &error->error);
    plugin_host_free(host);
    return status;
}

void plugin_options_refused(struct check *check)
{
    const struct kvs_plugin *descriptor = check->plugin->descriptor;
    struct check_error error;
    check_status(check, "an option that does not exist", KVS_INVALID,
                 host_status(check, "no-such-option", "1", &error), &error);
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        if (option->type == KVS_OPTION_STRING)
            continue;
        kvs_status status = host_status(check, option->name, "no value of any type", &error);
        check_status(check, "a value that is none of the option's type", KVS_INVALID, status,
                     &error);
        CHECK(check, strstr(error.message, option->name) != NULL,
              "the refusal of a bad value does not name the option %s: %s", option->name,
              error.message);
    }
}

void plugin_options_reloadable(struct check *check)
{
    const struct kvs_plugin *descriptor = check->plugin->descriptor;
    bool can =
        check->plugin->kind == KVS_PLUGIN_ENGINE && session_has(check, KVS_ENGINE_HAS_RECONFIGURE);
    for (uint32_t i = 0; i < descriptor->option_count; i++) {
        const struct kvs_option *option = option_at(descriptor, i);
        CHECK(
            check, can || (option->flags & KVS_OPTION_RELOADABLE) == 0,
            "the option %s says that it can be changed while running, and there is no reconfigure",
            option->name);
    }
}
