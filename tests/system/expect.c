/* See expect.h. */
#include "system/expect.h"

#include <stdlib.h>
#include <string.h>

void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

void expect_in_log(const struct server_process *server, const char *part)
{
    char *log = server_process_log(server);
    expect_in(log, part);
    free(log);
}
