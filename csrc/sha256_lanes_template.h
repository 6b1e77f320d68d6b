/* The candidate scan with one nonce in each lane of a vector: one source for every vector width.
 *
 * Include after defining, for the instruction set at hand:
 *   LANES, VEC, SCAN and LAST_WORD (names of functions), TARGET (their attribute)
 *   SET1(x) ADD(a,b) XOR(a,b) AND(a,b) SHR(x,n) ROTR(x,n) CH(e,f,g) MAJ(a,b,c)
 *   and if there is a better way: XOR3(a,b,c); all of SUM0(x) SUM1(x) SIG0(x) SIG1(x) of FIPS 180-4
 *   NONCES(n)      the byte-swapped nonces n, n+1, ... n+LANES-1
 *   SHORT          if the code would be larger than the 32 KiB of a first-level cache: a loop of 16 rounds
 *   ZERO_LANES(v)  bit i is set if lane i is zero     LOWEST_BIT(m)  index of the lowest bit set in m
 * All are undefined again at the end.
 *
 * Three things are left out of the two compressions of SHA-256d, each without changing the result:
 *  - rounds 0 to 3 of the first: pow_prepare did them (see pow_job);
 *  - terms of the message schedule that are zero or constant: W5 to W14 of the first block and W9 to
 *    W14 of the second are zero, and so drop out of the early schedule words;
 *  - the end of the second: the last hash word is iv[7] + h after round 63, and h after round 63 is e
 *    after round 60, because each round only moves e to f, f to g, g to h. So rounds 61 to 63 are not
 *    run; and e after round 60 needs no a younger than that after round 56, so rounds 57 to 60
 *    compute e alone.
 *
 * Additions are in the order by which e of a round waits for the e before it in five steps: T1 is taken apart, as
 * d + h + kw + CH is there before SUM1 is.
 */
#ifndef XOR3
#define XOR3(a, b, c) XOR(XOR(a, b), c)
#endif
#ifndef SUM0
#define SUM0(x) XOR3(ROTR(x, 2), ROTR(x, 13), ROTR(x, 22))
#define SUM1(x) XOR3(ROTR(x, 6), ROTR(x, 11), ROTR(x, 25))
#define SIG0(x) XOR3(ROTR(x, 7), ROTR(x, 18), SHR(x, 3))
#define SIG1(x) XOR3(ROTR(x, 17), ROTR(x, 19), SHR(x, 10))
#endif

/* Working variable v (0 = a ... 7 = h) before round r: the variables move, their storage does not. */
#define VAR(r, v) s[((v) - (r)) & 7]

/* h + kw + CH(e, f, g): all of T1 but SUM1(e). */
#define PART(r, kw) ADD(ADD(VAR(r, 7), kw), CH(VAR(r, 4), VAR(r, 5), VAR(r, 6)))
#define ROUND(r, kw)                                                                                   \
    do {                                                                                               \
        VEC part = PART(r, kw), sum1 = SUM1(VAR(r, 4));                                                \
        VAR(r, 3) = ADD(ADD(VAR(r, 3), part), sum1);                                                   \
        VAR(r, 7) = ADD(ADD(part, sum1), ADD(SUM0(VAR(r, 0)), MAJ(VAR(r, 0), VAR(r, 1), VAR(r, 2))));  \
    } while (0)
#define ROUND_E(r, kw) VAR(r, 3) = ADD(ADD(VAR(r, 3), PART(r, kw)), SUM1(VAR(r, 4)))

#define W(t) w[(t) & 15]
#define KW(r) ADD(W(r), SET1(k[r]))
#define EXPAND(t) W(t) = ADD(ADD(SIG1(W((t) - 2)), W((t) - 7)), ADD(SIG0(W((t) - 15)), W(t)))

#define STEP(r)                                                                                        \
    EXPAND(r);                                                                                         \
    ROUND(r, KW(r))
#define STEP4(r)                                                                                       \
    STEP(r);                                                                                           \
    STEP((r) + 1);                                                                                     \
    STEP((r) + 2);                                                                                     \
    STEP((r) + 3)
