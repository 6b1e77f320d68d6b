/* The root of a Merkle tree (RFC 6962, section 2.1) over the thousands of votes of a block.
 *
 * By Python's hashlib a node of the tree costs four times as much as its two compressions do here. Without
 * SHA instructions hashlib is as fast, so there is none.
 */
#include <string.h>

#include "pow.h"
#include "votes_cdef.h"
#include "sha256_constants.h"

enum { NODE_SIZE = 32, MESSAGE_SIZE = 1 + 2 * NODE_SIZE };

/* SHA-256(0x01 || left || right) of a joined pair; `out` may be the pair's left half. */
static void hash_pair(sha256_compress_fn *compress, const uint8_t *pair, uint8_t *out)
{
    uint8_t blocks[128] = {0x01};
    uint32_t state[8];

    memcpy(blocks + 1, pair, 2 * NODE_SIZE);
    blocks[MESSAGE_SIZE] = 0x80;
    store_be32(blocks + 124, 8 * MESSAGE_SIZE);
    memcpy(state, sha256_iv, sizeof(state));
    compress(state, blocks, 2);
    for (int i = 0; i < 8; i++)
        store_be32(out + 4 * i, state[i]);
}

int votenet_merkle_root(uint8_t *nodes, size_t count)
{
    sha256_compress_fn *compress = pow_compress_by_instruction();

    if (compress == NULL || nodes == NULL || count == 0)
        return -1;
    /* Level by level, in place; an odd last node goes up as it is. */
    while (count > 1) {
        for (size_t i = 0; i < count / 2; i++)
            hash_pair(compress, nodes + 2 * i * NODE_SIZE, nodes + i * NODE_SIZE);
        if (count % 2)
            memmove(nodes + count / 2 * NODE_SIZE, nodes + (count - 1) * NODE_SIZE, NODE_SIZE);
        count = (count + 1) / 2;
    }
    return 0;
}
