/* The table of kernels, in order of preference, and which of them can be used here.
 *
 * Nothing here reads the environment: the caller forces a kernel by its number.
 */
#include <stdatomic.h>

#include "pow.h"

static const pow_kernel kernels[] = {
#if POW_X86
    {"sha-ni", POW_FEATURE_SHANI | POW_FEATURE_AVX, 3, pow_scan_shani, sha256_compress_shani},
    {"sha-ni-sse", POW_FEATURE_SHANI, 3, pow_scan_shani_sse, sha256_compress_shani},
    {"avx512", POW_FEATURE_AVX512, 16, pow_scan_avx512, sha256_compress_generic},
    {"avx2", POW_FEATURE_AVX2, 8, pow_scan_avx2, sha256_compress_generic},
#endif
#if POW_ARMV8
    {"armv8", POW_FEATURE_ARMV8, 3, pow_scan_armv8, sha256_compress_armv8},
#endif
#if POW_VECTOR128
    {POW_X86 ? "sse2" : "neon", 0, 4, pow_scan_vector128, sha256_compress_generic},
#endif
    {"generic", 0, 1, pow_scan_generic, sha256_compress_generic},
};

enum { KERNELS = sizeof(kernels) / sizeof(kernels[0]), NOT_HERE = 2 };

const pow_kernel *pow_kernel_at(int kernel)
{
    return kernel >= 0 && kernel < KERNELS ? &kernels[kernel] : NULL;
}

int pow_kernel_state(int kernel)
{
    /* Tested on first use; two threads that both do so come to the same answer. */
    static atomic_int states[KERNELS];
    const pow_kernel *k = pow_kernel_at(kernel);
    int state;

    if (k == NULL)
        return 0;
    state = atomic_load(&states[kernel]);
    if (state == 0) {
        if ((pow_cpu_features() & k->features) != k->features)
            state = NOT_HERE;
        else
            state = pow_kernel_passes(k) ? 1 : -1;
        atomic_store(&states[kernel], state);
    }
    return state == NOT_HERE ? 0 : state;
}

const pow_kernel *pow_ready_kernel(int kernel)
{
    return pow_kernel_state(kernel) == 1 ? &kernels[kernel] : NULL;
}

sha256_compress_fn *pow_compress_by_instruction(void)
{
    for (int i = 0; i < KERNELS; i++)
        if (kernels[i].compress != sha256_compress_generic && pow_kernel_state(i) == 1)
            return kernels[i].compress;
    return NULL;
}
