/* SHA-256 (FIPS 180-4) in plain C: the compression function, and the scan with one lane.
 *
 * The other kernels must agree with this one and with Python's hashlib. Every compiler for every processor can
 * build it.
 */
#include <string.h>

#include "pow.h"
#include "sha256_constants.h"

void sha256_compress_generic(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    for (; blocks > 0; blocks--, data += 64) {
        uint32_t w[64], s[8];

        for (int t = 0; t < 16; t++)
            w[t] = load_be32(data + 4 * t);
        for (int t = 16; t < 64; t++)
            w[t] = sigma1_32(w[t - 2]) + w[t - 7] + sigma0_32(w[t - 15]) + w[t - 16];

        memcpy(s, state, sizeof(s));
        for (int t = 0; t < 64; t++) {
            uint32_t a = s[0], e = s[4];
            uint32_t t1 = s[7] + (rotr32(e, 6) ^ rotr32(e, 11) ^ rotr32(e, 25)) +
                          (s[6] ^ (e & (s[5] ^ s[6]))) + sha256_k[t] + w[t];
            uint32_t t2 = (rotr32(a, 2) ^ rotr32(a, 13) ^ rotr32(a, 22)) +
                          ((a & s[1]) | (s[2] & (a | s[1])));
            s[7] = s[6];
            s[6] = s[5];
            s[5] = e;
            s[4] = s[3] + t1;
            s[3] = s[2];
            s[2] = s[1];
            s[1] = a;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            state[i] += s[i];
    }
}

#define LANES 1
#define VEC uint32_t
#define SCAN pow_scan_generic
#define LAST_WORD last_word_generic
#define TARGET
#define SET1(x) (x)
#define ADD(a, b) ((a) + (b))
#define XOR(a, b) ((a) ^ (b))
#define AND(a, b) ((a) & (b))
#define SHR(x, n) ((x) >> (n))
#define ROTR(x, n) rotr32(x, n)
#define CH(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#define MAJ(a, b, c) ((b) ^ (((a) ^ (b)) & ((b) ^ (c)))) /* a ^ b is the next round's b ^ c */
/* Three rotations in a row instead of three copies rotated: fewer moves on two-operand machines. */
#define SUM0(x) ROTR((x) ^ ROTR((x) ^ ROTR(x, 9), 11), 2)
#define SUM1(x) ROTR((x) ^ ROTR((x) ^ ROTR(x, 14), 5), 6)
#define SIG0(x) (ROTR((x) ^ ROTR(x, 11), 7) ^ (x) >> 3)
#define SIG1(x) (ROTR((x) ^ ROTR(x, 2), 17) ^ (x) >> 10)
#define NONCES(n) swap32(n)
#define ZERO_LANES(v) ((v) == 0)
#define LOWEST_BIT(m) ((m) - 1)
#include "sha256_lanes_template.h"
