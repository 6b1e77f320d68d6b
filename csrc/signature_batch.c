/* Many signatures in one call, by somebody else's verifier.
 *
 * Called one by one from Python, a verifier gives the interpreter's lock back and takes it again for every
 * signature, and a thread that does so waits for the others half of its time. Here is only the loop. What
 * must not live here: cryptography. libsodium decides, through the function that the caller hands in.
 */
#include <string.h>

#include <stddef.h>
#include <stdint.h>

#include "signature_cdef.h"

enum { KEY_SIZE = 32, SIGNATURE_SIZE = 64 };

long long votenet_verify_signatures(votenet_sign_open *open, const uint8_t *keys,
                                    const uint8_t *signed_messages, const uint64_t *ends, size_t count,
                                    uint8_t *scratch, uint8_t *good)
{
    long long holds = 0;
    uint64_t begin = 0;

    if (count == 0)
        return 0;
    if (open == NULL || keys == NULL || signed_messages == NULL || ends == NULL || scratch == NULL ||
        good == NULL)
        return -1;
    memset(good, 0, count);
    for (size_t i = 0; i < count; begin = ends[i++])
        if (ends[i] < begin || ends[i] - begin < SIGNATURE_SIZE)
            return -1;

    begin = 0;
    for (size_t i = 0; i < count; begin = ends[i++]) {
        unsigned long long size = 0;
        good[i] = open(scratch, &size, signed_messages + begin, ends[i] - begin, keys + i * KEY_SIZE) == 0;
        holds += good[i];
    }
    return holds;
}
