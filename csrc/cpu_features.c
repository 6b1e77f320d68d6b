/* The instruction sets that this processor has and this operating system allows.
 *
 * CPUID tells what the chip has, XCR0 which registers the system saves when it switches threads. Without the
 * second a kernel would work until its registers change under it.
 */
#include "pow.h"

#if POW_X86
#include <cpuid.h>

/* Bits of XCR0, Intel SDM volume 1, section 13.3: SSE and AVX state; opmask and both ZMM halves. */
enum { XCR0_AVX = 0x06, XCR0_AVX512 = 0xe6 };

static uint32_t read_xcr0(void)
{
    uint32_t low, high;

    /* volatile: must not move above the check for OSXSAVE, without which it is an illegal instruction */
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

uint32_t pow_cpu_features(void)
{
    uint32_t a, b, c, d, leaf1_c, features = 0, xcr0 = 0;

    if (!__get_cpuid(1, &a, &b, &leaf1_c, &d))
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if (leaf1_c & bit_OSXSAVE)
        xcr0 = read_xcr0();

    if ((b & bit_SHA) && (leaf1_c & bit_SSE4_1) && (leaf1_c & bit_SSSE3))
        features |= POW_FEATURE_SHANI;
    if ((leaf1_c & bit_AVX) && (xcr0 & XCR0_AVX) == XCR0_AVX)
        features |= POW_FEATURE_AVX;
    if ((b & bit_AVX2) && (xcr0 & XCR0_AVX) == XCR0_AVX)
        features |= POW_FEATURE_AVX2;
    if ((b & bit_AVX512F) && (b & bit_AVX512BW) && (xcr0 & XCR0_AVX512) == XCR0_AVX512)
        features |= POW_FEATURE_AVX512;
    return features;
}

#elif POW_ARMV8 && defined(__linux__)
#include <sys/auxv.h>

enum { ARM64_HWCAP_SHA2 = 1 << 6 }; /* Linux, arch/arm64/include/uapi/asm/hwcap.h */

uint32_t pow_cpu_features(void)
{
    return getauxval(AT_HWCAP) & ARM64_HWCAP_SHA2 ? POW_FEATURE_ARMV8 : 0;
}

#elif POW_ARMV8 && defined(__ARM_FEATURE_SHA2)

uint32_t pow_cpu_features(void) /* the compiler was told that every processor it builds for has it */
{
    return POW_FEATURE_ARMV8;
}

#else

uint32_t pow_cpu_features(void)
{
    return 0;
}

#endif
