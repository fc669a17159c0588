/* See activation.h. */
#include "server/activation.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define FIRST_FD  3u
#define COUNT_MAX 1024u
#define TLS_NAME  "tls"

static bool is_for_us(const char *pid_text)
{
    uint64_t pid;
    return pid_text != NULL && text_parse_u64(pid_text, &pid) && pid == (uint64_t)getpid();
}

kvs_status activation_take(GStrv *ret_listen, struct kvs_error *err)
{
    g_autoptr(GStrvBuilder) listen = g_strv_builder_new();
    const char *count_text = g_getenv("LISTEN_FDS");
    const char *names_text = g_getenv("LISTEN_FDNAMES");
    uint64_t count = 0;
    if (count_text != NULL && is_for_us(g_getenv("LISTEN_PID"))) {
        if (!text_parse_u64(count_text, &count) || count > COUNT_MAX)
            return kvs_error_set(err, KVS_INVALID, 0,
                                 "LISTEN_FDS is '%s', which is no number of sockets: unset it, or "
                                 "look at what starts the server",
                                 count_text);
        g_auto(GStrv) names = g_strsplit(names_text != NULL ? names_text : "", ":", -1);
        for (uint64_t i = 0; i < count; i++) {
            bool tls = i < g_strv_length(names) && strcmp(names[i], TLS_NAME) == 0;
            g_autofree gchar *text =
                g_strdup_printf("%sfd:%u", tls ? "tls:" : "", (unsigned)(FIRST_FD + i));
            g_strv_builder_add(listen, text);
        }
    }
    g_unsetenv("LISTEN_PID");
    g_unsetenv("LISTEN_FDS");
    g_unsetenv("LISTEN_FDNAMES");
    *ret_listen = g_strv_builder_end(listen);
    return KVS_OK;
}
