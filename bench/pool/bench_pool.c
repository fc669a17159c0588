/*
 * bench-pool: the thread pools alone. Prints a table per pool:
 *
 *     bench-pool [--threads N] [--ms MS] [--opt NAME=VALUE]... [POOL]...
 *
 * MS is the length of each throughput measurement. The options are handed to every pool named, so
 * with --opt name one pool. Without POOL: all four of the tree.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "harness/format.h"
#include "harness/machine.h"
#include "pool/loads.h"

#define OPTIONS_MAX 16u

struct settings {
    uint32_t threads;
    uint64_t duration_ns;
    const char *options[OPTIONS_MAX];
    uint32_t option_count;
};

static void print_latency(const char *what, const struct histogram *latency)
{
    static const double shares[] = {0.5, 0.9, 0.99, 1.0};
    (void)printf("  %-38s", what);
    for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        char text[FORMAT_MAX];
        format_ns((double)histogram_quantile(latency, shares[i]), text);
        (void)printf("%10s", text);
    }
    (void)printf("\n");
}

static void print_cost(const char *what, struct load_cost cost)
{
    char rate[FORMAT_MAX], cpu[FORMAT_MAX];
    format_figure(cost.jobs_per_s, rate);
    format_ns(cost.cpu_ns, cpu);
    (void)printf("  %-38s%10s%10s%10.4f%10.4f\n", what, rate, cpu, cost.wakeups, cost.switches);
    (void)fflush(stdout);
}

static void measure_latency(struct subject *subject, const struct settings *settings)
{
    static const struct {
        const char *what;
        uint64_t pause_ns;
        uint32_t rounds;
    } cells[] = {
        {"spawn to run, back to back", 0, 5000},
        {"spawn to run, every 100us", 100000, 2000},
        {"spawn to run, every 20ms", 20 * NS_PER_MS, 50},
    };
    struct histogram latency;
    (void)printf("  %-38s%10s%10s%10s%10s\n", "latency", "p50", "p90", "p99", "max");
    for (unsigned i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        load_latency(subject, settings->threads, cells[i].pause_ns, cells[i].rounds, &latency);
        print_latency(cells[i].what, &latency);
    }
    if (subject_can(subject, KVS_POOL_RUNS_IDLE_HOOK) && settings->threads > 1) {
        load_stuck(subject, settings->threads, 60, &latency);
        print_latency("event while all others are stuck", &latency);
    }
}

static void measure_throughput(struct subject *subject, const struct settings *settings)
{
    static const uint32_t producers[] = {1, 2, 4};
    static const uint64_t jobs_ns[] = {0, 1000, 10000};
    static const uint32_t bursts[] = {1, 8, 64};
    char what[64];
    (void)printf("  %-38s%10s%10s%10s%10s\n", "throughput", "jobs/s", "CPU/job", "wakes/job",
                 "csw/job");
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 3; j++) {
            (void)snprintf(what, sizeof(what), "%u producers, jobs of %uus", producers[i],
                           (unsigned)(jobs_ns[j] / 1000));
            print_cost(what, load_throughput(subject, settings->threads, producers[i], jobs_ns[j],
                                             false, settings->duration_ns));
        }
    }
    if (!subject_can(subject, KVS_POOL_RUNS_IDLE_HOOK))
        return;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 3; j++) {
            (void)snprintf(what, sizeof(what), "idle hook finds %u, jobs of %uus", bursts[i],
                           (unsigned)(jobs_ns[j] / 1000));
            print_cost(what, load_events(subject, settings->threads, bursts[i], jobs_ns[j],
                                         settings->duration_ns));
        }
    }
}

static void measure_loss(struct subject *subject, const struct settings *settings)
{
    char text[FORMAT_MAX];
    if (!subject_can(subject, KVS_POOL_SURVIVES_THREAD_EXIT))
        return;
    format_ns(load_loss(subject, settings->threads, 1000), text);
    (void)printf("  %-38s%10s\n", "a job that ends its thread costs", text);
}

static void measure(const char *name, const struct plugin_dirs *dirs,
                    const struct settings *settings)
{
    char message[KVS_ERROR_MESSAGE_MAX] = "";
    struct kvs_error error = KVS_ERROR_INIT(message);
    struct subject subject;
    if (subject_open(&subject, dirs, name, settings->options, settings->option_count, &error) !=
        KVS_OK) {
        (void)fprintf(stderr, "bench-pool: %s\n", message);
        exit(EXIT_FAILURE);
    }
    (void)printf("%s, %u threads\n", name, settings->threads);
    measure_latency(&subject, settings);
    measure_throughput(&subject, settings);
    measure_loss(&subject, settings);
    subject_close(&subject);
}

static void parse(struct settings *settings, int argc, char **argv)
{
    static const struct option options[] = {
        {"threads", required_argument, NULL, 't'},
        {"ms", required_argument, NULL, 'm'},
        {"opt", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        uint64_t number = 0;
        bool good = false;
        if (option == 't' && text_parse_u64(optarg, &number) && number > 0 && number <= 1024) {
            settings->threads = (uint32_t)number;
            good = true;
        } else if (option == 'm' && text_parse_u64(optarg, &number) && number > 0) {
            settings->duration_ns = number * NS_PER_MS;
            good = true;
        } else if (option == 'o' && settings->option_count < OPTIONS_MAX) {
            settings->options[settings->option_count++] = optarg;
            good = true;
        }
        if (!good) {
            (void)fprintf(stderr, "usage: bench-pool [--threads N] [--ms MS] [--opt NAME=VALUE]... "
                                  "[POOL]...\n");
            exit(EXIT_FAILURE);
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"shared-queue", "glib", "naive", "inline"};
    struct settings settings = {.threads = 2, .duration_ns = 200 * NS_PER_MS};
    parse(&settings, argc, argv);

    struct plugin_dirs dirs;
    struct machine machine;
    if (plugin_dirs_init(&dirs, NULL, 0) != KVS_OK)
        return EXIT_FAILURE;
    machine_init(&machine, ".");
    (void)printf("%s, %u CPUs, %s; load %.2f\n", machine.cpu, machine.cpus, machine.kernel,
                 machine.load);
    machine_deinit(&machine);
    if (optind == argc) {
        for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            measure(all[i], &dirs, &settings);
    }
    for (int i = optind; i < argc; i++)
        measure(argv[i], &dirs, &settings);
    plugin_dirs_deinit(&dirs);
    return EXIT_SUCCESS;
}
