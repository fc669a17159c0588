/* CRC-32C (Castagnoli), with the processor's instruction where it has one. */
#ifndef ENGINE_LOG_CRC32C_H
#define ENGINE_LOG_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 at the start): crc32c(crc32c(0, a), b) is that of a and b together. The empty
   input leaves crc as it is. crc32c(0, "123456789", 9) is 0xE3069283. */
uint32_t crc32c(uint32_t crc, const void *from, size_t bytes);

/* The portable one, for tests. */
uint32_t crc32c_portable(uint32_t crc, const void *from, size_t bytes);

#endif
