/* SHA-256 with the x86 SHA extensions: the compression function, and the scan in two encodings.
 *
 * The scan is in sha256_shani_template.h. Here are its few instructions, with AVX's three-operand encoding
 * ("sha-ni") and without, for the small cores that have SHA but no AVX ("sha-ni-sse").
 */
#include "pow.h"
#include "sha256_constants.h"

#if POW_X86
#include <immintrin.h>

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define TARGET_SSE __attribute__((target("sha,sse4.1")))
#define TARGET_AVX __attribute__((target("sha,avx")))

TARGET_SSE static ALWAYS_INLINE __m128i k4(int t)
{
    return _mm_loadu_si128((const __m128i *)(sha256_k + t));
}

/* Four rounds with K already added to the words. */
TARGET_SSE static ALWAYS_INLINE void rounds4_folded(__m128i *abef, __m128i *cdgh, __m128i kw)
{
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, kw);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(kw, 0x0e));
}

/* W[t..t+3] from the sixteen words before it: a = W[t-16..t-13] and so on. msg1 gives
 * W[t-16] + sigma0(W[t-15]), alignr picks W[t-7..t-4], msg2 adds sigma1(W[t-2]). */
TARGET_SSE static ALWAYS_INLINE __m128i expand(__m128i a, __m128i b, __m128i c, __m128i d)
{
    __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4));

    return _mm_sha256msg2_epu32(sum, d);
}

/* {a .. h} to {F, E, B, A} and {H, G, D, C}, low lane first. */
TARGET_SSE static ALWAYS_INLINE void to_sha_order(const uint32_t s[8], __m128i *abef, __m128i *cdgh)
{
    *abef = _mm_set_epi32((int)s[0], (int)s[1], (int)s[4], (int)s[5]);
    *cdgh = _mm_set_epi32((int)s[2], (int)s[3], (int)s[6], (int)s[7]);
}

TARGET_SSE static ALWAYS_INLINE __m128i words_abcd(__m128i abef, __m128i cdgh)
{
    return _mm_shuffle_epi32(_mm_unpackhi_epi64(cdgh, abef), 0x1b);
}

TARGET_SSE static ALWAYS_INLINE __m128i words_efgh(__m128i abef, __m128i cdgh)
{
    return _mm_shuffle_epi32(_mm_unpacklo_epi64(cdgh, abef), 0x1b);
}

TARGET_SSE void sha256_compress_shani(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef, cdgh;

    to_sha_order(state, &abef, &cdgh);
    for (; blocks > 0; blocks--, data += 64) {
        __m128i abef0 = abef, cdgh0 = cdgh, m[4];

        for (int i = 0; i < 4; i++) {
            m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), swap);
            rounds4_folded(&abef, &cdgh, _mm_add_epi32(m[i], k4(4 * i)));
        }
#pragma GCC unroll 12
        for (int t = 16; t < 64; t += 4) {
            __m128i next = expand(m[0], m[1], m[2], m[3]);
            m[0] = m[1];
            m[1] = m[2];
            m[2] = m[3];
            m[3] = next;
            rounds4_folded(&abef, &cdgh, _mm_add_epi32(next, k4(t)));
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    _mm_storeu_si128((__m128i *)state, words_abcd(abef, cdgh));
    _mm_storeu_si128((__m128i *)(state + 4), words_efgh(abef, cdgh));
}

/* The inner steps are in assembly for one reason: sha256rnds2 takes its words from xmm0 and nowhere
 * else, and compilers compute them elsewhere and move them. Here xmm0 is the only scratch register. */
#define TARGET TARGET_SSE
#define NAME(x) x##_shani_sse
#define ROUNDS4(abef, cdgh, w, t)                                                                      \
    __asm__("movdqu %3, %%xmm0\n\t"                                                                    \
            "paddd %2, %%xmm0\n\t"                                                                     \
            "sha256rnds2 %%xmm0, %0, %1\n\t"                                                           \
            "pshufd $0x0e, %%xmm0, %%xmm0\n\t"                                                         \
            "sha256rnds2 %%xmm0, %1, %0"                                                               \
            : "+x"(abef), "+x"(cdgh)                                                                   \
            : "x"(w), "m"(*(const __m128i_u *)(sha256_k + (t)))                                        \
            : "xmm0")
#define EXPAND(a, b, c, d)                                                                             \
    __asm__("movdqa %3, %%xmm0\n\t"                                                                    \
            "palignr $4, %2, %%xmm0\n\t"                                                               \
            "sha256msg1 %1, %0\n\t"                                                                    \
            "paddd %%xmm0, %0\n\t"                                                                     \
            "sha256msg2 %3, %0"                                                                        \
            : "+x"(a)                                                                                  \
            : "x"(b), "x"(c), "x"(d)                                                                   \
            : "xmm0")
#include "sha256_shani_template.h"

#define TARGET TARGET_AVX
#define NAME(x) x##_shani
#define ROUNDS4(abef, cdgh, w, t)                                                                      \
    __asm__("vpaddd %3, %2, %%xmm0\n\t"                                                                \
            "sha256rnds2 %%xmm0, %0, %1\n\t"                                                           \
            "vpshufd $0x0e, %%xmm0, %%xmm0\n\t"                                                        \
            "sha256rnds2 %%xmm0, %1, %0"                                                               \
            : "+x"(abef), "+x"(cdgh)                                                                   \
            : "x"(w), "m"(*(const __m128i_u *)(sha256_k + (t)))                                        \
            : "xmm0")
#define EXPAND(a, b, c, d)                                                                             \
    __asm__("vpalignr $4, %2, %3, %%xmm0\n\t"                                                          \
            "sha256msg1 %1, %0\n\t"                                                                    \
            "vpaddd %%xmm0, %0, %0\n\t"                                                                \
            "sha256msg2 %3, %0"                                                                        \
            : "+x"(a)                                                                                  \
            : "x"(b), "x"(c), "x"(d)                                                                   \
            : "xmm0")
#include "sha256_shani_template.h"

#endif
