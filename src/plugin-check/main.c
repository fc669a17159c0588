/* kvs-plugin-check: does a plugin keep the contract of include/kvs? */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kvs/version.h>

#include "base/text.h"
#include "report.h"
#include "runner.h"

#define EXIT_BROKEN 1 /* a rule is not kept */
#define EXIT_USAGE  2 /* nothing could be checked */

#define TIMEOUT_DEFAULT_MS 20000u
#define OPTIONS_MAX        32u
#define TUNABLES           "GLIBC_TUNABLES"

static const char usage[] =
    "usage: kvs-plugin-check [OPTION...] PATH/kvs-engine-NAME.so | PATH/kvs-pool-NAME.so\n"
    "Checks a plugin of kvs against the contract, rule by rule.\n\n"
    "  -o, --option NAME=VALUE  an option of the plugin; may be repeated\n"
    "  -O, --only PATTERN       only rules whose names match, as 'engine.scan.*'\n"
    "  -t, --timeout TIME       how long one rule may take, as 20s (the default) or 500ms\n"
    "  -j, --json               print one JSON object\n"
    "  -v, --verbose            show what the plugin logs and prints, on stderr\n"
    "  -l, --list-rules         print every rule with its meaning\n"
    "  -V, --version            print the version\n"
    "  -h, --help               print this\n\n"
    "Exit status: 0 all rules kept (or skipped, with a reason), 1 a rule broken, 2 nothing "
    "checked.\n";

struct arguments {
    struct runner_config config;
    const char *options[OPTIONS_MAX];
    bool as_json;
};

static int complain(const char *what, const char *which)
{
    (void)fprintf(stderr, "kvs-plugin-check: %s%s; see kvs-plugin-check --help\n", what, which);
    return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int take_option(struct arguments *arguments, int letter, const char *value)
{
    uint64_t timeout_ns;
    switch (letter) {
    case 'o':
        if (arguments->config.option_count == OPTIONS_MAX || strchr(value, '=') == NULL)
            return complain("--option is NAME=VALUE, not ", value);
        arguments->options[arguments->config.option_count++] = value;
        return -1;
    case 'O':
        arguments->config.only = value;
        return -1;
    case 't':
        if (!text_parse_duration(value, &timeout_ns) || timeout_ns < 1000000u ||
            timeout_ns / 1000000u > INT32_MAX)
            return complain("--timeout is a time of at least 1ms, as 20s, not ", value);
        arguments->config.timeout_ms = (uint32_t)(timeout_ns / 1000000u);
        return -1;
    case 'j':
        arguments->as_json = true;
        return -1;
    case 'v':
        arguments->config.verbose = true;
        return -1;
    case 'l':
        report_list_rules(stdout);
        return EXIT_SUCCESS;
    case 'V':
        (void)printf("kvs-plugin-check %s (ABI %u.%u)\n", KVS_VERSION, KVS_ABI_MAJOR,
                     KVS_ABI_MINOR);
        return EXIT_SUCCESS;
    case 'h':
        (void)fputs(usage, stdout);
        return EXIT_SUCCESS;
    default: /* getopt has said what is wrong */
        return EXIT_USAGE;
    }
}

static int parse(struct arguments *arguments, int argc, char **argv)
{
    static const struct option long_options[] = {
        {"option", required_argument, NULL, 'o'},
        {"only", required_argument, NULL, 'O'},
        {"timeout", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"verbose", no_argument, NULL, 'v'},
        {"list-rules", no_argument, NULL, 'l'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int letter;
    arguments->config.options = arguments->options;
    arguments->config.timeout_ms = TIMEOUT_DEFAULT_MS;
    while ((letter = getopt_long(argc, argv, "o:O:t:jvlVh", long_options, NULL)) != -1) {
        int status = take_option(arguments, letter, optarg);
        if (status >= 0)
            return status;
    }
    if (optind + 1 != argc)
        return complain(optind == argc ? "which plugin?" : "one plugin at a time", "");
    arguments->config.path = argv[optind];
    return -1;
}

static void tell(void *report, const struct result *result)
{
    report_add(report, result);
}

/*
 * Rules about leaks count the bytes of the heap in use, and what malloc keeps for each thread counts
 * as such: begins anew without that cache, and with one arena. Returns where it cannot.
 */
static void restart_without_cache(char **argv)
{
    if (getenv(TUNABLES) != NULL ||
        setenv(TUNABLES, "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1", 0) != 0)
        return;
    (void)execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    restart_without_cache(argv);
    struct arguments arguments = {.as_json = false};
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    int status = parse(&arguments, argc, argv);
    if (status >= 0)
        return status;
    struct report report = {
        .out = stdout, .as_json = arguments.as_json, .path = arguments.config.path};
    report_begin(&report);
    kvs_status checked = runner_run(&arguments.config, tell, &report, &error);
    report_end(&report);
    if (checked != KVS_OK) {
        (void)fprintf(stderr, "kvs-plugin-check: %s\n", message);
        return EXIT_USAGE;
    }
    if (report.passed + report.failed + report.skipped == 0)
        return complain("no rule is called ", arguments.config.only);
    return report.failed == 0 ? EXIT_SUCCESS : EXIT_BROKEN;
}
