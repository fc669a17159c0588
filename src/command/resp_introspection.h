/* Commands that look at the server and at how keys are kept: DBSIZE, TIME, ROLE, SLOWLOG, LATENCY,
   MEMORY, OBJECT. For resp_table.c. */
#ifndef COMMAND_RESP_INTROSPECTION_H
#define COMMAND_RESP_INTROSPECTION_H

#include "command/resp_command.h"

extern const struct resp_command resp_introspection_commands[];

#endif
