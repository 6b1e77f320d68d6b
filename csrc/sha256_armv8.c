/* SHA-256 with the ARMv8 cryptographic extension: the compression function and a scan of three nonces.
 *
 * One pair of sha256h and sha256h2 does four rounds, and the next pair needs the answer; three nonces in
 * flight fill the wait, and AArch64's 32 vector registers hold them all. The shortcuts and their proofs are
 * those of sha256_shani_template.h: fifteen stages of four rounds for each compression, 4 to 63 of the first
 * and 1 to 60 of the second.
 */
#include "pow.h"
#include "sha256_constants.h"

#if POW_ARMV8
#include <arm_neon.h>

#if defined(__ARM_FEATURE_SHA2)
#define TARGET
#else
#define TARGET __attribute__((target("+crypto")))
#endif
#define ALWAYS_INLINE inline __attribute__((always_inline))

enum { STREAMS = 3 };
#define EACH for (int i = 0; i < STREAMS; i++)

TARGET static ALWAYS_INLINE uint32x4_t words(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    const uint32_t w[4] = {a, b, c, d};

    return vld1q_u32(w);
}

/* Four rounds with words w, from round t on. */
TARGET static ALWAYS_INLINE void rounds4(uint32x4_t *abcd, uint32x4_t *efgh, uint32x4_t w, int t)
{
    uint32x4_t kw = vaddq_u32(w, vld1q_u32(sha256_k + t)), before = *abcd;

    *abcd = vsha256hq_u32(*abcd, *efgh, kw);
    *efgh = vsha256h2q_u32(*efgh, before, kw);
}

/* The four words that follow the sixteen in w, which then hold the sixteen up to them. */
TARGET static ALWAYS_INLINE void expand(uint32x4_t w[4])
{
    uint32x4_t next = vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3]);

    w[0] = w[1];
    w[1] = w[2];
    w[2] = w[3];
    w[3] = next;
}

TARGET void sha256_compress_armv8(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);

    for (; blocks > 0; blocks--, data += 64) {
        uint32x4_t abcd0 = abcd, efgh0 = efgh, w[4];

        for (int i = 0; i < 4; i++) {
            w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(data + 16 * i)));
            rounds4(&abcd, &efgh, w[i], 4 * i);
        }
#pragma GCC unroll 12
        for (int t = 16; t < 64; t += 4) {
            expand(w);
            rounds4(&abcd, &efgh, w[3], t);
        }
        abcd = vaddq_u32(abcd, abcd0);
        efgh = vaddq_u32(efgh, efgh0);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

TARGET uint64_t pow_scan_armv8(const pow_job *job, uint32_t start, uint64_t count)
{
    const uint32_t *h = sha256_iv, *s = job->state3;
    const uint32_t t1 = h[7] + (rotr32(h[4], 6) ^ rotr32(h[4], 11) ^ rotr32(h[4], 25)) +
                        ((h[4] & h[5]) ^ (~h[4] & h[6])) + sha256_k[0];
    const uint32_t t2 = (rotr32(h[0], 2) ^ rotr32(h[0], 13) ^ rotr32(h[0], 22)) +
                        ((h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2]));
    const uint32x4_t abcd4 = words(job->round3_a, s[0], s[1], s[2]);
    const uint32x4_t efgh4 = words(job->round3_e, s[4], s[5], s[6]);
    const uint32x4_t abcd1 = words(t1 + t2, h[0], h[1], h[2]), efgh1 = words(h[3] + t1, h[4], h[5], h[6]);
    const uint32x4_t mid_abcd = vld1q_u32(job->midstate), mid_efgh = vld1q_u32(job->midstate + 4);
    const uint32x4_t zero = vdupq_n_u32(0), bit31 = words(0x80000000u, 0, 0, 0);
    const uint32x4_t length1 = words(0, 0, 0, 640), length2 = words(0, 0, 256, 0);
    const uint32x4_t w16 = words(job->w16, job->w17, job->w18, job->w19);

    for (uint64_t done = 0; done < count; done += STREAMS) {
        uint32x4_t abcd[STREAMS], efgh[STREAMS], w[STREAMS][4];

        EACH
        {
            uint32_t nonce = swap32((uint32_t)(start + done + (unsigned)i));
            uint32x4_t first = vsetq_lane_u32(nonce, zero, 0);
            abcd[i] = vaddq_u32(abcd4, first);
            efgh[i] = vaddq_u32(efgh4, first);
            w[i][0] = bit31;
            w[i][1] = zero;
            w[i][2] = length1;
            w[i][3] = vaddq_u32(w16, words(0, 0, sigma0_32(nonce), nonce));
        }
        EACH rounds4(&abcd[i], &efgh[i], bit31, 4);
        EACH rounds4(&abcd[i], &efgh[i], zero, 8);
        EACH rounds4(&abcd[i], &efgh[i], length1, 12);
        EACH rounds4(&abcd[i], &efgh[i], w[i][3], 16);
#pragma GCC unroll 11
        for (int t = 20; t < 64; t += 4) {
            EACH expand(w[i]);
            EACH rounds4(&abcd[i], &efgh[i], w[i][3], t);
        }

        EACH
        {
            uint32x4_t w0 = vaddq_u32(abcd[i], mid_abcd), w4 = vaddq_u32(efgh[i], mid_efgh);
            uint32x4_t first = vsetq_lane_u32(vgetq_lane_u32(w0, 0), zero, 0);
            uint32_t word16 = vgetq_lane_u32(vsha256su0q_u32(w0, w4), 0);
            abcd[i] = vaddq_u32(abcd1, first);
            efgh[i] = vaddq_u32(efgh1, first);
            w[i][0] = vextq_u32(w0, w4, 1);                  /* W1..4 */
            w[i][1] = vextq_u32(w4, bit31, 1);               /* W5..8 */
            w[i][2] = zero;                                  /* W9..12 */
            w[i][3] = vsetq_lane_u32(word16, length2, 3);    /* W13..16 */
        }
        for (int q = 0; q < 4; q++)
            EACH rounds4(&abcd[i], &efgh[i], w[i][q], 4 * q + 1);
#pragma GCC unroll 11
        for (int t = 17; t < 61; t += 4) {
            EACH expand(w[i]);
            EACH rounds4(&abcd[i], &efgh[i], w[i][3], t);
        }
        for (unsigned i = 0; i < STREAMS; i++)
            if (((vgetq_lane_u32(efgh[i], 0) + sha256_iv[7]) & job->reject) == 0)
                return done + i;
    }
    return POW_NONE;
}

#endif