#define STEP8(r)                                                                                       \
    STEP4(r);                                                                                          \
    STEP4((r) + 4)

TARGET static VEC LAST_WORD(const pow_job *job, VEC nonces)
{
    VEC s[8], w[16];
    const uint32_t *k = sha256_k;

    /* First compression, from after round 3. */
    VAR(4, 0) = ADD(SET1(job->round3_a), nonces);
    VAR(4, 1) = SET1(job->state3[0]);
    VAR(4, 2) = SET1(job->state3[1]);
    VAR(4, 3) = SET1(job->state3[2]);
    VAR(4, 4) = ADD(SET1(job->round3_e), nonces);
    VAR(4, 5) = SET1(job->state3[4]);
    VAR(4, 6) = SET1(job->state3[5]);
    VAR(4, 7) = SET1(job->state3[6]);
    ROUND(4, SET1(sha256_k[4] + 0x80000000u));
    ROUND(5, SET1(sha256_k[5]));
    ROUND(6, SET1(sha256_k[6]));
    ROUND(7, SET1(sha256_k[7]));
    ROUND(8, SET1(sha256_k[8]));
    ROUND(9, SET1(sha256_k[9]));
    ROUND(10, SET1(sha256_k[10]));
    ROUND(11, SET1(sha256_k[11]));
    ROUND(12, SET1(sha256_k[12]));
    ROUND(13, SET1(sha256_k[13]));
    ROUND(14, SET1(sha256_k[14]));
    ROUND(15, SET1(sha256_k[15] + 640u));

    W(16) = SET1(job->w16);
    W(17) = SET1(job->w17);
    W(18) = ADD(SET1(job->w18), SIG0(nonces));
    W(19) = ADD(SET1(job->w19), nonces);
    W(20) = ADD(SIG1(W(18)), SET1(0x80000000u));
    W(21) = SIG1(W(19));
    W(22) = ADD(SIG1(W(20)), SET1(640));
    W(23) = ADD(SIG1(W(21)), W(16));
    W(24) = ADD(SIG1(W(22)), W(17));
    W(25) = ADD(SIG1(W(23)), W(18));
    W(26) = ADD(SIG1(W(24)), W(19));
    W(27) = ADD(SIG1(W(25)), W(20));
    W(28) = ADD(SIG1(W(26)), W(21));
    W(29) = ADD(SIG1(W(27)), W(22));
    W(30) = ADD(ADD(SIG1(W(28)), W(23)), SET1(sigma0_32(640)));
    W(31) = ADD(ADD(SIG1(W(29)), W(24)), SET1(sigma0_32(job->w16) + 640u));
    ROUND(16, SET1(sha256_k[16] + job->w16));
    ROUND(17, SET1(sha256_k[17] + job->w17));
    ROUND(18, KW(18));
    ROUND(19, KW(19));
    ROUND(20, KW(20));
    ROUND(21, KW(21));
    ROUND(22, KW(22));
    ROUND(23, KW(23));
    ROUND(24, KW(24));
    ROUND(25, KW(25));
    ROUND(26, KW(26));
    ROUND(27, KW(27));
    ROUND(28, KW(28));
    ROUND(29, KW(29));
    ROUND(30, KW(30));
    ROUND(31, KW(31));
#ifdef SHORT
    for (; k < sha256_k + 32; k += 16) { /* Rounds 32 to 47, and 48 to 63. */
        STEP8(32);
        STEP8(40);
    }
    k = sha256_k;
#else
    STEP8(32);
    STEP8(40);
    STEP8(48);
    STEP8(56);
#endif

    /* Second compression over the 32-byte digest: words 0 to 7, 0x80000000, zeros, 256 bits. */
    for (int i = 0; i < 8; i++)
        w[i] = ADD(VAR(64, i), SET1(job->midstate[i]));
    for (int i = 0; i < 8; i++)
        VAR(64, i) = SET1(sha256_iv[i]);
    ROUND(0, KW(0));
    ROUND(1, KW(1));
    ROUND(2, KW(2));
    ROUND(3, KW(3));
    ROUND(4, KW(4));
    ROUND(5, KW(5));
    ROUND(6, KW(6));
    ROUND(7, KW(7));
    ROUND(8, SET1(sha256_k[8] + 0x80000000u));
    ROUND(9, SET1(sha256_k[9]));
    ROUND(10, SET1(sha256_k[10]));
    ROUND(11, SET1(sha256_k[11]));
    ROUND(12, SET1(sha256_k[12]));
    ROUND(13, SET1(sha256_k[13]));
    ROUND(14, SET1(sha256_k[14]));
    ROUND(15, SET1(sha256_k[15] + 256u));

    W(16) = ADD(SIG0(W(1)), W(0));
    W(17) = ADD(ADD(SIG0(W(2)), W(1)), SET1(sigma1_32(256)));
    W(18) = ADD(SIG1(W(16)), ADD(SIG0(W(3)), W(2)));
    W(19) = ADD(SIG1(W(17)), ADD(SIG0(W(4)), W(3)));
    W(20) = ADD(SIG1(W(18)), ADD(SIG0(W(5)), W(4)));
    W(21) = ADD(SIG1(W(19)), ADD(SIG0(W(6)), W(5)));
    W(22) = ADD(ADD(SIG1(W(20)), SET1(256)), ADD(SIG0(W(7)), W(6)));
    W(23) = ADD(ADD(SIG1(W(21)), W(16)), ADD(SET1(sigma0_32(0x80000000u)), W(7)));
    W(24) = ADD(ADD(SIG1(W(22)), W(17)), SET1(0x80000000u));
    W(25) = ADD(SIG1(W(23)), W(18));
    W(26) = ADD(SIG1(W(24)), W(19));
    W(27) = ADD(SIG1(W(25)), W(20));
    W(28) = ADD(SIG1(W(26)), W(21));
    W(29) = ADD(SIG1(W(27)), W(22));
    W(30) = ADD(ADD(SIG1(W(28)), W(23)), SET1(sigma0_32(256)));
    W(31) = ADD(ADD(SIG1(W(29)), W(24)), ADD(SIG0(W(16)), SET1(256)));
    ROUND(16, KW(16));
    ROUND(17, KW(17));
    ROUND(18, KW(18));
    ROUND(19, KW(19));
    ROUND(20, KW(20));
    ROUND(21, KW(21));
    ROUND(22, KW(22));
    ROUND(23, KW(23));
    ROUND(24, KW(24));
    ROUND(25, KW(25));
    ROUND(26, KW(26));
    ROUND(27, KW(27));
    ROUND(28, KW(28));
    ROUND(29, KW(29));
    ROUND(30, KW(30));
    ROUND(31, KW(31));
    STEP8(32);
    STEP8(40);
    STEP8(48);
    STEP(56);
    EXPAND(57);
    ROUND_E(57, KW(57));
    EXPAND(58);
    ROUND_E(58, KW(58));
    EXPAND(59);
    ROUND_E(59, KW(59));
    EXPAND(60);
    ROUND_E(60, KW(60));
    return ADD(VAR(61, 4), SET1(sha256_iv[7]));
}

TARGET uint64_t SCAN(const pow_job *job, uint32_t start, uint64_t count)
{
    VEC reject = SET1(job->reject);

    for (uint64_t done = 0; done < count; done += LANES) {
        VEC last = LAST_WORD(job, NONCES((uint32_t)(start + done)));
        unsigned hits = ZERO_LANES(AND(last, reject));
        if (hits != 0)
            return done + LOWEST_BIT(hits);
    }
    return POW_NONE;
}

#undef SUM0
#undef SUM1
#undef SIG0
#undef SIG1
#undef VAR
#undef PART
#undef ROUND
#undef ROUND_E
#undef W
#undef KW
#undef EXPAND
#undef STEP
#undef STEP4
#undef STEP8
#undef LANES
#undef SHORT
#undef VEC
#undef SCAN
#undef LAST_WORD
#undef TARGET
#undef SET1
#undef ADD
#undef XOR
#undef XOR3
#undef AND
#undef SHR
#undef ROTR
#undef CH
#undef MAJ
#undef NONCES
#undef ZERO_LANES
#undef LOWEST_BIT
