/*
 * CRC-32C: the remainder of the input, as a polynomial over GF(2), modulo
 *
 *     P = x^32 + x^28 + x^27 + x^26 + x^25 + x^23 + x^22 + x^20 + x^19 + x^18 + x^14 + x^13 + x^11 +
 *         x^10 + x^9 + x^8 + x^6 + 1
 *
 * with the bits of each byte and of the result in reversed order: bit 31 of a word is x^0, bit 0 is
 * x^31. The word is complemented before and after.
 *
 * Three ways to the same number:
 *   - x86-64: the crc32 instruction takes 8 bytes, has a latency of three cycles and can be started
 *     in each. So inputs from 192 bytes on are cut into three lanes of equal length, which are
 *     computed side by side and put together with two carry-less multiplications (lanes_join).
 *   - ARMv8: the crc32c instructions, 8 bytes at a time.
 *   - Everywhere: eight tables of 256 words, 8 bytes at a time ("slicing by 8").
 * Which one is asked at each call: one load and one branch that is always predicted. There is no
 * state, so there is nothing to initialise and nothing to race for.
 */
#include "crc32c.h"

#include "bytes.h"

/* ---- portable ----------------------------------------------------------------------------- */

/*
 * Table k has, for each byte b, the remainder of b followed by k more bytes. That is linear: the
 * entry of b is the sum (exclusive or) of the entries of its bits. Those are given, from x^39 down
 * to x^32 modulo P in the first row, 8 higher in each following one; the compiler does the sums.
 */
#define BIT(i, bit, value) (((i) >> (bit)&1) != 0 ? (value) : 0u)
#define ENTRY(i, a, b, c, d, e, f, g, h)                                                           \
    (BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ BIT(i, 4, e) ^ BIT(i, 5, f) ^     \
     BIT(i, 6, g) ^ BIT(i, 7, h))
#define ENTRIES_4(i, ...)                                                                          \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__),               \
        ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES_16(i, ...)                                                                         \
    ENTRIES_4(i, __VA_ARGS__), ENTRIES_4((i) + 4, __VA_ARGS__), ENTRIES_4((i) + 8, __VA_ARGS__),   \
        ENTRIES_4((i) + 12, __VA_ARGS__)
#define ENTRIES_64(i, ...)                                                                         \
    ENTRIES_16(i, __VA_ARGS__), ENTRIES_16((i) + 16, __VA_ARGS__),                                 \
        ENTRIES_16((i) + 32, __VA_ARGS__), ENTRIES_16((i) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        ENTRIES_64(0u, __VA_ARGS__), ENTRIES_64(64u, __VA_ARGS__), ENTRIES_64(128u, __VA_ARGS__),  \
            ENTRIES_64(192u, __VA_ARGS__)                                                          \
    }

/* clang-format off */
static const uint32_t crc32c_tables[8][256] = {
    TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc, 0x82f63b78),
    TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604, 0xfbc3faf9),
    TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9, 0x8b277743),
    TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7, 0x52a0c93f),
    TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae, 0x6ea2d55c),
    TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb, 0x1c08b7d6),
    TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a, 0xf56e0ef4),
    TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32, 0x34019664),
};
/* clang-format on */

