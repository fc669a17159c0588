/* Checks of what programs say. */
#ifndef TESTS_SYSTEM_EXPECT_H
#define TESTS_SYSTEM_EXPECT_H

#include "support/program.h"

/* Fails the test, showing text, unless it contains part. */
void expect_in(const char *text, const char *part);

/* The same for what a server has logged so far. */
void expect_in_log(const struct server_process *server, const char *part);

#endif
