/* Commands that act on the server: SAVE, BGSAVE, LASTSAVE, SHUTDOWN, WAIT; and those that clients and
   tools try although this server has nothing behind them. For resp_table.c. */
#ifndef COMMAND_RESP_ADMIN_H
#define COMMAND_RESP_ADMIN_H

#include "command/resp_command.h"

extern const struct resp_command resp_admin_commands[];

#endif
