/* What a directory holds, to see whether somebody touched it. */
#ifndef TESTS_SYSTEM_TREE_H
#define TESTS_SYSTEM_TREE_H

/*
 * A text that is another one if anything below path is: a line for the directory and for each thing
 * in it, sorted: name, kind and mode, size, time of its last change, a hash of its bytes. Malloced.
 * "missing\n" when there is nothing at path.
 */
char *tree_describe(const char *path);

/* Checks that nothing changed since before was described, and frees before. */
void tree_expect_untouched(const char *path, char *before);

#endif
