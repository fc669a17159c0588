/* The commands of kvs-client: what each one is called, takes and does. */
#ifndef CLIENT_COMMANDS_H
#define CLIENT_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include <kvs/client.h>

#define COMMAND_OPERANDS_MAX 64u

/* What was typed behind a command's name. The strings are those of argv. */
struct command_input {
    const char *operands[COMMAND_OPERANDS_MAX];
    uint32_t operand_count;
    uint32_t literal_index; /* operands from here on came behind "--": "-" is just a dash there */
    bool raw;               /* --raw */
    /* Of set. */
    uint32_t condition;   /* KVS_CLIENT_IF_*: --if-absent, --if-present, --if-equal */
    const char *expected; /* of --if-equal */
    uint32_t expires;     /* KVS_CLIENT_EXPIRES_*: --keep-ttl, --expire */
    int64_t time_ms;      /* of --expire */
};

/* clang-format off */
enum { /* command.flags */
    COMMAND_TAKES_RAW         = 1u << 0,
    COMMAND_TAKES_SET_OPTIONS = 1u << 1 /* conditions and expiry */
};
/* clang-format on */

struct command {
    const char *name;
    const char *operands; /* as in the help: "KEY VALUE" */
    const char *summary;
    uint32_t operand_least;
    uint32_t operand_most;
    uint32_t flags; /* COMMAND_* */

    /*
     * Does it, with output on stdout. KVS_OK, or KVS_NOT_FOUND or another positive outcome that
     * makes the program fail, or negative with err filled.
     */
    kvs_status (*run)(struct kvs_client *client, const struct command_input *input,
                      struct kvs_error *err);
};

/* All commands, in the order of the help. */
extern const struct command commands[];
extern const uint32_t command_count;

/* The command of this name, or NULL. */
const struct command *command_find(const char *name);

#endif
