/* How far the kernels are from what the processor could do: cycles of single instructions and of mixes,
 * then cycles a nonce of every kernel that is ready here.
 *
 * Cycles are of the core's own clock, measured beside each figure by a chain of dependent subtractions;
 * each figure is the tenth percentile of many short runs, in processor time, so that neighbours on the
 * machine matter little. Not part of the extension. Run it by: tests/pow/native_checks.sh limits
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../pow.h"

enum { RUNS = 201, PERCENTILE = RUNS / 10 };

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The clock is measured before and after; an interrupted measurement shows too little. */
static double faster(double before, double after)
{
    return before > after ? before : after;
}

#if POW_X86 && defined(__x86_64__)

static double hertz(void)
{
    uint64_t left = 1000000;
    double began = seconds();

    __asm__ volatile("1: dec %0\n\tdec %0\n\tdec %0\n\tdec %0\n\tjnz 1b" : "+r"(left));
    return 1e6 / (seconds() - began);
}

enum { LOOPS = 4000 };

/* `body` ten times in a loop; cycles for each time, divided by `parts`. */
#define MEASURE(title, parts, body)                                                                    \
    do {                                                                                               \
        double cycles[RUNS];                                                                           \
        for (int run = 0; run < RUNS; run++) {                                                         \
            double before = hertz(), began = seconds();                                                \
            for (int i = 0; i < LOOPS; i++)                                                            \
                __asm__ volatile(body body body body body body body body body body                     \
                                 :                                                                     \
                                 :                                                                     \
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",     \
                                   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",        \
                                   "xmm15");                                                           \
            double took = seconds() - began;                                                           \
            cycles[run] = took * faster(before, hertz()) / (10.0 * LOOPS * (parts));                   \
        }                                                                                              \
        qsort(cycles, RUNS, sizeof(cycles[0]), by_size);                                               \
        printf("%-58s %6.2f cycles\n", title, cycles[PERCENTILE]);                                      \
    } while (0)

#define RNDS2(x) "sha256rnds2 %%xmm15, %%xmm" x "\n\t"
#define MSG1(x) "sha256msg1 %%xmm15, %%xmm" x "\n\t"
#define MSG2(x) "sha256msg2 %%xmm15, %%xmm" x "\n\t"
#define FOUR(op) op("1") op("2") op("3") op("4")
/* Four rounds of one stream: what sha256_shani_template.h does, without its dependencies. */
#define ROUNDS(a, b)                                                                                   \
    "vpaddd %%xmm15, %%xmm14, %%xmm0\n\t" RNDS2(a) "vpshufd $14, %%xmm15, %%xmm13\n\t" RNDS2(b)
#define EXPAND(c)                                                                                      \
    "vpalignr $4, %%xmm15, %%xmm14, %%xmm13\n\t" MSG1(c) "vpaddd %%xmm15, %%xmm14, %%xmm13\n\t" MSG2(c)

static void instructions(void)
{
    if ((pow_cpu_features() & POW_FEATURE_SHANI) == 0)
        return;
    MEASURE("sha256rnds2, each needing the one before", 1, RNDS2("1"));
    MEASURE("sha256rnds2, independent", 8, FOUR(RNDS2) RNDS2("5") RNDS2("6") RNDS2("7") RNDS2("8"));
    MEASURE("sha256msg1, independent", 4, FOUR(MSG1));
    MEASURE("sha256msg2, independent", 4, FOUR(MSG2));
    MEASURE("four rounds without new words, independent", 4,
            ROUNDS("1", "5") ROUNDS("2", "6") ROUNDS("3", "7") ROUNDS("4", "8"));
    MEASURE("four rounds with four new words, independent", 4,
            ROUNDS("1", "5") EXPAND("9") ROUNDS("2", "6") EXPAND("10") ROUNDS("3", "7") EXPAND("11")
                ROUNDS("4", "8") EXPAND("12"));
}

#else

static double hertz(void)
{
    return 1e9; /* no clock to read: the figures below are nanoseconds */
}

static void instructions(void)
{
}

#endif

static void kernel_cycles(int kernel)
{
    uint8_t header[POW_HEADER_SIZE] = {0}, target[POW_HASH_SIZE] = {0};
    const pow_kernel *chosen = pow_ready_kernel(kernel);
    double cycles[RUNS];
    enum { COUNT = 4800 };

    if (chosen == NULL)
        return;
    for (int run = 0; run < RUNS; run++) {
        uint32_t nonce;
        double before = hertz(), began = seconds();
        pow_search_with(chosen, header, target, 0, COUNT, &nonce);
        double took = seconds() - began;
        cycles[run] = took * faster(before, hertz()) / COUNT;
    }
    qsort(cycles, RUNS, sizeof(cycles[0]), by_size);
    printf("kernel %-51s %6.1f cycles a nonce\n", chosen->name, cycles[PERCENTILE]);
}

int main(void)
{
    instructions();
    for (int kernel = 0; kernel < votenet_pow_kernel_count(); kernel++)
        kernel_cycles(kernel);
    return 0;
}
