/* See tls_causes.h. */
#include "server/tls_causes.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define LOG_GAP_NS (60 * NS_PER_S)

void tls_causes_init(struct tls_causes *causes)
{
    memset(causes, 0, sizeof(*causes));
    (void)pthread_mutex_init(&causes->lock, NULL);
}

void tls_causes_deinit(struct tls_causes *causes)
{
    (void)pthread_mutex_destroy(&causes->lock);
}

/* The place of this cause: its own, a free one, or the last. */
static struct tls_cause *find(struct tls_causes *causes, const char *reason)
{
    uint32_t i = 0;
    while (i < TLS_CAUSES_MAX - 1 && causes->causes[i].reason[0] != '\0' &&
           strcmp(causes->causes[i].reason, reason) != 0)
        i++;
    return &causes->causes[i];
}

void tls_causes_note(struct tls_causes *causes, const struct log *log, const char *peer,
                     const char *reason, const char *hint)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t others = 0;
    (void)pthread_mutex_lock(&causes->lock);
    struct tls_cause *cause = find(causes, reason);
    bool is_due = cause->reason[0] == '\0' || now_ns - cause->logged_ns >= LOG_GAP_NS;
    (void)snprintf(cause->reason, sizeof(cause->reason), "%s", reason);
    if (is_due) {
        others = cause->unlogged;
        cause->unlogged = 0;
        cause->logged_ns = now_ns;
    } else {
        cause->unlogged++;
    }
    (void)pthread_mutex_unlock(&causes->lock);
    if (!is_due)
        return;
    char more[64] = "";
    if (others > 0)
        (void)snprintf(more, sizeof(more), " (%llu more since it was last said)",
                       (unsigned long long)others);
    log_warn(log, "no TLS with %s: %s%s%s%s", peer, reason, hint[0] != '\0' ? ": " : "", hint,
             more);
}
