/* CRC-32C (Castagnoli), with the processor's instruction where it has one. */
#ifndef ENGINE_LOG_CRC32C_H
#define ENGINE_LOG_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Goes on from crc (0 at the start): crc32c(crc32c(0, a), b) is that of a and b together. The empty
   input leaves crc as it is. crc32c(0, "123456789", 9) is 0xE3069283. */
uint32_t crc32c(uint32_t crc, const void *from, size_t bytes);

/* The portable one, for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *from, size_t bytes);

/* The same number as crc32c(), for bytes that are 4 more than a multiple of 8, as those are that the CRC
   of a record covers. Inline, as each get does it: a short record costs little else. */
static inline uint32_t crc32c_padded(uint32_t crc, const void *from, size_t bytes);

/* ---- inline ----------------------------------------------------------------------------- */

/* From here on crc32c() is faster: it computes three parts of the input side by side. */
#define CRC32C_LANES_FROM 192u

#if defined(__x86_64__)

static inline bool crc32c_has_hardware(void)
{
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

/* As assembly, since the intrinsics are only for functions that all need the instruction. */
static inline uint64_t crc32c_word(uint64_t crc, const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    __asm__("crc32q %1, %0" : "+r"(crc) : "rm"(word));
    return crc;
}

static inline uint32_t crc32c_padded(uint32_t crc, const void *from, size_t bytes)
{
    const uint8_t *at = from;
    if (__builtin_expect(bytes >= CRC32C_LANES_FROM || !crc32c_has_hardware(), 0))
        return crc32c(crc, from, bytes);
    uint64_t sum = (uint32_t)~crc;
    uint32_t first;
    memcpy(&first, at, sizeof(first));
    __asm__("crc32l %1, %k0" : "+r"(sum) : "rm"(first));
    at += sizeof(first);
    size_t words = bytes / sizeof(uint64_t);
    for (; words >= 4; words -= 4, at += 4 * sizeof(uint64_t)) {
        sum = crc32c_word(sum, at);
        sum = crc32c_word(sum, at + 8);
        sum = crc32c_word(sum, at + 16);
        sum = crc32c_word(sum, at + 24);
    }
    for (; words > 0; words--, at += sizeof(uint64_t))
        sum = crc32c_word(sum, at);
    return ~(uint32_t)sum;
}

#else

static inline uint32_t crc32c_padded(uint32_t crc, const void *from, size_t bytes)
{
    return crc32c(crc, from, bytes);
}

#endif

#endif
