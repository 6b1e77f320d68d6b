/* The candidate scan with the x86 SHA extensions: three nonces in flight, each a third of the way behind the
 * one before.
 *
 * Include after defining TARGET (the functions' attribute), NAME(x) (their names), and
 *   ROUNDS4(abef, cdgh, w, t)   four rounds from round t on with words w, not yet K added
 *   EXPAND(a, b, c, d)          a = the four words that follow the sixteen in a, b, c, d
 *
 * Why three streams. A sha256rnds2 does two rounds and answers after 4 cycles, but a new one can start
 * every cycle; each needs the one before. One stream waits three cycles of four, as hashlib does.
 * Three streams need 6 registers for state and 12 for words of the 16 there are, four need 24: three
 * keep the units nearly as busy as four with half the moves to and from the stack. Measured on Zen 3,
 * cycles a nonce: one stream 187, two 124, three 103, four 106, five 107.
 *
 * Why apart. The first sixteen rounds of a compression need no schedule and load the round unit
 * alone, the later ones load all units. With the streams at stages 0, 20 and 10 of 30, these phases
 * fall on each other's gaps: 103 cycles, in step 114.
 *
 * What is left out, without changing the result (30 stages of four rounds where SHA-256d has 32):
 *  - rounds 0 to 3 of the first compression: round 3 only adds the nonce to a and e (see pow_job);
 *  - round 0 of the second: its state is constant, so it too only adds word 0 to a and e;
 *  - rounds 61 to 63 of the second: they only move the e of round 60 to h, whose sum with iv[7] is the
 *    last word of the hash. With round 0 gone, rounds 1 to 60 are fifteen stages;
 *  - schedule terms that are zero or constant: see the comments at the stages.
 *
 * Register order, low lane first: state as {F, E, B, A} and {H, G, D, C}, words as {W[t] .. W[t+3]}.
 */

typedef struct {
    __m128i abef, cdgh;
    __m128i w0, w1, w2, w3;
    uint32_t last; /* last word of the hash, iv[7] not yet added */
} NAME(stream);

typedef struct {
    __m128i abef4, cdgh4;       /* state after round 3, less the nonce */
    __m128i mid_abef, mid_cdgh; /* midstate */
    __m128i abef1, cdgh1;       /* state after round 0 of the second compression, less its word 0 */
    __m128i w16;                /* first compression: W16..19 less the nonce's part, */
    __m128i part20, part28;     /* the sums for W20..23 and W28..31 that hold no nonce */
} NAME(fixed);

/* x in the places of a and e. */
TARGET static ALWAYS_INLINE __m128i NAME(in_a_and_e)(__m128i all_x)
{
    return _mm_and_si128(all_x, _mm_set_epi32(-1, 0, -1, 0));
}

TARGET static ALWAYS_INLINE void NAME(begin_first)(NAME(stream) *s, const NAME(fixed) *f, uint32_t nonce)
{
    uint32_t word = swap32(nonce);

    s->abef = _mm_add_epi32(f->abef4, NAME(in_a_and_e)(_mm_set1_epi32((int)word)));
    s->cdgh = f->cdgh4;
    /* W18 = fixed + sigma0(W3), W19 = fixed + W3; W16 and W17 are fixed. */
    s->w0 = _mm_add_epi32(f->w16, _mm_set_epi32((int)word, (int)sigma0_32(word), 0, 0));
}

TARGET static ALWAYS_INLINE void NAME(begin_second)(NAME(stream) *s, const NAME(fixed) *f)
{
    const __m128i bit31 = _mm_set_epi32(0, 0, 0, (int)0x80000000u), length = _mm_set_epi32(256, 0, 0, 0);
    __m128i abef = _mm_add_epi32(s->abef, f->mid_abef), cdgh = _mm_add_epi32(s->cdgh, f->mid_cdgh);
    __m128i w0to3 = words_abcd(abef, cdgh), w4to7 = words_efgh(abef, cdgh);
    /* W16 = W0 + sigma0(W1), as W9 and W14 are zero: lane 0 of what msg1 gives. */
    __m128i w16 = _mm_sha256msg1_epu32(w0to3, w4to7);

    s->w0 = _mm_alignr_epi8(w4to7, w0to3, 4); /* W1..4 */
    s->w1 = _mm_alignr_epi8(bit31, w4to7, 4); /* W5..8 */
    s->w2 = _mm_setzero_si128();              /* W9..12 */
    s->w3 = _mm_alignr_epi8(w16, length, 4);  /* W13..16: 0, 0, 256, W16 */
    s->abef = _mm_add_epi32(f->abef1, NAME(in_a_and_e)(_mm_shuffle_epi32(w0to3, 0)));
    s->cdgh = f->cdgh1;
}

