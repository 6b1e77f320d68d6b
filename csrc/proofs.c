/* The arithmetic of many proofs, or of many sums of ciphertexts, in one call.
 *
 * Called one by one from Python, each of the fifty multiplications of a ballot gives the interpreter's lock back
 * and takes it again, and a thread that does so waits for the others. There is no cryptography here: libsodium
 * computes, through the functions that the caller hands in, and challenges are hashed and compared in Python.
 *
 * libsodium's multiplication refuses every point that is no member, and so proves membership of what it
 * multiplies. What it also refuses, 0 * P and the identity, is settled here.
 */
#include <string.h>

#include <stddef.h>
#include <stdint.h>

#include "proofs_cdef.h"

enum { SIZE = 32, TERM_SIZE = 4 * SIZE };

static const uint8_t zero[SIZE];
static const uint8_t identity[SIZE] = {1};
static const uint8_t generator[SIZE] = {
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
};
/* 2^252 + 27742317777372353535851937790883648493, RFC 8032, 5.1. */
static const uint8_t order[SIZE] = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10,
};

static int is_scalar(const uint8_t *scalar)
{
    for (int i = SIZE - 1; i >= 0; i--)
        if (scalar[i] != order[i])
            return scalar[i] < order[i];
    return 0;
}

/* point * scalar; 0 if the point is no member and not the identity. */
static int product_of(const votenet_group *group, uint8_t *product, const uint8_t *point, const uint8_t *scalar)
{
    if (memcmp(point, identity, SIZE) == 0) {
        memcpy(product, identity, SIZE);
        return 1;
    }
    if (memcmp(scalar, zero, SIZE) == 0) {
        memcpy(product, identity, SIZE);
        return group->is_member(point) == 1;
    }
    if (memcmp(point, generator, SIZE) == 0)
        return group->multiply_base(product, scalar) == 0;
    return group->multiply(product, scalar, point) == 0;
}

static int is_whole(const votenet_group *group)
{
    return group != NULL && group->add != NULL && group->is_member != NULL && group->multiply != NULL &&
           group->multiply_base != NULL;
}

long long votenet_combine(const votenet_group *group, const uint8_t *terms, size_t count, uint8_t *results,
                          uint8_t *good)
{
    uint8_t left[SIZE], right[SIZE];
    long long done = 0;

    if (count == 0)
        return 0;
    if (good == NULL)
        return -1;
    memset(good, 0, count);
    if (!is_whole(group) || terms == NULL || results == NULL)
        return -1;
    for (size_t i = 0; i < 2 * count; i++)
        if (!is_scalar(terms + i * (TERM_SIZE / 2) + SIZE))
            return -1;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *term = terms + i * TERM_SIZE;
        uint8_t *result = results + i * SIZE;
        good[i] = product_of(group, left, term, term + SIZE) &&
                  product_of(group, right, term + 2 * SIZE, term + 3 * SIZE) &&
                  group->add(result, left, right) == 0;
        if (!good[i])
            memset(result, 0, SIZE);
        done += good[i];
    }
    return done;
}

long long votenet_add_pairs(const votenet_group *group, uint8_t *points, size_t given, const uint32_t *pairs,
                            size_t count, uint8_t *good)
{
    long long done = 0;

    if (count == 0)
        return 0;
    if (good == NULL)
        return -1;
    memset(good, 0, count);
    if (!is_whole(group) || points == NULL || pairs == NULL)
        return -1;
    for (size_t i = 0; i < 2 * count; i++)
        if (pairs[i] >= given && pairs[i] - given >= i / 2)
            return -1;

    for (size_t i = 0; i < count; i++) {
        size_t left = pairs[2 * i], right = pairs[2 * i + 1];
        uint8_t *sum = points + (given + i) * SIZE;
        good[i] = (left < given || good[left - given]) && (right < given || good[right - given]) &&
                  group->add(sum, points + left * SIZE, points + right * SIZE) == 0;
        if (!good[i])
            memset(sum, 0, SIZE);
        done += good[i];
    }
    return done;
}
