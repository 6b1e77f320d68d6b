/* The nonce search around the kernels: what is computed once, the bounded loop, the final check.
 *
 * A kernel only finds candidates, by one word of the hash. Each candidate is hashed again here by the generic
 * code and compared in full. So a wrong kernel can miss a solution, which its self-test looks for, but never
 * invent one.
 *
 * An 80-byte header is two SHA-256 blocks. The first 64 bytes never change during a search: their
 * state is the midstate. Of the second block only word 3, the nonce, changes; words 4 to 15 are
 * padding: 0x80000000, zeros, and the length of 640 bits.
 */
#include <string.h>

#include "pow.h"
#include "sha256_constants.h"

#define S0(x) (rotr32(x, 2) ^ rotr32(x, 13) ^ rotr32(x, 22))
#define S1(x) (rotr32(x, 6) ^ rotr32(x, 11) ^ rotr32(x, 25))

/* The bits that must be zero in the last word of the hash as SHA-256 leaves it. The hash is compared
 * as a little-endian integer, so its top 32 bits are the last word, byte-swapped; a hash that is not
 * above the target has zeros wherever the target has leading zeros. */
static uint32_t reject_bits(const uint8_t *target)
{
    uint32_t top = load_le32(target + 28), kept = top;

    for (unsigned shift = 1; shift < 32; shift *= 2)
        kept |= kept >> shift;
    return swap32(~kept);
}

void pow_prepare(pow_job *job, const uint8_t *header, const uint8_t *target)
{
    uint32_t w[3], s[8], t1;

    memcpy(job->midstate, sha256_iv, sizeof(job->midstate));
    sha256_compress_generic(job->midstate, header, 1);
    for (int i = 0; i < 3; i++)
        w[i] = load_be32(header + 64 + 4 * i);

    memcpy(s, job->midstate, sizeof(s));
    for (int r = 0;; r++) {
        t1 = s[7] + S1(s[4]) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha256_k[r];
        if (r == 3)
            break;
        t1 += w[r];
        uint32_t t2 = S0(s[0]) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    memcpy(job->state3, s, sizeof(job->state3));
    /* Round 3 takes the nonce in by addition only. */
    job->round3_e = s[3] + t1;
    job->round3_a = t1 + S0(s[0]) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

    /* W[t] = sigma1(W[t-2]) + W[t-7] + sigma0(W[t-15]) + W[t-16], with W5 to W14 zero. */
    job->w16 = sigma0_32(w[1]) + w[0];
    job->w17 = sigma1_32(640u) + sigma0_32(w[2]) + w[1];
    job->w18 = sigma1_32(job->w16) + w[2];
    job->w19 = sigma1_32(job->w17) + sigma0_32(0x80000000u);
    job->reject = reject_bits(target);
}

void pow_hash_header(const uint32_t midstate[8], const uint8_t *tail, uint32_t nonce, uint8_t *hash)
{
    uint8_t block[64] = {0};
    uint32_t state[8];

    memcpy(block, tail, 12);
    store_be32(block + 12, swap32(nonce));
    block[16] = 0x80;
    store_be32(block + 60, 640);
    memcpy(state, midstate, sizeof(state));
    sha256_compress_generic(state, block, 1);

    memset(block, 0, sizeof(block));
    for (int i = 0; i < 8; i++)
        store_be32(block + 4 * i, state[i]);
    block[32] = 0x80;
    store_be32(block + 60, 256);
    memcpy(state, sha256_iv, sizeof(state));
    sha256_compress_generic(state, block, 1);
    for (int i = 0; i < 8; i++)
        store_be32(hash + 4 * i, state[i]);
}

/* hash <= target, both little-endian integers. */
int pow_meets(const uint8_t *hash, const uint8_t *target)
{
    for (int i = POW_HASH_SIZE - 1; i >= 0; i--)
        if (hash[i] != target[i])
            return hash[i] < target[i];
    return 1;
}

int pow_search_with(const pow_kernel *kernel, const uint8_t *header, const uint8_t *target,
                    uint32_t start, uint64_t count, uint32_t *nonce)
{
    pow_job job;
    uint8_t hash[POW_HASH_SIZE];
    uint64_t done = 0;

    pow_prepare(&job, header, target);
    while (done < count) {
        uint64_t found = kernel->scan(&job, (uint32_t)(start + done), count - done);
        if (found >= count - done)
            return 0;
        uint32_t candidate = (uint32_t)(start + done + found);
        pow_hash_header(job.midstate, header + 64, candidate, hash);
        if (pow_meets(hash, target)) {
            *nonce = candidate;
            return 1;
        }
        done += found + 1;
    }
    return 0;
}
