/* The AVX-512 kernel on machines without AVX-512: its source, with every instruction written out in C.
 *
 * What this proves: the kernel's own logic, its truth tables, shuffles and lane order. What it cannot: that
 * a processor does what its manual says; check_kernels does that where there is one. Needs x86-64 with
 * AVX2, since the same source file holds that kernel too.
 */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pow.h"

typedef struct {
    uint32_t lane[16];
} vector;

#define EACH_LANE for (int i = 0; i < 16; i++)

static vector set1(int x)
{
    vector r;
    EACH_LANE r.lane[i] = (uint32_t)x;
    return r;
}

static vector set16(int p, int o, int n, int m, int l, int k, int j, int i_, int h, int g, int f, int e, int d,
                    int c, int b, int a)
{
    const int from[16] = {a, b, c, d, e, f, g, h, i_, j, k, l, m, n, o, p};
    vector r;
    EACH_LANE r.lane[i] = (uint32_t)from[i];
    return r;
}

static vector add(vector a, vector b)
{
    EACH_LANE a.lane[i] += b.lane[i];
    return a;
}

static vector and(vector a, vector b)
{
    EACH_LANE a.lane[i] &= b.lane[i];
    return a;
}

static vector shift_right(vector a, int n)
{
    EACH_LANE a.lane[i] >>= n;
    return a;
}

static vector rotate_right(vector a, int n)
{
    EACH_LANE a.lane[i] = rotr32(a.lane[i], (unsigned)n);
    return a;
}

/* Intel SDM, VPTERNLOGD: bit 4a + 2b + c of the table, for each bit. */
static vector ternary(vector a, vector b, vector c, int table)
{
    vector r = {{0}};
    EACH_LANE for (int bit = 0; bit < 32; bit++)
    {
        unsigned at = (a.lane[i] >> bit & 1) << 2 | (b.lane[i] >> bit & 1) << 1 | (c.lane[i] >> bit & 1);
        r.lane[i] |= ((unsigned)table >> at & 1) << bit;
    }
    return r;
}

static unsigned zero_mask(vector a, vector b)
{
    unsigned mask = 0;
    EACH_LANE mask |= (unsigned)((a.lane[i] & b.lane[i]) == 0) << i;
    return mask;
}

static vector repeat4(__m128i four)
{
    uint32_t from[4];
    vector r;
    memcpy(from, &four, sizeof(from));
    EACH_LANE r.lane[i] = from[i % 4];
    return r;
}

/* Intel SDM, VPSHUFB: within each 16 bytes; these indexes never have the zeroing bit. */
static vector shuffle_bytes(vector a, vector index)
{
    uint8_t from[64], which[64], to[64];
    vector r;
    memcpy(from, a.lane, 64);
    memcpy(which, index.lane, 64);
    for (int i = 0; i < 64; i++)
        to[i] = from[i / 16 * 16 + (which[i] & 15)];
    memcpy(r.lane, to, 64);
    return r;
}

#define target(isa) /* no function may use what this machine lacks */
#define __m512i vector
#define _mm512_set1_epi32 set1
#define _mm512_set_epi32 set16
#define _mm512_add_epi32 add
#define _mm512_and_si512 and
#define _mm512_srli_epi32 shift_right
#define _mm512_ror_epi32 rotate_right
#undef _mm512_ternarylogic_epi32
#define _mm512_ternarylogic_epi32 ternary
#define _mm512_testn_epi32_mask zero_mask
#define _mm512_broadcast_i32x4 repeat4
#define _mm512_shuffle_epi8 shuffle_bytes
#undef _mm512_srli_epi32
#undef _mm512_ror_epi32
#define _mm512_srli_epi32 shift_right
#define _mm512_ror_epi32 rotate_right
#include "../../../csrc/sha256_lanes_x86.c"

int main(void)
{
    enum { COUNT = 100 };
    uint8_t header[80], bound[32];
    pow_job job;
    int found = 0;

    memset(bound, 0xff, sizeof(bound));
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 80; i++)
            header[i] = (uint8_t)rand();
        bound[31] = (uint8_t)(round % 12);
        pow_prepare(&job, header, bound);
        uint32_t start = round % 2 ? (uint32_t)rand() : 0u - COUNT / 2;
        uint64_t expected = pow_scan_generic(&job, start, COUNT);
        uint64_t answer = pow_scan_avx512(&job, start, COUNT);
        if (answer != expected && (answer < COUNT || expected < COUNT)) {
            printf("avx512     disagrees in round %d\n", round);
            return 1;
        }
        found += answer < COUNT;
    }
    printf("avx512     agrees, written out in C (%d of 200 searches found something)\n", found);
    return found == 0 || found == 200;
}
