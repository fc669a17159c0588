/*
 * What verifying and repairing find: lines for whoever asked, and a count of the damage among them.
 * A destroyed file gives some lines, not a million. One thread.
 */
#ifndef ENGINE_LOG_FINDINGS_H
#define ENGINE_LOG_FINDINGS_H

#include <stdint.h>

#include <kvs/engine.h>

#define FINDINGS_FILE_MAX 100u /* lines about one file */

struct findings {
    kvs_report_fn report; /* may be NULL: only counted */
    void *arg;
    uint64_t damages;      /* lines of KVS_LOG_ERROR */
    uint64_t file_lines;   /* of the file at hand */
    uint64_t file_omitted; /* of these, not shown */
    const char *file;      /* or NULL */
};

/* Lines are about this file until findings_end_file(). name lives until then. */
void findings_begin_file(struct findings *findings, const char *name);
void findings_end_file(struct findings *findings);

/* Reports a line; level: KVS_LOG_ERROR is damage, KVS_LOG_WARN and KVS_LOG_INFO are not. */
KVS_PRINTF(3, 4)
void findings_add(struct findings *findings, uint32_t level, const char *format, ...);

#define FINDINGS_KEY_MAX 80u /* bytes of a key as text, terminator included */

/* The key in quotes; what is not printable as \xNN, what is too long cut off with "...". */
const char *findings_key(struct kvs_bytes key, char text[FINDINGS_KEY_MAX]);

#endif
