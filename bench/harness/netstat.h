/* What the kernel counts about connections that did not come about at once: for the whole machine
   (its network namespace), so others' connections too. */
#ifndef BENCH_HARNESS_NETSTAT_H
#define BENCH_HARNESS_NETSTAT_H

#include <stdint.h>

struct netstat {
    uint64_t syn_retransmits;  /* TcpExt TCPSynRetrans */
    uint64_t listen_overflows; /* TcpExt ListenOverflows: a listener's backlog was full */
};

/* Counts since the system started; zeroes where /proc/net/netstat is not there. */
struct netstat netstat_now(void);
struct netstat netstat_between(const struct netstat *before, const struct netstat *after);

/* Takes the two counters out of the file's text: pairs of lines, names and values. */
struct netstat netstat_parse(const char *text);

#endif
