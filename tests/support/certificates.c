/* See certificates.h. */
#include "support/certificates.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/support.h"

#define DAY_S 86400

static char *file_path(const char *folder, const char *name, const char *suffix)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s.%s", folder, name, suffix) > 0);
    return path;
}

char *certificate_path(const char *folder, const char *name)
{
    return file_path(folder, name, "pem");
}

char *certificate_key_path(const char *folder, const char *name)
{
    return file_path(folder, name, "key");
}

static FILE *open_file(char *path, const char *mode)
{
    int fd =
        open(path, mode[0] == 'r' ? O_RDONLY | O_CLOEXEC : O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC,
             0600);
    FILE *file = fd >= 0 ? fdopen(fd, mode) : NULL;
    assert_non_null(file);
    free(path);
    return file;
}

static void add_extension(X509 *certificate, int id, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, id, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void fill(X509 *certificate, const struct certificate_order *order)
{
    static long serial; /* unique in this process, which is all that matters */
    X509_NAME *name = X509_get_subject_name(certificate);
    assert_int_equal(X509_set_version(certificate, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), (long)order->begins_in_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate),
                                    order->ends_in_s != 0 ? (long)order->ends_in_s : DAY_S));
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)order->name, -1, -1, 0),
                     1);
    add_extension(certificate, NID_basic_constraints,
                  order->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (order->alternatives != NULL)
        add_extension(certificate, NID_subject_alt_name, order->alternatives);
}

/* Signs it by its issuer, or by itself. */
static void sign(X509 *certificate, EVP_PKEY *key, const char *folder,
                 const struct certificate_order *order)
{
    X509 *issuer = certificate;
    EVP_PKEY *issuer_key = key;
    if (order->issuer != NULL) {
        FILE *file = open_file(certificate_path(folder, order->issuer), "r");
        issuer = PEM_read_X509(file, NULL, NULL, NULL);
        (void)fclose(file);
        file = open_file(certificate_key_path(folder, order->issuer), "r");
        issuer_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        (void)fclose(file);
        assert_non_null(issuer);
        assert_non_null(issuer_key);
    }
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), 1);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    if (order->issuer != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
}

void certificate_make(const char *folder, const struct certificate_order *order)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(certificate);
    assert_non_null(key);
    fill(certificate, order);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    sign(certificate, key, folder, order);
    FILE *file = open_file(certificate_path(folder, order->name), "w");
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
    file = open_file(certificate_key_path(folder, order->name), "w");
    const char *phrase = order->pass_phrase;
    assert_int_equal(PEM_write_PrivateKey(file, key, phrase != NULL ? EVP_aes_128_cbc() : NULL,
                                          (const unsigned char *)phrase,
                                          phrase != NULL ? (int)strlen(phrase) : 0, NULL, NULL),
                     1);
    assert_int_equal(fclose(file), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
