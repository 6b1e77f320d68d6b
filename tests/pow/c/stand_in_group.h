/* In the place of libsodium: the numbers modulo 241 with addition, in 32 bytes, refusing what libsodium refuses.
 *
 * The number n stands in the first byte as n + 1, so that 0 is libsodium's identity; 7 is written as its base
 * point. Every other form is outside the group. Reads and writes every byte that libsodium may. */
#include <stdint.h>
#include <string.h>

#include "proofs_cdef.h"

enum { STAND_IN_ORDER = 241, STAND_IN_BASE = 7 };

static void stand_in_write(uint8_t *point, int number)
{
    memset(point, number == STAND_IN_BASE ? 0x66 : 0, 32);
    point[0] = (uint8_t)(number == STAND_IN_BASE ? 0x58 : number + 1);
}

/* The number, or -1. */
static int stand_in_read(const uint8_t *point)
{
    uint8_t form[32];
    int number = point[0] == 0x58 && point[1] == 0x66 ? STAND_IN_BASE : point[0] - 1;

    if (number < 0 || number >= STAND_IN_ORDER)
        return -1;
    stand_in_write(form, number);
    return memcmp(form, point, 32) == 0 ? number : -1;
}

static int stand_in_scalar(const uint8_t *scalar)
{
    int number = 0;

    for (int i = 31; i >= 0; i--)
        number = (256 * number + scalar[i]) % STAND_IN_ORDER;
    return number;
}

static int stand_in_add(unsigned char *sum, const unsigned char *left, const unsigned char *right)
{
    int a = stand_in_read(left), b = stand_in_read(right);

    if (a < 0 || b < 0)
        return -1;
    stand_in_write(sum, (a + b) % STAND_IN_ORDER);
    return 0;
}

static int stand_in_is_member(const unsigned char *point)
{
    return stand_in_read(point) > 0;
}

static int stand_in_multiply(unsigned char *product, const unsigned char *scalar, const unsigned char *point)
{
    static const uint8_t zero[32];
    int number = stand_in_read(point);

    if (number <= 0)
        return -1;
    stand_in_write(product, number * stand_in_scalar(scalar) % STAND_IN_ORDER);
    return memcmp(scalar, zero, 32) == 0 ? -1 : 0;
}

static int stand_in_multiply_base(unsigned char *product, const unsigned char *scalar)
{
    static const uint8_t zero[32];

    stand_in_write(product, STAND_IN_BASE * stand_in_scalar(scalar) % STAND_IN_ORDER);
    return memcmp(scalar, zero, 32) == 0 ? -1 : 0;
}

static const votenet_group stand_in_group = {
    stand_in_add,
    stand_in_is_member,
    stand_in_multiply,
    stand_in_multiply_base,
};