uint32_t crc32c_portable(uint32_t crc, const void *from, size_t bytes)
{
    const uint8_t *at = from;
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint64_t word = load_le64(at) ^ crc;
        crc = crc32c_tables[7][word & 0xff] ^ crc32c_tables[6][word >> 8 & 0xff] ^
              crc32c_tables[5][word >> 16 & 0xff] ^ crc32c_tables[4][word >> 24 & 0xff] ^
              crc32c_tables[3][word >> 32 & 0xff] ^ crc32c_tables[2][word >> 40 & 0xff] ^
              crc32c_tables[1][word >> 48 & 0xff] ^ crc32c_tables[0][word >> 56];
    }
    for (; bytes > 0; bytes--, at++)
        crc = crc >> 8 ^ crc32c_tables[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
/* ---- x86-64 ------------------------------------------------------------------------------- */

#include <nmmintrin.h>
#include <wmmintrin.h>

#define LANE_WORDS_MAX 64u /* of 8 bytes, per lane and round */

_Static_assert(CRC32C_LANES_FROM >= 24, "each lane has a word");

/*
 * lane_shift[n - 1] is x^(64 n - 33) modulo P. The carry-less product of a reversed word c and a
 * reversed word s, read as a reversed 64-bit word, is c s x; the crc32 instruction multiplies what
 * it is given by x^32 and takes the remainder. So with s = lane_shift[n - 1] the result is
 * c x^(64 n): c followed by n words of zeros.
 */
/* clang-format off */
static const uint32_t lane_shift[2 * LANE_WORDS_MAX] = {
    0x00000001, 0x493c7d27, 0xf20c0dfe, 0xba4fc28e, 0x3da6d0cb, 0xddc0152b, 0x1c291d04,
    0x9e4addf8, 0x740eef02, 0x39d3b296, 0x083a6eec, 0x0715ce53, 0xc49f4f67, 0x47db8317,
    0x2ad91c30, 0x0d3b6092, 0x6992cea2, 0xc96cfdc0, 0x7e908048, 0x878a92a7, 0x1b3d8f29,
    0xdaece73e, 0xf1d0f55e, 0xab7aff2a, 0xa87ab8a8, 0x2162d385, 0x8462d800, 0x83348832,
    0x71d111a8, 0x299847d5, 0xffd852c6, 0xb9e02b86, 0xdcb17aa4, 0x18b33a4e, 0xf37c5aee,
    0xb6dd949b, 0x6051d5a2, 0x78d9ccb7, 0x18b0d4ff, 0xbac2fd7b, 0x21f3d99c, 0xa60ce07b,
    0x8f158014, 0xce7f39f4, 0xa00457f7, 0x61d82e56, 0x8d6d2c43, 0xd270f1a2, 0x00ac29cf,
    0xc619809d, 0xe9adf796, 0x2b3cac5d, 0x96638b34, 0x65863b64, 0xe0e9f351, 0x1b03397f,
    0x9af01f2d, 0xebb883bd, 0x2cff42cf, 0xb3e32c28, 0x88f25a3a, 0x064f7f26, 0x4e36f0b0,
    0xdd7e3b0c, 0xbd6f81f8, 0xf285651c, 0x91c9bd4b, 0x10746f3c, 0x885f087b, 0xc7a68855,
    0x4c144932, 0x271d9844, 0x52148f02, 0x8e766a0c, 0xa3c6f37a, 0x93a5f730, 0xd7c0557f,
    0x6cb08e5c, 0x63ded06a, 0x6b749fb2, 0x4d56973c, 0x1393e203, 0x9669c9df, 0xcec3662e,
    0xe417f38a, 0x96c515bb, 0x4b9e0f71, 0xe6fc4e6a, 0xd104b8fc, 0x8227bb8a, 0x5b397730,
    0xb0cd4768, 0xe78eb416, 0x39c7ff35, 0x61ff0e01, 0xd7a4825c, 0x8d96551c, 0x0ab3844b,
    0x0bf80dd2, 0x0167d312, 0x8821abed, 0xf6076544, 0x6a45d2b2, 0x26f6a60a, 0xd8d26619,
    0xa741c1bf, 0xde87806c, 0x98d8d9cb, 0x14338754, 0x49c3cc9c, 0x5bd2011f, 0x68bce87a,
    0xdd07448e, 0x57a3d037, 0xdde8f5b9, 0x6956fc3b, 0xa3e3e02c, 0x42d98888, 0xd73c7bea,
    0x3771e98f, 0x80ff0093, 0xb42ae3d9, 0x8fe4c34d, 0x2178513a, 0xdf99fc11, 0xe0ac139e,
    0x6c23e841, 0x170076fa,
};
/* clang-format on */

/* Three lanes, each of so many words, that follow one another. */
__attribute__((target("sse4.2,pclmul"))) static inline uint32_t lanes_join(uint64_t a, uint64_t b,
                                                                           uint64_t c, size_t words)
{
    __m128i a_shifted = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a),
                                             _mm_cvtsi64_si128(lane_shift[2 * words - 1]), 0);
    __m128i b_shifted = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)b),
                                             _mm_cvtsi64_si128(lane_shift[words - 1]), 0);
    uint64_t sum = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(a_shifted, b_shifted));
    return (uint32_t)(_mm_crc32_u64(0, sum) ^ c);
}

