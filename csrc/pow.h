/* What the files of the C core share: the prepared search, the kernel's shape, small byte helpers. */
#ifndef VOTENET_POW_H
#define VOTENET_POW_H

#include <stddef.h>
#include <stdint.h>

#include "pow_cdef.h"

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define POW_X86 1
#else
#define POW_X86 0
#endif

/* Clang's arm_neon.h knows the SHA-2 intrinsics only where the whole file may use them. */
#if defined(__aarch64__) && (defined(__ARM_FEATURE_SHA2) || (defined(__GNUC__) && !defined(__clang__)))
#define POW_ARMV8 1
#else
#define POW_ARMV8 0
#endif

/* Processors on which every program may use 128-bit vectors. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))
#define POW_VECTOR128 1
#else
#define POW_VECTOR128 0
#endif

enum { POW_HEADER_SIZE = 80, POW_HASH_SIZE = 32, POW_NONCE_AT = 76 };

/* No nonce of the scanned range is a candidate. */
#define POW_NONE UINT64_MAX

/* What is computed of a header and a target before the search: it does not depend on the nonce. */
typedef struct {
    uint32_t midstate[8]; /* state after the header's first 64 bytes */
    uint32_t state3[8];   /* midstate after rounds 0, 1, 2 of the second block */
    uint32_t round3_a;    /* round 3 only adds the nonce: new a = round3_a + nonce, */
    uint32_t round3_e;    /*                              new e = round3_e + nonce */
    uint32_t w16, w17;    /* schedule words without the nonce */
    uint32_t w18, w19;    /* W18 = w18 + sigma0(nonce), W19 = w19 + nonce; both nonces byte-swapped */
    uint32_t reject;      /* a hash whose last word has any of these bits misses the target */
} pow_job;

/* Offset of the first candidate at or after `start`, or POW_NONE. A candidate is a nonce whose hash
 * passes job->reject: every solution is one, not every one is a solution. The scan works in whole
 * blocks of lanes, so the answer may lie a few nonces past `count` (the nonce wraps at 2^32). */
typedef uint64_t pow_scan_fn(const pow_job *job, uint32_t start, uint64_t count);

typedef void sha256_compress_fn(uint32_t state[8], const uint8_t *data, size_t blocks);

typedef struct {
    const char *name;
    uint32_t features; /* POW_FEATURE_ bits, all needed */
    unsigned lanes;    /* nonces in one step of scan */
    pow_scan_fn *scan;
    sha256_compress_fn *compress;
} pow_kernel;

enum {
    POW_FEATURE_SHANI = 1,
    POW_FEATURE_AVX = 2,
    POW_FEATURE_AVX2 = 4,
    POW_FEATURE_AVX512 = 8,
    POW_FEATURE_ARMV8 = 16,
};

uint32_t pow_cpu_features(void);
int pow_kernel_passes(const pow_kernel *kernel);

/* dispatch.c: the kernel of that number, or NULL; its state as votenet_pow_kernel_state tells it; the kernel
 * if its state is 1, else NULL. */
const pow_kernel *pow_kernel_at(int kernel);
int pow_kernel_state(int kernel);
const pow_kernel *pow_ready_kernel(int kernel);

/* SHA-256 by the processor's own instructions, or NULL. */
sha256_compress_fn *pow_compress_by_instruction(void);

void pow_prepare(pow_job *job, const uint8_t *header, const uint8_t *target);
void pow_hash_header(const uint32_t midstate[8], const uint8_t *tail, uint32_t nonce, uint8_t *hash);
int pow_meets(const uint8_t *hash, const uint8_t *target);
int pow_search_with(const pow_kernel *kernel, const uint8_t *header, const uint8_t *target,
                    uint32_t start, uint64_t count, uint32_t *nonce);
size_t pow_verify_with(const pow_kernel *kernel, const uint8_t *headers, size_t count,
                       const uint8_t *first_prev, uint8_t *hashes, int *fault);

sha256_compress_fn sha256_compress_generic;
pow_scan_fn pow_scan_generic;
#if POW_VECTOR128
pow_scan_fn pow_scan_vector128;
#endif
#if POW_ARMV8
sha256_compress_fn sha256_compress_armv8;
pow_scan_fn pow_scan_armv8;
#endif
#if POW_X86
sha256_compress_fn sha256_compress_shani;
pow_scan_fn pow_scan_shani, pow_scan_shani_sse, pow_scan_avx2, pow_scan_avx512;
#endif

static inline uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t load_le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline void store_be32(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

static inline uint32_t swap32(uint32_t x)
{
    return x >> 24 | (x >> 8 & 0xff00u) | (x << 8 & 0xff0000u) | x << 24;
}

static inline uint32_t rotr32(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* sigma0 and sigma1 of FIPS 180-4 section 4.1.2, as the message schedule uses them. */
static inline uint32_t sigma0_32(uint32_t x)
{
    return rotr32(x, 7) ^ rotr32(x, 18) ^ x >> 3;
}

static inline uint32_t sigma1_32(uint32_t x)
{
    return rotr32(x, 17) ^ rotr32(x, 19) ^ x >> 10;
}

#endif
