/*
 * See runner.h. For each rule: a folder, a page that is shared with a child process, the child. The
 * child loads the plugin, runs the rule and leaves a verdict in the page; without one, how it ended
 * is the verdict. The child leads a process group of its own, so that what it started goes with it.
 *
 * I1  The runner's own process never loads the plugin.
 * I2  Whatever a rule leaves behind, processes and files, is gone when its result is told.
 */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "plugin/files.h"

#define FOLDERS_OPEN_MAX 16

struct runner {
    const struct runner_config *config;
    uint32_t kind;
    char *name;              /* the plugin's; owned */
    char *folder;            /* where the plugin's file lies; owned */
    char *path;              /* the plugin's file; owned */
    char *temp;              /* a folder per rule is made in it; owned */
    struct verdict *verdict; /* shared with the child */
};

/* ---- the child ------------------------------------------------------------------------------- */

static void ignore_line(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    (void)level;
    (void)message;
}

/* What it prints is nobody's business, unless it was asked for. */
static void child_prepare(const struct runner *runner)
{
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)setpgid(0, 0);
    if (runner->config->verbose) {
        (void)dup2(STDERR_FILENO, STDOUT_FILENO);
        return;
    }
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
}

/* Ends the process as skipped when the plugin is not one that the rule is for. */
static void child_choose(struct check *check, const struct rule *rule)
{
    const struct plugin *plugin = check->plugin;
    uint64_t has = plugin->kind == KVS_PLUGIN_ENGINE ? plugin->ops.engine.capabilities
                                                     : plugin->ops.pool.capabilities;
    for (uint64_t bit = 1; bit != 0; bit <<= 1) {
        if ((rule->needs & bit) != 0 && (has & bit) == 0)
            check_skip(check, "it does not offer %s", rules_capability_text(plugin->kind, bit));
        if ((rule->not_for & bit) != 0 && (has & bit) != 0)
            check_skip(check, "it is %s", rules_capability_text(plugin->kind, bit));
    }
    if (plugin->kind == KVS_PLUGIN_ENGINE && strncmp(rule->name, "engine.", 7) == 0 &&
        (plugin->ops.engine.key_max < 8 || plugin->ops.engine.value_max < 64))
        check_skip(check, "its keys have at most %llu bytes and its values %llu: too few for this",
                   (unsigned long long)plugin->ops.engine.key_max,
                   (unsigned long long)plugin->ops.engine.value_max);
}

