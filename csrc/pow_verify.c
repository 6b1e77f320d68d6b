/* Headers of peers: their links, targets and work, many in one call.
 *
 * A header costs three compressions and little else, since bytes are copied from Python and back once a batch.
 * Times, and which target a block must have, are rules of the chain.
 */
#include <string.h>

#include "pow.h"
#include "sha256_constants.h"

enum { FAULT_NONE, FAULT_LINK, FAULT_BITS, FAULT_WORK };

/* Bitcoin's compact form: one byte of length, then 23 bits of mantissa and a sign that must be clear.
 * Returns 0 for a target that is negative, zero or too large for 32 bytes. */
static int expand_bits(uint32_t bits, uint8_t target[POW_HASH_SIZE])
{
    uint32_t length = bits >> 24, mantissa = bits & 0x007fffff;
    int nonzero = 0;

    if ((bits & 0x00800000) != 0)
        return 0;
    memset(target, 0, POW_HASH_SIZE);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t byte = (uint8_t)(mantissa >> 8 * i);
        if (byte == 0 || length + i < 3) /* below the first byte: shifted out */
            continue;
        if (length + i - 3 >= POW_HASH_SIZE)
            return 0;
        target[length + i - 3] = byte;
        nonzero = 1;
    }
    return nonzero;
}

static void hash_header(const pow_kernel *kernel, const uint8_t *header, uint8_t *hash)
{
    uint8_t blocks[128] = {0};
    uint32_t state[8];

    memcpy(blocks, header, POW_HEADER_SIZE);
    blocks[POW_HEADER_SIZE] = 0x80;
    store_be32(blocks + 124, 8 * POW_HEADER_SIZE);
    memcpy(state, sha256_iv, sizeof(state));
    kernel->compress(state, blocks, 2);

    memset(blocks, 0, 64);
    for (int i = 0; i < 8; i++)
        store_be32(blocks + 4 * i, state[i]);
    blocks[POW_HASH_SIZE] = 0x80;
    store_be32(blocks + 60, 8 * POW_HASH_SIZE);
    memcpy(state, sha256_iv, sizeof(state));
    kernel->compress(state, blocks, 1);
    for (int i = 0; i < 8; i++)
        store_be32(hash + 4 * i, state[i]);
}

size_t pow_verify_with(const pow_kernel *kernel, const uint8_t *headers, size_t count,
                       const uint8_t *first_prev, uint8_t *hashes, int *fault)
{
    uint8_t hash[POW_HASH_SIZE], target[POW_HASH_SIZE];
    const uint8_t *prev = first_prev;

    *fault = FAULT_NONE;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *header = headers + i * POW_HEADER_SIZE;
        if (prev != NULL && memcmp(header + 4, prev, POW_HASH_SIZE) != 0)
            *fault = FAULT_LINK;
        else if (!expand_bits(load_le32(header + 72), target))
            *fault = FAULT_BITS;
        if (*fault != FAULT_NONE)
            return i;
        hash_header(kernel, header, hash);
        if (!pow_meets(hash, target)) {
            *fault = FAULT_WORK;
            return i;
        }
        if (hashes != NULL)
            memcpy(hashes + i * POW_HASH_SIZE, hash, POW_HASH_SIZE);
        prev = hash;
    }
    return count;
}
