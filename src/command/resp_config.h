/* The CONFIG command. For resp_table.c. */
#ifndef COMMAND_RESP_CONFIG_H
#define COMMAND_RESP_CONFIG_H

#include "command/resp_command.h"

extern const struct resp_command resp_config_commands[];

#endif
