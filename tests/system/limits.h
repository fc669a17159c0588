/* What this machine lets a test use. */
#ifndef TESTS_SYSTEM_LIMITS_H
#define TESTS_SYSTEM_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes room for count descriptors in this process (a server raises its own limit). False, and the
   reason is printed: the hard limit is too low. */
bool raise_descriptor_limit(unsigned count);

/* The memory that a process has in RAM, in bytes, and its threads. */
uint64_t process_memory_bytes(pid_t pid);
unsigned process_thread_count(pid_t pid);

/* True in a build with AddressSanitizer or ThreadSanitizer: limits on memory then mean something else. */
bool built_with_sanitizer(void);

#endif