/* The lanes of as much as fills three of them; ret_at: what is left. */
__attribute__((noinline, target("sse4.2,pclmul"))) static uint64_t
crc32c_lanes(uint64_t a, const uint8_t **at_, size_t *bytes_)
{
    const uint8_t *at = *at_;
    size_t bytes = *bytes_;
    while (bytes >= CRC32C_LANES_FROM) {
        size_t words = bytes / 24 < LANE_WORDS_MAX ? bytes / 24 : LANE_WORDS_MAX;
        uint64_t b = 0;
        uint64_t c = 0;
        for (const uint8_t *end = at + 8 * words; at < end; at += 8) {
            a = _mm_crc32_u64(a, load_le64(at));
            b = _mm_crc32_u64(b, load_le64(at + 8 * words));
            c = _mm_crc32_u64(c, load_le64(at + 16 * words));
        }
        a = lanes_join(a, b, c, words);
        at += 16 * words;
        bytes -= 24 * words;
    }
    *at_ = at;
    *bytes_ = bytes;
    return a;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc32c_hardware(uint32_t crc, const void *from, size_t bytes)
{
    const uint8_t *at = from;
    uint64_t a = (uint32_t)~crc;
    if (bytes >= CRC32C_LANES_FROM)
        a = crc32c_lanes(a, &at, &bytes);
    for (; bytes >= 32; bytes -= 32, at += 32) {
        a = _mm_crc32_u64(a, load_le64(at));
        a = _mm_crc32_u64(a, load_le64(at + 8));
        a = _mm_crc32_u64(a, load_le64(at + 16));
        a = _mm_crc32_u64(a, load_le64(at + 24));
    }
    for (; bytes >= 8; bytes -= 8, at += 8)
        a = _mm_crc32_u64(a, load_le64(at));
    crc = (uint32_t)a;
    if (bytes >= 4) {
        crc = _mm_crc32_u32(crc, load_le32(at));
        bytes -= 4;
        at += 4;
    }
    for (; bytes > 0; bytes--, at++)
        crc = _mm_crc32_u8(crc, *at);
    return ~crc;
}

#elif defined(__aarch64__) && defined(__linux__)
/* ---- ARMv8 -------------------------------------------------------------------------------- */

#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1UL << 7)
#endif

/* As assembly, since gcc and clang do not agree on how a function asks for the intrinsics. */
static inline uint32_t crc32c_8_bytes(uint32_t crc, uint64_t word)
{
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
    return crc;
}

static inline uint32_t crc32c_1_byte(uint32_t crc, uint32_t byte)
{
    __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(byte));
    return crc;
}

static uint32_t crc32c_hardware(uint32_t crc, const void *from, size_t bytes)
{
    const uint8_t *at = from;
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, at += 8)
        crc = crc32c_8_bytes(crc, load_le64(at));
    for (; bytes > 0; bytes--, at++)
        crc = crc32c_1_byte(crc, *at);
    return ~crc;
}

static inline bool crc32c_has_hardware(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

#else
/* ---- others ------------------------------------------------------------------------------- */

#define crc32c_hardware crc32c_portable

static inline bool crc32c_has_hardware(void)
{
    return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *from, size_t bytes)
{
    return crc32c_has_hardware() ? crc32c_hardware(crc, from, bytes)
                                 : crc32c_portable(crc, from, bytes);
}
