/* SHA-256 with the x86 SHA extensions: the compression function, and a scan of two nonces at a time.
 *
 * One sha256rnds2 does two rounds but takes four cycles to answer, and the next one needs the answer.
 * Two independent nonces fill the gap. What must not live here: other instruction sets.
 *
 * Lane order, low to high: the instructions want the state as {F, E, B, A} and {H, G, D, C}.
 */
#include "pow.h"
#include "sha256_constants.h"

#if POW_X86
#include <immintrin.h>

#define TARGET __attribute__((target("sha,sse4.1")))
#define ALWAYS_INLINE inline __attribute__((always_inline))

enum { STREAMS = 2 };
#define EACH for (int i = 0; i < STREAMS; i++)

TARGET static ALWAYS_INLINE __m128i k4(int t)
{
    return _mm_loadu_si128((const __m128i *)(sha256_k + t));
}

/* Four rounds. */
TARGET static ALWAYS_INLINE void rounds4(__m128i *abef, __m128i *cdgh, __m128i kw)
{
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, kw);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(kw, 0x0e));
}

/* W[t..t+3] from the sixteen words before it: a = W[t-16..t-13] and so on. */
TARGET static ALWAYS_INLINE __m128i expand(__m128i a, __m128i b, __m128i c, __m128i d)
{
    __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4));

    return _mm_sha256msg2_epu32(sum, d);
}

/* {a,b,c,d}, {e,f,g,h} to and from the order of the instructions. */
TARGET static ALWAYS_INLINE void to_sha_order(const uint32_t s[8], __m128i *abef, __m128i *cdgh)
{
    *abef = _mm_set_epi32((int)s[0], (int)s[1], (int)s[4], (int)s[5]);
    *cdgh = _mm_set_epi32((int)s[2], (int)s[3], (int)s[6], (int)s[7]);
}

TARGET static ALWAYS_INLINE __m128i words_abcd(__m128i abef, __m128i cdgh)
{
    return _mm_shuffle_epi32(_mm_unpackhi_epi64(cdgh, abef), 0x1b);
}

TARGET static ALWAYS_INLINE __m128i words_efgh(__m128i abef, __m128i cdgh)
{
    return _mm_shuffle_epi32(_mm_unpacklo_epi64(cdgh, abef), 0x1b);
}

TARGET void sha256_compress_shani(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef, cdgh;

    to_sha_order(state, &abef, &cdgh);
    for (; blocks > 0; blocks--, data += 64) {
        __m128i abef0 = abef, cdgh0 = cdgh, m[4];

        for (int i = 0; i < 4; i++) {
            m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), swap);
            rounds4(&abef, &cdgh, _mm_add_epi32(m[i], k4(4 * i)));
        }
#pragma GCC unroll 12
        for (int t = 16; t < 64; t += 4) {
            __m128i next = expand(m[0], m[1], m[2], m[3]);
            m[0] = m[1];
            m[1] = m[2];
            m[2] = m[3];
            m[3] = next;
            rounds4(&abef, &cdgh, _mm_add_epi32(next, k4(t)));
        }
        abef = _mm_add_epi32(abef, abef0);
        cdgh = _mm_add_epi32(cdgh, cdgh0);
    }
    _mm_storeu_si128((__m128i *)state, words_abcd(abef, cdgh));
    _mm_storeu_si128((__m128i *)(state + 4), words_efgh(abef, cdgh));
}

TARGET uint64_t pow_scan_shani(const pow_job *job, uint32_t start, uint64_t count)
{
    const __m128i w4 = _mm_set_epi32(0, 0, 0, (int)0x80000000u), zero = _mm_setzero_si128();
    const __m128i w12 = _mm_set_epi32(640, 0, 0, 0), end12 = _mm_set_epi32(256, 0, 0, 0);
    const uint32_t *s = job->state3;
    __m128i mid_abef, mid_cdgh, iv_abef, iv_cdgh, abef4, cdgh4;

    to_sha_order(job->midstate, &mid_abef, &mid_cdgh);
    to_sha_order(sha256_iv, &iv_abef, &iv_cdgh);
    abef4 = _mm_set_epi32((int)job->round3_a, (int)s[0], (int)job->round3_e, (int)s[4]);
    cdgh4 = _mm_set_epi32((int)s[1], (int)s[2], (int)s[5], (int)s[6]);

    for (uint64_t done = 0; done < count; done += STREAMS) {
        __m128i abef[STREAMS], cdgh[STREAMS], m[STREAMS][4];
        uint32_t last[STREAMS];

        EACH
        {
            uint32_t nonce = swap32((uint32_t)(start + done + (unsigned)i));
            /* Round 3 by addition: the nonce goes into a and e. */
            abef[i] = _mm_add_epi32(abef4, _mm_set_epi32((int)nonce, 0, (int)nonce, 0));
            cdgh[i] = cdgh4;
            m[i][0] = _mm_set_epi32((int)(job->w19 + nonce), (int)(job->w18 + sigma0_32(nonce)),
                                    (int)job->w17, (int)job->w16);
        }
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(w4, k4(4)));
        EACH rounds4(&abef[i], &cdgh[i], k4(8));
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(w12, k4(12)));
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(m[i][0], k4(16)));
        /* W20..23 from W4..7, W8..11, W12..15, W16..19; the first two with their sigma0 are constant. */
        EACH
        {
            m[i][3] = m[i][0];
            m[i][0] = w4;
            m[i][1] = zero;
            m[i][2] = w12;
        }
#pragma GCC unroll 11
        for (int t = 20; t < 64; t += 4)
            EACH
            {
                __m128i next = expand(m[i][0], m[i][1], m[i][2], m[i][3]);
                m[i][0] = m[i][1];
                m[i][1] = m[i][2];
                m[i][2] = m[i][3];
                m[i][3] = next;
                rounds4(&abef[i], &cdgh[i], _mm_add_epi32(next, k4(t)));
            }

        EACH
        {
            abef[i] = _mm_add_epi32(abef[i], mid_abef);
            cdgh[i] = _mm_add_epi32(cdgh[i], mid_cdgh);
            m[i][0] = words_abcd(abef[i], cdgh[i]);
            m[i][1] = words_efgh(abef[i], cdgh[i]);
            m[i][2] = w4;
            m[i][3] = end12;
            abef[i] = iv_abef;
            cdgh[i] = iv_cdgh;
        }
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(m[i][0], k4(0)));
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(m[i][1], k4(4)));
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(w4, k4(8)));
        EACH rounds4(&abef[i], &cdgh[i], _mm_add_epi32(end12, k4(12)));
#pragma GCC unroll 12
        for (int t = 16; t < 64; t += 4)
            EACH
            {
                __m128i next = expand(m[i][0], m[i][1], m[i][2], m[i][3]);
                m[i][0] = m[i][1];
                m[i][1] = m[i][2];
                m[i][2] = m[i][3];
                m[i][3] = next;
                rounds4(&abef[i], &cdgh[i], _mm_add_epi32(next, k4(t)));
            }
        EACH last[i] = (uint32_t)_mm_extract_epi32(cdgh[i], 0) + sha256_iv[7];
        EACH if ((last[i] & job->reject) == 0) return done + (unsigned)i;
    }
    return POW_NONE;
}

#endif
