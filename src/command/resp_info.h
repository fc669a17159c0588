/* The INFO command. For resp_table.c. */
#ifndef COMMAND_RESP_INFO_H
#define COMMAND_RESP_INFO_H

#include "command/resp_command.h"

extern const struct resp_command resp_info_commands[];

#endif
