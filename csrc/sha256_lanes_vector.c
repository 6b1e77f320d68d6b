/* The lane scan with four nonces in 128-bit vectors of the compiler's own vector type.
 *
 * For processors without anything better: SSE2 is part of every x86-64, Advanced SIMD of every AArch64.
 */
#include "pow.h"
#include "sha256_constants.h"

#if POW_VECTOR128

typedef uint32_t u32x4 __attribute__((vector_size(16)));

#define LANES 4
#define VEC u32x4
#define SCAN pow_scan_vector128
#define LAST_WORD last_word_vector128
#define TARGET
#define SET1(x) ((u32x4){(x), (x), (x), (x)})
#define ADD(a, b) ((a) + (b))
#define XOR(a, b) ((a) ^ (b))
#define AND(a, b) ((a) & (b))
#define SHR(x, n) ((x) >> (n))
#define ROTR(x, n) ((x) >> (n) ^ (x) << (32 - (n)))
#define CH(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define MAJ(a, b, c) ((b) ^ (((a) ^ (b)) & ((b) ^ (c))))
#define NONCES(n) ((u32x4){swap32(n), swap32((n) + 1), swap32((n) + 2), swap32((n) + 3)})
#define ZERO_LANES(v) zero_lanes(v)
#define LOWEST_BIT(m) (unsigned)__builtin_ctz(m)

static inline unsigned zero_lanes(u32x4 v)
{
    return (unsigned)(v[0] == 0) | (unsigned)(v[1] == 0) << 1 | (unsigned)(v[2] == 0) << 2 |
           (unsigned)(v[3] == 0) << 3;
}

#include "sha256_lanes_template.h"

#endif
