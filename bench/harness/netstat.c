/* See netstat.h. */
#include "harness/netstat.h"

#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "base/cleanup.h"

/* The value under a name of the two lines; 0 if it is not there. */
static uint64_t value_of(gchar **names, gchar **values, const char *name)
{
    for (size_t i = 0; names[i] != NULL && values[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0)
            return strtoull(values[i], NULL, 10);
    }
    return 0;
}

struct netstat netstat_parse(const char *text)
{
    struct netstat netstat = {0};
    gchar **lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL && lines[i + 1] != NULL; i++) {
        if (!g_str_has_prefix(lines[i], "TcpExt:") || !g_str_has_prefix(lines[i + 1], "TcpExt:"))
            continue;
        gchar **names = g_strsplit(lines[i], " ", -1);
        gchar **values = g_strsplit(lines[i + 1], " ", -1);
        netstat.syn_retransmits = value_of(names, values, "TCPSynRetrans");
        netstat.listen_overflows = value_of(names, values, "ListenOverflows");
        g_strfreev(names);
        g_strfreev(values);
        break;
    }
    g_strfreev(lines);
    return netstat;
}

struct netstat netstat_now(void)
{
    _cleanup_(freep) gchar *text = NULL;
    if (!g_file_get_contents("/proc/net/netstat", &text, NULL, NULL))
        return (struct netstat){0};
    return netstat_parse(text);
}

struct netstat netstat_between(const struct netstat *before, const struct netstat *after)
{
    return (struct netstat){
        .syn_retransmits = after->syn_retransmits - before->syn_retransmits,
        .listen_overflows = after->listen_overflows - before->listen_overflows,
    };
}
