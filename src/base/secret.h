/* What passwords need: reading a file that is nobody else's business, comparing, forgetting. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include <kvs/types.h>

#define SECRET_FILE_MAX 65536u /* bytes */

/*
 * Reads a small file of secrets: at most SECRET_FILE_MAX bytes; a regular file that belongs to the user of this
 * process or to root, to which nobody else may write and which only its group besides may read.
 * `what` names it in messages ("the password file"). *ret_content is terminated; free it with
 * secret_free. KVS_OK; KVS_MISSING, KVS_IO; KVS_DENIED (whose it is, or its mode); KVS_TOO_LARGE.
 */
KVS_MUST_USE kvs_status secret_file_read(const char *path, const char *what, char **ret_content,
                                         size_t *ret_size, struct kvs_error *err);

/*
 * The password to give a server: the first line of the file, or without one (path NULL) the environment variable's
 * value. *ret_password is terminated, to be freed with secret_free; NULL: there is none. As
 * secret_file_read.
 */
KVS_MUST_USE kvs_status secret_password_read(const char *path, const char *variable,
                                             char **ret_password, struct kvs_error *err);

/* Checks owner and mode as secret_file_read does, without reading. */
KVS_MUST_USE kvs_status secret_file_check(const char *path, const char *what,
                                          struct kvs_error *err);

/* Overwrites and frees. NULL is fine. */
void secret_free(char *content, size_t size);

/* True when both runs of size bytes are the same. How long it takes depends on size only. */
bool secret_equal(const void *a, const void *b, size_t size);

/* Takes the next line out of *text, without its end ("\n" or "\r\n"). False: there is none. */
bool secret_next_line(struct kvs_bytes *text, struct kvs_bytes *ret_line);

#endif
