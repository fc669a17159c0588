/*
 * See arguments.h. getopt_long is asked to hand out operands in place (the '-' in front of the
 * option letters), so that options are found before and behind the command's name, whatever
 * POSIXLY_CORRECT says, and it is known which operands stood behind "--".
 */
#include "client/arguments.h"

#include <getopt.h>
#include <string.h>

#include <kvs/client.h>

#include "base/address.h"
#include "client/commands_keys.h"

static const struct option options[] = {
    {"addr", required_argument, NULL, 'a'},
    {"password-file", required_argument, NULL, 'p'},
    {"tls", no_argument, NULL, 't'},
    {"ca", required_argument, NULL, 'A'},
    {"cert", required_argument, NULL, 'C'},
    {"key", required_argument, NULL, 'K'},
    {"server-name", required_argument, NULL, 'N'},
    {"insecure", no_argument, NULL, 'i'},
    {"raw", no_argument, NULL, 'r'},
    {"if-absent", no_argument, NULL, 'n'},
    {"if-present", no_argument, NULL, 'x'},
    {"if-equal", required_argument, NULL, 'e'},
    {"expire", required_argument, NULL, 'E'},
    {"keep-ttl", no_argument, NULL, 'k'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

#define HELP_COLUMN 20 /* where the explanations of the help begin */

#define OPERAND 1 /* what getopt_long returns for one that is no option */

/* The first operand is the command's name, the others are its own. */
static kvs_status take_operand(struct arguments *arguments, const char *operand,
                               struct kvs_error *err)
{
    struct command_input *input = &arguments->input;
    if (arguments->command == NULL) {
        arguments->command = command_find(operand);
        if (arguments->command == NULL)
            return kvs_error_set(err, KVS_INVALID, 0, "there is no command '%s'", operand);
        return KVS_OK;
    }
    if (input->operand_count == arguments->command->operand_most)
        return kvs_error_set(err, KVS_INVALID, 0, "'%s' is one argument too many for %s%s%s",
                             operand, arguments->command->name, input->operand_count > 0 ? " " : "",
                             arguments->command->operands);
    input->operands[input->operand_count++] = operand;
    return KVS_OK;
}

/* True when it is one of those about TLS, which is then taken. */
static bool take_tls_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 't':
        arguments->flags |= KVS_CLIENT_TLS;
        return true;
    case 'i':
        arguments->flags |= KVS_CLIENT_TLS_INSECURE;
        return true;
    case 'A':
        arguments->tls_ca = optarg;
        return true;
    case 'C':
        arguments->tls_cert = optarg;
        return true;
    case 'K':
        arguments->tls_key = optarg;
        return true;
    case 'N':
        arguments->tls_server_name = optarg;
        return true;
    default:
        return false;
    }
}

static kvs_status take_condition(struct command_input *input, uint32_t condition,
                                 struct kvs_error *err)
{
    if (input->condition != KVS_CLIENT_IF_ALWAYS)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "only one of --if-absent, --if-present and --if-equal can be given");
    input->condition = condition;
    if (condition == KVS_CLIENT_IF_EQUAL)
        input->expected = optarg;
    return KVS_OK;
}

static kvs_status take_expiry(struct command_input *input, uint32_t expires, struct kvs_error *err)
{
    if (input->expires != KVS_CLIENT_EXPIRES_NEVER)
        return kvs_error_set(err, KVS_INVALID, 0,
                             "only one of --expire and --keep-ttl can be given");
    input->expires = expires;
    return expires == KVS_CLIENT_EXPIRES_IN ? command_parse_time(optarg, &input->time_ms, err)
                                            : KVS_OK;
}

static kvs_status take_option(struct arguments *arguments, int option, char **argv,
                              struct kvs_error *err)
{
    if (take_tls_option(arguments, option))
        return KVS_OK;
    switch (option) {
    case OPERAND:
        return take_operand(arguments, optarg, err);
    case 'a':
        arguments->address = optarg;
        return KVS_OK;
    case 'p':
        arguments->password_file = optarg;
        return KVS_OK;
    case 'r':
        arguments->input.raw = true;
        return KVS_OK;
    case 'n':
        return take_condition(&arguments->input, KVS_CLIENT_IF_ABSENT, err);
    case 'x':
        return take_condition(&arguments->input, KVS_CLIENT_IF_PRESENT, err);
    case 'e':
        return take_condition(&arguments->input, KVS_CLIENT_IF_EQUAL, err);
    case 'E':
        return take_expiry(&arguments->input, KVS_CLIENT_EXPIRES_IN, err);
    case 'k':
        return take_expiry(&arguments->input, KVS_CLIENT_EXPIRES_KEEP, err);
    case 'V':
        arguments->action = ARGUMENTS_VERSION;
        return KVS_OK;
    case 'h':
        arguments->action = ARGUMENTS_HELP;
        return KVS_OK;
    case ':':
        return kvs_error_set(err, KVS_INVALID, 0, "%s needs a value", argv[optind - 1]);
    default:
        /* Of a long option the whole word is known, of a short one only its letter. */
        if (strncmp(argv[optind - 1], "--", 2) == 0)
            return kvs_error_set(err, KVS_INVALID, 0, "option '%s' is not known", argv[optind - 1]);
        return kvs_error_set(err, KVS_INVALID, 0,
                             "option '-%c' is not known (a KEY or VALUE that begins with '-' "
                             "stands behind '--')",
                             optopt);
    }
}

