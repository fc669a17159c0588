/* Telling the service manager how the process is: systemd's notification protocol. */
#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H

#include <stdbool.h>

/* Sends a message ("READY=1", "STATUS=...\n...") to the socket that $NOTIFY_SOCKET names. False: there
   is none, or it does not take it; nothing depends on it, so nobody need look. Any thread. */
bool notify_send(const char *message);

#endif
