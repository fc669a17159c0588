/* Commands that count: integers of 64 bits, and floating point as Redis computes and prints it. */
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/resp_data.h"
#include "command/resp_errors.h"
#include "command/word.h"

#define FLOAT_TEXT_MAX    (5u * 1024) /* bytes that are read as a number, as in Redis */
#define FLOAT_PRINTED_MAX 5120u       /* the largest long double has 4,933 digits */

static void count(struct call *call, int64_t step)
{
    struct kvs_bytes key = call->arguments[1];
    struct value value = {.expires_at_ms = VALUE_NEVER};
    int64_t number = 0;
    int64_t sum;
    enum found found = resp_data_get(call, key, &value);
    if (found == FAILED)
        return;
    if (found == FOUND && !word_integer(value.content, &number)) {
        resp_error_not_integer(call->reply);
        return;
    }
    if (__builtin_add_overflow(number, step, &sum)) {
        resp_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    struct kvs_bytes text = resp_data_format_integer(call, sum);
    if (text.len > 0 && resp_data_set(call, key, text, value.expires_at_ms))
        resp_integer(call->reply, sum);
}

static void run_incr(struct call *call)
{
    count(call, 1);
}

static void run_decr(struct call *call)
{
    count(call, -1);
}

static void run_incrby(struct call *call)
{
    int64_t step;
    if (resp_data_integer(call, 2, &step))
        count(call, step);
}

static void run_decrby(struct call *call)
{
    int64_t step;
    if (!resp_data_integer(call, 2, &step))
        return;
    if (step == INT64_MIN)
        resp_error(call->reply, "ERR decrement would overflow");
    else
        count(call, -step);
}

/* ---- floating point ----------------------------------------------------------------------- */

static bool parse_float(struct kvs_bytes text, long double *ret)
{
    char copy[FLOAT_TEXT_MAX];
    char *end;
    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    long double value = strtold(copy, &end);
    if (isspace((unsigned char)copy[0]) || (size_t)(end - copy) != text.len || isnan(value) ||
        (errno == ERANGE && (isinf(value) || value == 0)))
        return false;
    *ret = value;
    return true;
}

/* 17 digits behind the point, without the zeros at the end. Empty: an error was replied. */
static struct kvs_bytes format_float(struct call *call, long double value)
{
    char *text = transaction_memory(call->txn, FLOAT_PRINTED_MAX);
    if (text == NULL) {
        resp_data_fault(call, KVS_NO_MEMORY);
        return bytes_of(NULL, 0);
    }
    size_t len = (size_t)snprintf(text, FLOAT_PRINTED_MAX, "%.17Lf", value);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    if (len == 2 && text[0] == '-' && text[1] == '0')
        return bytes_of(text + 1, 1);
    return bytes_of(text, len);
}

static void add_float(struct call *call)
{
    struct kvs_bytes key = call->arguments[1];
    struct value value = {.expires_at_ms = VALUE_NEVER};
    long double number = 0;
    long double step;
    enum found found = resp_data_get(call, key, &value);
    if (found == FAILED)
        return;
    if ((found == FOUND && !parse_float(value.content, &number)) ||
        !parse_float(call->arguments[2], &step)) {
        resp_error(call->reply, "ERR value is not a valid float");
        return;
    }
    number += step;
    if (isnan(number) || isinf(number)) {
        resp_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct kvs_bytes text = format_float(call, number);
    if (text.len > 0 && resp_data_set(call, key, text, value.expires_at_ms))
        resp_bulk(call->reply, text);
}

/* In the C locale, whatever that of the program is which the server may be a part of. */
static void run_incrbyfloat(struct call *call)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant of the C library's */
    locale_t before = uselocale(plain);
    add_float(call);
    (void)uselocale(before);
    freelocale(plain);
}

const struct resp_command resp_counters[] = {
    RESP_COMMAND("incr", 2, RESP_WRITE | RESP_FAST, "string", "1.0.0",
                 "Add one to the integer at a key", run_incr, RESP_KEY_FIRST),
    RESP_COMMAND("decr", 2, RESP_WRITE | RESP_FAST, "string", "1.0.0",
                 "Take one from the integer at a key", run_decr, RESP_KEY_FIRST),
    RESP_COMMAND("incrby", 3, RESP_WRITE | RESP_FAST, "string", "1.0.0",
                 "Add to the integer at a key", run_incrby, RESP_KEY_FIRST),
    RESP_COMMAND("decrby", 3, RESP_WRITE | RESP_FAST, "string", "1.0.0",
                 "Take from the integer at a key", run_decrby, RESP_KEY_FIRST),
    RESP_COMMAND("incrbyfloat", 3, RESP_WRITE | RESP_FAST, "string", "2.6.0",
                 "Add to the floating-point number at a key", run_incrbyfloat, RESP_KEY_FIRST),
    {.name = NULL},
};
