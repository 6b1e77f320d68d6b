/* What the C core does for secret ballots, as Python sees it: declarations that cffi reads, without a directive. */

/* libsodium's crypto_core_ed25519_add, crypto_core_ed25519_is_valid_point, crypto_scalarmult_ed25519_noclamp and
 * crypto_scalarmult_ed25519_base_noclamp. Points and scalars are 32 bytes each, scalars in little-endian order. */
typedef int votenet_add_points(unsigned char *sum, const unsigned char *left, const unsigned char *right);
typedef int votenet_is_member(const unsigned char *point);
typedef int votenet_multiply(unsigned char *product, const unsigned char *scalar, const unsigned char *point);
typedef int votenet_multiply_base(unsigned char *product, const unsigned char *scalar);

typedef struct {
    votenet_add_points *add;
    votenet_is_member *is_member;
    votenet_multiply *multiply;
    votenet_multiply_base *multiply_base;
} votenet_group;

/* Computes base * exponent + other * other_exponent, `count` times.
 *
 * terms: 128 bytes each: base, exponent, other, other_exponent. Exponents are below the group's order. A point is
 * a member of the group, or its identity as libsodium writes it.
 * results: room for 32 bytes each.
 * good: `count` bytes, set to 1, or to 0 where a point is neither; its result is 32 zeros then.
 * Returns how many are good, or -1 if an argument is missing or an exponent is too large; none is good then. */
long long votenet_combine(const votenet_group *group, const uint8_t *terms, size_t count, uint8_t *results,
                          uint8_t *good);

/* Adds points in pairs.
 *
 * points: `given` points of 32 bytes each, then room for `count` sums.
 * pairs: two places for each sum: of given points, from 0 on, or of sums before it, from `given` on.
 * good: `count` bytes, set to 1, or to 0 where a point is not on the curve or was such a sum; the sum is 32 zeros
 * then. Membership is not checked.
 * Returns how many are good, or -1 if an argument is missing or a place is too large; none is good then. */
long long votenet_add_pairs(const votenet_group *group, uint8_t *points, size_t given, const uint32_t *pairs,
                            size_t count, uint8_t *good);
