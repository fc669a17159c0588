/* Arguments of commands as words: options and numbers. */
#ifndef COMMAND_WORD_H
#define COMMAND_WORD_H

#include <stdbool.h>
#include <stdint.h>
#include <strings.h>

#include <kvs/types.h>

/* True when the argument is this word, in any case. */
static inline bool word_is(struct kvs_bytes argument, const char *word)
{
    return argument.len == strlen(word) && strncasecmp(argument.ptr, word, argument.len) == 0;
}

/* Reads a whole argument as a number written the one way it can be: no blanks, no plus, no leading
   zeros, within 64 bits. False leaves *ret untouched. */
bool word_integer(struct kvs_bytes argument, int64_t *ret);

/* Copies an argument as terminated text. False: it does not fit, or has a zero in it. */
bool word_copy(struct kvs_bytes argument, char *to, uint64_t room);

#endif
