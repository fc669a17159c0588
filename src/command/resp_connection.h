/* Commands about the connection: HELLO, AUTH, PING, ECHO, SELECT, QUIT, RESET. For resp_table.c. */
#ifndef COMMAND_RESP_CONNECTION_H
#define COMMAND_RESP_CONNECTION_H

#include "command/resp_command.h"

extern const struct resp_command resp_connection_commands[];

#endif
