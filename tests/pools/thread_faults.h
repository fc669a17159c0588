/*
 * Makes pthread_create fail on demand, for the program, the plugins and every library in it: this
 * program's own pthread_create comes before libc's. Limits would not do: RLIMIT_NPROC does not bind
 * root, and sanitizers do not run under RLIMIT_AS.
 */
#ifndef TESTS_POOLS_THREAD_FAULTS_H
#define TESTS_POOLS_THREAD_FAULTS_H

/* From now on count creations succeed, the later ones fail with EAGAIN. */
void thread_faults_begin(unsigned count);
/* From now on all succeed again. */
void thread_faults_end(void);
/* How many failed since the last begin. */
unsigned thread_faults_count(void);

#endif
