/* The log of failed handshakes: once per cause. */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

#include "server/tls_causes.h"

static unsigned lines;
static char last[512];

static void keep_log(void *arg, uint32_t level, const char *message)
{
    (void)arg;
    assert_int_equal(level, KVS_LOG_WARN);
    lines++;
    (void)snprintf(last, sizeof(last), "%s", message);
}

static void each_cause_is_logged_once(void **state)
{
    (void)state;
    struct tls_causes causes;
    struct log log;
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    tls_causes_init(&causes);
    lines = 0;
    for (unsigned i = 0; i < 100; i++) {
        tls_causes_note(&causes, &log, "10.0.0.7:1", "bad weather", "wait");
        tls_causes_note(&causes, &log, "10.0.0.8:1", "bad luck", "");
    }
    assert_int_equal(lines, 2);
    assert_string_equal(last, "no TLS with 10.0.0.8:1: bad luck");
    tls_causes_deinit(&causes);
}

/* Peers that find ever new causes do not fill the log. */
static void the_number_of_causes_is_bounded(void **state)
{
    (void)state;
    struct tls_causes causes;
    struct log log;
    char reason[300];
    log_init(&log, KVS_LOG_INFO, keep_log, NULL);
    tls_causes_init(&causes);
    lines = 0;
    for (unsigned i = 0; i < 1000; i++) {
        memset(reason, 'x', sizeof(reason)); /* longer than what is kept */
        (void)snprintf(reason, 16, "cause %u", i);
        tls_causes_note(&causes, &log, "10.0.0.7:1", reason, "");
    }
    assert_int_equal(lines, TLS_CAUSES_MAX);
    tls_causes_deinit(&causes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_is_logged_once),
        cmocka_unit_test(the_number_of_causes_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
