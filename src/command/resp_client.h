/* The CLIENT command. For resp_table.c. */
#ifndef COMMAND_RESP_CLIENT_H
#define COMMAND_RESP_CLIENT_H

#include "command/resp_command.h"

extern const struct resp_command resp_client_commands[];

#endif