static _Noreturn void child_main(const struct runner *runner, const struct rule *rule,
                                 const char *dir)
{
    const char *const folders[] = {runner->folder};
    const struct plugin_dirs dirs = {folders, 1};
    struct plugin *plugin = NULL;
    struct check_error error;
    struct check check = {.path = runner->path,
                          .dir = dir,
                          .options = runner->config->options,
                          .option_count = runner->config->option_count,
                          .wait_ms = runner->config->timeout_ms / 2,
                          .verdict = runner->verdict};
    child_prepare(runner);
    log_init(&check.log, KVS_LOG_DEBUG, runner->config->verbose ? NULL : ignore_line, NULL);
    check_error_init(&error);
    if (!rule->unloaded) {
        check_doing(&check, "loading the plugin");
        if (plugin_open(&dirs, runner->kind, runner->name, &plugin, &error.error) != KVS_OK)
            check_fail(&check, "%s", error.message);
        check.plugin = plugin;
        child_choose(&check, rule);
    }
    check_doing(&check, "the rule itself");
    rule->run(&check);
    uint32_t none = VERDICT_NONE;
    (void)__atomic_compare_exchange_n(&runner->verdict->kind, &none, VERDICT_PASS, false,
                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    _exit(EXIT_SUCCESS);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

static void remove_folder(const char *path)
{
    (void)nftw(path, remove_entry, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
}

/* Waits for the child, at most timeout_ms, and ends all that is left of it. False: it took longer. */
static bool wait_for(pid_t pid, uint32_t timeout_ms, int *ret_wait_status)
{
    _cleanup_(closep) int fd = pidfd_open(pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    uint64_t deadline_ns = clock_now_ns() + (uint64_t)timeout_ms * 1000000u;
    int code;
    do {
        uint64_t now_ns = clock_now_ns();
        uint64_t left_ns = now_ns < deadline_ns ? deadline_ns - now_ns : 0;
        code = poll(&poll_fd, 1, (int)(left_ns / 1000000u));
    } while (code < 0 && errno == EINTR);
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL); /* if it had no time to get a group of its own */
    while (waitpid(pid, ret_wait_status, 0) < 0 && errno == EINTR)
        ;
    return code > 0;
}

/* Makes a result of how the child ended and of what it said. */
static void judge(const struct verdict *verdict, bool in_time, int wait_status, uint32_t timeout_ms,
                  struct result *result)
{
    uint32_t kind = __atomic_load_n(&verdict->kind, __ATOMIC_ACQUIRE);
    const char *doing = verdict->doing;
    result->kind = VERDICT_FAIL;
    if (kind == VERDICT_PASS || kind == VERDICT_FAIL || kind == VERDICT_SKIP) {
        result->kind = kind;
        (void)snprintf(result->text, sizeof(result->text), "%s", verdict->text);
    } else if (!in_time) {
        (void)snprintf(result->text, sizeof(result->text), "hangs: not done after %u ms (%.900s)",
                       timeout_ms, doing);
    } else if (WIFSIGNALED(wait_status)) {
        (void)snprintf(result->text, sizeof(result->text),
                       "crashes: killed by signal %d, %s (%.900s)", WTERMSIG(wait_status),
                       strsignal(WTERMSIG(wait_status)), doing);
    } else {
        (void)snprintf(result->text, sizeof(result->text),
                       "ends its process with exit status %d (%.900s)", WEXITSTATUS(wait_status),
                       doing);
    }
}

static kvs_status run_rule(const struct runner *runner, const struct rule *rule,
                           struct result *result, struct kvs_error *err)
{
    char dir[512];
    int wait_status = 0;
    (void)snprintf(dir, sizeof(dir), "%s/%s", runner->temp, rule->name);
    if (mkdir(dir, 0700) != 0)
        return kvs_error_set(err, KVS_IO, errno, "cannot make the folder %s: %s", dir,
                             strerror(errno));
    memset(runner->verdict, 0, sizeof(*runner->verdict));
    *result = (struct result){.rule = rule};
    (void)fflush(NULL); /* or else a plugin that calls exit() writes it all once more */
    uint64_t start_ns = clock_now_ns();
    pid_t pid = fork();
    if (pid < 0)
        return kvs_error_set(err, KVS_BUSY, errno, "cannot start a process: %s", strerror(errno));
    if (pid == 0)
        child_main(runner, rule, dir);
    bool in_time = wait_for(pid, runner->config->timeout_ms, &wait_status);
    result->milliseconds = (uint32_t)((clock_now_ns() - start_ns) / 1000000u);
    judge(runner->verdict, in_time, wait_status, runner->config->timeout_ms, result);
    remove_folder(dir);
    return KVS_OK;
}

/* Runs the rules. When the plugin cannot be loaded at all, the first one says so and the others are
   skipped. */
static kvs_status run_rules(const struct runner *runner, runner_result_fn tell, void *arg,
                            struct kvs_error *err)
{
    const struct rule *rules[RULES_MAX];
    size_t count = rules_of(runner->kind, rules);
    bool is_loadable = true;
    for (size_t i = 0; i < count; i++) {
        struct result result = {
            .rule = rules[i], .kind = VERDICT_SKIP, .text = "it could not be loaded"};
        bool is_wanted =
            runner->config->only == NULL || fnmatch(runner->config->only, rules[i]->name, 0) == 0;
        if (!is_wanted && i > 0)
            continue;
        if (is_loadable) {
            kvs_status status = run_rule(runner, rules[i], &result, err);
            if (status != KVS_OK)
                return status;
        }
        if (i == 0)
            is_loadable = result.kind == VERDICT_PASS;
        if (is_wanted || !is_loadable)
            tell(arg, &result);
    }
    return KVS_OK;
}

static kvs_status runner_init(struct runner *runner, const struct runner_config *config,
                              struct kvs_error *err)
{
    const char *temp = getenv("TMPDIR");
    const char *slash = strrchr(config->path, '/');
    const char *file = slash != NULL ? slash + 1 : config->path;
    runner->config = config;
    if (access(config->path, R_OK) != 0)
        return kvs_error_set(err, KVS_MISSING, errno, "cannot read %s: %s", config->path,
                             strerror(errno));
    if (!plugin_file_split(file, &runner->kind, &runner->name))
        return kvs_error_set(err, KVS_INVALID, 0,
                             "%s is no plugin's file: it must be named kvs-engine-NAME.so or "
                             "kvs-pool-NAME.so, with letters, digits, '-' and '_' in NAME",
                             config->path);
    runner->folder =
        slash == NULL ? strdup(".") : strndup(config->path, (size_t)(slash - config->path));
    if (runner->name == NULL || runner->folder == NULL ||
        (runner->path = plugin_file_path(slash == config->path ? "/" : runner->folder, runner->kind,
                                         runner->name)) == NULL ||
        asprintf(&runner->temp, "%s/kvs-plugin-check-XXXXXX", temp != NULL ? temp : "/tmp") < 0)
        return kvs_error_set(err, KVS_NO_MEMORY, 0, "no memory");
    if (mkdtemp(runner->temp) == NULL) {
        free(runner->temp);
        runner->temp = NULL;
        return kvs_error_set(err, KVS_IO, errno, "cannot make a folder in %s: %s",
                             temp != NULL ? temp : "/tmp", strerror(errno));
    }
    void *page = mmap(NULL, sizeof(struct verdict), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return kvs_error_set(err, KVS_NO_MEMORY, errno, "no memory to share");
    runner->verdict = page;
    return KVS_OK;
}

static void runner_deinit(struct runner *runner)
{
    if (runner->verdict != NULL)
        (void)munmap(runner->verdict, sizeof(struct verdict));
    if (runner->temp != NULL)
        remove_folder(runner->temp);
    free(runner->temp);
    free(runner->path);
    free(runner->folder);
    free(runner->name);
}

kvs_status runner_run(const struct runner_config *config, runner_result_fn tell, void *arg,
                      struct kvs_error *err)
{
    struct runner runner = {.config = config};
    kvs_status status = runner_init(&runner, config, err);
    if (status == KVS_OK)
        status = run_rules(&runner, tell, arg, err);
    runner_deinit(&runner);
    return status;
}
