/* The lane scan for x86: AVX2 with eight nonces, AVX-512 with sixteen.
 *
 * These are the vector operations; the algorithm is in sha256_lanes_template.h.
 *
 * AVX2 has no rotation: two shifts and an exclusive-or make one (the halves do not overlap). Rotation
 * by 8, 16 or 24 bits would be one byte shuffle, but SHA-256 has none. AVX-512 rotates in one
 * instruction, and takes any function of three bits in one, by its truth table.
 */
#include "pow.h"
#include "sha256_constants.h"

#if POW_X86
#include <immintrin.h>

/* GCC would undo the order that the template asks for: -ftree-ter, which makes one expression of several
 * statements, the place of the schedule between the rounds, and -ftree-reassoc the order of the additions, by
 * which a round waits for as little of the round before as it can. Together they cost a quarter (AVX-512). */
#if defined(__clang__)
#define IN_ORDER
#else
#define IN_ORDER __attribute__((optimize("no-tree-ter,no-tree-reassoc")))
#endif

#define LANES 8
#define SHORT
#define VEC __m256i
#define SCAN pow_scan_avx2
#define LAST_WORD last_word_avx2
#define TARGET __attribute__((target("avx2"))) IN_ORDER
#define SET1(x) _mm256_set1_epi32((int)(x))
#define ADD(a, b) _mm256_add_epi32(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
#define SHR(x, n) _mm256_srli_epi32(x, n)
#define ROTR(x, n) XOR(_mm256_srli_epi32(x, n), _mm256_slli_epi32(x, 32 - (n)))
#define CH(e, f, g) XOR(g, AND(e, XOR(f, g)))
#define MAJ(a, b, c) XOR(b, AND(XOR(a, b), XOR(b, c)))
#define NONCES(n) nonces_avx2(n)
#define ZERO_LANES(v)                                                                                  \
    (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(v, _mm256_setzero_si256())))
#define LOWEST_BIT(m) (unsigned)__builtin_ctz(m)

TARGET static inline __m256i nonces_avx2(uint32_t n)
{
    const __m256i swap = _mm256_broadcastsi128_si256(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    __m256i steps = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);

    return _mm256_shuffle_epi8(ADD(SET1(n), steps), swap);
}

#include "sha256_lanes_template.h"

#define LANES 16
#define VEC __m512i
#define SCAN pow_scan_avx512
#define LAST_WORD last_word_avx512
#define TARGET __attribute__((target("avx512f,avx512bw"))) IN_ORDER
#define SET1(x) _mm512_set1_epi32((int)(x))
#define ADD(a, b) _mm512_add_epi32(a, b)
#define XOR(a, b) _mm512_xor_si512(a, b)
#define AND(a, b) _mm512_and_si512(a, b)
#define SHR(x, n) _mm512_srli_epi32(x, n)
#define ROTR(x, n) _mm512_ror_epi32(x, n)
#define CH(e, f, g) _mm512_ternarylogic_epi32(e, f, g, 0xca) /* e ? f : g */
#define MAJ(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0xe8) /* at least two of three */
#define XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define NONCES(n) nonces_avx512(n)
#define ZERO_LANES(v) (unsigned)_mm512_testn_epi32_mask(v, v)
#define LOWEST_BIT(m) (unsigned)__builtin_ctz(m)

TARGET static inline __m512i nonces_avx512(uint32_t n)
{
    const __m512i swap =
        _mm512_broadcast_i32x4(_mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
    __m512i steps = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);

    return _mm512_shuffle_epi8(ADD(SET1(n), steps), swap);
}

#include "sha256_lanes_template.h"

#endif
