/* The nonce search as Python sees it. cffi reads this file, and knows no preprocessor: no directive here.
 *
 * A kernel is named by its place in one ordered table; the first that works checks headers the fastest.
 * Which of them searches the fastest depends on the chip and is measured by the caller.
 */

/* How many kernels this build holds, whether or not this processor can run them. */
int votenet_pow_kernel_count(void);

/* The name of a kernel, or NULL when there is none of that number. */
const char *votenet_pow_kernel_name(int kernel);

/* 1: runs here and passed its self-test; 0: this processor or system lacks what it needs, or there
 * is no such kernel; -1: it failed its self-test and must not be used. */
int votenet_pow_kernel_state(int kernel);

/* Looks for the first nonce in [start, start + count) for which SHA-256(SHA-256(header)) <= target.
 *
 * header: 80 bytes, any alignment; its own nonce (bytes 76 to 79) is ignored.
 * target: 32 bytes, the little-endian 256-bit integer.
 * count: start + count must not exceed 2^32.
 * Returns 1 and stores the nonce, 0 if no nonce fits, -1 if the arguments or the kernel are wrong. */
int votenet_pow_search(int kernel, const uint8_t *header, const uint8_t *target, uint32_t start,
                       uint64_t count, uint32_t *nonce);

/* The bare SHA-256 compression function of FIPS 180-4, for known-answer tests: folds `blocks` times 64
 * bytes into state (8 words). Returns 0, or -1 if the kernel is not ready. */
int votenet_pow_compress(int kernel, uint32_t *state, const uint8_t *data, size_t blocks);

/* Checks `count` headers of 80 bytes that follow each other, in this order for each: that it names the
 * hash of the one before (the first: first_prev, unless that is NULL); that its bits are a target;
 * that its hash meets that target. Stops at the first that fails.
 *
 * hashes: room for 32 bytes for each header, or NULL; filled for the good ones.
 * Returns how many are good, and stores in *fault why the next is not: 0 none, 1 link, 2 bits, 3 work,
 * -1 if the arguments or the kernel are wrong. */
size_t votenet_pow_verify_headers(int kernel, const uint8_t *headers, size_t count,
                                  const uint8_t *first_prev, uint8_t *hashes, int *fault);