/* Stage k of 30: four rounds and the words they need. k is constant at every call; all else folds. */
TARGET static ALWAYS_INLINE void NAME(stage)(NAME(stream) *s, const NAME(fixed) *f, int k, uint32_t nonce)
{
    const int second = k >= 15, q = second ? k - 15 : k + 1, t = 4 * q + second;

    if (k == 0)
        NAME(begin_first)(s, f, nonce);
    if (k == 15)
        NAME(begin_second)(s, f);

    /* Words. First compression: W4..15 are padding, W16..19 stand in w0 since the beginning. */
    if (!second && q == 5) /* W20..23: W4..8 and W13..15 are padding, W16 has no nonce */
        s->w1 = _mm_sha256msg2_epu32(f->part20, s->w0);
    else if (!second && q == 6) /* W24..27: W8..12 are zero */
        s->w2 = _mm_sha256msg2_epu32(_mm_alignr_epi8(s->w1, s->w0, 4), s->w1);
    else if (!second && q == 7) /* W28..31: W12..15 are padding */
        s->w3 = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_alignr_epi8(s->w2, s->w1, 4), f->part28), s->w2);
    else if (q >= 4 && (second || q >= 8)) {
        if (q % 4 == 0)
            EXPAND(s->w0, s->w1, s->w2, s->w3);
        else if (q % 4 == 1)
            EXPAND(s->w1, s->w2, s->w3, s->w0);
        else if (q % 4 == 2)
            EXPAND(s->w2, s->w3, s->w0, s->w1);
        else
            EXPAND(s->w3, s->w0, s->w1, s->w2);
    }

    /* Rounds. */
    if (!second && q == 1) /* W4..7: 0x80000000, 0, 0, 0 */
        rounds4_folded(&s->abef, &s->cdgh, _mm_add_epi32(k4(4), _mm_set_epi32(0, 0, 0, (int)0x80000000u)));
    else if (!second && q == 3) /* W12..15: 0, 0, 0, 640 */
        rounds4_folded(&s->abef, &s->cdgh, _mm_add_epi32(k4(12), _mm_set_epi32(640, 0, 0, 0)));
    else if (q == 2) /* W8..11, or W9..12 of the second: zero */
        rounds4_folded(&s->abef, &s->cdgh, k4(t));
    else if (q % 4 == 0)
        ROUNDS4(s->abef, s->cdgh, s->w0, t);
    else if (q % 4 == 1)
        ROUNDS4(s->abef, s->cdgh, s->w1, t);
    else if (q % 4 == 2)
        ROUNDS4(s->abef, s->cdgh, s->w2, t);
    else
        ROUNDS4(s->abef, s->cdgh, s->w3, t);

    if (k == 29)
        s->last = (uint32_t)_mm_extract_epi32(s->abef, 1);
}

TARGET static void NAME(fix)(NAME(fixed) *f, const pow_job *job)
{
    const uint32_t *h = sha256_iv, *s = job->state3;
    const uint32_t t1 = h[7] + (rotr32(h[4], 6) ^ rotr32(h[4], 11) ^ rotr32(h[4], 25)) +
                        ((h[4] & h[5]) ^ (~h[4] & h[6])) + sha256_k[0];
    const uint32_t t2 = (rotr32(h[0], 2) ^ rotr32(h[0], 13) ^ rotr32(h[0], 22)) +
                        ((h[0] & h[1]) ^ (h[0] & h[2]) ^ (h[1] & h[2]));

    to_sha_order(job->midstate, &f->mid_abef, &f->mid_cdgh);
    f->abef4 = _mm_set_epi32((int)job->round3_a, (int)s[0], (int)job->round3_e, (int)s[4]);
    f->cdgh4 = _mm_set_epi32((int)s[1], (int)s[2], (int)s[5], (int)s[6]);
    f->abef1 = _mm_set_epi32((int)(t1 + t2), (int)h[0], (int)(h[3] + t1), (int)h[4]);
    f->cdgh1 = _mm_set_epi32((int)h[1], (int)h[2], (int)h[5], (int)h[6]);
    f->w16 = _mm_set_epi32((int)job->w19, (int)job->w18, (int)job->w17, (int)job->w16);
    /* W[t-16] + sigma0(W[t-15]) + W[t-7], which msg2 completes with sigma1(W[t-2]). */
    f->part20 = _mm_set_epi32((int)job->w16, 640, 0, (int)0x80000000u);
    f->part28 = _mm_set_epi32((int)(640 + sigma0_32(job->w16)), (int)sigma0_32(640), 0, 0);
}

/* A step: stream 0 at stage k, stream 1 twenty stages on, stream 2 ten. */
#define STEP(k)                                                                                        \
    NAME(stage)(&s0, f, k, nonce);                                                                     \
    NAME(stage)(&s1, f, ((k) + 20) % 30, nonce + 1);                                                   \
    NAME(stage)(&s2, f, ((k) + 10) % 30, nonce + 2)

#define CANDIDATE(s) (((s.last + sha256_iv[7]) & job->reject) == 0)

TARGET uint64_t NAME(pow_scan)(const pow_job *job, uint32_t start, uint64_t count)
{
    NAME(fixed) fixed, *f = &fixed;
    NAME(stream) s0 = {0}, s1 = {0}, s2 = {0};

    NAME(fix)(f, job);
    for (uint64_t done = 0;; done += 3) {
        uint32_t nonce = (uint32_t)(start + done);

        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
        STEP(4);
        STEP(5);
        STEP(6);
        STEP(7);
        STEP(8);
        STEP(9);
        STEP(10); /* stream 1 begins its nonce of this round of the loop */
        STEP(11);
        STEP(12);
        STEP(13);
        STEP(14);
        STEP(15);
        STEP(16);
        STEP(17);
        STEP(18);
        STEP(19);
        STEP(20); /* and stream 2 here; each ends in the next round */
        STEP(21);
        STEP(22);
        STEP(23);
        STEP(24);
        STEP(25);
        STEP(26);
        STEP(27);
        STEP(28);
        STEP(29);
        /* Streams 1 and 2 have ended the nonces of the round before, which come first. */
        if (done > 0 && CANDIDATE(s1))
            return done - 2;
        if (done > 0 && CANDIDATE(s2))
            return done - 1;
        if (CANDIDATE(s0))
            return done;
        if (done >= count)
            return POW_NONE;
    }
}

#undef STEP
#undef CANDIDATE
#undef TARGET
#undef NAME
#undef ROUNDS4
#undef EXPAND
