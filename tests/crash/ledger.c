/* See ledger.h. */
#include "crash/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"

#define SIZE_SMALL 800u    /* values have fewer bytes than this, */
#define SIZE_LARGE 100000u /* and those of key 0 than this */
#define CLOCK_MS   2       /* by which two readings of the clock may disagree, with rounding */

struct ledger *ledger_new(void)
{
    struct ledger *ledger =
        mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ledger == MAP_FAILED)
        abort();
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    (void)munmap(ledger, sizeof(*ledger));
}

/* ---- steps -------------------------------------------------------------------------------- */

static void apply(struct ledger_state *keys, const struct ledger_step *step)
{
    for (uint32_t i = 0; i < step->count; i++)
        keys[step->changes[i].key] = step->changes[i].to;
}

void ledger_begin(struct ledger_writer *writer, const struct ledger_step *step)
{
    writer->under_way[writer->under_way_count++] = *step;
}

/* The oldest step is decided: it is no longer under way. */
static void take_first(struct ledger_writer *writer)
{
    apply(writer->keys, &writer->under_way[0]);
    writer->under_way_count--;
    memmove(writer->under_way, writer->under_way + 1,
            writer->under_way_count * sizeof(writer->under_way[0]));
}

void ledger_acknowledge(struct ledger_writer *writer)
{
    take_first(writer);
    writer->acknowledged++;
}

/* ---- names and values --------------------------------------------------------------------- */

struct kvs_bytes ledger_name(char to[LEDGER_NAME_MAX], uint32_t writer, uint32_t key)
{
    int size = snprintf(to, LEDGER_NAME_MAX, "writer:%u:key:%u", writer, key);
    return bytes_of(to, (uint64_t)size);
}

struct kvs_bytes ledger_value(uint8_t *to, uint32_t writer, uint32_t key, uint32_t version)
{
    uint64_t mixed = ((uint64_t)version * LEDGER_KEYS + key) * LEDGER_WRITERS + writer + 1;
    mixed *= UINT64_C(0x9E3779B97F4A7C15);
    mixed ^= mixed >> 29;
    char head[LEDGER_NAME_MAX];
    int head_size = snprintf(head, sizeof(head), "%u ", version);
    uint64_t size = (uint64_t)head_size + mixed % (key == 0 ? SIZE_LARGE : SIZE_SMALL);
    memcpy(to, head, (size_t)head_size);
    for (uint64_t i = (uint64_t)head_size; i < size; i++)
        to[i] = (uint8_t)((mixed >> (8 * (i % 8))) ^ (i / 8));
    return bytes_of(to, size);
}

bool ledger_read_value(const struct ledger *ledger, uint32_t writer, uint32_t key,
                       struct kvs_bytes value, uint32_t *ret_version)
{
    static uint8_t expected[LEDGER_VALUE_MAX];
    char head[16] = "";
    memcpy(head, value.ptr, value.len < sizeof(head) - 1 ? value.len : sizeof(head) - 1);
    uint32_t version = (uint32_t)strtoul(head, NULL, 10);
    if (version == 0 || version > ledger->writers[writer].last_version ||
        !bytes_equal(value, ledger_value(expected, writer, key, version)))
        return false;
    *ret_version = version;
    return true;
}

/* ---- judging ------------------------------------------------------------------------------ */

/* Whether a key in this state may be found like that. */
static bool may_be_found(const struct ledger_state *state, uint32_t version,
                         const struct ledger_found *found)
{
    if (state->version == 0 || state->expires_ms == 0)
        return version == state->version;
    bool must_be_there = found->after_ms + CLOCK_MS < state->expires_ms;
    bool must_be_gone = found->before_ms - CLOCK_MS > state->expires_ms;
    return version == 0 ? !must_be_there : version == state->version && !must_be_gone;
}

/* The first key that cannot be as it was found, or LEDGER_KEYS. */
static uint32_t first_wrong(const struct ledger_state *keys, const struct ledger_found *found)
{
    uint32_t key = 0;
    while (key < LEDGER_KEYS && may_be_found(&keys[key], found->versions[key], found))
        key++;
    return key;
}

static void describe(const struct ledger_writer *state, uint32_t writer, uint32_t key,
                     const struct ledger_found *found, char *text, size_t text_size)
{
    int size =
        snprintf(text, text_size,
                 "writer %u, key %u: version %u (expires %lld) was acknowledged, found %u at "
                 "%lld; under way:",
                 writer, key, state->keys[key].version, (long long)state->keys[key].expires_ms,
                 found->versions[key], (long long)found->before_ms);
    for (uint32_t i = 0; i < state->under_way_count; i++) {
        const struct ledger_step *step = &state->under_way[i];
        for (uint32_t c = 0; c < step->count && (size_t)size < text_size; c++)
            size += snprintf(text + size, text_size - (size_t)size, "%s%u=%u (found %u)",
                             c == 0 ? " | " : ", ", step->changes[c].key,
                             step->changes[c].to.version, found->versions[step->changes[c].key]);
    }
}

bool ledger_settle(struct ledger *ledger, uint32_t writer, const struct ledger_found *found,
                   char *text, size_t text_size)
{
    struct ledger_writer *state = &ledger->writers[writer];
    struct ledger_state keys[LEDGER_KEYS];
    memcpy(keys, state->keys, sizeof(keys));
    uint32_t wrong = first_wrong(keys, found);
    uint32_t happened = 0;
    for (uint32_t key = wrong; key < LEDGER_KEYS && happened < state->under_way_count;) {
        apply(keys, &state->under_way[happened++]);
        key = first_wrong(keys, found);
        if (key == LEDGER_KEYS)
            wrong = key;
    }
    if (wrong < LEDGER_KEYS) {
        describe(state, writer, wrong, found, text, text_size);
        return false;
    }
    while (happened-- > 0)
        take_first(state);
    state->under_way_count = 0;
    return true;
}