static kvs_status check_complete(const struct arguments *arguments, struct kvs_error *err)
{
    const struct command *command = arguments->command;
    if (command == NULL)
        return kvs_error_set(err, KVS_INVALID, 0, "a command is missing");
    if (arguments->input.operand_count < command->operand_least)
        return kvs_error_set(err, KVS_INVALID, 0, "%s needs %s", command->name, command->operands);
    if ((arguments->input.condition != KVS_CLIENT_IF_ALWAYS ||
         arguments->input.expires != KVS_CLIENT_EXPIRES_NEVER) &&
        (command->flags & COMMAND_TAKES_SET_OPTIONS) == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "%s takes no condition and no expiry",
                             command->name);
    if (arguments->input.raw && (command->flags & COMMAND_TAKES_RAW) == 0)
        return kvs_error_set(err, KVS_INVALID, 0, "%s does not take --raw", command->name);
    return KVS_OK;
}

kvs_status arguments_parse(int argc, char **argv, struct arguments *ret, struct kvs_error *err)
{
    struct arguments arguments = {.action = ARGUMENTS_RUN};
    kvs_status status = KVS_OK;
    optind = 0; /* GNU: begin anew */
    while (status == KVS_OK && arguments.action == ARGUMENTS_RUN) {
        int option = getopt_long(argc, argv, "-:Vh", options, NULL);
        if (option == -1)
            break;
        status = take_option(&arguments, option, argv, err);
    }
    if (status == KVS_OK && arguments.action == ARGUMENTS_RUN) {
        arguments.input.literal_index = arguments.input.operand_count;
        for (int i = optind; status == KVS_OK && i < argc; i++)
            status = take_operand(&arguments, argv[i], err);
        if (status == KVS_OK)
            status = check_complete(&arguments, err);
    }
    if (status == KVS_OK)
        *ret = arguments;
    return status;
}

bool arguments_print_help(FILE *out)
{
    (void)fprintf(out, "Usage: kvs-client [OPTION]... COMMAND [ARGUMENT]...\n"
                       "Talks to a kvs server.\n"
                       "\n"
                       "Commands:\n");
    for (uint32_t i = 0; i < command_count; i++) {
        int width = fprintf(out, "  %s %s", commands[i].name, commands[i].operands);
        (void)fprintf(out, "%*s%s\n", HELP_COLUMN - width, "", commands[i].summary);
    }
    (void)fprintf(
        out,
        "\n"
        "Options:\n"
        "  --addr ADDRESS    where the server listens: IP:PORT, [IPv6]:PORT or unix:PATH (%s)\n"
        "  --password-file FILE\n"
        "                    the password is the first line of FILE (otherwise that of the\n"
        "                    environment's KVS_PASSWORD, if it is set)\n"
        "  --tls             speak TLS; the server's certificate must be trusted by --ca FILE\n"
        "                    (otherwise by the system) and name its IP, or --server-name NAME\n"
        "  --cert FILE, --key FILE\n"
        "                    the client's own certificate and key\n"
        "  --insecure        take any certificate of the server\n"
        "  --raw             get: write exactly the value's bytes, without a newline;\n"
        "                    a missing key is then an error\n"
        "  --if-absent, --if-present, --if-equal OLD\n"
        "                    set: only if there is no such key, there is one, or it has this "
        "value;\n"
        "                    otherwise it fails\n"
        "  --expire TIME     set: let it expire in TIME (500ms, 10s, 5m, 2h)\n"
        "  --keep-ttl        set: let it expire when it would have\n"
        "  --                what follows are arguments, even if they begin with '-'\n"
        "  -V, --version     print the version\n"
        "  -h, --help        print this help\n"
        "\n"
        "Exit status: 0 done, 1 failed (rm: also when there was no such key),\n"
        "2 wrong usage.\n",
        ADDRESS_DEFAULT);
    return fflush(out) == 0 && ferror(out) == 0;
}
