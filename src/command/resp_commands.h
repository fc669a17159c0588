/* The COMMAND command: which commands there are. For resp_table.c. */
#ifndef COMMAND_RESP_COMMANDS_H
#define COMMAND_RESP_COMMANDS_H

#include "command/resp_command.h"

extern const struct resp_command resp_commands_commands[];

#endif
