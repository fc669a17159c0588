/*
 * Listening sockets handed down by systemd (or whoever follows sd_listen_fds(3)): LISTEN_FDS of them,
 * from descriptor 3 on, meant for process LISTEN_PID, with names in LISTEN_FDNAMES. One whose name
 * (FileDescriptorName= in the .socket unit) is "tls" speaks TLS.
 */
#ifndef SERVER_ACTIVATION_H
#define SERVER_ACTIVATION_H

#include <glib.h>

#include <kvs/types.h>

/* Takes the sockets that are meant for this process as listeners' text forms (NULL-terminated; free with
   g_strfreev), none if there are none, and takes the variables out of the environment. KVS_OK, or
   KVS_INVALID: the variables make no sense. By one thread, before others begin. */
KVS_MUST_USE kvs_status activation_take(GStrv *ret_listen, struct kvs_error *err);

#endif
