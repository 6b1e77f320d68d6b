/* The test that a kernel passes before it is used: known answers, and agreement with the generic code. */
#include <string.h>

#include "pow.h"
#include "sha256_constants.h"

/* The header of Bitcoin's first block, less its nonce, and the nonce that solves it. */
static const uint8_t genesis[POW_NONCE_AT] = {
    0x01, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0x3b, 0xa3, 0xed, 0xfd, 0x7a, 0x7b, 0x12, 0xb2, 0x7a, 0xc7, 0x2c, 0x3e,
    0x67, 0x76, 0x8f, 0x61, 0x7f, 0xc8, 0x1b, 0xc3, 0x88, 0x8a, 0x51, 0x32, 0x3a, 0x9f, 0xb8, 0xaa,
    0x4b, 0x1e, 0x5e, 0x4a, 0x29, 0xab, 0x5f, 0x49, 0xff, 0xff, 0x00, 0x1d,
};
static const uint32_t genesis_nonce = 2083236893u;

/* FIPS 180-4's "abc", then agreement with the generic function over blocks that are not aligned. */
static int compress_passes(const pow_kernel *kernel)
{
    static const uint32_t abc[8] = {
        0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad,
    };
    uint8_t data[64 * 3 + 1] = {'a', 'b', 'c', 0x80};
    uint32_t state[8], expected[8];

    data[63] = 24;
    memcpy(state, sha256_iv, sizeof(state));
    kernel->compress(state, data, 1);
    if (memcmp(state, abc, sizeof(abc)) != 0)
        return 0;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 151 + 7);
    memcpy(expected, abc, sizeof(abc));
    sha256_compress_generic(expected, data + 1, 3);
    kernel->compress(state, data + 1, 3);
    return memcmp(state, expected, sizeof(expected)) == 0;
}

/* A known solution must be found in every lane and not before its place; and with an easy target the
 * kernel must agree with the generic scan about every candidate over some hundred nonces. */
static int scan_passes(const pow_kernel *kernel)
{
    uint8_t header[POW_HEADER_SIZE + 1] = {0}, target[POW_HASH_SIZE] = {0};
    pow_job job;
    uint32_t nonce = 0;

    memcpy(header + 1, genesis, sizeof(genesis));
    memset(target, 0xff, 28);
    for (uint32_t before = 0; before <= kernel->lanes; before++) {
        uint32_t start = genesis_nonce - before;
        if (pow_search_with(kernel, header + 1, target, start, before + 1, &nonce) != 1 ||
            nonce != genesis_nonce)
            return 0;
        if (pow_search_with(kernel, header + 1, target, start, before, &nonce) != 0)
            return 0;
    }

    target[31] = 0x07;
    memset(target + 28, 0xff, 3);
    pow_prepare(&job, header + 1, target);
    for (uint64_t at = 0; at < 400; at++) {
        uint32_t start = (uint32_t)(0xffffff00u + at); /* runs over the end of the nonces */
        uint64_t found = kernel->scan(&job, start, 400 - at);
        uint64_t expected = pow_scan_generic(&job, start, 400 - at);
        if (found != expected && (found < 400 - at || expected < 400 - at))
            return 0;
        if (expected >= 400 - at)
            break;
        at += expected;
    }
    return 1;
}

int pow_kernel_passes(const pow_kernel *kernel)
{
    return compress_passes(kernel) && scan_passes(kernel);
}
