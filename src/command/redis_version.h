/* The version of Redis that clients and tools are told, and whose replies and error texts commands
   follow: what they look at to know which commands there may be. */
#ifndef COMMAND_REDIS_VERSION_H
#define COMMAND_REDIS_VERSION_H

#define REDIS_VERSION "7.0.0"

#endif
