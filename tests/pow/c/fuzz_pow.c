/* libFuzzer target over the C entry points that bytes from strangers reach.
 *
 * Theorem: whatever the bytes, all kernels give one answer, a nonce that is found meets the target and lies
 * in the range, and no memory outside the input is touched.
 */
#include <stdlib.h>
#include <string.h>

#include "pow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_search(const uint8_t *data)
{
    const uint8_t *header = data, *target = data + 80, *numbers = data + 112;
    uint32_t start = load_le32(numbers), count = numbers[4], first_nonce = 0;
    uint64_t most = ((uint64_t)1 << 32) - start;
    int first = -2;

    if (numbers[5] & 1) /* past the last nonce: refused */
        if (votenet_pow_search(0, header, target, start, most + 1 + count, &first_nonce) != -1)
            abort();
    if (count > most)
        count = (uint32_t)most;
    for (int kernel = 0; kernel < votenet_pow_kernel_count(); kernel++) {
        uint32_t nonce = 0;
        int found = votenet_pow_search(kernel, header, target, start, count, &nonce);
        if (votenet_pow_kernel_state(kernel) != 1) {
            if (found != -1)
                abort();
            continue;
        }
        if (found == 1 && nonce - start >= count)
            abort();
        if (first == -2) {
            first = found;
            first_nonce = nonce;
        }
        if (found != first || nonce != first_nonce)
            abort();
    }
}

static void fuzz_headers(const uint8_t *data, size_t size)
{
    size_t count = size / POW_HEADER_SIZE, first = 0;
    uint8_t *headers = malloc(count * POW_HEADER_SIZE + 1), *hashes = malloc(count * POW_HASH_SIZE + 1);
    int first_fault = -2;

    if (headers == NULL || hashes == NULL)
        abort();
    memcpy(headers, data, count * POW_HEADER_SIZE);
    for (int kernel = 0; kernel < votenet_pow_kernel_count(); kernel++) {
        int fault = -2;
        size_t good = votenet_pow_verify_headers(kernel, headers, count, NULL, hashes, &fault);
        if (votenet_pow_kernel_state(kernel) != 1)
            continue;
        if (good > count || fault < 0 || (fault == 0) != (good == count))
            abort();
        if (first_fault == -2) {
            first = good;
            first_fault = fault;
        }
        if (good != first || fault != first_fault)
            abort();
    }
    free(headers);
    free(hashes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 118)
        fuzz_search(data);
    else
        fuzz_headers(data, size);
    return 0;
}
