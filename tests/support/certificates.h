/* Certificates for tests, made when they are needed. Only where the build has OpenSSL. */
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

#include <stdbool.h>
#include <stdint.h>

/* What is to be in one. Its files are FOLDER/NAME.pem and FOLDER/NAME.key (mode 600). */
struct certificate_order {
    const char *name;
    const char *issuer; /* the name of one that was made before; NULL: it signs itself */
    bool is_ca;
    const char *alternatives; /* "IP:127.0.0.1,DNS:kvs.test"; NULL: none */
    int64_t begins_in_s;      /* from now; negative: it began */
    int64_t ends_in_s;        /* 0: a day */
    const char *pass_phrase;  /* of its key's file; NULL: none */
};

void certificate_make(const char *folder, const struct certificate_order *order);

/* The paths of the files, malloced. */
char *certificate_path(const char *folder, const char *name);
char *certificate_key_path(const char *folder, const char *name);

#endif
