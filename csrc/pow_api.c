/* The functions that Python calls (pow_cdef.h): arguments are checked here, the work is done elsewhere. */
#include "pow.h"

int votenet_pow_kernel_count(void)
{
    int count = 0;

    while (pow_kernel_at(count) != NULL)
        count++;
    return count;
}

const char *votenet_pow_kernel_name(int kernel)
{
    const pow_kernel *found = pow_kernel_at(kernel);

    return found == NULL ? NULL : found->name;
}

int votenet_pow_kernel_state(int kernel)
{
    return pow_kernel_state(kernel);
}

int votenet_pow_search(int kernel, const uint8_t *header, const uint8_t *target, uint32_t start,
                       uint64_t count, uint32_t *nonce)
{
    const pow_kernel *chosen = pow_ready_kernel(kernel);

    if (chosen == NULL || header == NULL || target == NULL || nonce == NULL)
        return -1;
    if (count > ((uint64_t)1 << 32) - start)
        return -1;
    return pow_search_with(chosen, header, target, start, count, nonce);
}

int votenet_pow_compress(int kernel, uint32_t *state, const uint8_t *data, size_t blocks)
{
    const pow_kernel *chosen = pow_ready_kernel(kernel);

    if (chosen == NULL || state == NULL || (data == NULL && blocks > 0))
        return -1;
    chosen->compress(state, data, blocks);
    return 0;
}

size_t votenet_pow_verify_headers(int kernel, const uint8_t *headers, size_t count,
                                  const uint8_t *first_prev, uint8_t *hashes, int *fault)
{
    const pow_kernel *chosen = pow_ready_kernel(kernel);

    if (fault == NULL)
        return 0;
    *fault = -1;
    if (chosen == NULL || (headers == NULL && count > 0))
        return 0;
    return pow_verify_with(chosen, headers, count, first_prev, hashes, fault);
}
