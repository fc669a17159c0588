/* See findings.h. */
#include "findings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void report_line(const struct findings *findings, uint32_t level, const char *line)
{
    if (findings->report != NULL)
        findings->report(findings->arg, level, line);
}

void findings_begin_file(struct findings *findings, const char *name)
{
    findings->file = name;
    findings->file_lines = 0;
    findings->file_omitted = 0;
}

void findings_end_file(struct findings *findings)
{
    if (findings->file_omitted > 0) {
        char line[KVS_ERROR_MESSAGE_MAX];
        (void)snprintf(line, sizeof(line), "%s: and %" PRIu64 " more", findings->file,
                       findings->file_omitted);
        report_line(findings, KVS_LOG_WARN, line);
    }
    findings->file = NULL;
}

void findings_add(struct findings *findings, uint32_t level, const char *format, ...)
{
    char line[KVS_ERROR_MESSAGE_MAX];
    va_list arguments;
    if (level == KVS_LOG_ERROR)
        findings->damages++;
    if (findings->file != NULL && findings->file_lines++ >= FINDINGS_FILE_MAX) {
        findings->file_omitted++;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    report_line(findings, level, line);
}

const char *findings_key(struct kvs_bytes key, char text[FINDINGS_KEY_MAX])
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = key.ptr;
    uint32_t at = 0;
    text[at++] = '"';
    for (uint64_t i = 0; i < key.len; i++) {
        if (at + sizeof("\\xNN\"...") > FINDINGS_KEY_MAX) {
            for (unsigned dots = 0; dots < 3; dots++)
                text[at++] = '.';
            break;
        }
        if (from[i] >= ' ' && from[i] < 0x7F && from[i] != '"' && from[i] != '\\') {
            text[at++] = (char)from[i];
            continue;
        }
        text[at++] = '\\';
        text[at++] = 'x';
        text[at++] = digits[from[i] >> 4];
        text[at++] = digits[from[i] & 15];
    }
    text[at++] = '"';
    text[at] = '\0';
    return text;
}
